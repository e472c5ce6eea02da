// The state machine against a model that keeps a whole map for every revision and does everything the long way; and
// what must hold of two machines that are given the same commands.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>

#include "base/random.h"
#include "kv/machine_test.h"
#include "kv/validate.h"
#include "kv/watch.h"

namespace clew::kv {
namespace {

using Map = std::map<std::string, KeyValue>;

struct ModelLease {
  int64_t ttl_s;
  int64_t deadline_s;
};

class Model {
 public:
  Model() : states_{{1, {}}} {}

  const Map& now() const { return states_.rbegin()->second; }
  Revision revision() const { return states_.rbegin()->first; }
  Revision compacted = -1;
  std::vector<Event> events;  // of all times, in order
  std::map<LeaseId, ModelLease> leases;
  uint64_t reign = 0;

  bool readable(Revision at) const { return at <= revision() && at >= compacted; }

  RangeResponse range(const RangeRequest& request, const Map& map, Revision header) const {
    RangeResponse response;
    response.revision = header;
    std::vector<KeyValue> found;
    for (const auto& [key, kv] : map) {
      if (KeyRange{request.key, request.range_end}.contains(key)) found.push_back(kv);
    }
    response.count = static_cast<int64_t>(found.size());
    if (request.count_only) return response;
    const bool bounded = request.min_mod_revision != 0 || request.max_mod_revision != 0 ||
                         request.min_create_revision != 0 || request.max_create_revision != 0;
    const bool late = bounded || request.sort_order == SortOrder::kDescend ||
                      (request.sort_order == SortOrder::kAscend && request.sort_target != SortTarget::kKey);
    const auto limit = static_cast<size_t>(std::max<int64_t>(request.limit, 0));
    if (!late && limit > 0 && found.size() > limit + 1) found.resize(limit + 1);
    std::erase_if(found, [&](const KeyValue& kv) {
      return (request.min_mod_revision != 0 && kv.mod_revision < request.min_mod_revision) ||
             (request.max_mod_revision != 0 && kv.mod_revision > request.max_mod_revision) ||
             (request.min_create_revision != 0 && kv.create_revision < request.min_create_revision) ||
             (request.max_create_revision != 0 && kv.create_revision > request.max_create_revision);
    });
    // Equal ones keep the order of their keys, descending or not.
    if (request.sort_order == SortOrder::kDescend) std::reverse(found.begin(), found.end());
    std::stable_sort(found.begin(), found.end(), [&](const KeyValue& a, const KeyValue& b) {
      switch (request.sort_target) {
        case SortTarget::kVersion:
          return a.version < b.version;
        case SortTarget::kCreate:
          return a.create_revision < b.create_revision;
        case SortTarget::kMod:
          return a.mod_revision < b.mod_revision;
        case SortTarget::kValue:
          return a.value < b.value;
        default:
          return a.key < b.key;
      }
    });
    if (request.sort_order == SortOrder::kDescend) std::reverse(found.begin(), found.end());
    response.more = limit > 0 && found.size() > limit;
    if (response.more) found.resize(limit);
    if (request.keys_only) {
      for (KeyValue& kv : found) kv.value.clear();
    }
    response.kvs = std::move(found);
    if (request.uncounted) response.count = -1;
    return response;
  }

