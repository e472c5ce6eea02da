#include "sim/plan.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/check.h"
#include "base/hash.h"
#include "sim/journal.h"

namespace clew::sim {

namespace {

constexpr int64_t kMillisecond = 1'000'000;
constexpr int64_t kSecond = 1'000'000'000;

constexpr std::string_view kNames[kFaultKinds] = {
    "loss",       "duplicates", "damage",    "stragglers",  "delay",           "drift",     "skew",
    "wall-jump",  "pause",      "kill",      "power-cut",   "power-cut-in-io", "wipe",      "partition",
    "one-way",    "clog",       "slow-link", "break-links", "slow-disk",       "full-disk", "write-error",
    "sync-error", "read-error", "bit-rot",   "misdirected", "operation",
};

bool is_weather(FaultKind kind) { return kind <= FaultKind::kDelay; }
bool lasts_to_the_heal(FaultKind kind) { return kind <= FaultKind::kSkew; }

class Drawer {
 public:
  Drawer(uint64_t seed, const PlanOptions& options) : random_(seed), options_(options) {}

  Plan draw(uint64_t seed) {
    CHECK(options_.nodes >= 1 && options_.nodes <= kMaxNodes);
    Plan plan{.seed = seed,
              .nodes = options_.nodes,
              .heal_at_ns = options_.duration_ns,
              .progress_within_ns = options_.progress_within_ns,
              .items = {},
              .kept = {}};
    for (size_t k = 0; k < static_cast<size_t>(FaultKind::kOperation); ++k) {
      const auto kind = static_cast<FaultKind>(k);
      // Drawn for every kind, wanted or not: leaving one out does not change what the others do.
      random_ = Generator(mix64(seed, k + 1));
      const auto lists = [&](const std::vector<FaultKind>& kinds) {
        return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
      };
      const bool drawn = random_.one_in(2);
      const bool enabled = (drawn || lists(options_.always)) && options_.intensity > 0 && !lists(options_.without);
      if (enabled) draw_kind(kind, plan.items);
    }
    random_ = Generator(mix64(seed, 0));
    draw_operations(plan.items);
    std::stable_sort(plan.items.begin(), plan.items.end(),
                     [](const Item& a, const Item& b) { return a.at_ns < b.at_ns; });
    plan.drawn = plan.items.size();
    for (uint32_t i = 0; i < plan.drawn; ++i) plan.kept.push_back({i});
    return plan;
  }

 private:
  // Small values are as likely as large ones: uniform in the exponent.
  int64_t between(int64_t low, int64_t high) {
    int64_t top = high;
    while (top / 2 >= low && random_.one_in(2)) top /= 2;
    return low + static_cast<int64_t>(random_.below(static_cast<uint64_t>(top - low + 1)));
  }
  int64_t either_sign(int64_t value) { return random_.one_in(2) ? value : -value; }
  NodeIndex node() { return NodeIndex{static_cast<uint32_t>(random_.below(options_.nodes))}; }

  void draw_kind(FaultKind kind, std::vector<Item>& items) {
    if (lasts_to_the_heal(kind)) {
      if (is_weather(kind)) {
        items.push_back(weather(kind));
        return;
      }
      for (uint32_t i = 0; i < options_.nodes; ++i) {
        if (random_.one_in(3)) continue;
        Item item{.kind = kind, .node = NodeIndex{i}, .seed = random_.next()};
        item.amount = either_sign(kind == FaultKind::kDrift ? between(1, 200) : between(kMillisecond, 30 * kSecond));
        items.push_back(item);
      }
      return;
    }
    if (options_.nodes == 1 && kind >= FaultKind::kPartition && kind <= FaultKind::kBreakLinks) return;
    const int64_t mean = static_cast<int64_t>(static_cast<double>(between(kSecond / 2, 8 * kSecond)) /
                                              std::max(options_.intensity, 1e-6));
    const bool aims = options_.at_leader_percent > 0 &&
                      (options_.at_leader.empty() || std::find(options_.at_leader.begin(), options_.at_leader.end(),
                                                               kind) != options_.at_leader.end());
    for (int64_t at = step(mean); at < options_.duration_ns; at += step(mean)) {
      Item& item = items.emplace_back(timed(kind, at));
      // Not drawn: those of other nodes stay what they are.
      item.at_leader = aims && mix64(item.seed, 0x1ead) % 100 < static_cast<uint64_t>(options_.at_leader_percent);
    }
  }
  int64_t step(int64_t mean) { return 1 + static_cast<int64_t>(random_.below(static_cast<uint64_t>(2 * mean))); }

