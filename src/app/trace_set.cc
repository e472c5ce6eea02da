#include "app/trace_set.h"

#include <algorithm>
#include <deque>
#include <limits>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/check.h"
#include "model/dictionary.h"
#include "model/row.h"
#include "otlp/decode.h"
#include "trace/row_facts.h"

namespace clew::app {
namespace {

constexpr uint32_t kUnknown = std::numeric_limits<uint32_t>::max();

class Texts {
 public:
  uint32_t number(std::string_view text) {
    const auto found = numbers_.find(text);
    if (found != numbers_.end()) return found->second;
    texts_.emplace_back(text);
    const auto number = static_cast<uint32_t>(texts_.size() - 1);
    numbers_.emplace(texts_.back(), number);
    return number;
  }
  std::string_view operator[](uint32_t number) const { return texts_[number]; }
  size_t size() const { return texts_.size(); }

 private:
  std::deque<std::string> texts_;
  std::unordered_map<std::string_view, uint32_t> numbers_;
};

struct TraceIdHash {
  size_t operator()(model::TraceId id) const { return mix64(id.hi, id.lo); }
};

struct Record {
  trace::SpanFacts facts;  // host and service numbered over the whole set
  uint64_t content = 0;
  uint32_t name = 0;
  uint32_t trace = 0;
};

// Numbers of the whole set to numbers within a trace, in order of first use.
class Renumbering {
 public:
  explicit Renumbering(const Texts& texts) : texts_(texts), local_(texts.size(), kUnknown) {}
  void clear() {
    for (const uint32_t number : used_) local_[number] = kUnknown;
    used_.clear();
    names_.clear();
  }
  uint32_t operator()(uint32_t number) {
    if (local_[number] == kUnknown) {
      local_[number] = static_cast<uint32_t>(used_.size());
      used_.push_back(number);
      names_.push_back(texts_[number]);
    }
    return local_[number];
  }
  std::span<const std::string_view> names() const { return names_; }

 private:
  const Texts& texts_;
  std::vector<uint32_t> local_, used_;
  std::vector<std::string_view> names_;
};

}  // namespace

struct TraceSet::Impl {
  explicit Impl(otlp::Limits l) : limits(l), decoder(l) { new_dictionary(); }

  const otlp::Limits limits;
  otlp::SpanDecoder decoder;
  std::unique_ptr<model::Dictionary> dictionary;
  otlp::Envelope envelope;
  otlp::RejectCounts rejected{};

  Texts names, hosts, services;
  std::unordered_map<model::TraceId, uint32_t, TraceIdHash> trace_numbers;
  std::vector<model::TraceId> trace_ids;
  std::vector<Record> records;

  // Of the dictionary in use.
  struct Place {
    uint32_t host = kUnknown, service = kUnknown;
  };
  std::vector<Place> place_of_resource;
  std::vector<uint32_t> name_of_code;
  std::vector<uint32_t> resource_codes, scope_codes;  // of the request
  std::string row, scratch;

