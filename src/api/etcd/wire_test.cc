// Our reading and writing of the etcd API's messages against protobuf's own classes, over messages drawn by chance.
#include <gtest/gtest.h>

#include <random>

#include "api/etcd/client_test.h"
#include "api/etcd/cluster_wire.h"
#include "api/etcd/kv_wire.h"
#include "api/etcd/lease_wire.h"
#include "api/etcd/watch_wire.h"

namespace clew::api::etcd::test {
namespace {

// Fills a message with random fields, through reflection; about half of them stay unset.
class Filler {
 public:
  explicit Filler(uint32_t seed) : random_(seed) {}

  void fill(google::protobuf::Message& message, int depth = 0) {
    using Field = google::protobuf::FieldDescriptor;
    const auto* descriptor = message.GetDescriptor();
    const auto* reflection = message.GetReflection();
    for (int i = 0; i < descriptor->field_count(); ++i) {
      const Field* field = descriptor->field(i);
      if (random_() % 2 == 0) continue;
      const bool nested = field->cpp_type() == Field::CPPTYPE_MESSAGE;
      if (nested && depth > 4) continue;
      const int count = field->is_repeated() ? static_cast<int>(random_() % 4) : 1;
      for (int n = 0; n < count; ++n) {
        if (nested) {
          fill(field->is_repeated() ? *reflection->AddMessage(&message, field)
                                    : *reflection->MutableMessage(&message, field),
               depth + 1);
          continue;
        }
        set(message, *field);
      }
    }
  }
  uint64_t number() {
    const uint64_t wide = static_cast<uint64_t>(random_()) << 32 | random_();
    return wide >> random_() % 64;
  }
  std::string text() {
    std::string out(random_() % 200, '\0');
    for (char& c : out) c = static_cast<char>(random_() % 128);  // also where a string has to be UTF-8
    return out;
  }