  Item weather(FaultKind kind) {
    Item item{.kind = kind, .seed = random_.next()};
    switch (kind) {
      case FaultKind::kLoss:
        item.amount = between(1'000, 200'000);
        break;
      case FaultKind::kDuplicates:
        item.amount = between(1'000, 100'000);
        break;
      case FaultKind::kDamage:
        item.amount = between(100, 20'000);
        break;
      case FaultKind::kStragglers:
        item.amount = between(1'000, 100'000);
        item.extra = between(kMillisecond, options_.longest_straggler_ns);
        break;
      default:
        item.amount = between(10'000, 20 * kMillisecond);
        item.extra = between(10'000, 20 * kMillisecond);
    }
    return item;
  }

  void draw_sets(Item& item) {
    const NodeMask all = all_of(options_.nodes);
    const uint64_t manner = random_.below(4);
    if (manner == 0) {  // two sides
      do item.from = random_.next() & all;
      while (item.from == 0 || item.from == all);
      item.to = all & ~item.from;
    } else if (manner == 1) {  // one alone
      item.from = mask_of(node());
      item.to = all & ~item.from;
    } else if (manner == 2 || options_.nodes < 3) {  // two that do not see each other, while the others see both
      item.from = mask_of(node());
      do item.to = mask_of(node());
      while (item.to == item.from);
    } else {  // one that sees some of the others only, who see everybody
      item.from = mask_of(node());
      do item.to = random_.next() & all & ~item.from;
      while (item.to == 0 || item.to == (all & ~item.from));
    }
    if (random_.one_in(2)) std::swap(item.from, item.to);
  }

  Item timed(FaultKind kind, int64_t at_ns) {
    Item item{.kind = kind, .at_ns = at_ns, .seed = random_.next()};
    item.node = node();
    switch (kind) {
      case FaultKind::kWallJump:
        item.amount = either_sign(between(kMillisecond, 3600 * kSecond));
        break;
      case FaultKind::kPause:
        item.duration_ns = between(5 * kMillisecond, 3 * kSecond);
        break;
      case FaultKind::kKill:
      case FaultKind::kPowerCut:
      case FaultKind::kWipe:
        item.duration_ns = between(10 * kMillisecond, options_.longest_down_ns);
        break;
      case FaultKind::kPowerCutInIo:
        item.duration_ns = between(10 * kMillisecond, options_.longest_down_ns);
        item.amount = between(1, 64);
        break;
      case FaultKind::kPartition:
      case FaultKind::kOneWay:
      case FaultKind::kClog:
        draw_sets(item);
        item.duration_ns = between(20 * kMillisecond, 5 * kSecond);
        break;
      case FaultKind::kSlowLink:
        draw_sets(item);
        item.duration_ns = between(20 * kMillisecond, 5 * kSecond);
        item.amount = between(kMillisecond, 300 * kMillisecond);
        item.extra = static_cast<int64_t>(random_.below(2));
        break;
      case FaultKind::kBreakLinks:
        draw_sets(item);
        break;
      case FaultKind::kSlowDisk:
        item.duration_ns = between(50 * kMillisecond, 4 * kSecond);
        item.amount = between(kMillisecond, 500 * kMillisecond);
        break;
      case FaultKind::kFullDisk:
        item.duration_ns = between(50 * kMillisecond, 4 * kSecond);
        break;
      case FaultKind::kWriteError:
      case FaultKind::kMisdirected:
        item.amount = between(1, 32);
        break;
      case FaultKind::kSyncError:
        item.amount = between(1, 32);
        item.extra = static_cast<int64_t>(random_.below(2));
        break;
      case FaultKind::kReadError:
        item.extra = static_cast<int64_t>(random_.below(3));
        item.amount = between(1, 8192);
        break;
      case FaultKind::kBitRot:
        item.amount = between(1, 4096);
        break;
      default:
        CHECK(false);
    }
    return item;
  }

  void draw_operations(std::vector<Item>& items) {
    if (options_.operations_per_second <= 0) return;
    const auto mean = static_cast<int64_t>(static_cast<double>(kSecond) / options_.operations_per_second);
    int64_t number = 0;
    for (int64_t at = step(mean); at < options_.duration_ns; at += step(mean)) {
      Item item{.kind = FaultKind::kOperation, .at_ns = at, .seed = random_.next()};
      item.node = node();
      item.amount = number++;
      item.extra = static_cast<int64_t>(random_.next() >> 1);
      items.push_back(item);
    }
  }

  Generator random_;
  const PlanOptions& options_;
};

std::string percent(int64_t ppm) {
  std::string text = std::to_string(ppm / 10'000) + "." + std::to_string(ppm % 10'000 + 10'000).substr(1) + " %";
  return text;
}

}  // namespace

bool strikes_at_nth(FaultKind kind) {
  return kind == FaultKind::kPowerCutInIo || kind == FaultKind::kWriteError || kind == FaultKind::kSyncError ||
         kind == FaultKind::kMisdirected;
}

std::string_view name(FaultKind kind) { return kNames[static_cast<size_t>(kind)]; }

namespace {

std::string text_of(const Item& item) {
  std::string text = seconds(item.at_ns) + " s  " + std::string(name(item.kind));
  const std::string node = " " + name(item.node);
  const std::string sets = " " + names(item.from) + " | " + names(item.to);
  const std::string span = " for " + seconds(item.duration_ns) + " s";
  switch (item.kind) {
    case FaultKind::kLoss:
    case FaultKind::kDuplicates:
    case FaultKind::kDamage:
      return text + " " + percent(item.amount);
    case FaultKind::kStragglers:
      return text + " " + percent(item.amount) + " by up to " + seconds(item.extra) + " s";
    case FaultKind::kDelay:
      return text + " " + seconds(item.amount) + " s and up to " + seconds(item.extra) + " s more";
    case FaultKind::kDrift:
      return text + node + " by " + std::to_string(item.amount) + " ppm";
    case FaultKind::kSkew:
    case FaultKind::kWallJump:
      return text + node + " by " + std::to_string(item.amount / kMillisecond) + " ms";
    case FaultKind::kPause:
    case FaultKind::kKill:
    case FaultKind::kPowerCut:
    case FaultKind::kWipe:
    case FaultKind::kFullDisk:
      return text + node + span;
    case FaultKind::kPowerCutInIo:
      return text + node + " at disk operation " + std::to_string(item.amount) + span;
    case FaultKind::kPartition:
    case FaultKind::kClog:
      return text + sets + span;
    case FaultKind::kOneWay:
      return text + " " + names(item.from) + " -> " + names(item.to) + span;
    case FaultKind::kSlowLink:
      return text + (item.extra != 0 ? " " + names(item.from) + " -> " + names(item.to) : sets) + " by " +
             seconds(item.amount) + " s" + span;
    case FaultKind::kBreakLinks:
      return text + sets;
    case FaultKind::kSlowDisk:
      return text + node + " by up to " + seconds(item.amount) + " s" + span;
    case FaultKind::kWriteError:
    case FaultKind::kMisdirected:
      return text + node + " at write " + std::to_string(item.amount);
    case FaultKind::kSyncError:
      return text + node + " at sync " + std::to_string(item.amount) + (item.extra != 0 ? ", data dropped" : "");
    case FaultKind::kReadError:
      return text + node + " in " + std::to_string(item.amount) + " bytes" +
             (item.extra == 0 ? std::string(", lasting") : ", times " + std::to_string(item.extra));
    case FaultKind::kBitRot:
      return text + node + " in " + std::to_string(item.amount) + " bytes";
    case FaultKind::kOperation:
      return text + node + " number " + std::to_string(item.amount);
  }
  return text;
}

}  // namespace

std::string to_string(const Item& item) { return text_of(item) + (item.at_leader ? ", at the leader" : ""); }

Plan draw_plan(uint64_t seed, const PlanOptions& options) { return Drawer(seed, options).draw(seed); }

Plan reduce(const Plan& drawn, const std::vector<Choice>& choices) {
  CHECK(drawn.items.size() == drawn.drawn);
  Plan plan = drawn;
  plan.items.clear();
  plan.kept = choices;
  for (const Choice& choice : choices) {
    Item& item = plan.items.emplace_back(drawn.items[choice.number]);
    if (choice.amount != Choice::kAsDrawn) item.amount = choice.amount;
  }
  return plan;
}

std::string to_string(const Plan& plan) {
  std::string text = "seed " + std::to_string(plan.seed) + ", " + std::to_string(plan.nodes) + " nodes, heals at " +
                     seconds(plan.heal_at_ns) + " s, " + std::to_string(plan.items.size()) + " of " +
                     std::to_string(plan.drawn) + " items\n";
  for (size_t i = 0; i < plan.items.size(); ++i) {
    std::string number = std::to_string(plan.kept[i].number);
    if (number.size() < 6) number.insert(0, 6 - number.size(), ' ');
    text += number + "  " + to_string(plan.items[i]) + "\n";
  }
  return text;
}

std::string format_choices(const std::vector<Choice>& choices) {
  std::string text;
  for (size_t i = 0; i < choices.size(); ++i) {
    const size_t first = i;
    const auto follows = [&] {
      return i + 1 < choices.size() && choices[i].amount == Choice::kAsDrawn &&
             choices[i + 1] == Choice{choices[i].number + 1};
    };
    while (follows()) ++i;
    if (!text.empty()) text += ',';
    text += std::to_string(choices[first].number);
    if (i > first) text += "-" + std::to_string(choices[i].number);
    if (choices[first].amount != Choice::kAsDrawn) text += "=" + std::to_string(choices[first].amount);
  }
  return text.empty() ? "none" : text;
}

Result<std::vector<Choice>> parse_choices(std::string_view text, uint32_t limit) {
  std::vector<Choice> choices;
  if (text == "none") return choices;
  const Error bad{Code::kInvalidArgument, "'" + std::string(text) + "' is not a list of rising numbers below " +
                                              std::to_string(limit) +
                                              " such as 0-3,17,20=1; \"none\" is the empty one"};
  const char* at = text.data();
  const char* const end = at + text.size();
  const auto read = [&](auto& value) {
    const auto [next, error] = std::from_chars(at, end, value);
    at = next;
    return error == std::errc();
  };
  const auto accept = [&](char expected) {
    if (at == end || *at != expected) return false;
    ++at;
    return true;
  };
  while (true) {
    uint32_t first = 0;
    if (!read(first) || first >= limit) return bad;
    if (!choices.empty() && first <= choices.back().number) return bad;
    uint32_t last = first;
    int64_t amount = Choice::kAsDrawn;
    if (accept('-')) {
      if (!read(last) || last < first || last >= limit) return bad;
    } else if (accept('=')) {
      if (!read(amount) || amount == Choice::kAsDrawn) return bad;
    }
    for (uint32_t number = first; number <= last; ++number) choices.push_back({number, amount});
    if (at == end) return choices;
    if (!accept(',')) return bad;
  }
}

}  // namespace clew::sim
