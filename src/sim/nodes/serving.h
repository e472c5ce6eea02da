// Serving: a process of a simulated machine through which requests reach the control plane: a node, or a machine of
// clients. What workloads and the operator know of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "control/service.h"
#include "sim/process.h"

namespace clew::sim::nodes {

constexpr uint16_t kPeerPort = 4330;
constexpr uint16_t kClientPort = 4331;

class Serving : public Process {
 public:
  explicit Serving(Machine& machine) : machine_(machine) {}
  Machine& machine() const { return machine_; }
  // On its loop. Null: there is nothing to be asked here.
  virtual control::Service* service() = 0;

 private:
  Machine& machine_;
};

// A machine that waits to become a member: it does nothing.
class Spare final : public Serving {
 public:
  using Serving::Serving;
  control::Service* service() override { return nullptr; }
};

}  // namespace clew::sim::nodes
