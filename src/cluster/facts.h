// FactsBuilder: what assess() needs to know of the spans of one trace, from rows (the sealing path) and from readable
// spans (parts that are stored already), with hosts and services numbered per trace.
// Reused from trace to trace without allocating in the usual case. Single-threaded. Borrows the rows and spans.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "model/row.h"
#include "model/span.h"
#include "trace/assess.h"

namespace clew::cluster {

class FactsBuilder {
 public:
  void clear();
  // False when the row is malformed: it is then not part of the trace (counted by the caller).
  bool add_row(const model::Dictionary& dictionary, std::string_view row, bool late);
  void add_span(const model::Span& span);

  const std::vector<trace::SpanFacts>& facts() const { return facts_; }
  const std::vector<std::string_view>& names() const { return names_; }
  trace::Context context() const { return {hosts_, services_}; }

 private:
  uint32_t number_of(std::vector<std::string_view>& list, std::string_view text);
  struct ResourceNumbers {
    const void* owner = nullptr;  // dictionary or Resource
    uint32_t code = 0;
    uint32_t host = 0, service = 0;
  };
  const ResourceNumbers& numbers_of(const model::Dictionary& dictionary, uint32_t resource);

  std::vector<trace::SpanFacts> facts_;
  std::vector<std::string_view> names_;
  std::vector<std::string_view> hosts_, services_;
  std::vector<ResourceNumbers> resources_;
  std::deque<std::string> rebuilt_names_;  // of templates: addresses stay until clear()
};

}  // namespace clew::cluster
