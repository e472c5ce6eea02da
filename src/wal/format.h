// The bytes of a WAL file: groups at multiples of 4 KiB, each a header, records and zeros. docs/format/wal.md is the
// grammar; this is its only implementation. Pure; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace clew::wal {

constexpr uint64_t kBlockBytes = 4096;
constexpr uint32_t kGroupMagic = 0x314c5743;  // "CWL1"
constexpr size_t kGroupHeaderBytes = 56;
constexpr size_t kRecordHeaderBytes = 8;  // checksum, length

constexpr uint64_t align_up(uint64_t bytes) { return (bytes + kBlockBytes - 1) / kBlockBytes * kBlockBytes; }

struct GroupHeader {
  uint64_t file = 0;           // number of the file that it was written to: tells recycled bytes from new ones
  uint64_t offset = 0;         // of this header in that file
  uint64_t salt = 0;           // of the run that wrote it
  uint64_t first_record = 0;   // number of its first record; with no records: of the next one
  uint64_t payload_bytes = 0;  // all records with their headers
  uint32_t records = 0;

  uint64_t bytes_on_disk() const { return align_up(kGroupHeaderBytes + payload_bytes); }
  uint64_t next_record() const { return first_record + records; }
};

// Writes kGroupHeaderBytes at `out`.
void write_group_header(char* out, const GroupHeader& header);
// The header at the beginning of `block` when its magic and checksum hold; says nothing about the records.
std::optional<GroupHeader> read_group_header(std::string_view block);

// Seals the record whose body stands at out + kRecordHeaderBytes: fills in its header. One checksum covers length and
// body; salt and number are mixed in, so that bytes that only look like a record are not taken for one.
void write_record_header(char* out, uint32_t body_bytes, uint64_t salt, uint64_t number);

// Takes records off the front of a group's payload.
class RecordReader {
 public:
  RecordReader(std::string_view payload, uint64_t salt, uint64_t first_record)
      : rest_(payload), salt_(salt), number_(first_record) {}
  enum class Outcome : uint8_t {
    kRecord,   // `body` is intact
    kDamaged,  // this record's bytes are not what was written; the next one can be read
    kLost,     // its length is not believable: nothing after it in this group can be found
  };
  Outcome next(uint64_t max_record_bytes, std::string_view* body);
  size_t remaining() const { return rest_.size(); }

 private:
  std::string_view rest_;
  uint64_t salt_;
  uint64_t number_;  // of the next record
};

std::string file_name(uint64_t number);                      // 7 -> "00000007.wal"
std::optional<uint64_t> file_number(std::string_view name);  // nothing for any other name

}  // namespace clew::wal
