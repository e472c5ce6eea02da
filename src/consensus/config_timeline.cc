#include "consensus/config_timeline.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace clew::consensus {

void ConfigTimeline::reset(Position position, Membership base) {
  items_.clear();
  items_.push_back({position, std::move(base)});
}

void ConfigTimeline::append(Position position, Membership membership) {
  CHECK(position > items_.back().position);
  items_.push_back({position, std::move(membership)});
}

bool ConfigTimeline::truncate(Position from) {
  bool changed = false;
  while (items_.size() > 1 && items_.back().position >= from) {
    items_.pop_back();
    changed = true;
  }
  return changed;
}

void ConfigTimeline::compact(Position position) {
  auto first_after = std::upper_bound(items_.begin() + 1, items_.end(), position,
                                      [](Position p, const Item& item) { return p < item.position; });
  items_.erase(items_.begin(), first_after - 1);
}

const ConfigTimeline::Item& ConfigTimeline::at(Position position) const {
  auto first_after = std::upper_bound(items_.begin() + 1, items_.end(), position,
                                      [](Position p, const Item& item) { return p < item.position; });
  return *(first_after - 1);
}

}  // namespace clew::consensus
