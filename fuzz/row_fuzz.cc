// Any bytes as dictionary additions (up to a length in the first byte) and a row: read or refused, never past the end.
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "model/row.h"
#include "model/span.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace clew::model;
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string_view additions = bytes.substr(0, data[0]);
  const std::string_view row = bytes.substr(additions.size());
  Dictionary dictionary(1);
  for (int i = 0; i < 3; ++i) dictionary.intern(EntryKind::kString, std::string(1, static_cast<char>('a' + i)));
  dictionary.intern(EntryKind::kTemplate, "t\x12\x01");
  dictionary.intern(EntryKind::kResource, "");
  dictionary.intern(EntryKind::kScope, "");
  dictionary.intern_shape({});
  if (!dictionary.apply_additions(additions).ok()) return 0;
  TraceData read;
  const bool whole = append_span_of_row(dictionary, row, {}, read).ok();
  CHECK(whole == check_row(dictionary, row));
  if (whole) CHECK(row_hash(dictionary, row) == span_hash(read.spans[0]));
  return 0;
}
