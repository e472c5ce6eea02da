// LeaseDuty: what a leader owes to leases (kv/lease.h): at the beginning of its reign it gives every lease its whole
// time again, then it proposes the end of those whose time is over. A leader that is no leader any more proposes in
// vain: its reign is not the newest.
//
// On the plane's loop, asked at every tick.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <utility>

#include "control/service.h"
#include "kv/spaces.h"

namespace clew::control {

class LeaseDuty {
 public:
  using Propose = UniqueFunction<void(kv::Space, kv::Request, Done<CallReply>)>;
  LeaseDuty(const kv::Spaces& spaces, Propose propose) : spaces_(spaces), propose_(std::move(propose)) {}

  void tick(bool leading, consensus::Epoch epoch, int64_t now_ns) {
    for (size_t i = 0; i < kv::kSpaces; ++i) {
      if (leading && !states_[i].busy) next(static_cast<kv::Space>(i), epoch, now_ns);
    }
  }

 private:
  struct State {
    consensus::Epoch extended = 0;  // the reign in which this was done; of this node
    bool busy = false;
  };

  void next(kv::Space space, consensus::Epoch epoch, int64_t now_ns) {
    State& state = states_[static_cast<size_t>(space)];
    if (state.extended != epoch) {
      state.busy = true;
      propose_(space, kv::LeaseExtendRequest{epoch}, [&state, epoch](const std::variant<CallReply, CallError>& answer) {
        state.busy = false;
        if (std::holds_alternative<CallReply>(answer)) state.extended = epoch;
      });
      return;
    }
    const auto deadline = spaces_.machine(space).leases().next_deadline_ns();
    if (!deadline || *deadline > now_ns) return;
    state.busy = true;
    propose_(space, kv::LeaseExpireRequest{epoch, now_ns},
             [this, &state, space, epoch, now_ns](std::variant<CallReply, CallError> answer) {
               state.busy = false;
               const auto* reply = std::get_if<CallReply>(&answer);
               if (reply != nullptr && std::get<kv::LeaseExpireResponse>(reply->response).more) {
                 next(space, epoch, now_ns);
               }
             });
  }

  const kv::Spaces& spaces_;
  Propose propose_;
  std::array<State, kv::kSpaces> states_;
};

}  // namespace clew::control
