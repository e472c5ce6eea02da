#include "app/request_times.h"

#include <cstring>

#include "base/hash.h"
#include "base/varint.h"
#include "model/ids.h"

namespace clew::app {
namespace {

enum WireType : uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

// Calls visit(field, type, bytes) for each field; `bytes` is the payload of kBytes and the eight bytes of kFixed64.
// Stops at the first malformed field.
template <typename Visit>
void each_field(std::string_view message, Visit&& visit) {
  ByteReader reader(message);
  while (reader.ok() && !reader.at_end()) {
    const uint64_t tag = reader.varint();
    const auto type = static_cast<uint32_t>(tag & 7);
    size_t size = 0;
    switch (type) {
      case kVarint:
        reader.varint();
        break;
      case kFixed64:
        size = 8;
        break;
      case kBytes:
        size = reader.varint();
        break;
      case kFixed32:
        size = 4;
        break;
      default:
        return;
    }
    if (!reader.ok() || size > reader.remaining()) return;
    const std::string_view bytes(reader.position(), size);
    reader.skip(size);
    visit(static_cast<uint32_t>(tag >> 3), type, bytes);
  }
}

template <typename Visit>
void each_span(std::string_view request, Visit&& visit) {
  each_field(request, [&](uint32_t field, uint32_t type, std::string_view resource_spans) {
    if (field != 1 || type != kBytes) return;
    each_field(resource_spans, [&](uint32_t inner, uint32_t inner_type, std::string_view scope_spans) {
      if (inner != 2 || inner_type != kBytes) return;
      each_field(scope_spans, [&](uint32_t at, uint32_t at_type, std::string_view span) {
        if (at == 2 && at_type == kBytes) visit(span);
      });
    });
  });
}

// The views below borrow from a std::string that the caller owns and may change.
char* writable(std::string_view bytes) { return const_cast<char*>(bytes.data()); }

void shift_time(std::string_view bytes, int64_t delta_ns) {
  uint64_t time = 0;
  std::memcpy(&time, bytes.data(), sizeof(time));
  if (time == 0) return;
  time += static_cast<uint64_t>(delta_ns);
  std::memcpy(writable(bytes), &time, sizeof(time));
}

void renew(std::string_view bytes, uint64_t seed) {
  if (bytes.size() != 16) return;
  model::TraceId id = model::TraceId::from_bytes(bytes.data());
  if (!id.valid()) return;
  const uint64_t key = mix64(id.hi, id.lo);
  id = {mix64(seed, key), mix64(key, seed) | 1};
  id.to_bytes(writable(bytes));
}

}  // namespace

void scan_request(std::string_view request, RequestContent& content) {
  each_span(request, [&](std::string_view span) {
    ++content.spans;
    each_field(span, [&](uint32_t field, uint32_t type, std::string_view bytes) {
      if (field != 8 || type != kFixed64) return;
      int64_t end = 0;
      std::memcpy(&end, bytes.data(), sizeof(end));
      if (end > content.newest_end_ns) content.newest_end_ns = end;
    });
  });
}

void shift_request(std::string& request, int64_t delta_ns) {
  each_span(request, [&](std::string_view span) {
    each_field(span, [&](uint32_t field, uint32_t type, std::string_view bytes) {
      if ((field == 7 || field == 8) && type == kFixed64) shift_time(bytes, delta_ns);
      if (field == 11 && type == kBytes) {
        each_field(bytes, [&](uint32_t inner, uint32_t inner_type, std::string_view time) {
          if (inner == 1 && inner_type == kFixed64) shift_time(time, delta_ns);
        });
      }
    });
  });
}

void renew_trace_ids(std::string& request, uint64_t seed) {
  each_span(request, [&](std::string_view span) {
    each_field(span, [&](uint32_t field, uint32_t type, std::string_view bytes) {
      if (type != kBytes) return;
      if (field == 1) renew(bytes, seed);
      if (field == 13) {
        each_field(bytes, [&](uint32_t inner, uint32_t inner_type, std::string_view id) {
          if (inner == 1 && inner_type == kBytes) renew(id, seed);
        });
      }
    });
  });
}

}  // namespace clew::app
