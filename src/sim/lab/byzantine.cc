#include "sim/lab/byzantine.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>
#include <variant>

#include "base/check.h"
#include "sim/groups/pbft_family.h"
#include "sim/groups/pbft_liar.h"

namespace clew::sim::lab {
namespace {

constexpr int64_t kMs = 1'000'000;
constexpr std::array<std::string_view, kHabits> kHabitNames = {"equivocates", "is silent"};

// All that a disk holds, and back.
class Image {
 public:
  explicit Image(const SimDisk& disk) {
    for (const SimDisk::FileInfo& file : disk.files()) files_[file.path] = disk.content(file.path);
  }
  void restore(SimDisk& disk) const {
    disk.wipe();
    for (const auto& [path, bytes] : files_) {
      const std::string directory = path.substr(0, path.rfind('/'));
      auto file = disk.make_dirs(directory).ok() ? disk.open(path, {.create = true, .writable = true})
                                                 : Result<std::unique_ptr<env::File>>(Error{Code::kInternal, ""});
      CHECK(file.ok() && (*file)->write_at(0, bytes).ok() && (*file)->sync().ok() && disk.sync_dir(directory).ok());
    }
  }

 private:
  std::map<std::string, std::string> files_;
};

class Rollback final : public LabGroup {
 public:
  using LabGroup::LabGroup;
  Lie lie;

 private:
  enum class Scene { kElection, kCommit, kLie, kSecond, kAfter };

  void disagreed(const Status& how) override {
    if (!lie.violation.empty()) return;
    lie.violation = std::string(how.message());
    lie.seen_at_ns = world().now_ns();
  }

  void tick() override {
    const auto leads = leader();
    switch (scene_) {
      case Scene::kElection:
        if (!leads || world().now_ns() < elected_by()) return;
        cast(*leads);
        world().links().cut(away_, everybody() & ~away_);
        world().links().cut(everybody() & ~away_, away_);
        submit(*leads, write("x", "first"),
               [this](const auto& answer) { lie.acknowledged = std::holds_alternative<consensus::Reply>(answer); });
        scene_ = Scene::kCommit;
        return;
      case Scene::kCommit:
        if (!lie.acknowledged) return;
        scene_ = Scene::kLie;
        return;
      case Scene::kLie: {
        const NodeMask others = everybody() & ~away_ & ~liars_;
        world().links().cut(others, everybody() & ~others);
        world().links().cut(everybody() & ~others, others);
        for (const auto& [node, image] : images_) {
          world().kill(node);
          image.restore(world().disk(node));
          world().start(node);
        }
        world().links().mend(away_, everybody() & ~away_);
        world().links().mend(everybody() & ~away_, away_);
        scene_ = Scene::kSecond;
        return;
      }
      case Scene::kSecond:
        if (!leads || (mask_of(*leads) & (away_ | liars_)) == 0 || asked_) return;
        asked_ = true;
        submit(*leads, write("x", "second"), [this](const auto& answer) {
          lie.replaced = std::holds_alternative<consensus::Reply>(answer);
          asked_ = lie.replaced;  // else once more
          if (lie.replaced) scene_ = Scene::kAfter;
        });
        return;
      case Scene::kAfter:
        return;
    }
  }

  int64_t elected_by() const { return (setting().latency == Latency::kLan ? 1'500 : 12'000) * kMs; }

  // Who plays whom. The honest ones with the leader and the liars are a quorum, and so are the others and the liars
  // where nobody expects any.
  void cast(NodeIndex leads) {
    const size_t quorum = nodes() - family().tolerates(nodes());
    lie.liars = std::min(2 * quorum - nodes(), family().liar ? family().tolerates(nodes()) : nodes());
    size_t liars = lie.liars;
    size_t with_leader = quorum - lie.liars - 1;
    for (uint32_t i = 0; i < nodes(); ++i) {
      const NodeIndex node{i};
      if (node == leads) continue;
      if (liars > 0) {
        --liars;
        liars_ |= mask_of(node);
        images_.emplace_back(node, Image(world().disk(node)));
      } else if (with_leader > 0) {
        --with_leader;
      } else {
        away_ |= mask_of(node);
      }
    }
  }

