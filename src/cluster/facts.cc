#include "cluster/facts.h"

#include <utility>

#include "base/hash.h"
#include "model/context.h"
#include "trace/row_facts.h"

namespace clew::cluster {

void FactsBuilder::clear() {
  facts_.clear();
  names_.clear();
  hosts_.clear();
  services_.clear();
  places_.clear();
  place_slots_.clear();
  rebuilt_names_.clear();
}

void TextNumbers::clear() {
  texts_.clear();
  slots_.clear();
}

uint32_t TextNumbers::number_of(std::string_view text) {
  const auto equal = [&](uint32_t i) { return texts_[i] == text; };
  const auto hash = [&](uint32_t i) { return seeded_hash(texts_[i], seed_); };
  const uint32_t number =
      slots_.find(static_cast<uint32_t>(texts_.size()), equal, hash, [&] { return seeded_hash(text, seed_); });
  if (number == texts_.size()) texts_.push_back(text);
  return number;
}

template <typename Names>
FactsBuilder::Place FactsBuilder::place_of(const void* owner, uint32_t code, Names names) {
  const auto equal = [&](uint32_t i) { return places_[i].code == code && places_[i].owner == owner; };
  const auto mixed = [&](const void* of, uint32_t number) {
    return mix64(seed_, mix64(reinterpret_cast<uintptr_t>(of), number));
  };
  const auto hash = [&](uint32_t i) { return mixed(places_[i].owner, places_[i].code); };
  const uint32_t number =
      place_slots_.find(static_cast<uint32_t>(places_.size()), equal, hash, [&] { return mixed(owner, code); });
  if (number == places_.size()) {
    const auto [host, service] = names();
    places_.push_back({owner, code, {hosts_.number_of(host), services_.number_of(service)}});
  }
  return places_[number].place;
}

FactsBuilder::Place FactsBuilder::place_of(const model::Dictionary& dictionary, uint32_t resource) {
  return place_of(&dictionary, resource,
                  [&] { return std::pair(dictionary.host_name(resource), dictionary.service_name(resource)); });
}

FactsBuilder::Place FactsBuilder::place_of(const model::Resource& resource) {
  return place_of(&resource, 0, [&] { return std::pair(model::host_name_of(resource), resource.service_name); });
}

bool FactsBuilder::add_row(const model::Dictionary& dictionary, std::string_view row, bool late) {
  model::RowHead head;
  trace::SpanFacts facts;
  if (!trace::read_row_facts(dictionary, row, head, facts)) return false;
  if (head.resource >= dictionary.size(model::EntryKind::kResource)) return false;
  facts.late = late;
  const Place place = place_of(dictionary, head.resource);
  facts.host = place.host;
  facts.service = place.service;
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
  const Place place = place_of(*span.resource);
  facts.host = place.host;
  facts.service = place.service;
  facts_.push_back(facts);
  names_.push_back(span.name);
}

}  // namespace clew::cluster
