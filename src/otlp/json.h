// OTLP JSON (ExportTraceServiceRequest or TracesData) to OTLP protobuf, so that both take one path behind this point:
// hex ids of either case, 64-bit integers as string or number, enums as integers or names, other bytes base64,
// snake_case and lowerCamelCase keys, unknown fields ignored, null the same as absent.
// Fields are written in ascending order and defaults left out, as SDKs write protobuf, so JSON and protobuf of the same
// span become the same row. An id that is not hex, or not of its length, passes as invalid: the decoder rejects that
// span alone.
//
// One pass from text to protobuf (json_scanner.h, json_schema.h): no document tree and no token index, so memory stays
// at the output, never longer than the text, and a copy of the largest message whose fields stand out of order,
// whatever a stranger sends. simdjson validates UTF-8. O(bytes). One document a call; a file of many (one a line) is
// split by the caller.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"
#include "otlp/envelope.h"

namespace clew::otlp {

class JsonReader {  // keeps its buffers; one per thread
 public:
  JsonReader();
  ~JsonReader();
  // Replaces `out` (its capacity is reused). kInvalidArgument with the place in the document when it is not OTLP JSON,
  // e.g. "resourceSpans[0].scopeSpans[0].spans[3].flags, byte 512: ..."; `out` is then empty. Of `limits` it obeys
  // max_depth; the others are the envelope's.
  Status to_protobuf(std::string_view json, const Limits& limits, std::string& out);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace clew::otlp
