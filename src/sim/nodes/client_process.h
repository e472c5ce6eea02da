// ClientProcess: one life of a machine of clients: our own client library, connected to the nodes over the simulated
// network, where partitions, clogs and resets concern it as they concern members.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "control/client.h"
#include "sim/nodes/serving.h"

namespace clew::sim::nodes {

class ClientProcess final : public Serving {
 public:
  ClientProcess(Machine& machine, control::ClientOptions options)
      : Serving(machine),
        client_(control::Client::open(machine.loop, machine.network, machine.random, std::move(options))) {}
  control::Service* service() override { return client_.get(); }
  const control::Client& client() const { return *client_; }

 private:
  std::unique_ptr<control::Client> client_;
};

}  // namespace clew::sim::nodes
