#include "wal/format.h"

#include <cstdio>
#include <cstring>

#include "base/hash.h"
#include "base/varint.h"

namespace clew::wal {
namespace {

template <typename T>
char* put(char* out, T value) {
  std::memcpy(out, &value, sizeof value);
  return out + sizeof value;
}

uint32_t record_checksum(std::string_view length_and_body, uint64_t salt, uint64_t number) {
  return checksum32(length_and_body) ^ static_cast<uint32_t>(mix64(salt, number));
}

}  // namespace

void write_group_header(char* out, const GroupHeader& header) {
  char* at = put(out, kGroupMagic);
  at += sizeof(uint32_t);  // the checksum, last
  at = put(at, header.file);
  at = put(at, header.offset);
  at = put(at, header.salt);
  at = put(at, header.first_record);
  at = put(at, header.payload_bytes);
  at = put(at, header.records);
  put(at, uint32_t{0});  // reserved
  put(out + 4, checksum32({out + 8, kGroupHeaderBytes - 8}));
}

std::optional<GroupHeader> read_group_header(std::string_view block) {
  if (block.size() < kGroupHeaderBytes) return {};
  ByteReader reader(block);
  if (reader.fixed<uint32_t>() != kGroupMagic) return {};
  if (reader.fixed<uint32_t>() != checksum32(block.substr(8, kGroupHeaderBytes - 8))) return {};
  GroupHeader header;
  header.file = reader.fixed<uint64_t>();
  header.offset = reader.fixed<uint64_t>();
  header.salt = reader.fixed<uint64_t>();
  header.first_record = reader.fixed<uint64_t>();
  header.payload_bytes = reader.fixed<uint64_t>();
  header.records = reader.fixed<uint32_t>();
  return header;
}

void write_record_header(char* out, uint32_t body_bytes, uint64_t salt, uint64_t number) {
  put(out + 4, body_bytes);
  put(out, record_checksum({out + 4, size_t{4} + body_bytes}, salt, number));
}

RecordReader::Outcome RecordReader::next(uint64_t max_record_bytes, std::string_view* body) {
  ByteReader reader(rest_);
  const auto checksum = reader.fixed<uint32_t>();
  const auto length = reader.fixed<uint32_t>();
  const uint64_t number = number_++;
  if (!reader.ok() || length > max_record_bytes || length > reader.remaining()) {
    rest_ = {};
    return Outcome::kLost;
  }
  const std::string_view checked = rest_.substr(4, size_t{4} + length);
  rest_.remove_prefix(kRecordHeaderBytes + length);
  if (record_checksum(checked, salt_, number) != checksum) return Outcome::kDamaged;
  *body = checked.substr(4);
  return Outcome::kRecord;
}

std::string file_name(uint64_t number) {
  char name[32];
  std::snprintf(name, sizeof name, "%08llu.wal", static_cast<unsigned long long>(number));
  return name;
}

std::optional<uint64_t> file_number(std::string_view name) {
  if (name.size() < 12 || name.size() > 22 || !name.ends_with(".wal")) return {};
  uint64_t number = 0;
  for (const char c : name.substr(0, name.size() - 4)) {
    if (c < '0' || c > '9') return {};
    number = number * 10 + static_cast<uint64_t>(c - '0');
  }
  if (number == 0 || file_name(number) != name) return {};
  return number;
}

}  // namespace clew::wal
