// Rows and their dictionary for tests of this folder: decoded from a TestRequest as a shard does it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "cluster/test_spans.h"
#include "model/dictionary.h"
#include "otlp/decode.h"
#include "otlp/envelope.h"

namespace clew::cluster {

class TestRows {
 public:
  TestRows() { decoder_.use_dictionary(dictionary_); }
  void add(const TestRequest& request) {
    const std::string body = request.bytes();
    otlp::Envelope envelope;
    CHECK(otlp::open_envelope(body, otlp::Limits{}, envelope).ok());
    for (const otlp::EnvelopeSpan& span : envelope.spans) {
      const otlp::EnvelopeScope& scope = envelope.scopes[span.scope];
      std::string row;
      const uint32_t resource = decoder_.resource_code(envelope.resources[scope.resource]);
      CHECK(decoder_.decode(span.bytes, resource, decoder_.scope_code(scope.bytes), row) == otlp::Reject::kNone);
      rows_.push_back(std::make_unique<std::string>(std::move(row)));
    }
  }
  const model::Dictionary& dictionary() const { return dictionary_; }
  size_t size() const { return rows_.size(); }
  std::string_view operator[](size_t i) const { return *rows_[i]; }  // address stays

 private:
  model::Dictionary dictionary_{1, model::DictionaryLimits{}};
  otlp::SpanDecoder decoder_{otlp::Limits{}};
  std::vector<std::unique_ptr<std::string>> rows_;
};

}  // namespace clew::cluster