  // Changes are made in a draft, which becomes the next revision if there were any.
  void begin() {
    draft_ = now();
    changed_ = false;
  }
  void end() {
    if (changed_) states_[revision() + 1] = draft_;
  }
  const Map& draft() const { return draft_; }
  Revision header() const { return revision() + (changed_ ? 1 : 0); }
  void put(const std::string& key, const std::string& value, LeaseId lease) {
    KeyValue& kv = draft_[key];
    const Revision at = revision() + 1;
    kv = {.key = key,
          .create_revision = kv.version == 0 ? at : kv.create_revision,
          .mod_revision = at,
          .version = kv.version + 1,
          .lease = lease,
          .value = value};
    events.push_back({Event::Type::kPut, kv, std::nullopt});
    changed_ = true;
  }
  void erase(const std::string& key) {
    draft_.erase(key);
    events.push_back({Event::Type::kDelete, {.key = key, .mod_revision = revision() + 1}, std::nullopt});
    changed_ = true;
  }
  DeleteRangeResponse erase(const DeleteRangeRequest& request) {
    DeleteRangeResponse response;
    const Map before = draft_;
    for (const auto& [key, kv] : before) {
      if (!KeyRange{request.key, request.range_end}.contains(key)) continue;
      response.deleted++;
      if (request.prev_kv) response.prev_kvs.push_back(kv);
      erase(key);
    }
    response.revision = header();
    return response;
  }
  PutResponse put(const PutRequest& request) {
    PutResponse response;
    const auto old = draft_.find(request.key);
    const KeyValue before = old == draft_.end() ? KeyValue{} : old->second;
    if (request.prev_kv && old != draft_.end()) response.prev_kv = before;
    put(request.key, request.ignore_value ? before.value : request.value,
        request.ignore_lease ? before.lease : request.lease);
    response.revision = header();
    return response;
  }
  bool may(const PutRequest& request) const {
    if (request.lease != kNoLease && !leases.contains(request.lease)) return false;
    return !(request.ignore_value || request.ignore_lease) || now().contains(request.key);
  }
  bool holds(const Compare& compare) const {
    std::vector<KeyValue> kvs = range({.key = compare.key, .range_end = compare.range_end}, now(), 0).kvs;
    if (kvs.empty() && compare.target == Compare::Target::kValue) return false;
    if (kvs.empty()) kvs.emplace_back();
    return std::all_of(kvs.begin(), kvs.end(), [&](const KeyValue& kv) {
      const int64_t numbers[] = {kv.version, kv.create_revision, kv.mod_revision, 0, number(kv.lease)};
      const bool by_value = compare.target == Compare::Target::kValue;
      const int64_t mine = numbers[static_cast<size_t>(compare.target)];
      const bool less = by_value ? kv.value < compare.value : mine < compare.number;
      const bool equal = by_value ? kv.value == compare.value : mine == compare.number;
      const bool results[] = {equal, !less && !equal, less, !equal};
      return results[static_cast<size_t>(compare.result)];
    });
  }
  // One level; the comparisons of inner ones are tested by rules.
  std::optional<TxnResponse> txn(const TxnRequest& request) {
    TxnResponse response;
    response.succeeded = std::all_of(request.compare.begin(), request.compare.end(),
                                     [&](const Compare& compare) { return holds(compare); });
    const auto& ops = response.succeeded ? request.success : request.failure;
    for (const RequestOp& op : ops) {
      if (const auto* put = std::get_if<PutRequest>(&op.op); put != nullptr && !may(*put)) return std::nullopt;
      if (const auto* range = std::get_if<RangeRequest>(&op.op);
          range != nullptr && range->revision != 0 && !readable(range->revision)) {
        return std::nullopt;
      }
    }
    for (const RequestOp& op : ops) {
      if (const auto* request_put = std::get_if<PutRequest>(&op.op)) {
        response.responses.push_back({put(*request_put)});
      } else if (const auto* request_erase = std::get_if<DeleteRangeRequest>(&op.op)) {
        response.responses.push_back({erase(*request_erase)});
      } else {
        const auto& asked = std::get<RangeRequest>(op.op);
        response.responses.push_back({range(asked, asked.revision > 0 ? at(asked.revision) : draft_, header())});
      }
    }
    response.revision = header();
    return response;
  }
  void revoke(LeaseId id) {
    begin();
    const Map before = draft_;
    for (const auto& [key, kv] : before) {
      if (kv.lease == id) erase(key);
    }
    end();
    leases.erase(id);
  }
  const Map& at(Revision revision) const { return std::prev(states_.upper_bound(revision))->second; }

