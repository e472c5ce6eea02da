#include "kv/cow_tree.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "kv/interest.h"

namespace clew::kv {
namespace {

using Reference = std::map<std::string, int>;

template <typename Tree>
Reference content(const Tree& tree, std::string_view begin = "", std::string_view end = "") {
  Reference result;
  tree.each(begin, end, [&](std::string_view key, int value) { return result.emplace(key, value).second; });
  return result;
}

// Keys that begin alike, that begin others, that differ in nothing but zeros, or late.
TEST(CowTree, keysOfEveryKindStandInTheOrderOfTheirBytes) {
  for (uint64_t seed = 1; seed <= 30; seed++) {
    SCOPED_TRACE(seed);
    Generator random(seed);
    const std::string common(random.below(20), 'c');
    const auto key = [&] {
      std::string bytes = random.one_in(10) ? "" : common;
      const uint64_t length = random.below(random.one_in(3) ? 3 : 14);
      for (uint64_t i = 0; i < length; i++) {
        constexpr char kBytes[] = {'\0', '\1', 'a', 'b', '\x7f', '\x80', '\xff'};
        bytes.push_back(kBytes[random.below(i < 6 ? 2 : sizeof kBytes)]);
      }
      return bytes;
    };
    CowTree<int> tree;
    Reference reference;
    for (int i = 0; i < 3'000; i++) {
      const std::string one = key();
      if (random.below(10) < (i < 1'500 ? 2u : 7u)) {
        ASSERT_EQ(tree.erase(one), reference.erase(one) == 1);
      } else {
        tree.upsert(one) = i;
        reference[one] = i;
      }
      const std::string other = key();
      const int* found = tree.find(other);
      ASSERT_EQ(found != nullptr, reference.contains(other));
      if (i % 50 == 0) {
        tree.check_invariants();
        const auto [begin, end] = std::minmax(one, other);
        Reference part(reference.lower_bound(begin), end.empty() ? reference.end() : reference.lower_bound(end));
        ASSERT_EQ(content(tree, begin, end), part);
      }
    }
    ASSERT_EQ(content(tree), reference);
  }
}

TEST(CowTree, doesAsAMapDoesAndSnapshotsStayWhatTheyWere) {
  for (uint64_t seed = 1; seed <= 20; seed++) {
    SCOPED_TRACE(seed);
    Generator random(seed);
    CowTree<int> tree;
    Reference reference;
    std::vector<std::pair<CowTree<int>::Snapshot, Reference>> snapshots;
    const uint64_t keys = seed % 2 == 0 ? 50 : 5'000;
    for (int i = 0; i < 8'000; i++) {
      // Growing, then shrinking.
      const std::string key = std::to_string(random.below(keys));
      const bool erases = random.below(10) < (i < 4'000 ? 2u : 8u);
      if (erases) {
        ASSERT_EQ(tree.erase(key), reference.erase(key) == 1);
      } else {
        tree.upsert(key) = i;
        reference[key] = i;
      }
      ASSERT_EQ(tree.size(), reference.size());
      if (random.one_in(1'000)) {
        tree.check_invariants();
        snapshots.emplace_back(tree.snapshot(), reference);
        const std::string begin = std::to_string(random.below(keys));
        const std::string end = std::to_string(random.below(keys));
        Reference part;
        if (begin < end) part = Reference(reference.lower_bound(begin), reference.lower_bound(end));
        ASSERT_EQ(content(tree, begin, end), part);
      }
      const int* found = tree.find(key);
      ASSERT_EQ(found != nullptr, reference.contains(key));
    }
    for (const auto& [key, value] : reference) ASSERT_EQ(*tree.find_mutable(key), value);
    for (const auto& [snapshot, then] : snapshots) {
      ASSERT_EQ(content(snapshot), then);
      ASSERT_EQ(snapshot.size(), then.size());
    }
    while (!reference.empty()) {
      const std::string key = reference.begin()->first;
      reference.erase(reference.begin());
      ASSERT_TRUE(tree.erase(key));
    }
    tree.check_invariants();
    ASSERT_EQ(tree.find("0"), nullptr);
  }
}

TEST(CowTree, ascendingKeysFillTheLeaves) {
  CowTree<int> tree;
  for (int i = 0; i < 10'000; i++) {
    std::string key = std::to_string(i);
    key.insert(0, 5 - key.size(), '0');
    tree.upsert(key) = i;
  }
  tree.check_invariants();
  EXPECT_EQ(content(tree).size(), 10'000u);
}

TEST(Interest, findsWhomALookThroughAllFinds) {
  for (uint64_t seed = 1; seed <= 10; seed++) {
    Generator random(seed);
    Interest<int> interest;
    std::map<int, std::pair<std::string, std::string>> all;
    for (int i = 0; i < 2'000; i++) {
      if (random.below(3) != 0 || all.empty()) {
        std::string begin = std::to_string(100 + random.below(900));
        std::string end = std::to_string(100 + random.below(900));
        if (random.one_in(3)) end.clear();
        if (random.one_in(9)) end.assign(1, '\0');
        if (end.size() == 3 && end <= begin) end = begin + "5";
        interest.add({begin, end}, i);
        all.emplace(i, std::pair(begin, end));
      } else {
        auto at = all.lower_bound(static_cast<int>(random.below(static_cast<uint64_t>(i))));
        if (at == all.end()) at = all.begin();
        interest.remove({at->second.first, at->second.second}, at->first);
        all.erase(at);
      }
      const std::string key = std::to_string(100 + random.below(900));
      std::set<int> expected;
      for (const auto& [who, keys] : all) {
        if (KeyRange{keys.first, keys.second}.contains(key)) expected.insert(who);
      }
      std::set<int> found;
      interest.find(key, [&](int who) { ASSERT_TRUE(found.insert(who).second); });
      ASSERT_EQ(found, expected);
    }
  }
}

}  // namespace
}  // namespace clew::kv
