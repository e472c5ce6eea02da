#include "api/text.h"

namespace clew::api {
namespace {

bool weight_is_zero(std::string_view parameters) {
  const size_t q = parameters.find("q=");
  if (q == std::string_view::npos) return false;
  const std::string_view value = trim(parameters.substr(q + 2));
  return !value.empty() && value.find_first_not_of("0.") == std::string_view::npos;
}

}  // namespace

bool accepts_coding(std::string_view accept_encoding, std::string_view coding) {
  bool any = false;
  std::string_view member;
  while (next_list_member(accept_encoding, member)) {
    const size_t semicolon = member.find(';');
    const std::string_view name = trim(member.substr(0, semicolon));
    const bool wanted = semicolon == std::string_view::npos || !weight_is_zero(member.substr(semicolon + 1));
    if (equals_ignoring_case(name, coding) || (coding == "gzip" && equals_ignoring_case(name, "x-gzip"))) return wanted;
    if (name == "*") any = wanted;
  }
  return any;
}

}  // namespace clew::api