  void new_dictionary() {
    dictionary = std::make_unique<model::Dictionary>(0);
    decoder.use_dictionary(*dictionary);
    place_of_resource.clear();
    name_of_code.clear();
  }
  Place place_of(uint32_t resource) {
    if (resource >= place_of_resource.size()) place_of_resource.resize(resource + 1);
    Place& place = place_of_resource[resource];
    if (place.host == kUnknown) {
      place = {hosts.number(dictionary->host_name(resource)), services.number(dictionary->service_name(resource))};
    }
    return place;
  }
  uint32_t name_of(const model::StrRef& ref) {
    if (ref.mode != model::StrMode::kCode) {
      return names.number(model::strref_text(*dictionary, model::EntryKind::kString, ref, scratch));
    }
    if (ref.code >= name_of_code.size()) name_of_code.resize(ref.code + 1, kUnknown);
    uint32_t& name = name_of_code[ref.code];
    if (name == kUnknown) name = names.number(dictionary->text(model::EntryKind::kString, ref.code));
    return name;
  }
  void add_row(model::TraceId trace) {
    model::RowHead head;
    Record record;
    trace::SpanFacts& facts = record.facts;
    CHECK(trace::read_row_facts(*dictionary, row, head, facts));  // the decoder has just written it
    const Place place = place_of(head.resource);
    facts.host = place.host;
    facts.service = place.service;
    record.name = name_of(head.name);
    record.content = model::row_hash(*dictionary, row);
    const auto [known, added] = trace_numbers.try_emplace(trace, static_cast<uint32_t>(trace_ids.size()));
    if (added) trace_ids.push_back(trace);
    record.trace = known->second;
    records.push_back(record);
  }
};

TraceSet::TraceSet(otlp::Limits limits) : impl_(std::make_unique<Impl>(limits)) {}
TraceSet::~TraceSet() = default;

Status TraceSet::add_request(std::string_view body) {
  Impl& m = *impl_;
  m.envelope.clear();
  CLEW_TRY(otlp::open_envelope(body, m.limits, m.envelope));
  if (m.dictionary->wants_rotation()) m.new_dictionary();
  for (size_t i = 0; i < m.rejected.size(); ++i) m.rejected[i] += m.envelope.rejected[i];
  m.resource_codes.assign(m.envelope.resources.size(), kUnknown);
  m.scope_codes.assign(m.envelope.scopes.size(), kUnknown);
  for (const otlp::EnvelopeSpan& span : m.envelope.spans) {
    const otlp::EnvelopeScope& scope = m.envelope.scopes[span.scope];
    uint32_t& scope_code = m.scope_codes[span.scope];
    uint32_t& resource_code = m.resource_codes[scope.resource];
    if (scope_code == kUnknown) scope_code = m.decoder.scope_code(scope.bytes);
    if (resource_code == kUnknown) resource_code = m.decoder.resource_code(m.envelope.resources[scope.resource]);
    m.row.clear();
    const otlp::Reject reject = m.decoder.decode(span.bytes, resource_code, scope_code, m.row);
    if (reject == otlp::Reject::kNone) {
      m.add_row(span.trace);
    } else {
      ++m.rejected[static_cast<size_t>(reject)];
    }
  }
  return {};
}

uint64_t TraceSet::spans() const { return impl_->records.size(); }
uint64_t TraceSet::traces() const { return impl_->trace_ids.size(); }
uint64_t TraceSet::services() const { return impl_->services.size(); }
uint64_t TraceSet::hosts() const { return impl_->hosts.size(); }
const otlp::RejectCounts& TraceSet::rejected() const { return impl_->rejected; }

void TraceSet::for_each(const std::function<void(const View&)>& visit) const {
  const Impl& m = *impl_;
  // Records by trace, in order of arrival: a counting sort of their numbers.
  std::vector<uint64_t> first(m.trace_ids.size() + 1, 0);
  for (const Record& record : m.records) ++first[record.trace + 1];
  for (size_t t = 0; t < m.trace_ids.size(); ++t) first[t + 1] += first[t];
  std::vector<uint64_t> order(m.records.size()), cursor(first.begin(), first.end());
  for (size_t i = 0; i < m.records.size(); ++i) order[cursor[m.records[i].trace]++] = i;

  Renumbering hosts(m.hosts), services(m.services);
  std::vector<trace::SpanFacts> arrived, distinct;
  std::vector<std::string_view> names;
  std::vector<uint32_t> by_content;
  std::vector<bool> repeated;
  for (size_t t = 0; t < m.trace_ids.size(); ++t) {
    hosts.clear();
    services.clear();
    arrived.clear();
    distinct.clear();
    names.clear();
    const std::span<const uint64_t> mine(order.data() + first[t], first[t + 1] - first[t]);
    const auto record = [&](size_t i) -> const Record& { return m.records[mine[i]]; };
    by_content.resize(mine.size());
    for (uint32_t i = 0; i < mine.size(); ++i) by_content[i] = i;
    std::sort(by_content.begin(), by_content.end(), [&](uint32_t x, uint32_t y) {
      const Record& a = record(x);
      const Record& b = record(y);
      return std::tie(a.facts.id, a.content, x) < std::tie(b.facts.id, b.content, y);
    });
    repeated.assign(mine.size(), false);
    for (size_t k = 1; k < mine.size(); ++k) {
      const Record& a = record(by_content[k - 1]);
      const Record& b = record(by_content[k]);
      repeated[by_content[k]] = a.facts.id == b.facts.id && a.content == b.content;
    }
    for (size_t i = 0; i < mine.size(); ++i) {
      trace::SpanFacts facts = record(i).facts;
      facts.host = hosts(facts.host);
      facts.service = services(facts.service);
      arrived.push_back(facts);
      if (repeated[i]) continue;
      distinct.push_back(facts);
      names.push_back(m.names[record(i).name]);
    }
    visit({m.trace_ids[t], arrived, distinct, names, {hosts.names(), services.names()}});
  }
}

}  // namespace clew::app
