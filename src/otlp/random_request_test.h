// For tests only: random OTLP requests by seed, and random spellings of them as JSON. The same seed gives the same
// request. Needs protobuf's classes, which the sources never use. Single-threaded.
#pragma once

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "opentelemetry/proto/collector/trace/v1/trace_service.pb.h"
#include "otlp/base64.h"

namespace clew::otlp {

// As SDKs put it on the wire: fields in ascending order.
inline std::string serialized(const google::protobuf::Message& message) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  message.SerializeToCodedStream(&coded);
  coded.Trim();
  return bytes;
}

class RandomRequest {
  using AnyValue = opentelemetry::proto::common::v1::AnyValue;
  using KeyValue = opentelemetry::proto::common::v1::KeyValue;
  using Span = opentelemetry::proto::trace::v1::Span;

 public:
  using Request = opentelemetry::proto::collector::trace::v1::ExportTraceServiceRequest;

  explicit RandomRequest(uint64_t seed) : random_(seed) {}

  // Any request: several resources, odd values.
  Request request() {
    Request request;
    for (uint64_t n = random_.below(3); n > 0; --n) {
      auto& resource_spans = *request.add_resource_spans();
      if (random_.one_in(2)) fill_attributes(*resource_spans.mutable_resource()->mutable_attributes(), 0);
      if (random_.one_in(2)) resource_spans.mutable_resource()->set_dropped_attributes_count(u32());
      if (random_.one_in(3)) resource_spans.set_schema_url(text());
      for (uint64_t m = random_.below(3); m > 0; --m) {
        auto& scope_spans = *resource_spans.add_scope_spans();
        if (random_.one_in(2)) scope_spans.mutable_scope()->set_name(text());
        if (random_.one_in(2)) fill_attributes(*scope_spans.mutable_scope()->mutable_attributes(), 0);
        for (uint64_t k = random_.below(4); k > 0; --k) fill(*scope_spans.add_spans());
      }
    }
    return request;
  }

  // Such a request as a store gives it back: one trace, no empty groups, no two groups alike, and of what rows do not
  // keep apart (an absent value and an empty one, an absent status and an empty one) the form that encode_protobuf
  // writes.
  Request one_trace() {
    Request request = this->request();
    auto& all = *request.mutable_resource_spans();
    for (int i = all.size() - 1; i >= 0; --i) {
      auto& scopes = *all[i].mutable_scope_spans();
      for (int k = scopes.size() - 1; k >= 0; --k) {
        scopes[k].set_schema_url("scope " + std::to_string(i) + " " + std::to_string(k));
        if (scopes[k].spans().empty()) scopes.DeleteSubrange(k, 1);
      }
      all[i].set_schema_url("resource " + std::to_string(i));
      if (scopes.empty()) all.DeleteSubrange(i, 1);
    }
    for (auto& resource_spans : all) {
      for (auto& scope_spans : *resource_spans.mutable_scope_spans()) {
        for (auto& span : *scope_spans.mutable_spans()) {
          span.set_trace_id("0123456789abcdef");
          for (auto& pair : *span.mutable_attributes()) pair.mutable_value();
          for (auto& event : *span.mutable_events()) {
            for (auto& pair : *event.mutable_attributes()) pair.mutable_value();
          }
          for (auto& link : *span.mutable_links()) {
            for (auto& pair : *link.mutable_attributes()) pair.mutable_value();
          }
          if (span.status().code() == 0 && span.status().message().empty()) span.clear_status();
        }
      }
    }
    return request;
  }

  // `request` as JSON, written in one of the many ways that the specification allows.
  std::string json(const Request& request) { return object(request); }

