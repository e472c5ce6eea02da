#include "otlp/envelope.h"

#include "base/varint.h"
#include "otlp/wire_varint.h"

namespace clew::otlp {
namespace {

constexpr std::string_view kRejectNames[] = {
    "none",      "invalid_trace_id",    "invalid_span_id", "invalid_parent_span_id",
    "malformed", "too_many_attributes", "span_too_large",  "invalid_utf8",
};
static_assert(std::size(kRejectNames) == static_cast<size_t>(Reject::kCount));

enum Wire : uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

// The trace id of a span, wherever it stands.
Reject find_trace_id(std::string_view span, model::TraceId& out) {
  const char* pos = span.data();
  const char* const end = pos + span.size();
  while (pos < end) {
    uint64_t tag, length;
    if (!read_varint(pos, end, tag)) return Reject::kMalformed;
    switch (tag & 7) {
      case kVarint:
        if (!read_varint(pos, end, length)) return Reject::kMalformed;
        continue;
      case kFixed64:
        length = 8;
        break;
      case kFixed32:
        length = 4;
        break;
      case kBytes:
        if (!read_varint(pos, end, length)) return Reject::kMalformed;
        break;
      default:
        return Reject::kMalformed;
    }
    if (length > static_cast<uint64_t>(end - pos)) return Reject::kMalformed;
    if (tag == (1 << 3 | kBytes)) {
      if (length != 16) return Reject::kTraceId;
      out = model::TraceId::from_bytes(pos);
      return out.valid() ? Reject::kNone : Reject::kTraceId;
    }
    if (tag >> 3 == 1) return Reject::kMalformed;
    pos += length;
  }
  return Reject::kTraceId;
}

// The bytes of a message without one of its fields: one piece while that is possible, joined once it is not.
class Remainder {
 public:
  explicit Remainder(Envelope& envelope) : envelope_(envelope) {}

  void add(const char* begin, const char* end) {
    const auto size = static_cast<size_t>(end - begin);
    if (joined_ != nullptr) {
      joined_->append(begin, size);
    } else if (piece_.empty()) {
      piece_ = {begin, size};
    } else if (piece_.data() + piece_.size() == begin) {
      piece_ = {piece_.data(), piece_.size() + size};
    } else {
      joined_ = envelope_.joined.emplace_back(std::make_unique<std::string>(piece_)).get();
      joined_->append(begin, size);
    }
  }
  std::string_view bytes() const { return joined_ != nullptr ? std::string_view(*joined_) : piece_; }

 private:
  Envelope& envelope_;
  std::string_view piece_;
  std::string* joined_ = nullptr;
};

class Walker {
 public:
  Walker(std::string_view body, const Limits& limits, Envelope& out)
      : begin_(body.data()), end_(body.data() + body.size()), limits_(limits), out_(out) {}

  Status run() {
    const char* pos = begin_;
    while (pos < end_) {
      const char* const start = pos;
      Field field;
      CLEW_TRY(next(pos, end_, "ExportTraceServiceRequest", field));
      if (field.number != 1) {
        out_.unknown_bytes += static_cast<uint64_t>(pos - start);
        continue;
      }
      if (field.wire != kBytes) return wrong_type(start, "resource_spans");
      CLEW_TRY(resource_spans(field.bytes));
    }
    return {};
  }

 private:
  struct Field {
    uint32_t number = 0;
    uint32_t wire = 0;
    std::string_view bytes;
  };

  Status resource_spans(std::string_view message) {
    if (out_.resources.size() >= limits_.max_spans) return too_many("resources");
    const size_t index = out_.resources.size();
    out_.resources.emplace_back();
    Remainder context(out_);
    const char* pos = message.data();
    const char* const end = pos + message.size();
    while (pos < end) {
      const char* const start = pos;
      Field field;
      CLEW_TRY(next(pos, end, "ResourceSpans", field));
      if (field.number == 2) {
        if (field.wire != kBytes) return wrong_type(start, "ResourceSpans.scope_spans");
        CLEW_TRY(scope_spans(field.bytes, static_cast<uint32_t>(index)));
        continue;
      }
      if (field.number == 1 || field.number == 3) {
        if (field.wire != kBytes) return wrong_type(start, "ResourceSpans.resource or schema_url");
      }
      context.add(start, pos);
    }
    out_.resources[index] = context.bytes();
    return {};
  }

