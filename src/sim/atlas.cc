#include "sim/atlas.h"

#include <algorithm>

namespace clew::sim {

namespace {

bool covers(const ItemRange& range, uint64_t item) { return range.first <= item && item <= range.last; }

// Parts of `damaged` outside of `items`.
std::vector<ItemRange> without(const std::vector<ItemRange>& damaged, const ItemRange& items) {
  std::vector<ItemRange> left;
  for (const ItemRange& range : damaged) {
    if (range.last < items.first || items.last < range.first) {
      left.push_back(range);
      continue;
    }
    if (range.first < items.first) left.push_back({range.first, items.first - 1});
    if (items.last < range.last) left.push_back({items.last + 1, range.last});
  }
  return left;
}

}  // namespace

FaultAtlas::FaultAtlas(size_t nodes, size_t keep)
    : nodes_(nodes), keep_(keep == 0 ? nodes / 2 + 1 : keep), max_whole_((nodes - 1) / 2) {}

void FaultAtlas::holds(NodeIndex node, ItemRange items) {
  Node& changed = nodes_[at(node)];
  changed.held = items;
  std::vector<ItemRange> inside;
  for (const ItemRange& range : changed.damaged) {
    const ItemRange cut{std::max(range.first, items.first), std::min(range.last, items.last)};
    if (!cut.empty()) inside.push_back(cut);
  }
  changed.damaged = std::move(inside);
}

size_t FaultAtlas::intact_elsewhere(NodeIndex node, uint64_t item) const {
  size_t copies = 0;
  for (size_t i = 0; i < nodes_.size(); ++i) {
    const Node& other = nodes_[i];
    if (i == at(node) || other.whole || !covers(other.held, item)) continue;
    copies += std::none_of(other.damaged.begin(), other.damaged.end(),
                           [&](const ItemRange& range) { return covers(range, item); });
  }
  return copies;
}

size_t FaultAtlas::intact_copies(uint64_t item) const {
  return intact_elsewhere(NodeIndex{static_cast<uint32_t>(nodes_.size())}, item);
}

bool FaultAtlas::can_lose(NodeIndex node, ItemRange items) const {
  const ItemRange& held = nodes_[at(node)].held;
  items = {std::max(items.first, held.first), std::min(items.last, held.last)};
  if (items.empty()) return true;  // it has none of them
  // The number of copies changes only where a range begins or behind where one ends.
  std::vector<uint64_t> places{items.first};
  const auto add = [&](uint64_t place) {
    if (covers(items, place)) places.push_back(place);
  };
  for (const Node& other : nodes_) {
    add(other.held.first);
    add(other.held.last + 1);
    for (const ItemRange& range : other.damaged) {
      add(range.first);
      add(range.last + 1);
    }
  }
  return std::all_of(places.begin(), places.end(),
                     [&](uint64_t place) { return intact_elsewhere(node, place) >= keep_; });
}

// Whether `node` would be one damaged node more than the group can bear.
bool FaultAtlas::too_many(NodeIndex node) const {
  if (!bound_damaged_ || damaged_partly(node)) return false;
  const auto damaged = std::count_if(nodes_.begin(), nodes_.end(), [](const Node& n) { return !n.intact(); });
  return static_cast<size_t>(damaged) >= max_whole_;
}

bool FaultAtlas::take(NodeIndex node, const Scope& scope) {
  Node& victim = nodes_[at(node)];
  bool allowed = true;
  if (scope.kind == Scope::Kind::kItems && !victim.whole) {
    allowed = can_lose(node, {scope.items.first, std::min(scope.items.last, scope.owed_to)}) && !too_many(node);
    if (allowed) {
      victim.forgot |= scope.items.last > scope.owed_to;
      std::vector<ItemRange> damaged = without(victim.damaged, scope.items);
      const ItemRange lost{std::max(scope.items.first, victim.held.first),
                           std::min(scope.items.last, victim.held.last)};
      if (!lost.empty()) damaged.push_back(lost);
      std::sort(damaged.begin(), damaged.end(),
                [](const ItemRange& a, const ItemRange& b) { return a.first < b.first; });
      victim.damaged = std::move(damaged);
    }
  } else if (scope.kind == Scope::Kind::kNode && !victim.whole) {
    // The others must be able to go on without it: a quorum of whole nodes is left, and every item that it holds.
    allowed = damaged_nodes() < max_whole_ && can_lose(node, victim.held) && !too_many(node);
    if (allowed) victim.whole = true;
  }
  ++(allowed ? taken_ : refused_);
  return allowed;
}

void FaultAtlas::repaired(NodeIndex node, ItemRange items) {
  Node& mended = nodes_[at(node)];
  mended.damaged = without(mended.damaged, items);
  if (items.first <= 1 && items.last == UINT64_MAX) mended.forgot = false;
}

void FaultAtlas::restored(NodeIndex node) {
  Node& mended = nodes_[at(node)];
  mended.whole = mended.forgot = false;
  mended.damaged.clear();
}

bool FaultAtlas::damaged(NodeIndex node) const { return nodes_[at(node)].whole; }

bool FaultAtlas::damaged_partly(NodeIndex node) const { return !nodes_[at(node)].intact(); }

size_t FaultAtlas::damaged_nodes() const {
  return static_cast<size_t>(std::count_if(nodes_.begin(), nodes_.end(), [](const Node& node) { return node.whole; }));
}

}  // namespace clew::sim
