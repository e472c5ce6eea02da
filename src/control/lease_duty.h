// LeaseDuty: what a leader owes to leases (kv/lease.h): at the beginning of its reign it gives every lease its whole
// time again, then it proposes the end of those whose time is over. A leader that is no leader any more proposes in
// vain: its reign is not the newest.
//
// A wall clock that is set forward takes replicated time along, and with it the time of every lease: a leader that sees
// its own leap gives all of them their whole time again before it ends any. So a lease lasts in true time, too,
// whatever wall clocks do, as far as monotonic clocks run right.
//
// On the plane's loop, asked at every tick.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "consensus/planted.h"
#include "control/service.h"
#include "kv/spaces.h"

namespace clew::control {

class LeaseDuty {
 public:
  using Propose = UniqueFunction<void(kv::Space, kv::Request, Done<CallReply>)>;
  struct Times {
    int64_t group_ns = 0;  // replicated time, as a proposal would carry it now
    consensus::Time mono_ns = 0;
  };
  LeaseDuty(const kv::Spaces& spaces, std::function<Times()> times, Propose propose)
      : spaces_(spaces), times_(std::move(times)), propose_(std::move(propose)) {}

  void tick(bool leading, consensus::Epoch epoch) {
    for (size_t i = 0; i < kv::kSpaces; ++i) {
      if (leading && !states_[i].busy) next(static_cast<kv::Space>(i), epoch);
    }
  }

 private:
  // Less is what clocks are corrected by all the time.
  static constexpr int64_t kLeapNs = 100'000'000;

  struct State {
    consensus::Epoch extended = 0;  // the reign in which this was done; of this node
    int64_t ahead_ns = 0;           // of replicated time to the monotonic clock, then
    bool busy = false;
  };

  void next(kv::Space space, consensus::Epoch epoch) {
    State& state = states_[static_cast<size_t>(space)];
    const Times now = times_();
    const int64_t ahead_ns = now.group_ns - now.mono_ns;
    const bool leapt = ahead_ns - state.ahead_ns > kLeapNs && !consensus::planted(consensus::Bug::kLeaseLeapsWithClock);
    if (state.extended != epoch || leapt) {
      state.busy = true;
      propose_(space, kv::LeaseExtendRequest{epoch},
               [&state, epoch, ahead_ns](const std::variant<CallReply, CallError>& answer) {
                 state.busy = false;
                 if (!std::holds_alternative<CallReply>(answer)) return;
                 state.extended = epoch;
                 state.ahead_ns = ahead_ns;
               });
      return;
    }
    const auto deadline = spaces_.machine(space).leases().next_deadline_ns();
    if (!deadline || *deadline > now.group_ns) return;
    state.busy = true;
    propose_(space, kv::LeaseExpireRequest{epoch},
             [this, &state, space, epoch](std::variant<CallReply, CallError> answer) {
               state.busy = false;
               const auto* reply = std::get_if<CallReply>(&answer);
               if (reply != nullptr && std::get<kv::LeaseExpireResponse>(reply->response).more) next(space, epoch);
             });
  }

  const kv::Spaces& spaces_;
  std::function<Times()> times_;
  Propose propose_;
  std::array<State, kv::kSpaces> states_;
};

}  // namespace clew::control
