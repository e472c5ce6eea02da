// Leases: the workload of leases. Each holder is granted one, binds a key of its own to it, keeps it alive for a while,
// looks, and then revokes it or forgets about it.
//
// Judged: a key that was bound is there as long as the log has not ended its lease; a keep-alive says that a lease is
// gone only when it is; where the clocks of all machines agree, a lease lasts for its time to live in true time,
// counted from the moment at which its last successful renewal was asked for; and at the end no lease is left, and no
// key outlives its own. That the log ends none early in agreed time, Truth judges.
#pragma once

#include <string>
#include <vector>

#include "sim/nodes/workload.h"

namespace clew::sim::nodes {

class Leases final : public Workload {
 public:
  Leases(Stage stage, size_t count);
  std::string_view name() const override { return "leases"; }
  void issue(Generator random) override;
  std::string settle() override;
  void finish() override;

 private:
  enum class Phase : uint8_t { kNone, kGranted, kBound };
  struct Holder {
    Phase phase = Phase::kNone;
    bool busy = false;
    kv::LeaseId id = kv::kNoLease;
    std::string key;
    int64_t ttl_ns = 0;
    int64_t assured_until_ns = 0;  // true time
  };
  template <typename T>
  using Answered = std::variant<T, control::CallError>;

  void grant(Holder& holder, Generator& random);
  void bind(Holder& holder, Generator& random);
  void keep_alive(Holder& holder, Generator& random);
  void look(Holder& holder, Generator& random);
  void ask_time_to_live(Holder& holder, Generator& random);
  void revoke(Holder& holder, Generator& random);
  void forget(Holder& holder) { holder.phase = Phase::kNone; }
  void execute(Holder& holder, Generator& random, kv::Request request,
               std::function<void(Holder&, const control::CallReply&)> then,
               std::function<void(Holder&, const control::CallError&)> otherwise);
  // It was not there for an answer that came now.
  void missing(const Holder& holder, const std::string& what);
  void count(bool answered, bool uncertain);

  const Stage stage_;
  std::vector<Holder> holders_;
  uint64_t next_number_ = 0;
};

}  // namespace clew::sim::nodes
