#include "sim/nodes/truth.h"

#include <algorithm>
#include <variant>

#include "consensus/replica_command.h"

namespace clew::sim::nodes {

using consensus::EntryKind;

namespace {

constexpr int64_t kSecond = 1'000'000'000;

Status broken(std::string_view promise, consensus::Position position, const std::string& what) {
  return {Code::kInternal, std::string(promise) + ": position " + std::to_string(position) + ": " + what};
}

// What only a client asks for, and changes keys.
bool is_clients(const kv::Request& request) {
  return std::holds_alternative<kv::PutRequest>(request) || std::holds_alternative<kv::DeleteRangeRequest>(request) ||
         std::holds_alternative<kv::TxnRequest>(request) || std::holds_alternative<kv::AppendRequest>(request) ||
         std::holds_alternative<kv::CompareAndSetRequest>(request) ||
         std::holds_alternative<kv::CustomRequest>(request);
}

}  // namespace

bool changed_something(const kv::Response& response) {
  if (const auto* swap = std::get_if<kv::CompareAndSetResponse>(&response)) return swap->swapped;
  if (const auto* txn = std::get_if<kv::TxnResponse>(&response)) {
    return std::any_of(txn->responses.begin(), txn->responses.end(), [](const kv::ResponseOp& one) {
      const auto* erased = std::get_if<kv::DeleteRangeResponse>(&one.op);
      return std::holds_alternative<kv::PutResponse>(one.op) || (erased != nullptr && erased->deleted > 0);
    });
  }
  if (const auto* erase = std::get_if<kv::DeleteRangeResponse>(&response)) return erase->deleted > 0;
  return std::holds_alternative<kv::PutResponse>(response) || std::holds_alternative<kv::AppendResponse>(response) ||
         std::holds_alternative<kv::CustomResponse>(response);
}

uint64_t Truth::hash_of(const kv::Request& request) {
  return stable_hash64(kv::Spaces::command(kv::Space::kUser, request));
}

void Truth::proposed(const kv::Request& request) {
  const std::string command = kv::Spaces::command(kv::Space::kUser, request);
  canon_.proposed(command);
  asked_.try_emplace(stable_hash64(command), false);
}

size_t Truth::first_at(kv::Revision revision) const {
  const auto found =
      std::lower_bound(changes_.begin(), changes_.end(), revision,
                       [](const Change& change, kv::Revision wanted) { return change.event.kv.mod_revision < wanted; });
  return static_cast<size_t>(found - changes_.begin());
}

Status Truth::deliver(const Delivery& delivery) {
  bool executed = false, changed = false;
  std::string_view body;
  std::optional<kv::Request> request;
  std::optional<kv::Response> response;
  const bool is_first = delivery.position == canon_.last() + 1;
  if (delivery.entry.kind == EntryKind::kCommand) {
    const auto command = consensus::decode_command(delivery.entry.payload.view());
    if (!command.ok()) return broken("validity", delivery.position, "a command that cannot be read");
    if (command->header.kind == consensus::CommandKind::kApply) {
      body = command->body;
      if (body.empty() || static_cast<uint8_t>(body[0]) >= kv::kSpaces) {
        return broken("validity", delivery.position, "a command of no space");
      }
      const auto space = static_cast<kv::Space>(body[0]);
      executed = delivery.spaces.machine(space).applied() == delivery.position;
      if (is_first) {
        auto decoded = kv::decode_request(body.substr(1));
        if (!decoded.ok()) return broken("validity", delivery.position, "a request that cannot be read");
        if (auto answer = kv::decode_response(delivery.result); answer.ok()) response = std::move(answer).value();
        changed = response && changed_something(*response);
        const auto asked = asked_.find(stable_hash64(body));
        if (asked == asked_.end()) {
          if (space == kv::Space::kUser && is_clients(*decoded)) {
            return broken("validity", delivery.position, "a request that no client made");
          }
          canon_.proposed(body);  // the nodes' own
        } else if (executed && changed) {
          if (asked->second) return broken("exactly once", delivery.position, "a request changed something twice");
          asked->second = true;
        }
        if (space == kv::Space::kUser) request = std::move(decoded).value();
      }
    }
    if (is_first) agreed_ns_ = std::max(agreed_ns_, command->header.proposed_ns);
  }
  CLEW_TRY(canon_.deliver(
      {delivery.node, delivery.position, delivery.after, delivery.entry, executed, delivery.digest, changed}));
  if (!is_first || !request || !executed) return {};
  CLEW_TRY(note_changes(delivery));
  if (!response) return {};
  if (const auto* compact = std::get_if<kv::CompactRequest>(&*request)) compacted_ = compact->revision;
  return note_lease(delivery, *request, *response);
}

Status Truth::note_changes(const Delivery& delivery) {
  const kv::Store& store = delivery.spaces.machine(kv::Space::kUser).store();
  const kv::Revision now = store.revision();
  if (now == revision_) return {};
  kv::Revision expected = revision_;
  Status status;
  store.changes(revision_ + 1, [&](kv::RecordId id, const kv::Record& record) {
    if (id.main != expected && id.main != expected + 1) {
      status = broken("history", delivery.position, "revision " + std::to_string(expected + 1) + " is missing");
      return false;
    }
    expected = id.main;
    Change change;
    change.position = delivery.position;
    change.event.type = record.tombstone ? kv::Event::Type::kDelete : kv::Event::Type::kPut;
    change.event.kv.key = std::string(record.key);
    change.event.kv.mod_revision = id.main;
    if (!record.tombstone) {
      change.event.kv.create_revision = record.create_revision;
      change.event.kv.version = record.version;
      change.event.kv.lease = record.lease;
      change.event.kv.value = std::string(record.value);
    }
    const auto known = newest_.find(change.event.kv.key);
    if (known != newest_.end()) change.before = known->second;
    newest_[change.event.kv.key] = changes_.size();
    changes_.push_back(std::move(change));
    return true;
  });
  if (!status.ok()) return status;
  if (expected != now) return broken("history", delivery.position, "the newest revision has no changes");
  revision_ = now;
  return {};
}

Status Truth::note_lease(const Delivery& delivery, const kv::Request& request, const kv::Response& response) {
  if (const auto* granted = std::get_if<kv::LeaseGrantResponse>(&response)) {
    leases_[granted->id] = {granted->ttl_s * kSecond, agreed_ns_};
  } else if (const auto* kept = std::get_if<kv::LeaseKeepAliveResponse>(&response)) {
    const auto& ids = std::get<kv::LeaseKeepAliveRequest>(request).ids;
    for (size_t i = 0; i < ids.size(); ++i) {
      const auto known = leases_.find(ids[i]);
      if ((known != leases_.end()) != (kept->ttl_s[i] > 0)) {
        return broken("leases", delivery.position, "a keep-alive was answered for a lease that is not, or not for one");
      }
      if (known != leases_.end()) known->second.renewed_ns = agreed_ns_;
    }
  } else if (std::holds_alternative<kv::LeaseExtendRequest>(request)) {
    for (auto& [id, lease] : leases_) lease.renewed_ns = agreed_ns_;
  } else if (const auto* revoked = std::get_if<kv::LeaseRevokeRequest>(&request)) {
    leases_.erase(revoked->id);
  } else if (const auto* ended = std::get_if<kv::LeaseExpireResponse>(&response)) {
    for (const kv::LeaseId id : ended->revoked) {
      const auto known = leases_.find(id);
      if (known == leases_.end()) return broken("leases", delivery.position, "a lease ended that is not");
      const KnownLease& lease = known->second;
      if (agreed_ns_ - lease.renewed_ns < lease.ttl_ns) {
        return broken("leases", delivery.position,
                      "lease " + std::to_string(kv::number(id)) + " ended " +
                          std::to_string((agreed_ns_ - lease.renewed_ns) / 1'000'000) +
                          " ms of agreed time after it was renewed; its time to live is " +
                          std::to_string(lease.ttl_ns / 1'000'000) + " ms");
      }
      expired_[id] = delivery.position;
      leases_.erase(known);
    }
  }
  return {};
}

}  // namespace clew::sim::nodes
