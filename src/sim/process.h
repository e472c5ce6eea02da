// Process: what runs on a simulated machine, and Machine: all that it may touch.
//
// A process is an object that lives on a loop, a disk and networks, made by its scenario's factory at every start and
// destroyed at every death: what it is to remember stands on its disk. The destructor must not send, write or post: the
// process is dead already.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"
#include "env/network.h"
#include "env/random.h"
#include "sim/atlas.h"
#include "sim/disk.h"
#include "sim/journal.h"
#include "sim/loop.h"
#include "sim/mesh.h"

namespace clew::sim {

class Process : public MeshEndpoint {
 public:
  virtual ~Process() = default;
  void on_message(NodeIndex, std::string_view) override {}
  void on_connection(NodeIndex, bool) override {}
  // What damage to these bytes of its disk would cost. A process that cannot tell is lost wholly.
  virtual Scope scope_of(const std::string& /*path*/, uint64_t /*offset*/, uint64_t /*size*/) const { return {}; }
};

// Of one life of a process: valid until it dies.
struct Machine {
  NodeIndex node;
  uint64_t life;  // 1 for the first start
  SimLoop& loop;
  env::Disk& disk;
  env::Network& network;
  env::Random& random;
  Mesh& mesh;
  FaultAtlas& atlas;
  Journal& journal;
  // The process gives itself up (a failed sync, a broken promise found): it is destroyed after the running event, and
  // stays down until the healing phase, or until the scenario restarts it.
  UniqueFunction<void(Status)> halt;
  // To `to`; nothing is sent by a process whose power went in the middle of the running event.
  void send(NodeIndex to, std::string bytes) const;
  const SimDisk* power = nullptr;
};

}  // namespace clew::sim
