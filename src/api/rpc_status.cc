#include "api/rpc_status.h"

#include "base/hex.h"
#include "base/varint.h"
#include "otlp/utf8.h"

namespace clew::api {
namespace {

void append_message(std::string& out, int field, std::string_view bytes) {
  append_varint(out, static_cast<uint64_t>(field) << 3 | 2);
  append_bytes(out, bytes);
}
void append_integer(std::string& out, int field, uint64_t value) {
  if (value == 0) return;
  append_varint(out, static_cast<uint64_t>(field) << 3);
  append_varint(out, value);
}

}  // namespace

std::string_view content_type_of(WireFormat format) {
  return format == WireFormat::kJson ? "application/json" : "application/x-protobuf";
}

void append_json_text(std::string& out, std::string_view text) {
  out += '"';
  for (size_t at = 0; at < text.size();) {
    const size_t length = otlp::utf8_length(text, at);
    const auto byte = static_cast<unsigned char>(text[at]);
    if (length == 0) {
      out += "\\ufffd";
    } else if (byte == '"' || byte == '\\') {
      out += '\\';
      out += text[at];
    } else if (byte < 0x20) {
      out += "\\u00";
      append_hex(byte, 2, out);
    } else {
      out.append(text.substr(at, length));
    }
    at += length == 0 ? 1 : length;
  }
  out += '"';
}

std::string encode_rpc_status(WireFormat format, Code code, std::string_view message, uint32_t retry_after_ms) {
  const uint32_t seconds = retry_after_ms / 1000;
  const uint32_t nanos = retry_after_ms % 1000 * 1'000'000;
  std::string out;
  if (format == WireFormat::kJson) {
    out = "{\"code\":" + std::to_string(static_cast<int>(code)) + ",\"message\":";
    append_json_text(out, message);
    if (retry_after_ms > 0) {
      std::string fraction;
      if (nanos > 0) {
        fraction = std::to_string(1000 + retry_after_ms % 1000);
        fraction[0] = '.';
      }
      out += ",\"details\":[{\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\",\"retryDelay\":\"" +
             std::to_string(seconds) + fraction + "s\"}]";
    }
    return out + "}";
  }
  append_integer(out, 1, static_cast<uint64_t>(code));
  if (!message.empty()) append_message(out, 2, message);
  if (retry_after_ms > 0) {
    std::string duration, info, any;
    append_integer(duration, 1, seconds);
    append_integer(duration, 2, nanos);
    append_message(info, 1, duration);
    append_message(any, 1, "type.googleapis.com/google.rpc.RetryInfo");
    append_message(any, 2, info);
    append_message(out, 3, any);
  }
  return out;
}

std::string encode_export_response(WireFormat format, uint64_t rejected_spans, std::string_view message) {
  const bool partial = rejected_spans > 0 || !message.empty();
  std::string out;
  if (format == WireFormat::kJson) {
    if (!partial) return "{}";
    out = "{\"partialSuccess\":{\"rejectedSpans\":\"" + std::to_string(rejected_spans) + "\",\"errorMessage\":";
    append_json_text(out, message);
    return out + "}}";
  }
  if (!partial) return out;
  std::string success;
  append_integer(success, 1, rejected_spans);
  if (!message.empty()) append_message(success, 2, message);
  append_message(out, 1, success);
  return out;
}

}  // namespace clew::api
