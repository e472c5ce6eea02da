#include "sim/lab/byzantine.h"

#include <map>
#include <utility>
#include <variant>

#include "base/check.h"
#include "consensus/quorum.h"

namespace clew::sim::lab {
namespace {

constexpr int64_t kMs = 1'000'000;

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

  // Who plays whom. The honest ones with the leader and the liars are a majority, and so are the others and the liars.
  void cast(NodeIndex leads) {
    const size_t quorum = consensus::majority(nodes());
    lie.liars = 2 * quorum - nodes();
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

}  // namespace

Result<Lie> show_rollback(const groups::Family& family, const Setting& setting) {
  if (setting.nodes < 3)
    return Error{Code::kInvalidArgument, "two majorities of fewer than three members overlap in all"};
  Rollback play(family, setting);
  CLEW_TRY(play.run((setting.latency == Latency::kLan ? 10'000 : 60'000) * kMs, 5 * kMs));
  if (!play.lie.acknowledged) return Error{Code::kInternal, "the first command was not committed"};
  return std::move(play.lie);
}

}  // namespace clew::sim::lab
