// CodeTranslator: codes of the dictionaries that rows were written with, as codes of one target dictionary. An array
// per source dictionary, filled as codes are met, so that each text is hashed once per source. Single-threaded.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "model/dictionary.h"
#include "model/row.h"

namespace clew::store {

class CodeTranslator {
 public:
  explicit CodeTranslator(model::Dictionary& target) : target_(target) {}

  // Rows of this dictionary follow. It outlives the translator.
  void use(const model::Dictionary& source);
  const model::Dictionary& source() const { return *source_; }

  // False once the target refused an entry: it is full.
  bool ok() const { return ok_; }

  uint32_t string(uint32_t code) { return cached(model::EntryKind::kString, code); }
  uint32_t template_code(uint32_t code) { return cached(model::EntryKind::kTemplate, code); }
  uint32_t resource(uint32_t code) { return cached(model::EntryKind::kResource, code); }
  uint32_t scope(uint32_t code) { return cached(model::EntryKind::kScope, code); }
  uint32_t shape(uint32_t code) { return cached(model::EntryKind::kShape, code); }

  void append_strref(const model::StrRef& ref, std::string& out);
  // Re-encodes the list that `cursor` walks. False when it is malformed.
  bool append_list(model::AttributeCursor& cursor, std::string& out);
  // All of a row after its flags: trace state, status message, dropped counts, events, links, unknown fields. `events`
  // is called with the target string code + 1 of each event's name (0: not a plain code), `message` likewise.
  template <typename OnEvent, typename OnMessage>
  bool append_tail(const model::RowHead& head, const model::RowTail& tail, std::string& out, OnEvent&& on_event,
                   OnMessage&& on_message);

 private:
  struct Source {
    std::vector<uint32_t> codes[model::kEntryKinds];  // target code + 1
  };
  uint32_t cached(model::EntryKind kind, uint32_t code) {
    std::vector<uint32_t>& codes = current_->codes[static_cast<size_t>(kind)];
    if (code < codes.size() && codes[code] != 0) [[likely]]
      return codes[code] - 1;
    return translate(kind, code);
  }
  uint32_t translate(model::EntryKind kind, uint32_t code);
  uint32_t keep(std::optional<uint32_t> code);

  model::Dictionary& target_;
  const model::Dictionary* source_ = nullptr;
  Source* current_ = nullptr;
  std::unordered_map<const model::Dictionary*, std::unique_ptr<Source>> sources_;
  bool ok_ = true;
};

template <typename OnEvent, typename OnMessage>
bool CodeTranslator::append_tail(const model::RowHead& head, const model::RowTail& tail, std::string& out,
                                 OnEvent&& on_event, OnMessage&& on_message) {
  if (head.presence & model::kHasTraceState) append_strref(tail.trace_state, out);
  if (head.presence & model::kHasStatusMessage) {
    append_strref(tail.status_message, out);
    on_message(tail.status_message.mode == model::StrMode::kCode ? string(tail.status_message.code) + 1 : 0);
  }
  if (head.presence & model::kHasDropped) {
    append_varint(out, tail.dropped_attributes);
    append_varint(out, tail.dropped_events);
    append_varint(out, tail.dropped_links);
  }
  model::EventCursor events(*source_, head.presence, head.start_ns, tail.cold);
  if (head.presence & model::kHasEvents) {
    append_varint(out, tail.event_count);
    model::RowEvent event;
    while (events.next(event)) {
      append_varint(out, zigzag(static_cast<int64_t>(static_cast<uint64_t>(event.time_ns) -
                                                     static_cast<uint64_t>(head.start_ns))));
      append_strref(event.name, out);
      on_event(event.name.mode == model::StrMode::kCode ? string(event.name.code) + 1 : 0);
      model::AttributeCursor list(*source_, event.attributes.data(), event.attributes.data() + event.attributes.size());
      if (!append_list(list, out)) return false;
      append_varint(out, event.dropped_attributes);
      append_bytes(out, event.unknown);
    }
    if (!events.ok()) return false;
  }
  model::LinkCursor links(*source_, head.presence, events.rest());
  if (head.presence & model::kHasLinks) {
    ByteReader count(events.rest());
    append_varint(out, count.varint());
    model::RowLink link;
    while (links.next(link)) {
      char ids[24];
      link.trace.to_bytes(ids);
      link.span.to_bytes(ids + 16);
      out.append(ids, sizeof(ids));
      append_strref(link.trace_state, out);
      model::AttributeCursor list(*source_, link.attributes.data(), link.attributes.data() + link.attributes.size());
      if (!append_list(list, out)) return false;
      append_varint(out, link.dropped_attributes);
      append_varint(out, link.flags);
      append_bytes(out, link.unknown);
    }
    if (!links.ok()) return false;
  }
  std::string_view unknown;
  if (!model::read_unknown(head.presence, links.rest(), unknown)) return false;
  if (head.presence & model::kHasUnknown) append_bytes(out, unknown);
  return true;
}

}  // namespace clew::store
