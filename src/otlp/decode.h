// SpanDecoder: the protobuf bytes of one Span to one row (model/row.h). The hot path of ingest: no object tree, no
// allocation per span, one pass; SDKs send the same keys in the same order, so each shape predicts the next one's keys.
//
// One decoder per shard (it learns keys and which values repeat). Single-threaded. Hostile input: bounded by Limits,
// every length checked, UTF-8 of names, keys and string values checked (on a dictionary miss only, so nearly free).
#pragma once

#include <memory>
#include <string>

#include "base/status.h"
#include "model/dictionary.h"
#include "model/row.h"
#include "otlp/envelope.h"

namespace clew::otlp {

class SpanDecoder {
 public:
  explicit SpanDecoder(const Limits& limits);
  ~SpanDecoder();

  // The dictionary for what follows; forgets codes of the previous one, keeps what it learnt about keys.
  void use_dictionary(model::Dictionary& dictionary);
  // Context codes of the resource and scope pieces of an envelope; memoised by content.
  uint32_t resource_code(std::string_view bytes);
  uint32_t scope_code(std::string_view bytes);

  // Appends the row of `span` to `out` and returns kNone; on a reject `out` is as before.
  Reject decode(std::string_view span, uint32_t resource_code, uint32_t scope_code, std::string& out);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace clew::otlp
