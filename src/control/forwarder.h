// Forwarder: the other members as services, to pass on what only the leader can do. One connection an address, made
// when it is needed first and closed when nobody has needed it for a while and it is not the leader's. One on which
// something is under way stays: closing it would make an uncertain answer of a good one.
//
// On the plane's loop. Memory: kMaxConnections.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "consensus/types.h"
#include "control/service.h"

namespace clew::control {

// Makes a service that speaks to the member at `address` (of its client port), answers on the plane's loop, and gives
// up rather than asks anybody else. Null: there is no way to that address.
using Connect = UniqueFunction<std::unique_ptr<Service>(const std::string& address)>;

class Forwarder {
 public:
  static constexpr size_t kMaxConnections = 8;
  static constexpr consensus::Time kIdle = consensus::kSecond;

  explicit Forwarder(Connect connect) : connect_(std::move(connect)) {}

  // The pointer is good until the loop's present task ends. Whoever waits for an answer keeps `use` until it has come:
  // in the completion, so that it goes with it.
  struct Reached {
    Service* service = nullptr;  // null: not to be had
    std::shared_ptr<const char> use;
    explicit operator bool() const { return service != nullptr; }
    Service* operator->() const { return service; }
  };
  Reached to(const std::string& address, consensus::Time now) {
    if (!connect_ || address.empty()) return {};
    auto at = members_.find(address);
    if (at == members_.end()) {
      if (members_.size() >= kMaxConnections) return {};
      auto made = connect_(address);
      if (made == nullptr) return {};
      at = members_.emplace(address, Member{std::move(made), now}).first;
    }
    at->second.used_at = now;
    return {at->second.service.get(), at->second.use};
  }

  // From a task of its own: callbacks of what is closed run within.
  void tidy(const std::string& leader, consensus::Time now) {
    for (auto at = members_.begin(); at != members_.end();) {
      if (at->second.use.use_count() > 1) at->second.used_at = now;
      if (at->first != leader && now - at->second.used_at > kIdle) {
        const Member closing = std::move(at->second);
        at = members_.erase(at);
      } else {
        ++at;
      }
    }
  }
  void close() { std::exchange(members_, {}); }
  size_t connections() const { return members_.size(); }

 private:
  struct Member {
    std::unique_ptr<Service> service;
    consensus::Time used_at = 0;
    std::shared_ptr<const char> use = std::make_shared<const char>();  // counts who waits for an answer
  };

  Connect connect_;
  std::map<std::string, Member> members_;
};

}  // namespace clew::control
