#include "api/etcd/watch_wire.h"

#include <utility>

#include "api/etcd/kv_wire.h"

namespace clew::api::etcd {
namespace {

Status read_filter(int32_t filter, kv::WatchRequest& out) {
  if (filter == 0) out.no_put = true;
  if (filter == 1) out.no_delete = true;
  return {};  // etcd ignores others, too
}

Result<kv::WatchRequest> decode_create(std::string_view message) {
  return decode<kv::WatchRequest>(message, [](Reader& reader, kv::WatchRequest& out) -> Status {
    switch (reader.tag_and_type()) {
      case bytes(1):
        out.key = string_of(reader);
        break;
      case bytes(2):
        out.range_end = string_of(reader);
        break;
      case varint(3):
        out.start_revision = reader.get_int64();
        break;
      case varint(4):
        out.progress_notify = read_bool(reader);
        break;
      case varint(5):
        return read_filter(reader.get_int32(), out);
      case bytes(5):
        for (const int32_t filter : reader.get_packed_int32()) CLEW_TRY(read_filter(filter, out));
        break;
      case varint(6):
        out.prev_kv = read_bool(reader);
        break;
      case varint(7):
        out.id = reader.get_int64();
        break;
      case varint(8):
        out.fragment = read_bool(reader);
        break;
      default:
        reader.skip();
    }
    return {};
  });
}

Result<CancelWatch> decode_cancel(std::string_view message) {
  return decode<CancelWatch>(message, [](Reader& reader, CancelWatch& out) -> Status {
    if (reader.tag_and_type() == varint(1)) {
      out.id = reader.get_int64();
    } else {
      reader.skip();
    }
    return {};
  });
}

void write_event(Writer& writer, const kv::Event& event) {
  Writer inner(writer, 11);
  write_int(inner, 1, static_cast<int64_t>(event.type));
  write_key_value(inner, 2, event.kv);
  if (event.previous) write_key_value(inner, 3, *event.previous);
}

}  // namespace

Result<WatchCommand> decode_watch(std::string_view message) {
  return decode<WatchCommand>(message, [](Reader& reader, WatchCommand& out) -> Status {
    switch (reader.tag_and_type()) {
      case bytes(1): {
        CLEW_ASSIGN(out, decode_create(view_of(reader.get_view())));
        break;
      }
      case bytes(2): {
        CLEW_ASSIGN(out, decode_cancel(view_of(reader.get_view())));
        break;
      }
      case bytes(3):
        reader.skip();
        out = WatchProgress{};
        break;
      default:
        reader.skip();
    }
    return {};
  });
}

std::string encode_watch(Header header, const kv::WatchResponse& response) {
  header.revision = response.revision;
  return answer(header, [&](Writer& writer) {
    write_int(writer, 2, response.id);
    write_bool(writer, 3, response.created);
    write_bool(writer, 4, response.cancelled);
    write_int(writer, 5, response.compact_revision);
    write_bytes(writer, 6, response.cancel_reason);
    write_bool(writer, 7, response.fragment);
    for (const auto& event : response.events) write_event(writer, *event);
  });
}

}  // namespace clew::api::etcd
