// Any bytes as an OTLP request: opened, every span decoded; what is accepted must read back from its row with the same
// hash.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "model/row.h"
#include "model/span.h"
#include "otlp/decode.h"
#include "otlp/envelope.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace clew;
  otlp::Limits limits;
  limits.max_spans = 1000;
  otlp::Envelope envelope;
  if (!otlp::open_envelope({reinterpret_cast<const char*>(data), size}, limits, envelope).ok()) return 0;
  model::Dictionary dictionary(1, {.max_entries = 50});
  otlp::SpanDecoder decoder(limits);
  decoder.use_dictionary(dictionary);
  for (const otlp::EnvelopeSpan& span : envelope.spans) {
    const otlp::EnvelopeScope& scope = envelope.scopes[span.scope];
    std::string row;
    if (decoder.decode(span.bytes, decoder.resource_code(envelope.resources[scope.resource]),
                       decoder.scope_code(scope.bytes), row) != otlp::Reject::kNone) {
      continue;
    }
    model::TraceData read;
    CHECK(model::append_span_of_row(dictionary, row, {}, read).ok());
    CHECK(model::span_hash(read.spans[0]) == model::row_hash(dictionary, row));
  }
  std::string additions;
  dictionary.write_additions(0, additions);
  model::Dictionary replayed(2);
  CHECK(replayed.apply_additions(additions).ok());
  return 0;
}