 private:
  std::map<Revision, Map> states_;
  Map draft_;
  bool changed_ = false;
};

// Small numbers that shrink; what they mean is decided when they are carried out.
struct Step {
  uint8_t kind, a, b, c, d;
};
std::ostream& operator<<(std::ostream& out, const Step& step) {
  return out << '{' << +step.kind << ',' << +step.a << ',' << +step.b << ',' << +step.c << ',' << +step.d << '}';
}
rc::Gen<std::vector<Step>> steps() {
  const auto byte = [] { return rc::gen::inRange<uint8_t>(0, 120); };
  return rc::gen::container<std::vector<Step>>(rc::gen::build<Step>(
      rc::gen::set(&Step::kind, byte()), rc::gen::set(&Step::a, byte()), rc::gen::set(&Step::b, byte()),
      rc::gen::set(&Step::c, byte()), rc::gen::set(&Step::d, byte())));
}

std::string key_of(uint8_t n) { return std::string(1, static_cast<char>('a' + n % 6)); }
std::string end_of(uint8_t n) {
  if (n % 4 == 0) return {};
  if (n % 4 == 1) return std::string(1, '\0');
  return std::string(1, static_cast<char>('a' + n % 8));
}
LeaseId lease_of(uint8_t n) { return LeaseId{n % 5 < 2 ? n % 5 + 1 : 0}; }
PutRequest put_of(const Step& s) {
  PutRequest request{.key = key_of(s.a), .value = std::to_string(s.b), .lease = lease_of(s.c), .prev_kv = s.d % 2 == 0};
  if (s.d % 7 == 0) request.ignore_value = true, request.value.clear();
  if (s.d % 5 == 0) request.ignore_lease = true, request.lease = kNoLease;
  return request;
}
RangeRequest range_of(const Step& s, Revision present) {
  RangeRequest request{.key = key_of(s.a), .range_end = end_of(s.b)};
  if (s.c % 3 == 0) request.revision = s.c % 40 % (present + 2);
  if (s.c % 5 == 0) request.limit = s.d % 4;
  request.sort_order = static_cast<SortOrder>(s.d % 3);
  request.sort_target = static_cast<SortTarget>(s.d % 5);
  request.keys_only = s.d % 7 == 0;
  request.count_only = s.d % 11 == 0;
  if (s.c % 7 == 0) request.min_mod_revision = s.d % 20;
  if (s.c % 11 == 0) request.max_mod_revision = s.d % 30;
  if (s.c % 13 == 0) request.min_create_revision = s.d % 20;
  if (s.c % 17 == 0) request.max_create_revision = s.d % 30;
  return request;
}

// Thrown, not asserted: rapidcheck can then look for a smaller case.
void require(bool holds, const char* what) {
  if (!holds) throw std::logic_error(what);
}

class Pair {
 public:
  Pair() : machine(engine, registry), hub(machine.state->store(), options()) {
    machine.state->on_commit([this] { hub.on_commit(); });
    machine.state->on_restore([this] { hub.on_restore(); });
    slow = hub.open({});
    hub.create(slow, {.key = "a", .range_end = "d", .prev_kv = true});
    fast = hub.open({});
    hub.create(fast, {.key = "", .range_end = std::string(1, '\0'), .start_revision = 1, .fragment = true});
  }
  static WatchOptions options() {
    WatchOptions tight;
    tight.max_queued_responses = 3;
    tight.max_fragment_bytes = 150;
    tight.pump_records = 2;
    return tight;
  }

