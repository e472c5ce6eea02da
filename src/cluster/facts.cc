#include "cluster/facts.h"

#include "model/context.h"

namespace clew::cluster {

void FactsBuilder::clear() {
  facts_.clear();
  names_.clear();
  hosts_.clear();
  services_.clear();
  resources_.clear();
  rebuilt_names_.clear();
}

uint32_t FactsBuilder::number_of(std::vector<std::string_view>& list, std::string_view text) {
  // A trace crosses few hosts, so a scan beats a table; a pathological trace is bounded by its resources, each asked
  // once.
  for (size_t i = 0; i < list.size(); ++i) {
    if (list[i] == text) return static_cast<uint32_t>(i);
  }
  list.push_back(text);
  return static_cast<uint32_t>(list.size() - 1);
}

const FactsBuilder::ResourceNumbers& FactsBuilder::numbers_of(const model::Dictionary& dictionary, uint32_t resource) {
  for (const ResourceNumbers& known : resources_) {
    if (known.code == resource && known.owner == &dictionary) return known;
  }
  resources_.push_back({&dictionary, resource, number_of(hosts_, dictionary.host_name(resource)),
                        number_of(services_, dictionary.service_name(resource))});
  return resources_.back();
}

bool FactsBuilder::add_row(const model::Dictionary& dictionary, std::string_view row, bool late) {
  model::RowHead head;
  if (!model::parse_row_head(row, head)) return false;
  if (head.resource >= dictionary.size(model::EntryKind::kResource)) return false;
  trace::SpanFacts facts;
  facts.id = head.span_id;
  facts.parent = head.parent_id;
  facts.start_ns = head.start_ns;
  facts.end_ns = head.end_ns;
  facts.kind = head.kind;
  facts.status = head.status_code;
  facts.late = late;
  const ResourceNumbers& numbers = numbers_of(dictionary, head.resource);
  facts.host = numbers.host;
  facts.service = numbers.service;
  facts.has_links = (head.presence & model::kHasLinks) != 0;
  facts.dropped = (head.presence & model::kHasDropped) != 0;
  if (head.presence & model::kHasFlags) {
    // Flags stand behind the attributes: only rows that have them pay for the walk.
    model::AttributeCursor attributes(dictionary, head.attributes, head.end);
    model::RowValue value;
    while (attributes.next(value)) {
    }
    model::RowTail tail;
    if (!attributes.ok() || !model::parse_row_tail(dictionary, head, attributes.position(), tail)) return false;
    facts.flags = tail.flags;
  }
  std::string scratch;
  std::string_view name = model::strref_text(dictionary, model::EntryKind::kString, head.name, scratch);
  if (!scratch.empty() && name.data() == scratch.data()) {
    rebuilt_names_.push_back(std::move(scratch));
    name = rebuilt_names_.back();
  }
  facts_.push_back(facts);
  names_.push_back(name);
  return true;
}

void FactsBuilder::add_span(const model::Span& span) {
  trace::SpanFacts facts;
  facts.id = span.id;
  facts.parent = span.parent;
  facts.start_ns = span.start_ns;
  facts.end_ns = span.end_ns;
  facts.flags = span.flags;
  facts.kind = static_cast<uint8_t>(span.kind);
  facts.status = static_cast<uint8_t>(span.status);
  facts.has_links = !span.links.empty();
  facts.dropped = span.dropped_attributes + span.dropped_events + span.dropped_links > 0;
  const model::Resource& resource = *span.resource;
  const ResourceNumbers* numbers = nullptr;
  for (const ResourceNumbers& known : resources_) {
    if (known.owner == &resource) numbers = &known;
  }
  if (numbers == nullptr) {
    resources_.push_back(
        {&resource, 0, number_of(hosts_, model::host_name_of(resource)), number_of(services_, resource.service_name)});
    numbers = &resources_.back();
  }
  facts.host = numbers->host;
  facts.service = numbers->service;
  facts_.push_back(facts);
  names_.push_back(span.name);
}

}  // namespace clew::cluster
