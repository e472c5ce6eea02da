#include "sim/nodes/leases.h"

#include <algorithm>
#include <utility>

namespace clew::sim::nodes {

using control::CallError;
using control::CallReply;

namespace {

constexpr int64_t kMillisecond = 1'000'000;
constexpr int64_t kSecond = 1'000'000'000;
constexpr char kKeys[] = "lease/";

// Clocks may run wrong by this much, and be corrected by leaps of a tenth of a second that nobody looks at.
constexpr int64_t assured(int64_t ttl_ns) { return ttl_ns - ttl_ns / 100 - 100 * kMillisecond; }

control::CallOptions options_of(Generator& random) {
  control::CallOptions options;
  options.timeout_ns = static_cast<int64_t>(100 + random.below(2'000)) * kMillisecond;
  return options;
}

}  // namespace

Leases::Leases(Stage stage, size_t count) : stage_(stage), holders_(count) {}

void Leases::count(bool answered, bool uncertain) {
  ++(answered ? tally_.answered : uncertain ? tally_.unknown : tally_.failed);
}

void Leases::execute(Holder& holder, Generator& random, kv::Request request,
                     std::function<void(Holder&, const CallReply&)> then,
                     std::function<void(Holder&, const CallError&)> otherwise) {
  holder.busy = true;
  const auto index = static_cast<size_t>(&holder - holders_.data());
  const control::CallOptions options = options_of(random);
  stage_.switchboard.call<CallReply>(
      stage_.switchboard.door(random), options.timeout_ns,
      [request = std::move(request), options](control::Service& service, control::Done<CallReply> done) {
        service.execute(kv::Space::kUser, request, options, std::move(done));
      },
      [this, index, then = std::move(then), otherwise = std::move(otherwise)](const Answered<CallReply>& answer) {
        Holder& asking = holders_[index];
        asking.busy = false;
        const auto* const error = std::get_if<CallError>(&answer);
        count(error == nullptr, error != nullptr && error->uncertain);
        if (error != nullptr) return otherwise(asking, *error);
        then(asking, std::get<CallReply>(answer));
      });
}

void Leases::issue(Generator random) {
  const size_t first = random.below(holders_.size());
  for (size_t i = 0; i < holders_.size(); ++i) {
    Holder& holder = holders_[(first + i) % holders_.size()];
    if (holder.busy) continue;
    if (holder.phase == Phase::kNone) return grant(holder, random);
    if (holder.phase == Phase::kGranted) return bind(holder, random);
    const uint64_t dice = random.below(20);
    if (dice < 9) return keep_alive(holder, random);
    if (dice < 15) return look(holder, random);
    if (dice < 17) return ask_time_to_live(holder, random);
    return dice < 18 ? revoke(holder, random) : forget(holder);
  }
  ++tally_.busy;
}

void Leases::grant(Holder& holder, Generator& random) {
  const uint64_t number = ++next_number_;
  kv::LeaseGrantRequest request;
  if (random.one_in(2)) request.id = kv::LeaseId{static_cast<int64_t>(number)};
  request.ttl_s = static_cast<int64_t>(2 + random.below(4));
  holder.key = kKeys + std::to_string(number);
  const int64_t asked_ns = stage_.now_ns();
  execute(
      holder, random, request,
      [this, asked_ns, request](Holder& one, const CallReply& reply) {
        const auto& granted = std::get<kv::LeaseGrantResponse>(reply.response);
        if (granted.ttl_s < request.ttl_s || (request.id != kv::kNoLease && granted.id != request.id)) {
          stage_.world.fail("lease: another one was granted than was asked for");
        }
        ++tally_.leases;
        one.phase = Phase::kGranted;
        one.id = granted.id;
        one.ttl_ns = granted.ttl_s * kSecond;
        one.assured_until_ns = asked_ns + assured(one.ttl_ns);
      },
      [](Holder&, const CallError&) {});
}

void Leases::bind(Holder& holder, Generator& random) {
  kv::PutRequest put;
  put.key = holder.key;
  put.value = "v";
  put.lease = holder.id;
  stage_.truth.proposed(put);
  execute(
      holder, random, put, [](Holder& one, const CallReply&) { one.phase = Phase::kBound; },
      [this](Holder& one, const CallError& error) {
        if (error.code == Code::kNotFound) missing(one, "a put found no such lease");
        one.phase = Phase::kNone;
      });
}

void Leases::keep_alive(Holder& holder, Generator& random) {
  holder.busy = true;
  const auto index = static_cast<size_t>(&holder - holders_.data());
  const control::CallOptions options = options_of(random);
  stage_.switchboard.call<int64_t>(
      stage_.switchboard.door(random), options.timeout_ns,
      [id = holder.id, options](control::Service& service, control::Done<int64_t> done) {
        service.keep_alive(id, options, std::move(done));
      },
      [this, index, asked_ns = stage_.now_ns()](const Answered<int64_t>& answer) {
        Holder& asking = holders_[index];
        asking.busy = false;
        const auto* const error = std::get_if<CallError>(&answer);
        count(error == nullptr, error != nullptr && error->uncertain);
        if (error != nullptr) return;
        const int64_t ttl_ns = std::get<int64_t>(answer) * kSecond;
        if (ttl_ns == 0) {
          missing(asking, "a keep-alive found no such lease");
          return forget(asking);
        }
        asking.assured_until_ns = std::max(asking.assured_until_ns, asked_ns + assured(ttl_ns));
      });
}

void Leases::look(Holder& holder, Generator& random) {
  kv::RangeRequest range;
  range.key = holder.key;
  execute(
      holder, random, range,
      [this](Holder& one, const CallReply& reply) {
        const auto& response = std::get<kv::RangeResponse>(reply.response);
        if (!response.kvs.empty()) return;
        missing(one, "its key " + one.key + " is not there");
        forget(one);
      },
      [](Holder&, const CallError&) {});
}

void Leases::ask_time_to_live(Holder& holder, Generator& random) {
  kv::LeaseTimeToLiveRequest request;
  request.id = holder.id;
  request.keys = true;
  execute(
      holder, random, request,
      [this](Holder& one, const CallReply& reply) {
        const auto& left = std::get<kv::LeaseTimeToLiveResponse>(reply.response);
        if (left.ttl_s < 0) {
          missing(one, "asked for its time to live, there is no such lease");
          return forget(one);
        }
        if (left.granted_ttl_s * kSecond != one.ttl_ns || left.keys != std::vector<std::string>{one.key}) {
          stage_.world.fail("lease " + std::to_string(kv::number(one.id)) +
                            ": told of another time to live or of other " + "keys than it has");
        }
      },
      [](Holder&, const CallError&) {});
}

void Leases::revoke(Holder& holder, Generator& random) {
  kv::LeaseRevokeRequest request;
  request.id = holder.id;
  execute(
      holder, random, request, [this](Holder& one, const CallReply&) { forget(one); },
      [this](Holder& one, const CallError& error) {
        if (error.code == Code::kNotFound) missing(one, "there was nothing to revoke");
        forget(one);
      });
}

// Nothing makes a lease come back, so what is there now was there then.
void Leases::missing(const Holder& holder, const std::string& what) {
  const std::string lease = "lease " + std::to_string(kv::number(holder.id)) + ": " + what;
  if (stage_.truth.leases().contains(holder.id)) {
    return stage_.world.fail(lease + ", and the log has not ended it");
  }
  if (stage_.now_ns() < holder.assured_until_ns) {
    stage_.world.fail(lease + ", " + std::to_string((holder.assured_until_ns - stage_.now_ns()) / kMillisecond) +
                      " ms before its time to live is over");
  }
}

std::string Leases::settle() {
  for (const Holder& holder : holders_) {
    if (holder.busy) return "a holder of " + holder.key;
  }
  if (stage_.truth.leases().empty()) return "";
  const auto& [id, lease] = *stage_.truth.leases().begin();
  return "lease " + std::to_string(kv::number(id)) + ", renewed " +
         std::to_string((stage_.truth.agreed_ns() - lease.renewed_ns) / kMillisecond) + " ms of agreed time ago for " +
         std::to_string(lease.ttl_ns / kMillisecond) + " ms";
}

void Leases::finish() {
  for (const auto& [key, index] : stage_.truth.newest()) {
    const kv::Event& newest = stage_.truth.changes()[index].event;
    if (newest.type == kv::Event::Type::kPut && newest.kv.lease != kv::kNoLease) {
      stage_.world.fail("lease " + std::to_string(kv::number(newest.kv.lease)) + " has ended, and its key " + key +
                        " is there");
    }
  }
}

}  // namespace clew::sim::nodes
