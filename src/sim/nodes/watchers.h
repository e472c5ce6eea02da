// Watchers: the workload of watches. Each watcher has one stream with some watches, at a node or through our own client
// library; when the process behind it dies it goes on elsewhere from where it stood, as etcd's clients do. Some are
// slow. Now and then the history is compacted. Judged by watch_audit.h at every response, and at the end: each watch
// has been given everything.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sim/nodes/watch_audit.h"
#include "sim/nodes/workload.h"

namespace clew::sim::nodes {

class Watchers final : public Workload {
 public:
  Watchers(Stage stage, size_t count);
  std::string_view name() const override { return "watches"; }
  void issue(Generator random) override;
  std::string settle() override;
  void stopped(NodeIndex machine) override;

 private:
  using Responses = std::vector<kv::WatchResponse>;
  struct Watch {
    WatchAudit audit;
    uint64_t asked_in = 0;  // turn
  };
  struct Watcher {
    Generator random{0};
    NodeIndex machine{0};
    uint64_t turn = 0;    // raised when it goes elsewhere: what is about an older stream is told apart by it
    bool open = false;    // it was opened once
    bool broken = false;  // its stream's process has died in this turn
    bool lazy = false;
    kv::WatchId last_id = 0;
    std::map<kv::WatchId, Watch> watches;
    std::unique_ptr<control::WatchStream> stream;
    // To be ended on the loop of the process that they belong to, which they must not outlive.
    std::vector<std::pair<NodeIndex, std::unique_ptr<control::WatchStream>>> retired;
  };

  static void end_retired(Watcher& watcher, NodeIndex machine) {
    std::erase_if(watcher.retired, [&](const auto& one) { return one.first == machine; });
  }
  void go_elsewhere(size_t index, NodeIndex machine);
  void pull(size_t index);
  void on_responses(size_t index, const Responses& responses);
  void create(size_t index);
  static void ask_for(Watcher& watcher);  // those that the stream does not know yet
  void with_stream(size_t index, std::function<void(Watcher&)> task);
  void compact(Generator& random);

  const Stage stage_;
  std::vector<Watcher> watchers_;
  int64_t asked_progress_ns_ = 0;
};

}  // namespace clew::sim::nodes