  void step(const Step& s) {
    time_s += s.d % 3;
    switch (s.kind % 12) {
      case 0:
      case 1:
      case 2: {
        const PutRequest request = put_of(s);
        model.begin();
        check(request, model.may(request) ? std::optional<Response>(model.put(request)) : std::nullopt);
        model.end();
        break;
      }
      case 3: {
        const DeleteRangeRequest request{key_of(s.a), end_of(s.b), s.c % 2 == 0};
        model.begin();
        check(request, model.erase(request));
        model.end();
        break;
      }
      case 4: {
        TxnRequest request;
        request.compare.push_back({static_cast<Compare::Result>(s.a % 4), static_cast<Compare::Target>(s.b % 5),
                                   key_of(s.c), end_of(s.d), s.d % 6, std::to_string(s.d)});
        request.success = {{put_of(s)},
                           {range_of(s, model.revision())},
                           {DeleteRangeRequest{key_of(s.d), end_of(s.c), true}},
                           {RangeRequest{.key = "a", .range_end = "z"}}};
        request.failure = {{put_of(Step{0, s.d, s.c, s.b, s.a})},
                           {range_of(Step{0, s.b, s.c, s.d, s.a}, model.revision())}};
        if (!validate(request).ok()) {
          require(!call(request).ok(), "refused");
          break;
        }
        model.begin();
        auto expected = model.txn(request);
        check(request, expected ? std::optional<Response>(std::move(*expected)) : std::nullopt);
        model.end();
        break;
      }
      case 5: {
        const Revision at = s.a % (model.revision() + 2);
        const bool good = at > model.compacted && at <= model.revision();
        check(CompactRequest{at}, good ? std::optional<Response>(CompactResponse{model.revision()}) : std::nullopt);
        if (good) model.compacted = at;
        break;
      }
      case 6: {
        const LeaseId id{s.a % 2 + 1};
        const int64_t ttl = s.b % 9;
        const bool good = !model.leases.contains(id);
        const int64_t given = std::max<int64_t>(ttl, 2);
        check(LeaseGrantRequest{id, ttl},
              good ? std::optional<Response>(LeaseGrantResponse{model.revision(), id, given}) : std::nullopt);
        if (good) model.leases[id] = {given, time_s + given};
        break;
      }
      case 7: {
        const LeaseId id{s.a % 2 + 1};
        const bool good = model.leases.contains(id);
        if (good) model.revoke(id);
        check(LeaseRevokeRequest{id},
              good ? std::optional<Response>(LeaseRevokeResponse{model.revision()}) : std::nullopt);
        break;
      }
      case 8: {
        const LeaseId id{s.a % 2 + 1};
        auto at = model.leases.find(id);
        const int64_t ttl = at == model.leases.end() ? 0 : at->second.ttl_s;
        if (at != model.leases.end()) at->second.deadline_s = time_s + ttl;
        check(LeaseKeepAliveRequest{{id}}, LeaseKeepAliveResponse{model.revision(), {ttl}});
        break;
      }
      case 9: {
        LeaseExpireResponse expected;
        std::set<std::pair<int64_t, LeaseId>> due;
        for (const auto& [id, lease] : model.leases) {
          if (lease.deadline_s <= time_s) due.emplace(lease.deadline_s, id);
        }
        for (const auto& [deadline, id] : due) {
          model.revoke(id);
          expected.revoked.push_back(id);
        }
        expected.revision = model.revision();
        check(LeaseExpireRequest{}, std::move(expected));
        break;
      }
      case 10: {
        const AppendRequest request{key_of(s.a), std::to_string(s.b)};
        const auto old = model.now().find(request.key);
        const KeyValue before = old == model.now().end() ? KeyValue{} : old->second;
        model.begin();
        model.put(request.key, before.value + request.suffix, before.lease);
        model.end();
        check(request,
              AppendResponse{model.revision(), static_cast<int64_t>(before.value.size() + request.suffix.size())});
        break;
      }
      default:  // the state goes through a snapshot, as on a member that fell behind
        reload();
    }
    look(s);
    drain(s);
  }

  void look(const Step& s) {
    RangeRequest request = range_of(s, model.revision());
    request.uncounted = s.d % 3 == 0;  // not within transactions, which refuse it
    const auto response = machine.ask(request);
    if (request.revision > 0 && !model.readable(request.revision)) {
      require(!response.ok(), "!response.ok()");
    } else {
      require(response.ok(), "response.ok()");
      const Map& map = request.revision > 0 ? model.at(request.revision) : model.now();
      require(std::get<RangeResponse>(*response) == model.range(request, map, model.revision()),
              "std::get<RangeResponse>(*response) == model.range(request, map, model.revision())");
    }
    require(machine.state->store().live_keys() == model.now().size(),
            "machine.state->store().live_keys() == model.now().size()");
    require(machine.state->leases().size() == model.leases.size(),
            "machine.state->leases().size() == model.leases.size()");
    hub.check_invariants();
  }

  void reload() {
    const std::string bytes = machine.snapshot();
    const Hash128 digest = machine.state->digest();
    StringSource source(bytes, 50);
    require(machine.state->restore(source).ok(), "machine.state->restore(source).ok()");
    require(machine.state->digest() == digest, "machine.state->digest() == digest");
    require(machine.snapshot() == bytes, "machine.snapshot() == bytes");
  }