 private:
  void fill(Span& span) {
    span.set_trace_id(bytes(16));
    span.set_span_id(bytes(8));
    if (random_.one_in(2)) span.set_parent_span_id(bytes(8));
    if (random_.one_in(3)) span.set_trace_state(text());
    span.set_name(text());
    span.set_kind(static_cast<Span::SpanKind>(random_.below(6)));
    span.set_start_time_unix_nano(random_.next());
    span.set_end_time_unix_nano(random_.next() >> random_.below(64));
    fill_attributes(*span.mutable_attributes(), 0);
    span.set_dropped_attributes_count(u32());
    span.set_dropped_events_count(u32());
    span.set_dropped_links_count(u32());
    span.set_flags(u32());
    for (uint64_t n = random_.below(3); n > 0; --n) {
      auto& event = *span.add_events();
      event.set_time_unix_nano(random_.next());
      event.set_name(text());
      fill_attributes(*event.mutable_attributes(), 0);
      event.set_dropped_attributes_count(u32());
    }
    for (uint64_t n = random_.below(3); n > 0; --n) {
      auto& link = *span.add_links();
      link.set_trace_id(bytes(16));
      link.set_span_id(bytes(8));
      link.set_trace_state(text());
      fill_attributes(*link.mutable_attributes(), 0);
      link.set_dropped_attributes_count(u32());
      link.set_flags(u32());
    }
    if (random_.one_in(2)) {
      span.mutable_status()->set_message(text());
      span.mutable_status()->set_code(
          static_cast<opentelemetry::proto::trace::v1::Status::StatusCode>(random_.below(3)));
    }
  }
  template <typename List>
  void fill_attributes(List& list, int depth) {
    for (uint64_t n = random_.below(4); n > 0; --n) {
      KeyValue& pair = *list.Add();
      pair.set_key(text());
      if (!random_.one_in(8)) fill(*pair.mutable_value(), depth);
    }
  }
  void fill(AnyValue& value, int depth) {
    switch (random_.below(depth < 4 ? 8 : 6)) {
      case 0:
        value.set_string_value(text());
        break;
      case 1:
        value.set_bool_value(random_.one_in(2));
        break;
      case 2:
        value.set_int_value(static_cast<int64_t>(random_.next() >> random_.below(64)));
        break;
      case 3:
        value.set_double_value(real());
        break;
      case 4:
        value.set_bytes_value(bytes(random_.below(40)));
        break;
      case 5:
        break;
      case 6:
        value.mutable_array_value();
        for (uint64_t n = random_.below(4); n > 0; --n) fill(*value.mutable_array_value()->add_values(), depth + 1);
        break;
      default:
        fill_attributes(*value.mutable_kvlist_value()->mutable_values(), depth + 1);
    }
  }
  uint32_t u32() { return random_.one_in(2) ? 0 : static_cast<uint32_t>(random_.next() >> random_.below(64)); }
  double real() {
    switch (random_.below(6)) {
      case 0:
        return std::numeric_limits<double>::infinity();
      case 1:
        return -std::numeric_limits<double>::infinity();
      case 2:
        return std::numeric_limits<double>::quiet_NaN();
      case 3:
        return static_cast<double>(random_.below(1000)) / 8;
      case 4:
        return -0.0;
      default: {
        const double v = std::bit_cast<double>(random_.next());
        return std::isfinite(v) ? v : 0;
      }
    }
  }
  std::string bytes(uint64_t size) {
    std::string result;
    while (result.size() < size) result += static_cast<char>(random_.next());
    return result;
  }
  std::string text() {
    static const std::vector<std::string> kPieces = {
        "a",    "http.method",     "é", "€", "\U0001F600", "\"", "\\", "/", "\n", std::string(1, '\0'),
        "\x7f", "0123456789abcdef"};
    std::string result;
    for (uint64_t n = random_.below(6); n > 0; --n) result += kPieces[random_.below(kPieces.size())];
    if (random_.one_in(20)) result.append(random_.below(400), 'z');
    return result;
  }

