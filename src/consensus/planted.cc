#include "consensus/planted.h"

namespace clew::consensus {

#ifdef CLEW_MUTANTS
namespace {
Bug chosen = Bug::kNone;
}
bool planted(Bug bug) { return bug == chosen; }
void plant(Bug bug) { chosen = bug; }
#endif

const std::vector<BugInfo>& all_bugs() {
  static const std::vector<BugInfo> bugs = [] {
    std::vector<BugInfo> all = {
#define CLEW_BUG_INFO(id, name, scenario, text) BugInfo{Bug::id, name, scenario, text},
        CLEW_BUGS(CLEW_BUG_INFO)
#undef CLEW_BUG_INFO
    };
    all.erase(all.begin());
    return all;
  }();
  return bugs;
}

std::optional<Bug> bug_named(std::string_view name) {
  if (name == "none") return Bug::kNone;
  for (const BugInfo& info : all_bugs()) {
    if (info.name == name) return info.bug;
  }
  return std::nullopt;
}

}  // namespace clew::consensus
