// IngestRecord: one record of the data WAL, which is the part of one request that one shard owns.
//
//   record     := varint version (2), fixed64 hlc, varint origin, varint sequence, bytes tenant_name,
//                 5 × varint dictionary size by kind, bytes dictionary_additions, row*
//   row        := 16 bytes trace id, bytes row                              (rows: model/row.h)
// `bytes` is a varint length and that many bytes. The sizes are those before the additions: a replay that has fewer
// entries knows that a record before this one is missing (damage), leaves the codes in between out, and loses only the
// rows that use them (docs/format/ingest-record.md). Encoding is by pieces, so that rows are copied once, into the
// WAL's group buffer. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"
#include "base/varint.h"
#include "model/dictionary.h"
#include "model/ids.h"

namespace clew::cluster {

struct IngestRecord {
  model::Stamp stamp;
  std::string_view tenant;
  model::Dictionary::Sizes dictionary_sizes{};
  std::string_view dictionary_additions;
  std::string_view rows;  // walk with RowReader
};

// The head of a record: everything before the bytes of `dictionary_additions`, which the caller appends as the next
// piece, and its rows after them: additions may be as large as a request, and are copied once.
void append_record_head(const IngestRecord& record, std::string& out);
inline void append_record_row(model::TraceId trace, std::string_view row, std::string& out) {
  char id[16];
  trace.to_bytes(id);
  out.append(id, sizeof(id));
  append_bytes(out, row);
}
// Borrows from `bytes`. kFailedPrecondition when it is of another version, kDataLoss when malformed.
Status parse_record(std::string_view bytes, IngestRecord& out);

class RowReader {
 public:
  explicit RowReader(std::string_view rows) : reader_(rows) {}
  bool next(model::TraceId& trace, std::string_view& row) {  // false at the end or when malformed (then !ok())
    if (reader_.at_end()) return false;
    const std::string_view id = reader_.bytes(16);
    row = reader_.prefixed_bytes();
    if (!reader_.ok()) return false;
    trace = model::TraceId::from_bytes(id.data());
    return true;
  }
  bool ok() const { return reader_.ok(); }

 private:
  ByteReader reader_;
};

}  // namespace clew::cluster
