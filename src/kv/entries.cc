#include "kv/entries.h"

#include <bit>
#include <cstring>

#include "base/varint.h"

namespace clew::kv {
namespace {

template <typename T>
char* put_big_endian(char* out, T v) {
  for (size_t shift = sizeof(T) * 8; shift > 0; shift -= 8) *out++ = static_cast<char>(v >> (shift - 8));
  return out;
}

std::string tagged(char tag, uint64_t number) {
  char key[1 + sizeof number];
  key[0] = tag;
  return {key, put_big_endian(key + 1, number)};
}

template <typename T>
T big_endian(std::string_view bytes) {
  T v = 0;
  for (char byte : bytes.substr(0, sizeof(T))) v = static_cast<T>(v << 8 | static_cast<unsigned char>(byte));
  return v;
}

constexpr char kPut = 0;
constexpr char kTombstone = 1;

}  // namespace

std::string result_key(uint64_t position) { return tagged(kResultTag, position); }
std::string lease_key(LeaseId id) { return tagged(kLeaseTag, static_cast<uint64_t>(number(id))); }

std::string record_key(RecordId id) {
  char key[1 + sizeof(uint64_t) + sizeof id.sub];
  key[0] = kRecordTag;
  return {key, put_big_endian(put_big_endian(key + 1, static_cast<uint64_t>(id.main)), id.sub)};
}

bool parse_lease_key(std::string_view bytes, LeaseId& id) {
  if (bytes.size() != 9 || bytes[0] != kLeaseTag) return false;
  id = LeaseId{static_cast<int64_t>(big_endian<uint64_t>(bytes.substr(1)))};
  return id != kNoLease;
}

bool parse_record_key(std::string_view bytes, RecordId& id) {
  if (bytes.size() != 13 || bytes[0] != kRecordTag) return false;
  id.main = static_cast<Revision>(big_endian<uint64_t>(bytes.substr(1)));
  id.sub = big_endian<uint32_t>(bytes.substr(9));
  return id.main > kFirstRevision;
}

std::string encode_record(const Record& record) {
  std::string out;
  out.reserve(1 + 4 * kMaxVarintBytes + record.key.size() + record.value.size());
  out.push_back(record.tombstone ? kTombstone : kPut);
  append_bytes(out, record.key);
  if (record.tombstone) return out;
  append_varint(out, static_cast<uint64_t>(record.create_revision));
  append_varint(out, static_cast<uint64_t>(record.version));
  append_varint(out, zigzag(number(record.lease)));
  out.append(record.value);
  return out;
}

bool parse_record(std::string_view bytes, Record& record) {
  ByteReader in(bytes);
  const auto kind = in.fixed<char>();
  record = {};
  record.tombstone = kind == kTombstone;
  record.key = in.prefixed_bytes();
  if (!in.ok() || record.key.empty()) return false;
  if (record.tombstone) return in.at_end();
  if (kind != kPut) return false;
  record.create_revision = static_cast<Revision>(in.varint());
  record.version = static_cast<int64_t>(in.varint());
  record.lease = LeaseId{in.zigzag_varint()};
  record.value = in.bytes(in.remaining());
  return in.ok() && record.create_revision > kFirstRevision && record.version > 0;
}

KeyValue key_value(const Record& record, Revision mod_revision) {
  return {.key = std::string(record.key),
          .create_revision = record.create_revision,
          .mod_revision = mod_revision,
          .version = record.version,
          .lease = record.lease,
          .value = std::string(record.value)};
}

std::string encode_lease(const LeaseRecord& lease) {
  std::string out;
  append_varint(out, static_cast<uint64_t>(lease.ttl_s));
  append_varint(out, zigzag(lease.deadline_ns));
  return out;
}

bool parse_lease(std::string_view bytes, LeaseRecord& lease) {
  ByteReader in(bytes);
  lease.ttl_s = static_cast<int64_t>(in.varint());
  lease.deadline_ns = in.zigzag_varint();
  return in.ok() && in.at_end() && lease.ttl_s > 0;
}

}  // namespace clew::kv
