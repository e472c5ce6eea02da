// OTLP JSON (ExportTraceServiceRequest or TracesData) to OTLP protobuf, so that both take one path behind this point:
// hex ids of either case, 64-bit integers as string or number, enums as integers or names, other bytes base64,
// snake_case and lowerCamelCase keys, unknown fields ignored. simdjson underneath. Depth and size bounded.
// Fields are written in ascending order, so JSON and protobuf of the same span become the same row.
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
  // kInvalidArgument with the place in the document when it is not OTLP JSON.
  Status to_protobuf(std::string_view json, const Limits& limits, std::string& out);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace clew::otlp
