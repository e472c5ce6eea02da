#include "store/verdict_codec.h"

#include <algorithm>
#include <unordered_map>

namespace clew::store {
namespace {

constexpr size_t kScanned = 64;  // up to here a scan beats a table

class IdIndex {
 public:
  explicit IdIndex(std::span<const model::SpanId> ids) : ids_(ids) {}
  uint64_t place(model::SpanId id) {  // index + 1; 0: not there
    if (ids_.size() <= kScanned) {
      const auto found = std::find(ids_.begin(), ids_.end(), id);
      return found == ids_.end() ? 0 : static_cast<uint64_t>(found - ids_.begin()) + 1;
    }
    if (table_.empty()) {
      for (size_t i = 0; i < ids_.size(); ++i) table_.emplace(ids_[i].value, i + 1);
    }
    const auto found = table_.find(id.value);
    return found == table_.end() ? 0 : found->second;
  }

 private:
  std::span<const model::SpanId> ids_;
  std::unordered_map<uint64_t, uint64_t> table_;
};

void append_ids(const std::vector<model::SpanId>& list, IdIndex& index, std::string& out) {
  append_varint(out, list.size());
  for (const model::SpanId id : list) {
    const uint64_t place = index.place(id);
    append_varint(out, place);
    if (place == 0) append_fixed(out, id.value);
  }
}

bool read_ids(ByteReader& reader, std::span<const model::SpanId> ids, std::vector<model::SpanId>& out) {
  const uint64_t n = reader.varint();
  if (n > reader.remaining()) return false;
  out.reserve(n);
  for (uint64_t i = 0; i < n; ++i) {
    const uint64_t place = reader.varint();
    if (place > ids.size()) return false;
    out.push_back(place == 0 ? model::SpanId{reader.fixed<uint64_t>()} : ids[place - 1]);
  }
  return reader.ok();
}

}  // namespace

void append_verdicts(std::span<const model::Verdict> verdicts, std::span<const model::SpanId> ids, int64_t base_ns,
                     std::string& out) {
  IdIndex index(ids);
  append_varint(out, verdicts.size());
  for (const model::Verdict& v : verdicts) {
    out.push_back(static_cast<char>(v.state));
    append_varint(out, v.version);
    append_varint(out,
                  zigzag(static_cast<int64_t>(static_cast<uint64_t>(v.decided_ns) - static_cast<uint64_t>(base_ns))));
    append_varint(out, v.basis);
    append_varint(out, v.span_count);
    append_varint(out, v.late_spans);
    append_varint(out, v.orphan_count);
    append_varint(out, v.root_count);
    append_ids(v.missing_parents, index, out);
    append_varint(out, v.findings.size());
    for (const model::Finding& f : v.findings) {
      out.push_back(static_cast<char>(f.kind));
      out.push_back(static_cast<char>(f.severity));
      append_varint(out, f.count);
      append_ids(f.spans, index, out);
      append_bytes(out, f.detail);
    }
    append_varint(out, v.skew.size());
    for (const model::SkewEstimate& s : v.skew) {
      append_bytes(out, s.host);
      append_bytes(out, s.reference);
      append_varint(out, zigzag(s.offset_ns));
      append_varint(out, zigzag(s.bound_ns));
      append_varint(out, s.edges);
    }
  }
}

bool read_verdicts(ByteReader& reader, std::span<const model::SpanId> ids, int64_t base_ns,
                   std::vector<model::Verdict>& out) {
  const uint64_t n = reader.varint();
  if (n > reader.remaining()) return false;
  for (uint64_t i = 0; i < n; ++i) {
    model::Verdict v;
    v.state = static_cast<model::TraceState>(reader.fixed<uint8_t>() & 3);
    v.version = reader.varint();
    v.decided_ns = static_cast<int64_t>(static_cast<uint64_t>(reader.zigzag_varint()) + static_cast<uint64_t>(base_ns));
    v.basis = static_cast<uint32_t>(reader.varint());
    v.span_count = static_cast<uint32_t>(reader.varint());
    v.late_spans = static_cast<uint32_t>(reader.varint());
    v.orphan_count = static_cast<uint32_t>(reader.varint());
    v.root_count = static_cast<uint32_t>(reader.varint());
    if (!read_ids(reader, ids, v.missing_parents)) return false;
    const uint64_t findings = reader.varint();
    if (findings > reader.remaining()) return false;
    for (uint64_t k = 0; k < findings; ++k) {
      model::Finding f;
      f.kind = static_cast<model::FindingKind>(reader.fixed<uint8_t>());
      f.severity = static_cast<model::Severity>(std::min<uint8_t>(reader.fixed<uint8_t>(), 2));
      f.count = static_cast<uint32_t>(reader.varint());
      if (!read_ids(reader, ids, f.spans)) return false;
      f.detail = reader.prefixed_bytes();
      v.findings.push_back(std::move(f));
    }
    const uint64_t skews = reader.varint();
    if (skews > reader.remaining()) return false;
    for (uint64_t k = 0; k < skews; ++k) {
      model::SkewEstimate s;
      s.host = reader.prefixed_bytes();
      s.reference = reader.prefixed_bytes();
      s.offset_ns = reader.zigzag_varint();
      s.bound_ns = reader.zigzag_varint();
      s.edges = static_cast<uint32_t>(reader.varint());
      v.skew.push_back(std::move(s));
    }
    if (!reader.ok()) return false;
    out.push_back(std::move(v));
  }
  return reader.ok();
}

bool skip_verdicts(ByteReader& reader) {
  const auto skip_ids = [&reader] {
    for (uint64_t n = reader.varint(); n > 0 && reader.ok(); --n) {
      if (reader.varint() == 0) reader.skip(8);
    }
  };
  for (uint64_t n = reader.varint(); n > 0 && reader.ok(); --n) {
    reader.skip(1);
    for (int i = 0; i < 7; ++i) reader.varint();
    skip_ids();
    for (uint64_t findings = reader.varint(); findings > 0 && reader.ok(); --findings) {
      reader.skip(2);
      reader.varint();
      skip_ids();
      reader.prefixed_bytes();
    }
    for (uint64_t skews = reader.varint(); skews > 0 && reader.ok(); --skews) {
      reader.prefixed_bytes();
      reader.prefixed_bytes();
      for (int i = 0; i < 3; ++i) reader.varint();
    }
  }
  return reader.ok();
}

}  // namespace clew::store
