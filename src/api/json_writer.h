// JsonWriter: appends a JSON document to a string, commas included. Deterministic: members stand in the order of the
// calls. The caller balances open and close; no checks in between. Numbers that JSON cannot carry (NaN, infinities)
// become strings.
#pragma once

#include <charconv>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>

#include "otlp/encode.h"

namespace clew::api {

class JsonWriter {
 public:
  explicit JsonWriter(std::string& out) : out_(out) {}

  JsonWriter& open_object() { return open('{'); }
  JsonWriter& close_object() { return close('}'); }
  JsonWriter& open_array() { return open('['); }
  JsonWriter& close_array() { return close(']'); }
  JsonWriter& key(std::string_view name) {
    separate();
    otlp::append_json_string(name, out_);
    out_.push_back(':');
    first_ = true;  // no comma before the value
    return *this;
  }
  JsonWriter& text(std::string_view value) {
    separate();
    otlp::append_json_string(value, out_);
    return *this;
  }
  JsonWriter& number(int64_t value) { return raw(std::to_string(value)); }
  JsonWriter& unsigned_number(uint64_t value) { return raw(std::to_string(value)); }
  JsonWriter& real(double value) {
    if (std::isnan(value)) return text("NaN");
    if (std::isinf(value)) return text(value > 0 ? "Infinity" : "-Infinity");
    char buffer[32];
    return raw({buffer, std::to_chars(buffer, buffer + sizeof(buffer), value).ptr});
  }
  JsonWriter& boolean(bool value) { return raw(value ? "true" : "false"); }
  JsonWriter& null() { return raw("null"); }
  // 64-bit numbers as strings, for readers whose numbers are doubles.
  JsonWriter& quoted(int64_t value) { return raw('"' + std::to_string(value) + '"'); }
  JsonWriter& quoted_unsigned(uint64_t value) { return raw('"' + std::to_string(value) + '"'); }
  // A JSON value that is already written.
  JsonWriter& raw(std::string_view value) {
    separate();
    out_ += value;
    return *this;
  }

 private:
  JsonWriter& open(char bracket) {
    separate();
    out_.push_back(bracket);
    first_ = true;
    return *this;
  }
  JsonWriter& close(char bracket) {
    out_.push_back(bracket);
    first_ = false;
    return *this;
  }
  void separate() {
    if (!first_) out_.push_back(',');
    first_ = false;
  }
  std::string& out_;
  bool first_ = true;
};

}  // namespace clew::api