  void drain(const Step& s) {
    if (s.a % 3 == 0) hub.pump();
    if (s.b % 2 == 0) take(fast);
    if (s.c % 9 == 0) take(slow);
  }
  void take(StreamId stream) {
    WatchResponse response;
    while (hub.next(stream, response)) seen[stream].push_back(std::move(response));
  }
  void finish() {
    for (bool more = true; more || hub.behind() > 0;) {
      more = hub.pump();
      take(fast);
      take(slow);
    }
    take(fast);
    take(slow);
    check_watch(slow, {"a", "d"}, 2, true);
    check_watch(fast, {"a", std::string_view("\0", 1)}, 1, false);
  }
  // All events from `start` on, in order; of a watcher that compaction overtook, those before.
  void check_watch(StreamId stream, KeyRange keys, Revision start, bool prev_kv) {
    std::vector<Event> expected;
    for (const Event& event : model.events) {
      if (event.kv.mod_revision >= start && keys.contains(event.kv.key)) expected.push_back(event);
    }
    size_t given = 0;
    bool cancelled = false;
    Revision covered = 0;
    for (const WatchResponse& response : seen[stream]) {
      require(!cancelled, "!cancelled");
      for (const auto& event : response.events) {
        require(given < expected.size(), "given < expected.size()");
        require(event->kv == expected[given].kv, "event->kv == expected[given].kv");
        require(event->type == expected[given].type, "event->type == expected[given].type");
        require(event->kv.mod_revision <= response.revision, "event->kv.mod_revision <= response.revision");
        if (event->previous) {
          require(prev_kv, "prev_kv");
          require(*event->previous == model.at(event->kv.mod_revision - 1).at(event->kv.key),
                  "*event->previous == model.at(event->kv.mod_revision - 1).at(event->kv.key)");
        }
        given++;
      }
      require(response.revision >= covered, "response.revision >= covered");
      covered = response.revision;
      cancelled = response.cancelled;
      if (cancelled) {
        require(response.compact_revision > 0, "response.compact_revision > 0");
      }
    }
    if (!cancelled) {
      require(given == expected.size(), "given == expected.size()");
    }
  }

  Result<Response> call(const Request& request) { return machine.call(request, time_s * 1'000'000'000); }
  void check(const Request& request, std::optional<Response> expected) {
    const auto response = call(request);
    require(response.ok() == expected.has_value(), "response.ok() == expected.has_value()");
    if (expected) {
      require(*response == *expected, "*response == *expected");
    }
  }

  MemoryEngine engine;
  CustomRegistry registry;
  Machine machine;
  WatchHub hub;
  Model model;
  StreamId slow{};
  StreamId fast{};
  std::map<StreamId, std::vector<WatchResponse>> seen;
  int64_t time_s = 0;
};

RC_GTEST_PROP(Model, machineAndWatchesDoAsTheModelDoes, ()) {
  const auto list = *rc::gen::scale(3, steps());
  Pair pair;
  for (const Step& step : list) pair.step(step);
  pair.finish();
}

// Long histories, so that compaction has something to do; the seeds are in the name of the failure.
TEST(Model, longHistories) {
  for (uint64_t seed = 1; seed <= 60; seed++) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Generator random(seed);
    const auto byte = [&] { return static_cast<uint8_t>(random.below(120)); };
    Pair pair;
    for (int i = 0; i < 400; i++) pair.step({byte(), byte(), byte(), byte(), byte()});
    pair.finish();
  }
}

TEST(Model, twoMachinesGivenTheSameCommandsAreEqualByteByByte) {
  Generator random(7);
  MemoryEngine engines[2];
  CustomRegistry registry;
  Machine a(engines[0], registry);
  Machine b(engines[1], registry);
  for (consensus::Position position = 1; position <= 3'000; position++) {
    Step s{};
    for (uint8_t* field : {&s.kind, &s.a, &s.b, &s.c, &s.d}) *field = static_cast<uint8_t>(random.below(120));
    Request request = put_of(s);
    if (s.kind % 9 == 1) request = DeleteRangeRequest{key_of(s.a), end_of(s.b), true};
    if (s.kind % 9 == 2) request = LeaseGrantRequest{kNoLease, s.b};
    if (s.kind % 9 == 3) request = CompactRequest{static_cast<Revision>(position) / 2};
    if (s.kind % 9 == 4) request = LeaseExpireRequest{};
    if (s.kind % 9 == 5) request = CompareAndSetRequest{.key = key_of(s.a), .value = "swapped"};
    const std::string command = encode(request);
    const consensus::Applied at{position, static_cast<int64_t>(position) * 1'000'000'000};
    ASSERT_EQ(a.state->apply(at, command), b.state->apply(at, command));
    ASSERT_EQ(a.state->digest(), b.state->digest());
    if (position % 500 == 0) {
      ASSERT_EQ(a.snapshot(), b.snapshot());
      // b goes on from a's snapshot: what it holds in memory besides must come out the same.
      StringSource source(a.snapshot(), 1'000);
      ASSERT_TRUE(b.state->restore(source).ok());
    }
  }
}

}  // namespace
}  // namespace clew::kv
