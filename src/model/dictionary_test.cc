#include "model/dictionary.h"

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <thread>

#include "base/hash.h"
#include "base/random.h"

namespace clew::model {
namespace {

std::string attribute(std::string_view key, std::string_view value) {
  std::string any, kv, out;
  any.push_back('\x0a');
  append_bytes(any, value);
  kv.push_back('\x0a');
  append_bytes(kv, key);
  kv.push_back('\x12');
  append_bytes(kv, any);
  out.push_back('\x0a');
  append_bytes(out, kv);
  return out;
}
std::string resource(const std::string& attributes) {
  std::string out("\x0a");
  append_bytes(out, attributes);
  return out;
}

TEST(Dictionary, codesAreInOrderOfInsertionAndTextsStayWhereTheyAre) {
  Dictionary dictionary(1);
  std::vector<std::string_view> views;
  for (uint32_t i = 0; i < 50000; ++i) {
    ASSERT_EQ(dictionary.intern(EntryKind::kString, "text " + std::to_string(i)), i);
    views.push_back(dictionary.text(EntryKind::kString, i));
  }
  for (uint32_t i = 0; i < 50000; ++i) {
    const std::string text = "text " + std::to_string(i);
    ASSERT_EQ(views[i], text);
    ASSERT_EQ(dictionary.text(EntryKind::kString, i).data(), views[i].data());
    ASSERT_EQ(dictionary.text_hash(EntryKind::kString, i), stable_hash64(text));
    ASSERT_EQ(dictionary.intern(EntryKind::kString, text), i);
    ASSERT_EQ(dictionary.find(EntryKind::kString, text), i);
  }
  EXPECT_EQ(dictionary.size(EntryKind::kString), 50000u);
  EXPECT_FALSE(dictionary.find(EntryKind::kString, "absent"));
}

TEST(Dictionary, kindsAreNumberedApart) {
  Dictionary dictionary(1);
  EXPECT_EQ(dictionary.intern(EntryKind::kString, "a"), 0u);
  EXPECT_EQ(dictionary.intern(EntryKind::kTemplate, "a"), 0u);
  EXPECT_EQ(dictionary.intern(EntryKind::kScope, "a"), 0u);
  EXPECT_EQ(dictionary.position(), 3u);
}

TEST(Dictionary, codesThatDoNotExistReadAsEmpty) {
  const Dictionary dictionary(1);
  EXPECT_EQ(dictionary.text(EntryKind::kString, 5), "");
  EXPECT_EQ(dictionary.text_hash(EntryKind::kString, ~0u), 0u);
  EXPECT_TRUE(dictionary.shape(0).empty());
  EXPECT_EQ(dictionary.service_name(7), "");
}

TEST(Dictionary, limitsAreKeptAndContextsAlwaysFit) {
  Dictionary dictionary(1, {.max_entries = 2, .max_bytes = 20, .max_string_bytes = 8, .max_shape_fields = 1});
  EXPECT_FALSE(dictionary.intern(EntryKind::kString, "123456789"));
  EXPECT_TRUE(dictionary.intern(EntryKind::kString, "12345678"));
  EXPECT_TRUE(dictionary.intern(EntryKind::kString, "abcdefgh"));
  EXPECT_FALSE(dictionary.intern(EntryKind::kString, "c")) << "entries";
  EXPECT_EQ(dictionary.intern(EntryKind::kString, "abcdefgh"), 1u) << "what is there is found";
  EXPECT_FALSE(dictionary.intern(EntryKind::kTemplate, "12345")) << "bytes";
  EXPECT_FALSE(dictionary.intern_shape(std::vector<ShapeField>{{0, ValueType::kInt}, {1, ValueType::kInt}}));
  EXPECT_FALSE(dictionary.wants_rotation());
  EXPECT_TRUE(dictionary.intern(EntryKind::kResource, std::string(100, 'r')));
  EXPECT_TRUE(dictionary.wants_rotation());
}

TEST(Dictionary, shapesAreParsedAndRefusedWhenTheyNameAbsentKeys) {
  Dictionary dictionary(1);
  dictionary.intern(EntryKind::kString, "k");
  const std::vector<ShapeField> fields = {{0, ValueType::kString}, {0, ValueType::kRaw}};
  const auto code = dictionary.intern_shape(fields);
  ASSERT_TRUE(code);
  const auto parsed = dictionary.shape(*code);
  EXPECT_EQ(std::vector<ShapeField>(parsed.begin(), parsed.end()), fields);
  EXPECT_EQ(dictionary.shape_hashes(*code).size(), 2u);
  EXPECT_FALSE(dictionary.intern_shape(std::vector<ShapeField>{{1, ValueType::kString}}));
  EXPECT_FALSE(dictionary.intern(EntryKind::kShape, std::string("\x00\x08", 2))) << "no such type";
  EXPECT_FALSE(dictionary.intern(EntryKind::kShape, std::string("\x00", 1))) << "cut off";
  EXPECT_TRUE(dictionary.intern_shape({}));
}

TEST(Dictionary, namesOfAResourceAreFoundInTheirOrder) {
  Dictionary dictionary(1);
  const auto names = [&](const std::string& attributes) {
    const uint32_t code = *dictionary.intern(EntryKind::kResource, resource(attributes));
    return std::pair(std::string(dictionary.service_name(code)), std::string(dictionary.host_name(code)));
  };
  const std::string service = attribute("service.name", "cart"), host = attribute("host.name", "n1"),
                    pod = attribute("k8s.pod.name", "p1"), instance = attribute("service.instance.id", "i1");
  using Names = std::pair<std::string, std::string>;
  EXPECT_EQ(names(service + instance + pod + host), Names("cart", "n1"));
  EXPECT_EQ(names(service + instance + pod), Names("cart", "p1"));
  EXPECT_EQ(names(instance + service), Names("cart", "i1"));
  EXPECT_EQ(names(service), Names("cart", "cart"));
  EXPECT_EQ(names(""), Names("", ""));
  EXPECT_EQ(names(service + "\x0a\x7f"), Names("cart", "cart")) << "what parses of a damaged resource is used";
}

TEST(Dictionary, replayInAnyCutsGivesTheSameCodes) {
  Generator random(4);
  for (int round = 0; round < 50; ++round) {
    Dictionary written(1), replayed(2, {.max_entries = 1});
    uint64_t position = 0;
    for (int i = 0; i < 300; ++i) {
      const auto kind = static_cast<EntryKind>(random.below(kEntryKinds));
      if (kind == EntryKind::kShape) {
        std::vector<ShapeField> fields;
        for (uint64_t n = written.size(EntryKind::kString) > 0 ? random.below(4) : 0; n > 0; --n) {
          fields.push_back({static_cast<uint32_t>(random.below(written.size(EntryKind::kString))), ValueType::kInt});
        }
        written.intern_shape(fields);
      } else {
        written.intern(kind,
                       "text" + std::to_string(random.below(100)) + (kind == EntryKind::kTemplate ? "\x12\x01" : ""));
      }
      if (random.one_in(10)) {
        std::string additions;
        written.write_additions(position, additions);
        position = written.position();
        ASSERT_TRUE(replayed.apply_additions(additions).ok());
      }
    }
    std::string additions;
    written.write_additions(position, additions);
    ASSERT_TRUE(replayed.apply_additions(additions).ok());
    ASSERT_EQ(written.position(), replayed.position());
    for (size_t k = 0; k < kEntryKinds; ++k) {
      const auto kind = static_cast<EntryKind>(k);
      ASSERT_EQ(written.size(kind), replayed.size(kind));
      for (uint32_t code = 0; code < written.size(kind); ++code) {
        ASSERT_EQ(written.text(kind, code), replayed.text(kind, code));
        ASSERT_EQ(replayed.find(kind, written.text(kind, code)), code);
      }
    }
  }
}

TEST(Dictionary, damagedAdditionsAreDataLossAndNothingWorse) {
  for (const std::string& bytes : {std::string("\xff"),
                                   std::string("\x10"
                                               "a"),
                                   std::string("\x05"),
                                   std::string("\x08"
                                               "a"
                                               "\x08"
                                               "a"),
                                   std::string("\x12\x00\x01", 3), std::string("\x09\x11"),
                                   std::string("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")}) {
    Dictionary dictionary(1);
    EXPECT_EQ(dictionary.apply_additions(bytes).code(), Code::kDataLoss) << bytes;
  }
  Dictionary source(1);
  for (int i = 0; i < 20; ++i) source.intern(EntryKind::kString, "key" + std::to_string(i));
  source.intern_shape(std::vector<ShapeField>{{3, ValueType::kString}, {19, ValueType::kInt}});
  source.intern(EntryKind::kResource, resource(attribute("service.name", "s")));
  std::string good;
  source.write_additions(0, good);
  Generator random(9);
  uint64_t refused = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string bytes = good;
    bytes[random.below(bytes.size())] = static_cast<char>(random.next());
    if (random.one_in(3)) bytes.resize(random.below(bytes.size()));
    Dictionary dictionary(1);
    refused += !dictionary.apply_additions(bytes).ok();
  }
  EXPECT_GT(refused, 1000u);
}

TEST(Dictionary, lostEntriesReadAsEmptyAndWhatFollowsKeepsItsCode) {
  Dictionary dictionary(1);
  dictionary.intern(EntryKind::kString, "kept");
  Dictionary::Sizes sizes = dictionary.sizes();
  sizes[static_cast<size_t>(EntryKind::kString)] = 100;
  sizes[static_cast<size_t>(EntryKind::kShape)] = 3;
  EXPECT_EQ(dictionary.skip_to(sizes, 101).code(), Code::kDataLoss) << "102 entries in 101 bytes";
  EXPECT_FALSE(dictionary.has_lost());
  ASSERT_TRUE(dictionary.skip_to(sizes, 102).ok());
  EXPECT_EQ(dictionary.sizes(), sizes);
  ASSERT_TRUE(dictionary.apply_additions(std::string("\x28") + "after").ok());
  EXPECT_EQ(dictionary.text(EntryKind::kString, 100), "after");
  EXPECT_EQ(dictionary.find(EntryKind::kString, "after"), 100u);
  EXPECT_FALSE(dictionary.find(EntryKind::kString, ""));
  for (const uint32_t code : {0u, 1u, 99u, 100u}) {
    EXPECT_EQ(dictionary.lost(EntryKind::kString, code), code == 1 || code == 99) << code;
  }
  EXPECT_EQ(dictionary.text(EntryKind::kString, 50), "");
  EXPECT_TRUE(dictionary.shape(2).empty());
  EXPECT_EQ(dictionary.skip_to(sizes, 1000).code(), Code::kDataLoss) << "there is one more already";
}

TEST(Dictionary, anotherThreadReadsWhatItWasHandedWhileTheDictionaryGrows) {
  Dictionary dictionary(1);
  std::atomic<bool> done{false};
  std::atomic<uint64_t> wrong{0}, read{0};
  std::thread reader([&] {
    while (!done.load()) {
      const uint32_t n = dictionary.size(EntryKind::kString);
      for (uint32_t i = n > 50 ? n - 50 : 0; i < n; ++i) {
        wrong += dictionary.text(EntryKind::kString, i) != "t" + std::to_string(i);
        ++read;
      }
    }
  });
  for (uint32_t i = 0; i < 100000 || read.load() == 0; ++i)
    dictionary.intern(EntryKind::kString, "t" + std::to_string(i));
  done = true;
  reader.join();
  EXPECT_EQ(wrong.load(), 0u);
}

}  // namespace
}  // namespace clew::model
