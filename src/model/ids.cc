#include "model/ids.h"

#include "base/check.h"
#include "base/hex.h"

namespace clew::model {
namespace {

bool parse_word(std::string_view hex, uint64_t& out) {
  out = 0;
  for (char c : hex) {
    const int digit = hex_value(c);
    if (digit < 0) return false;
    out = out << 4 | static_cast<uint64_t>(digit);
  }
  return true;
}

}  // namespace

std::optional<TraceId> TraceId::parse(std::string_view hex) {
  if (hex.empty() || hex.size() > 32) return std::nullopt;
  const size_t low_digits = hex.size() < 16 ? hex.size() : 16;
  const size_t split = hex.size() - low_digits;
  TraceId id;
  if (!parse_word(hex.substr(0, split), id.hi) || !parse_word(hex.substr(split), id.lo)) return std::nullopt;
  return id;
}

std::string TraceId::hex() const {
  std::string out;
  out.reserve(32);
  append_hex(hi, 16, out);
  append_hex(lo, 16, out);
  return out;
}

std::optional<SpanId> SpanId::parse(std::string_view hex) {
  SpanId id;
  if (hex.empty() || hex.size() > 16 || !parse_word(hex, id.value)) return std::nullopt;
  return id;
}

std::string SpanId::hex() const {
  std::string out;
  out.reserve(16);
  append_hex(value, 16, out);
  return out;
}

bool tenant_name_valid(std::string_view name) {
  if (name.empty() || name.size() > 128) return false;
  for (char c : name) {
    const bool alphanumeric = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (!alphanumeric && c != '_' && c != '.' && c != ':' && c != '@' && c != '-') return false;
  }
  return true;
}

TenantId tenant_id(std::string_view name) { return {stable_hash64(name)}; }

std::string hex_of(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (char c : bytes) append_hex(static_cast<uint8_t>(c), 2, out);
  return out;
}

bool bytes_of_hex(std::string_view hex, char* out) {
  CHECK(hex.size() % 2 == 0);
  for (size_t i = 0; i < hex.size(); i += 2) {
    const int high = hex_value(hex[i]), low = hex_value(hex[i + 1]);
    if (high < 0 || low < 0) return false;
    *out++ = static_cast<char>(high << 4 | low);
  }
  return true;
}

}  // namespace clew::model