  std::string space() {
    return random_.one_in(8) ? std::string(random_.below(3), ' ') + (random_.one_in(2) ? "\n" : "\t") : "";
  }
  std::string quoted(const std::string& text) {
    std::string out = "\"";
    for (size_t i = 0; i < text.size(); ++i) {
      const auto c = static_cast<uint8_t>(text[i]);
      if (c < 0x20 || c == '"' || c == '\\' || (c < 0x80 && random_.one_in(20))) {
        char escape[8];
        std::snprintf(escape, sizeof escape, random_.one_in(2) ? "\\u%04x" : "\\u%04X", c);
        out += escape;
      } else {
        out += text[i];
      }
    }
    return out + "\"";
  }
  std::string hex(const std::string& bytes) {
    std::string out = "\"";
    for (const char c : bytes) {
      char digits[3];
      std::snprintf(digits, sizeof digits, random_.one_in(2) ? "%02x" : "%02X", static_cast<uint8_t>(c));
      out += digits;
    }
    return out + "\"";
  }
  std::string object(const google::protobuf::Message& message) {
    using google::protobuf::FieldDescriptor;
    const auto& reflection = *message.GetReflection();
    std::vector<std::string> members;
    for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
      const FieldDescriptor& field = *message.GetDescriptor()->field(i);
      const std::string name =
          "\"" + std::string(random_.one_in(4) ? field.name() : field.json_name()) + "\"" + space() + ":" + space();
      if (field.is_repeated()) {
        std::string list;
        for (int k = 0; k < reflection.FieldSize(message, &field); ++k)
          list += (k ? "," : "") + space() +
                  (field.type() == FieldDescriptor::TYPE_STRING
                       ? quoted(reflection.GetRepeatedString(message, &field, k))
                       : object(reflection.GetRepeatedMessage(message, &field, k)));
        members.push_back(name + "[" + list + space() + "]");
        continue;
      }
      const bool presence = field.has_presence();
      if (presence && !reflection.HasField(message, &field)) {
        if (random_.one_in(8)) members.push_back(name + "null");
        continue;
      }
      if (!presence && !reflection.HasField(message, &field) && random_.one_in(2)) continue;
      std::string value;
      const auto number = [&](auto v) {
        return random_.one_in(2) ? std::to_string(v) : "\"" + std::to_string(v) + "\"";
      };
      switch (field.type()) {
        case FieldDescriptor::TYPE_STRING:
          value = quoted(reflection.GetString(message, &field));
          break;
        case FieldDescriptor::TYPE_BYTES:
          if (field.name() == "bytes_value") {
            value = "\"";
            append_base64(reflection.GetString(message, &field), value);
            value += "\"";
          } else {
            value = hex(reflection.GetString(message, &field));
          }
          break;
        case FieldDescriptor::TYPE_BOOL:
          value = reflection.GetBool(message, &field) ? "true" : "false";
          break;
        case FieldDescriptor::TYPE_INT64:
          value = number(reflection.GetInt64(message, &field));
          break;
        case FieldDescriptor::TYPE_FIXED64:
          value = number(reflection.GetUInt64(message, &field));
          break;
        case FieldDescriptor::TYPE_UINT32:
        case FieldDescriptor::TYPE_FIXED32:
          value = number(reflection.GetUInt32(message, &field));
          break;
        case FieldDescriptor::TYPE_ENUM: {
          const auto* entry = reflection.GetEnum(message, &field);
          value = random_.one_in(2) ? std::to_string(entry->number()) : "\"" + std::string(entry->name()) + "\"";
          break;
        }
        case FieldDescriptor::TYPE_DOUBLE: {
          const double v = reflection.GetDouble(message, &field);
          char digits[40];
          std::snprintf(digits, sizeof digits, "%.17g", v);
          value = std::isnan(v) ? "\"NaN\"" : std::isinf(v) ? (v > 0 ? "\"Infinity\"" : "\"-Infinity\"") : digits;
          break;
        }
        default:
          value = object(reflection.GetMessage(message, &field));
      }
      members.push_back(name + value);
    }
    if (random_.one_in(4)) members.push_back(R"("futureField":{"a":[1,"]}"]})");
    if (random_.one_in(2)) {
      for (size_t i = members.size(); i > 1; --i) std::swap(members[i - 1], members[random_.below(i)]);
    }
    std::string out = "{";
    for (size_t i = 0; i < members.size(); ++i) out += (i ? "," : "") + space() + members[i];
    return out + space() + "}";
  }

  Generator random_;
};

}  // namespace clew::otlp
