// OTLP's trace messages as tables: what json.cc needs to know of opentelemetry-proto (1.x) to turn JSON into protobuf.
// A new field of the protocol is a line in json_schema.cc. Constant data; any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace clew::otlp {

enum class FieldKind : uint8_t {
  kString,
  kId,        // bytes as hex: trace and span ids
  kParentId,  // likewise; empty means "a root", so what is not hex becomes one zero byte, which no decoder takes for an
              // id
  kBytes,     // bytes as base64
  kBool,
  kInt64,
  kUint32,
  kFixed64,
  kFixed32,
  kDouble,
  kEnum,
  kMessage,
};

enum class MessageType : uint8_t {
  kRequest,
  kResourceSpans,
  kResource,
  kEntityRef,
  kScopeSpans,
  kScope,
  kSpan,
  kEvent,
  kLink,
  kStatus,
  kKeyValue,
  kAnyValue,
  kArrayValue,
  kKeyValueList,
  kCount
};
constexpr size_t kMessageTypes = static_cast<size_t>(MessageType::kCount);

struct JsonField {
  std::string_view name;   // lowerCamelCase
  std::string_view alias;  // snake_case, when it differs
  uint8_t number;
  FieldKind kind;
  bool repeated = false;
  MessageType message = MessageType::kCount;     // of kMessage
  std::span<const std::string_view> enum_names;  // of kEnum, by number
};
constexpr size_t kMaxJsonFields = 16;  // of one message

struct JsonSchema {
  std::span<const JsonField> fields;
  bool oneof = false;             // at most one field, kept even when it holds its default
  uint8_t length_bytes_hint = 1;  // how long a varint its length usually is
};

const JsonSchema& json_schema(MessageType type);

}  // namespace clew::otlp
