// Protobuf for the etcd API: requests are read straight into values of kv/ and control/, answers written straight into
// the buffer that leaves. Nobody builds a tree of messages. Tests compare both ways with protobuf's own classes.
//
// Reading is lenient as protobuf is (unknown fields and fields of an unexpected wire type are skipped, the last of a
// repeated scalar counts) and strict about bytes that are no protobuf: decode() then answers as a Go server does.
// Pure; any thread.
#pragma once

#include <protozero/pbf_reader.hpp>
#include <protozero/pbf_writer.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "api/rpc/call.h"
#include "base/status.h"
#include "kv/types.h"

namespace clew::api::etcd {

using Reader = protozero::pbf_reader;

// protozero's own get_bool() looks at the byte behind the end of a message that is cut.
inline bool read_bool(Reader& reader) { return reader.get_uint64() != 0; }
using Writer = protozero::pbf_writer;

constexpr uint32_t varint(uint32_t number) { return number << 3; }
constexpr uint32_t bytes(uint32_t number) { return number << 3 | 2; }

inline std::string_view view_of(const protozero::data_view& data) { return {data.data(), data.size()}; }
inline std::string string_of(Reader& reader) { return std::string(view_of(reader.get_view())); }

// `field` is called for each field with the reader at it; it takes the value or skips it, and may refuse.
template <typename T, typename Field>
Result<T> decode(std::string_view message, Field field) {
  try {
    T value{};
    Reader reader(message.data(), message.size());
    while (reader.next()) CLEW_TRY(field(reader, value));
    return value;
  } catch (const protozero::exception& broken) {
    return Error{Code::kInternal, std::string("grpc: error unmarshalling request: ") + broken.what()};
  }
}

// etcd's ResponseHeader. Zeros are left out, as proto3 has it.
struct Header {
  uint64_t cluster = 0;
  uint64_t member = 0;
  kv::Revision revision = 0;
  uint64_t term = 0;
  friend bool operator==(const Header&, const Header&) = default;
};

inline void write_int(Writer& writer, uint32_t number, int64_t value) {
  if (value != 0) writer.add_int64(number, value);
}
inline void write_uint(Writer& writer, uint32_t number, uint64_t value) {
  if (value != 0) writer.add_uint64(number, value);
}
inline void write_bool(Writer& writer, uint32_t number, bool value) {
  if (value) writer.add_bool(number, true);
}
inline void write_bytes(Writer& writer, uint32_t number, std::string_view value) {
  if (!value.empty()) writer.add_bytes(number, value.data(), value.size());
}
inline void write_header(Writer& writer, const Header& header) {
  // An inner transaction's is empty, and yet there. (A Writer that was given nothing takes its field back.)
  if (header == Header{}) return writer.add_message(1, "", 0);
  Writer inner(writer, 1);
  write_uint(inner, 1, header.cluster);
  write_uint(inner, 2, header.member);
  write_int(inner, 3, header.revision);
  write_uint(inner, 4, header.term);
}

// An answer with its header and whatever `body` adds.
template <typename Body>
std::string answer(const Header& header, Body body) {
  std::string out = rpc::begin_message();
  Writer writer(out);
  write_header(writer, header);
  body(writer);
  return out;
}
inline std::string answer(const Header& header) {
  return answer(header, [](Writer&) {});
}

}  // namespace clew::api::etcd