 private:
  void set(google::protobuf::Message& message, const google::protobuf::FieldDescriptor& field) {
    using Field = google::protobuf::FieldDescriptor;
    const auto* r = message.GetReflection();
    const bool add = field.is_repeated();
    switch (field.cpp_type()) {
      case Field::CPPTYPE_INT64: {
        const auto value = static_cast<int64_t>(random_() % 4 == 0 ? ~number() : number());
        return add ? r->AddInt64(&message, &field, value) : r->SetInt64(&message, &field, value);
      }
      case Field::CPPTYPE_UINT64:
        return add ? r->AddUInt64(&message, &field, number()) : r->SetUInt64(&message, &field, number());
      case Field::CPPTYPE_UINT32:
        return r->SetUInt32(&message, &field, static_cast<uint32_t>(number()));
      case Field::CPPTYPE_BOOL:
        return r->SetBool(&message, &field, random_() % 2 == 0);
      case Field::CPPTYPE_STRING:
        return add ? r->AddString(&message, &field, text()) : r->SetString(&message, &field, text());
      case Field::CPPTYPE_ENUM: {
        const auto* kind = field.enum_type();
        const auto* value = kind->value(static_cast<int>(random_() % static_cast<uint32_t>(kind->value_count())));
        return add ? r->AddEnum(&message, &field, value) : r->SetEnum(&message, &field, value);
      }
      default:
        FAIL() << "a field of another type: " << field.full_name();
    }
  }
  std::mt19937 random_;
};

constexpr uint32_t kSeeds = 300;

template <typename T>
T random_message(uint32_t seed) {
  T message;
  Filler(seed).fill(message);
  return message;
}

void expect_same(const pb::RangeRequest& theirs, const kv::RangeRequest& ours) {
  EXPECT_EQ(ours.key, theirs.key());
  EXPECT_EQ(ours.range_end, theirs.range_end());
  EXPECT_EQ(ours.limit, theirs.limit());
  EXPECT_EQ(ours.revision, theirs.revision());
  EXPECT_EQ(static_cast<int>(ours.sort_order), theirs.sort_order());
  EXPECT_EQ(static_cast<int>(ours.sort_target), theirs.sort_target());
  EXPECT_EQ(ours.keys_only, theirs.keys_only());
  EXPECT_EQ(ours.count_only, theirs.count_only());
  EXPECT_EQ(ours.min_mod_revision, theirs.min_mod_revision());
  EXPECT_EQ(ours.max_mod_revision, theirs.max_mod_revision());
  EXPECT_EQ(ours.min_create_revision, theirs.min_create_revision());
  EXPECT_EQ(ours.max_create_revision, theirs.max_create_revision());
}
void expect_same(const pb::PutRequest& theirs, const kv::PutRequest& ours) {
  EXPECT_EQ(ours.key, theirs.key());
  EXPECT_EQ(ours.value, theirs.value());
  EXPECT_EQ(number(ours.lease), theirs.lease());
  EXPECT_EQ(ours.prev_kv, theirs.prev_kv());
  EXPECT_EQ(ours.ignore_value, theirs.ignore_value());
  EXPECT_EQ(ours.ignore_lease, theirs.ignore_lease());
}
void expect_same(const pb::DeleteRangeRequest& theirs, const kv::DeleteRangeRequest& ours) {
  EXPECT_EQ(ours.key, theirs.key());
  EXPECT_EQ(ours.range_end, theirs.range_end());
  EXPECT_EQ(ours.prev_kv, theirs.prev_kv());
}
void expect_same(const pb::Compare& theirs, const kv::Compare& ours) {
  EXPECT_EQ(static_cast<int>(ours.result), theirs.result());
  EXPECT_EQ(static_cast<int>(ours.target), theirs.target());
  EXPECT_EQ(ours.key, theirs.key());
  EXPECT_EQ(ours.range_end, theirs.range_end());
  switch (theirs.target()) {  // an operand of another kind is none
    case pb::Compare::VERSION:
      EXPECT_EQ(ours.number, theirs.version());
      break;
    case pb::Compare::CREATE:
      EXPECT_EQ(ours.number, theirs.create_revision());
      break;
    case pb::Compare::MOD:
      EXPECT_EQ(ours.number, theirs.mod_revision());
      break;
    case pb::Compare::LEASE:
      EXPECT_EQ(ours.number, theirs.lease());
      break;
    default:
      EXPECT_EQ(ours.value, theirs.value());
  }
}
void expect_same(const pb::TxnRequest& theirs, const kv::TxnRequest& ours) {
  ASSERT_EQ(static_cast<int>(ours.compare.size()), theirs.compare_size());
  for (int i = 0; i < theirs.compare_size(); ++i) expect_same(theirs.compare(i), ours.compare[static_cast<size_t>(i)]);
  const auto branch = [](const auto& their_ops, const std::vector<kv::RequestOp>& our_ops) {
    ASSERT_EQ(static_cast<int>(our_ops.size()), their_ops.size());
    for (int i = 0; i < their_ops.size(); ++i) {
      const auto& op = our_ops[static_cast<size_t>(i)].op;
      ASSERT_EQ(static_cast<int>(op.index()), their_ops[i].request_case());
      if (const auto* range = std::get_if<kv::RangeRequest>(&op)) expect_same(their_ops[i].request_range(), *range);
      if (const auto* put = std::get_if<kv::PutRequest>(&op)) expect_same(their_ops[i].request_put(), *put);
      if (const auto* erase = std::get_if<kv::DeleteRangeRequest>(&op))
        expect_same(their_ops[i].request_delete_range(), *erase);
      if (const auto* txn = std::get_if<kv::TxnRequest>(&op)) expect_same(their_ops[i].request_txn(), *txn);
    }
  };
  branch(theirs.success(), ours.success);
  branch(theirs.failure(), ours.failure);
}

TEST(EtcdWire, readsRequestsAsProtobufDoes) {
  for (uint32_t seed = 1; seed <= kSeeds; ++seed) {
    SCOPED_TRACE(seed);
    const auto range = random_message<pb::RangeRequest>(seed);
    const auto our_range = decode_range(range.SerializeAsString());
    ASSERT_TRUE(our_range.ok());
    expect_same(range, our_range->request);
    EXPECT_EQ(our_range->serializable, range.serializable());
    const auto put = random_message<pb::PutRequest>(seed);
    expect_same(put, *decode_put(put.SerializeAsString()));
    const auto erase = random_message<pb::DeleteRangeRequest>(seed);
    expect_same(erase, *decode_delete_range(erase.SerializeAsString()));
    const auto txn = random_message<pb::TxnRequest>(seed);
    const auto our_txn = decode_txn(txn.SerializeAsString());
    ASSERT_TRUE(our_txn.ok()) << our_txn.status().to_string();
    expect_same(txn, our_txn->request);
    const auto compact = random_message<pb::CompactionRequest>(seed);
    EXPECT_EQ(decode_compact(compact.SerializeAsString())->revision, compact.revision());
    const auto grant = random_message<pb::LeaseGrantRequest>(seed);
    const auto our_grant = decode_lease_grant(grant.SerializeAsString());
    EXPECT_EQ(number(our_grant->id), grant.id());
    EXPECT_EQ(our_grant->ttl_s, grant.ttl());
    const auto ttl = random_message<pb::LeaseTimeToLiveRequest>(seed);
    EXPECT_EQ(number(decode_lease_time_to_live(ttl.SerializeAsString())->id), ttl.id());
    EXPECT_EQ(decode_lease_time_to_live(ttl.SerializeAsString())->keys, ttl.keys());
    const auto add = random_message<pb::MemberAddRequest>(seed);
    const auto our_add = decode_member_add(add.SerializeAsString());
    EXPECT_EQ(our_add->peer_urls, std::vector<std::string>(add.peerurls().begin(), add.peerurls().end()));
    EXPECT_EQ(our_add->learner, add.islearner());
    const auto alarm = random_message<pb::AlarmRequest>(seed);
    const auto our_alarm = decode_alarm(alarm.SerializeAsString());
    EXPECT_EQ(static_cast<int>(our_alarm->action), alarm.action());
    EXPECT_EQ(our_alarm->member, alarm.memberid());
    EXPECT_EQ(static_cast<int>(our_alarm->kind), alarm.alarm());
    const auto watch = random_message<pb::WatchRequest>(seed);
    const auto our_watch = decode_watch(watch.SerializeAsString());
    ASSERT_EQ(static_cast<int>(our_watch->index()), watch.request_union_case());
    if (const auto* create = std::get_if<kv::WatchRequest>(&*our_watch)) {
      const auto& theirs = watch.create_request();
      EXPECT_EQ(create->key, theirs.key());
      EXPECT_EQ(create->range_end, theirs.range_end());
      EXPECT_EQ(create->start_revision, theirs.start_revision());
      EXPECT_EQ(create->id, theirs.watch_id());
      EXPECT_EQ(create->prev_kv, theirs.prev_kv());
      EXPECT_EQ(create->fragment, theirs.fragment());
      EXPECT_EQ(create->progress_notify, theirs.progress_notify());
      const auto has = [&](pb::WatchCreateRequest::FilterType kind) {
        return std::find(theirs.filters().begin(), theirs.filters().end(), kind) != theirs.filters().end();
      };
      EXPECT_EQ(create->no_put, has(pb::WatchCreateRequest::NOPUT));
      EXPECT_EQ(create->no_delete, has(pb::WatchCreateRequest::NODELETE));
    }
  }
}

kv::KeyValue random_kv(Filler& filler) {
  return {filler.text(),
          static_cast<int64_t>(filler.number()),
          static_cast<int64_t>(filler.number()),
          static_cast<int64_t>(filler.number()),
          kv::LeaseId{static_cast<int64_t>(filler.number())},
          filler.text()};
}
void expect_same(const mvccpb::KeyValue& theirs, const kv::KeyValue& ours) {
  EXPECT_EQ(theirs.key(), ours.key);
  EXPECT_EQ(theirs.create_revision(), ours.create_revision);
  EXPECT_EQ(theirs.mod_revision(), ours.mod_revision);
  EXPECT_EQ(theirs.version(), ours.version);
  EXPECT_EQ(theirs.lease(), number(ours.lease));
  EXPECT_EQ(theirs.value(), ours.value);
}

// What stands behind the prefix.
template <typename T>
T read(const std::string& message) {
  T out;
  EXPECT_TRUE(out.ParseFromString(message.substr(rpc::kMessagePrefix)));
  return out;
}

TEST(EtcdWire, writesAnswersThatProtobufReads) {
  for (uint32_t seed = 1; seed <= kSeeds; ++seed) {
    SCOPED_TRACE(seed);
    Filler filler(seed);
    const Header header{filler.number(), filler.number(), static_cast<int64_t>(filler.number()), filler.number()};
    kv::RangeResponse range;
    for (uint64_t i = filler.number() % 5; i > 0; --i) range.kvs.push_back(random_kv(filler));
    range.more = seed % 2 == 0;
    range.count = static_cast<int64_t>(filler.number());
    const auto range_read = read<pb::RangeResponse>(encode_range(header, range));
    EXPECT_EQ(range_read.header().cluster_id(), header.cluster);
    EXPECT_EQ(range_read.header().member_id(), header.member);
    EXPECT_EQ(range_read.header().revision(), header.revision);
    EXPECT_EQ(range_read.header().raft_term(), header.term);
    EXPECT_EQ(range_read.more(), range.more);
    EXPECT_EQ(range_read.count(), range.count);
    ASSERT_EQ(range_read.kvs_size(), static_cast<int>(range.kvs.size()));
    for (int i = 0; i < range_read.kvs_size(); ++i) expect_same(range_read.kvs(i), range.kvs[static_cast<size_t>(i)]);

    kv::PutResponse put;
    put.revision = 5;
    if (seed % 2 == 0) put.prev_kv = random_kv(filler);
    const auto put_read = read<pb::PutResponse>(encode_put(header, put));
    EXPECT_EQ(put_read.has_prev_kv(), put.prev_kv.has_value());
    if (put.prev_kv) expect_same(put_read.prev_kv(), *put.prev_kv);
    kv::DeleteRangeResponse erase;
    erase.deleted = 3;
    erase.prev_kvs = {random_kv(filler), random_kv(filler)};
    const auto erase_read = read<pb::DeleteRangeResponse>(encode_delete_range(header, erase));
    EXPECT_EQ(erase_read.deleted(), 3);
    ASSERT_EQ(erase_read.prev_kvs_size(), 2);
    expect_same(erase_read.prev_kvs(1), erase.prev_kvs[1]);

    kv::TxnResponse inner;
    inner.succeeded = true;
    inner.responses.push_back({put});
    kv::TxnResponse txn;
    txn.responses.push_back({range});
    txn.responses.push_back({inner});
    txn.responses.push_back({erase});
    const auto txn_read = read<pb::TxnResponse>(encode_txn(header, txn));
    ASSERT_EQ(txn_read.responses_size(), 3);
    EXPECT_EQ(txn_read.responses(0).response_range().kvs_size(), range_read.kvs_size());
    EXPECT_TRUE(txn_read.responses(1).response_txn().has_header());
    EXPECT_EQ(txn_read.responses(1).response_txn().responses(0).response_put().header().revision(), 5);
    EXPECT_EQ(txn_read.responses(2).response_delete_range().deleted(), 3);

    kv::WatchResponse watch;
    watch.id = static_cast<int64_t>(filler.number());
    watch.revision = 12;
    watch.created = seed % 3 == 0;
    watch.cancelled = seed % 2 == 0;
    watch.cancel_reason = filler.text();
    watch.compact_revision = 4;
    watch.fragment = true;
    auto event = std::make_shared<kv::Event>();
    event->type = kv::Event::Type::kDelete;
    event->kv = random_kv(filler);
    event->previous = random_kv(filler);
    watch.events.push_back(event);
    const auto watch_read = read<pb::WatchResponse>(encode_watch(header, watch));
    EXPECT_EQ(watch_read.header().revision(), 12);
    EXPECT_EQ(watch_read.watch_id(), watch.id);
    EXPECT_EQ(watch_read.created(), watch.created);
    EXPECT_EQ(watch_read.canceled(), watch.cancelled);
    EXPECT_EQ(watch_read.cancel_reason(), watch.cancel_reason);
    EXPECT_EQ(watch_read.compact_revision(), 4);
    EXPECT_TRUE(watch_read.fragment());
    ASSERT_EQ(watch_read.events_size(), 1);
    EXPECT_EQ(watch_read.events(0).type(), mvccpb::Event::DELETE);
    expect_same(watch_read.events(0).kv(), event->kv);
    expect_same(watch_read.events(0).prev_kv(), *event->previous);
  }
}

TEST(EtcdWire, truncatedAndGarbledMessagesAreReadOrRefusedNeverMore) {
  for (uint32_t seed = 1; seed <= kSeeds; ++seed) {
    std::string bytes = random_message<pb::TxnRequest>(seed).SerializeAsString();
    std::mt19937 random(seed);
    for (int i = 0; i < 20 && !bytes.empty(); ++i) {
      if (random() % 2 == 0) {
        bytes.resize(random() % bytes.size());
      } else {
        bytes[random() % bytes.size()] = static_cast<char>(random());
      }
      // Protobuf reads it: so do we, unless a number is no enumerator. It does not: neither do we, but that our own
      // reading is not recursive where nothing is known of a field.
      const auto ours = decode_txn(bytes);
      pb::TxnRequest theirs;
      if (ours.ok() || ours.error().code == Code::kInvalidArgument) continue;
      EXPECT_EQ(ours.error().code, Code::kInternal);
      EXPECT_FALSE(theirs.ParseFromString(bytes)) << ours.error().message;
    }
  }
}

}  // namespace
}  // namespace clew::api::etcd::test
