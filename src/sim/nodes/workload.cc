#include "sim/nodes/workload.h"

namespace clew::sim::nodes {

std::vector<std::string> elements(std::string_view list) {
  std::vector<std::string> all;
  while (!list.empty()) {
    const size_t end = list.find(';');
    all.emplace_back(list.substr(0, end));
    list.remove_prefix(end == std::string_view::npos ? list.size() : end + 1);
  }
  return all;
}

}  // namespace clew::sim::nodes