  Scene scene_ = Scene::kElection;
  NodeMask liars_ = 0, away_ = 0;
  std::vector<std::pair<NodeIndex, Image>> images_;
  bool asked_ = false;
};

// Clients with some commands outstanding at each honest member, for as long before the lie as in it.
class Endurance final : public LabGroup {
 public:
  Endurance(const groups::Family& family, const Setting& setting, Habit habit) : LabGroup(family, setting) {
    endured.habit = habit;
    endured.liars = family.tolerates(setting.nodes);
    endured.span_ns = (setting.latency == Latency::kLan ? 2'000 : 16'000) * kMs;
  }
  int64_t begin_ns() const { return (setting().latency == Latency::kLan ? 1'000 : 8'000) * kMs; }
  int64_t lie_ns() const { return begin_ns() + endured.span_ns; }
  int64_t end_ns() const { return lie_ns() + endured.span_ns; }
  int64_t unanswered_ns() const { return end_ns() - answered_at_ns_; }
  Endured endured;

 private:
  static constexpr size_t kOutstanding = 4;  // a member

  void disagreed(const Status& how) override {
    if (endured.violation.empty()) endured.violation = std::string(how.message());
  }

  void tick() override {
    const int64_t now = world().now_ns();
    if (now < begin_ns()) return;
    if (liars_ == 0) {
      if (!leader()) return;
      cast(*leader());
      answered_at_ns_ = now;
    }
    if (now >= lie_ns() && !std::exchange(lying_, true)) {
      answered_at_ns_ = now;
      for (uint32_t i = 0; i < nodes(); ++i) {
        if ((mask_of(NodeIndex{i}) & liars_) != 0) lie(NodeIndex{i}, liar(NodeIndex{i}));
      }
    }
    for (size_t i = 0; i < waits_.size(); ++i) {
      if (!waits_[i]) ask(i);
    }
  }

  void cast(NodeIndex leads) {
    for (uint32_t i = 0; i < endured.liars; ++i)
      liars_ |= mask_of(NodeIndex{static_cast<uint32_t>((at(leads) + i) % nodes())});
    for (uint32_t i = 0; i < nodes(); ++i) {
      if ((mask_of(NodeIndex{i}) & liars_) == 0) honest_.push_back(NodeIndex{i});
    }
    waits_.assign(honest_.size() * kOutstanding, false);
  }

  std::shared_ptr<groups::Liar> liar(NodeIndex node) {  // shared: with the member's transport
    groups::PbftLiarOptions options;
    options.self = groups::member_id(node);
    options.voters = nodes();
    options.seed = setting().seed + at(node);
    options.group = groups::kPbftGroup;
    options.habits.steadily = true;
    options.habits.equivocates = endured.habit == Habit::kEquivocates;
    options.habits.silent = endured.habit == Habit::kSilent;
    options.sign = [self = options.self](std::string_view message) { return lab_signature(self, message); };
    return groups::make_pbft_liar(std::move(options));
  }

  void ask(size_t i) {
    waits_[i] = true;
    submit(honest_[i / kOutstanding], write("k" + std::to_string(i), "value"), [this, i](const auto& answer) {
      waits_[i] = false;
      if (!std::holds_alternative<consensus::Reply>(answer)) return;  // the next tick asks again
      const int64_t now = world().now_ns();
      (lying_ ? endured.during : endured.before) += 1;
      if (lying_) endured.pause_ns = std::max(endured.pause_ns, now - answered_at_ns_);
      answered_at_ns_ = now;
      ask(i);
    });
  }

  NodeMask liars_ = 0;
  std::vector<NodeIndex> honest_;
  std::vector<bool> waits_;  // for an answer, each command of each honest member
  int64_t answered_at_ns_ = 0;
  bool lying_ = false;
};

}  // namespace

std::string_view habit_name(Habit habit) { return kHabitNames[static_cast<size_t>(habit)]; }

Result<Endured> show_endurance(const groups::Family& family, const Setting& setting, Habit habit) {
  if (family.liar == nullptr || family.tolerates(setting.nodes) == 0) {
    return Error{Code::kInvalidArgument,
                 std::string(family.name) + " expects no liar among " + std::to_string(setting.nodes) + " members"};
  }
  Endurance play(family, setting, habit);
  CLEW_TRY(play.run(play.end_ns(), 5 * kMs));
  if (play.endured.before == 0) return Error{Code::kInternal, "no command was committed before the lie"};
  play.endured.pause_ns = std::max(play.endured.pause_ns, play.unanswered_ns());
  return std::move(play.endured);
}

Result<Lie> show_rollback(const groups::Family& family, const Setting& setting) {
  if (setting.nodes < 3)
    return Error{Code::kInvalidArgument, "two majorities of fewer than three members overlap in all"};
  Rollback play(family, setting);
  CLEW_TRY(play.run((setting.latency == Latency::kLan ? 10'000 : 60'000) * kMs, 5 * kMs));
  if (!play.lie.acknowledged) return Error{Code::kInternal, "the first command was not committed"};
  return std::move(play.lie);
}

}  // namespace clew::sim::lab
