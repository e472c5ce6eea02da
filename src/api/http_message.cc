#include "api/http_message.h"

#include <algorithm>
#include <cstdlib>

#include "base/hex.h"

namespace clew::api {
namespace {

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    return lower(x) == lower(y);
  });
}

}  // namespace

std::string url_decode(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex_value(text[i + 1]) >= 0 && hex_value(text[i + 2]) >= 0) {
      out.push_back(static_cast<char>(hex_value(text[i + 1]) * 16 + hex_value(text[i + 2])));
      i += 2;
    } else if (text[i] == '+' && plus_is_space) {
      out.push_back(' ');
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

QueryParams::QueryParams(std::string_view raw_query) {
  while (!raw_query.empty()) {
    const size_t end = std::min(raw_query.find('&'), raw_query.size());
    const std::string_view part = raw_query.substr(0, end);
    raw_query.remove_prefix(std::min(end + 1, raw_query.size()));
    if (part.empty()) continue;
    const size_t equals = part.find('=');
    if (equals == std::string_view::npos) {
      entries_.push_back({url_decode(part, true), {}});
    } else {
      entries_.push_back({url_decode(part.substr(0, equals), true), part.substr(equals + 1)});
    }
  }
}

std::optional<std::string> QueryParams::get(std::string_view name) const {
  const auto raw = get_raw(name);
  if (!raw) return std::nullopt;
  return url_decode(*raw, true);
}

std::optional<std::string_view> QueryParams::get_raw(std::string_view name) const {
  for (const Entry& entry : entries_) {
    if (entry.name == name) return entry.raw;
  }
  return std::nullopt;
}

std::vector<std::string> QueryParams::all(std::string_view name) const {
  std::vector<std::string> values;
  for (const Entry& entry : entries_) {
    if (entry.name == name) values.push_back(url_decode(entry.raw, true));
  }
  return values;
}

void HttpRequest::set_target(std::string_view target) {
  target = target.substr(0, target.find('#'));
  target_ = std::make_unique<std::string>(target);
  std::string_view rest = *target_;
  if (const size_t scheme = rest.find("://"); !rest.starts_with('/') && scheme != std::string_view::npos) {
    const size_t slash = rest.find('/', scheme + 3);
    rest = slash == std::string_view::npos ? std::string_view("/") : rest.substr(slash);
  }
  const size_t question = rest.find('?');
  path_ = rest.substr(0, question);
  query_ = question == std::string_view::npos ? std::string_view() : rest.substr(question + 1);
  params_ = QueryParams(query_);
}

std::string_view HttpRequest::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return {};
}

std::string_view HttpRequest::segment(std::string_view name) const {
  for (const auto& [key, value] : segments) {
    if (key == name) return value;
  }
  return {};
}

std::string_view http_reason(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 206:
      return "Partial Content";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 411:
      return "Length Required";
    case 413:
      return "Payload Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    default:
      return "Status";
  }
}

bool accept_prefers(std::string_view accept, std::string_view candidate, std::string_view other) {
  double best_candidate = -1, best_other = -1;
  size_t order = 0, order_candidate = 0, order_other = 0;
  while (!accept.empty()) {
    const size_t end = std::min(accept.find(','), accept.size());
    const std::string_view item = accept.substr(0, end);
    accept.remove_prefix(std::min(end + 1, accept.size()));
    const std::string_view type = trim(item.substr(0, item.find(';')));
    double q = 1;
    if (const size_t at = item.find("q="); at != std::string_view::npos) {
      q = std::strtod(std::string(item.substr(at + 2)).c_str(), nullptr);
    }
    ++order;
    if (equals_ignoring_case(type, candidate) && q > best_candidate) best_candidate = q, order_candidate = order;
    if ((equals_ignoring_case(type, other) || type == "*/*") && q > best_other) best_other = q, order_other = order;
  }
  if (best_candidate <= 0) return false;
  if (best_candidate != best_other) return best_candidate > best_other;
  return order_candidate < order_other;
}

}  // namespace clew::api
