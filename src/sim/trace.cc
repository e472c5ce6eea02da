#include "sim/trace.h"

namespace clew::sim {

std::string name(NodeIndex node) { return node == kNoNode ? "world" : "n" + std::to_string(at(node)); }

std::string names(NodeMask set) {
  std::string text = "{";
  for (size_t i = 0; i < kMaxNodes; ++i) {
    if ((set >> i & 1) == 0) continue;
    if (text.size() > 1) text += ',';
    text += std::to_string(i);
  }
  return text + '}';
}

}  // namespace clew::sim
