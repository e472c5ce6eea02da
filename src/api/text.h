// Small helpers for header values: ASCII case, trimming, media types, lists. Pure; any thread.
#pragma once

#include <cstdint>
#include <string_view>

namespace clew::api {

inline char ascii_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

inline bool equals_ignoring_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (ascii_lower(a[i]) != ascii_lower(b[i])) return false;
  }
  return true;
}

inline std::string_view trim(std::string_view text) {  // spaces and tabs
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// "application/json; charset=utf-8" → "application/json" (case as it came).
inline std::string_view media_type(std::string_view header) { return trim(header.substr(0, header.find(';'))); }

// Takes the next member off a comma-separated list, trimmed; false at the end.
inline bool next_list_member(std::string_view& list, std::string_view& member) {
  if (list.empty()) return false;
  const size_t comma = list.find(',');
  member = trim(list.substr(0, comma));
  list = comma == std::string_view::npos ? std::string_view() : list.substr(comma + 1);
  return true;
}

// Whether an Accept-Encoding value accepts a coding ("gzip", "br"): named, or by *, and not with q=0 (RFC 9110
// §12.5.3). "x-gzip" names gzip.
bool accepts_coding(std::string_view accept_encoding, std::string_view coding);
inline bool accepts_gzip(std::string_view accept_encoding) { return accepts_coding(accept_encoding, "gzip"); }

}  // namespace clew::api