  Status scope_spans(std::string_view message, uint32_t resource) {
    if (out_.scopes.size() >= limits_.max_spans) return too_many("scopes");
    const size_t index = out_.scopes.size();
    out_.scopes.push_back({resource, {}});
    Remainder context(out_);
    const char* pos = message.data();
    const char* const end = pos + message.size();
    while (pos < end) {
      const char* const start = pos;
      Field field;
      CLEW_TRY(next(pos, end, "ScopeSpans", field));
      if (field.number == 2) {
        if (field.wire != kBytes) return wrong_type(start, "ScopeSpans.spans");
        if (++seen_ > limits_.max_spans) return too_many("spans");
        span(field.bytes, static_cast<uint32_t>(index));
        continue;
      }
      if (field.number == 1 || field.number == 3) {
        if (field.wire != kBytes) return wrong_type(start, "ScopeSpans.scope or schema_url");
      }
      context.add(start, pos);
    }
    out_.scopes[index].bytes = context.bytes();
    return {};
  }

  void span(std::string_view bytes, uint32_t scope) {
    model::TraceId trace;
    Reject reject;
    if (bytes.size() >= 18 && bytes[0] == '\x0a' && bytes[1] == '\x10') {  // nearly always: the trace id comes first
      trace = model::TraceId::from_bytes(bytes.data() + 2);
      reject = trace.valid() ? Reject::kNone : Reject::kTraceId;
    } else {
      reject = find_trace_id(bytes, trace);
    }
    if (bytes.size() > limits_.max_span_bytes) reject = Reject::kTooLarge;
    if (reject != Reject::kNone) {
      ++out_.rejected[static_cast<size_t>(reject)];
      return;
    }
    out_.spans.push_back({bytes, trace, scope});
  }

  Status next(const char*& pos, const char* end, const char* message, Field& out) const {
    const char* const start = pos;
    uint64_t tag, length = 0;
    if (!read_varint(pos, end, tag)) return broken(start, message, "tag");
    out.number = static_cast<uint32_t>(tag >> 3);
    out.wire = tag & 7;
    if (tag >> 32 != 0 || out.number == 0) return broken(start, message, "tag");
    switch (out.wire) {
      case kVarint:
        if (!read_varint(pos, end, length)) return broken(start, message, "varint");
        return {};
      case kFixed64:
        length = 8;
        break;
      case kFixed32:
        length = 4;
        break;
      case kBytes:
        if (!read_varint(pos, end, length)) return broken(start, message, "length");
        break;
      default:
        return broken(start, message, "wire type");
    }
    if (length > static_cast<uint64_t>(end - pos)) return broken(start, message, "length (longer than what holds it)");
    out.bytes = {pos, length};
    pos += length;
    return {};
  }

  std::string place(const char* at) const { return "at byte " + std::to_string(at - begin_); }
  Status broken(const char* at, const char* message, const char* what) const {
    return Status(Code::kInvalidArgument,
                  "not an OTLP trace request: bad " + std::string(what) + " in " + message + " " + place(at));
  }
  Status wrong_type(const char* at, const char* field) const {
    return Status(Code::kInvalidArgument,
                  "not an OTLP trace request: " + std::string(field) + " is not a message or text, " + place(at));
  }
  Status too_many(const char* what) const {
    return Status(Code::kInvalidArgument, "more than " + std::to_string(limits_.max_spans) + " " + what +
                                              " in one request; send smaller batches");
  }

  const char* begin_;
  const char* end_;
  const Limits& limits_;
  Envelope& out_;
  uint64_t seen_ = 0;
};

}  // namespace

std::string_view reject_name(Reject reason) {
  const auto i = static_cast<size_t>(reason);
  return i < std::size(kRejectNames) ? kRejectNames[i] : std::string_view("unknown");
}

void Envelope::clear() {
  resources.clear();
  scopes.clear();
  spans.clear();
  rejected = {};
  unknown_bytes = 0;
  joined.clear();
}

Status open_envelope(std::string_view body, const Limits& limits, Envelope& out) {
  out.clear();
  Status status = Walker(body, limits, out).run();
  if (!status.ok()) out.clear();
  return status;
}

}  // namespace clew::otlp
