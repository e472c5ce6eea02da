#include "otlp/base64.h"

#include <array>
#include <cstdint>

namespace clew::otlp {
namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr uint8_t kBad = 0xff;

constexpr std::array<uint8_t, 256> make_table() {
  std::array<uint8_t, 256> table{};
  for (uint8_t& entry : table) entry = kBad;
  for (size_t i = 0; i < kAlphabet.size(); ++i) table[static_cast<uint8_t>(kAlphabet[i])] = static_cast<uint8_t>(i);
  table['-'] = 62;
  table['_'] = 63;
  return table;
}
constexpr std::array<uint8_t, 256> kTable = make_table();

}  // namespace

void append_base64(std::string_view bytes, std::string& out) {
  const auto at = [&](size_t i) { return static_cast<uint32_t>(static_cast<uint8_t>(bytes[i])); };
  out.reserve(out.size() + (bytes.size() + 2) / 3 * 4);
  size_t i = 0;
  for (; i + 3 <= bytes.size(); i += 3) {
    const uint32_t group = at(i) << 16 | at(i + 1) << 8 | at(i + 2);
    out += kAlphabet[group >> 18];
    out += kAlphabet[group >> 12 & 63];
    out += kAlphabet[group >> 6 & 63];
    out += kAlphabet[group & 63];
  }
  const size_t left = bytes.size() - i;
  if (left == 0) return;
  const uint32_t group = at(i) << 16 | (left == 2 ? at(i + 1) << 8 : 0);
  out += kAlphabet[group >> 18];
  out += kAlphabet[group >> 12 & 63];
  out += left == 2 ? kAlphabet[group >> 6 & 63] : '=';
  out += '=';
}

ptrdiff_t decode_base64(std::string_view text, char* out) {
  size_t size = text.size();
  if (size % 4 == 0) {
    for (int i = 0; i < 2 && size > 0 && text[size - 1] == '='; ++i) --size;
  }
  if (size % 4 == 1) return -1;
  const char* const start = out;
  const auto value = [&](size_t i) { return static_cast<uint32_t>(kTable[static_cast<uint8_t>(text[i])]); };
  size_t i = 0;
  for (; i + 4 <= size; i += 4) {
    const uint32_t a = value(i), b = value(i + 1), c = value(i + 2), d = value(i + 3);
    if ((a | b | c | d) > 63) return -1;
    const uint32_t group = a << 18 | b << 12 | c << 6 | d;
    *out++ = static_cast<char>(group >> 16);
    *out++ = static_cast<char>(group >> 8);
    *out++ = static_cast<char>(group);
  }
  const size_t left = size - i;
  if (left == 0) return out - start;
  const uint32_t a = value(i), b = value(i + 1), c = left == 3 ? value(i + 2) : 0;
  if ((a | b | c) > 63) return -1;
  const uint32_t group = a << 18 | b << 12 | c << 6;
  if ((group & (left == 3 ? 0xffu : 0xffffu)) != 0) return -1;
  *out++ = static_cast<char>(group >> 16);
  if (left == 3) *out++ = static_cast<char>(group >> 8);
  return out - start;
}

}  // namespace clew::otlp
