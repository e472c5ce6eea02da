#include "api/transform.h"

#include <map>

#include "model/dictionary.h"
#include "otlp/decode.h"
#include "otlp/envelope.h"
#include "otlp/json.h"

namespace clew::api {
namespace {
// The table lives for one call over one bounded document; nobody can collect collisions in it.
constexpr uint64_t kDictionarySeed = 0x7472616e73666f72;
}  // namespace

Result<std::vector<std::unique_ptr<model::TraceData>>> traces_of_otlp_json(std::string_view json) {
  const otlp::Limits limits;
  std::string body;
  otlp::JsonReader reader;
  CLEW_TRY(reader.to_protobuf(json, limits, body));
  otlp::Envelope envelope;
  CLEW_TRY(otlp::open_envelope(body, limits, envelope));

  model::Dictionary dictionary(kDictionarySeed);
  otlp::SpanDecoder decoder(limits);
  decoder.use_dictionary(dictionary);
  std::vector<uint32_t> resources, scopes;
  for (std::string_view bytes : envelope.resources) resources.push_back(decoder.resource_code(bytes));
  for (const otlp::EnvelopeScope& scope : envelope.scopes) scopes.push_back(decoder.scope_code(scope.bytes));

  std::vector<std::unique_ptr<model::TraceData>> traces;
  std::map<model::TraceId, model::TraceData*> by_id;
  std::string row;
  for (const otlp::EnvelopeSpan& span : envelope.spans) {
    row.clear();
    const uint32_t resource = resources[envelope.scopes[span.scope].resource];
    if (decoder.decode(span.bytes, resource, scopes[span.scope], row) != otlp::Reject::kNone) continue;
    auto [at, fresh] = by_id.try_emplace(span.trace, nullptr);
    if (fresh) {
      traces.push_back(std::make_unique<model::TraceData>());
      at->second = traces.back().get();
      at->second->key = model::trace_key(model::tenant_id(model::kDefaultTenant), span.trace);
    }
    CLEW_TRY(model::append_span_of_row(dictionary, row, model::Stamp{}, *at->second));
  }
  return traces;
}

}  // namespace clew::api
