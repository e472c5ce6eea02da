// What each item of a plan does to a world, and how it ends.
#include <algorithm>
#include <bit>
#include <limits>
#include <string>

#include "base/check.h"
#include "sim/file_image.h"
#include "sim/world.h"

namespace clew::sim {

// The leader takes the place of the machine that was drawn, which stands alone on its side if there is such a one.
Item World::aimed(const Item& item) {
  const auto leader = scenario_.aim(*this);
  if (!leader) return item;
  const auto alone = [](NodeMask mask) { return std::has_single_bit(mask); };
  const NodeMask drawn = alone(item.from) ? item.from : alone(item.to) ? item.to : mask_of(item.node);
  const auto exchanged = [&](NodeMask mask) {
    const NodeMask both = drawn | mask_of(*leader);
    return (mask & both) == 0 || (mask & both) == both ? mask : mask ^ both;
  };
  Item aimed = item;
  aimed.node = *leader;
  aimed.from = exchanged(item.from);
  aimed.to = exchanged(item.to);
  return aimed;
}

bool World::begin(const Item& item) {
  Node& node = *machines_[at(item.node)];
  Weather& weather = links_.weather();
  switch (item.kind) {
    case FaultKind::kLoss:
      weather.loss_ppm = static_cast<uint32_t>(item.amount);
      return true;
    case FaultKind::kDuplicates:
      weather.duplicate_ppm = static_cast<uint32_t>(item.amount);
      return true;
    case FaultKind::kDamage:
      weather.corrupt_ppm = static_cast<uint32_t>(item.amount);
      return true;
    case FaultKind::kStragglers:
      weather.straggler_ppm = static_cast<uint32_t>(item.amount);
      weather.straggler_ns = item.extra;
      return true;
    case FaultKind::kDelay:
      weather.delay_min_ns = item.amount;
      weather.delay_spread_ns = item.extra;
      return true;
    case FaultKind::kDrift:
      node.clock.set_drift_ppm(item.amount);
      return true;
    case FaultKind::kSkew:
      node.clock.set_wall_offset(node.clock.wall_offset() + item.amount);
      return true;
    case FaultKind::kWallJump:
      node.clock.set_wall_offset(node.clock.wall_offset() + item.amount);
      return true;
    case FaultKind::kPause:
      if (!up(item.node)) return false;
      pause(item.node);
      return true;
    case FaultKind::kKill:
      if (!up(item.node)) return false;
      kill(item.node);
      return true;
    case FaultKind::kPowerCut:
      if (!up(item.node)) return false;
      power_cut(item.node, item.seed);
      return true;
    case FaultKind::kPowerCutInIo:
      if (!up(item.node)) return false;
      node.restart_in_ns = item.duration_ns;
      node.cut_seed = item.seed;
      node.disk.crash_at_io(node.disk.io_count() + static_cast<uint64_t>(item.amount));
      return true;
    case FaultKind::kWipe:
      if (!up(item.node) || !atlas_.take(item.node, {})) return false;
      power_cut(item.node, item.seed);
      wipe(item.node);
      return true;
    case FaultKind::kPartition:
    case FaultKind::kOneWay:
    case FaultKind::kClog:
    case FaultKind::kSlowLink:
    case FaultKind::kBreakLinks:
      begin_network(item);
      return true;
    case FaultKind::kSlowDisk:
    case FaultKind::kFullDisk:
    case FaultKind::kWriteError:
    case FaultKind::kSyncError:
    case FaultKind::kReadError:
    case FaultKind::kBitRot:
    case FaultKind::kMisdirected:
      return begin_disk(item);
    case FaultKind::kOperation:
      break;
  }
  CHECK(false);
}

void World::begin_network(const Item& item) {
  switch (item.kind) {
    case FaultKind::kPartition:
      links_.cut(item.to, item.from);
      [[fallthrough]];
    case FaultKind::kOneWay:
      links_.cut(item.from, item.to);
      break;
    case FaultKind::kClog:
      links_.clog(item.from, item.to);
      links_.clog(item.to, item.from);
      break;
    case FaultKind::kSlowLink:
      links_.slow(item.from, item.to, item.amount);
      if (item.extra == 0) links_.slow(item.to, item.from, item.amount);
      break;
    default:
      for (uint32_t a = 0; a < plan_.nodes; ++a) {
        for (uint32_t b = 0; b < plan_.nodes; ++b) {
          if (a == b || !contains(item.from, NodeIndex{a}) || !contains(item.to, NodeIndex{b})) continue;
          mesh_.reset(NodeIndex{a}, NodeIndex{b});
          network_.break_streams(NodeIndex{a}, NodeIndex{b});
        }
      }
  }
}

bool World::begin_disk(const Item& item) {
  Node& node = *machines_[at(item.node)];
  const auto nth = static_cast<uint64_t>(item.amount);
  switch (item.kind) {
    case FaultKind::kSlowDisk:
      ++node.slowed;
      node.disk.set_latency(kDiskLatencyNs, item.amount);
      return true;
    case FaultKind::kFullDisk:
      ++node.filled;
      node.disk.set_capacity(node.disk.used_bytes());
      return true;
    case FaultKind::kWriteError:
      node.disk.fail_write(nth);
      return true;
    case FaultKind::kSyncError:
      node.disk.fail_sync(nth, item.extra != 0);
      return true;
    case FaultKind::kMisdirected:
      // Where it will land is not known yet: the node counts as lost.
      if (!atlas_.take(item.node, {})) return false;
      node.disk.misdirect_write(nth, static_cast<int64_t>((1 + item.seed % 16) * kPageBytes));
      return true;
    default:
      return damage(item);
  }
}

// Of a region of one file, chosen by the item's seed among what is there now. Half of them strike a file, whatever its
// size; the others a byte, so that long logs are damaged in their middle and not at their ends.
bool World::damage(const Item& item) {
  Generator random(item.seed);
  std::vector<SimDisk::FileInfo> files = disk(item.node).files();
  std::erase_if(files, [](const SimDisk::FileInfo& file) { return file.written == 0; });
  if (files.empty()) return false;
  size_t chosen = random.below(files.size());
  if (random.one_in(2)) {
    uint64_t byte = 0;
    for (const SimDisk::FileInfo& file : files) byte += file.written;
    byte = random.below(byte);
    for (chosen = 0; byte >= files[chosen].written; ++chosen) byte -= files[chosen].written;
  }
  const SimDisk::FileInfo& file = files[chosen];
  const uint64_t offset = random.below(file.written);
  const uint64_t size = std::min<uint64_t>(static_cast<uint64_t>(item.amount), file.written - offset);
  const bool passes = item.kind == FaultKind::kReadError && item.extra != 0;
  if (!passes) {
    // What it costs only a living process can tell; damage shows at its next start anyway.
    const Process* process = this->process(item.node);
    if (process == nullptr) return false;
    if (!atlas_.take(item.node, process->scope_of(file.path, offset, size))) {
      if (journal_.on()) journal_.say(item.node, "is spared: too few other copies are intact");
      return false;
    }
  }
  if (journal_.on()) {
    journal_.say(item.node,
                 "damage in " + file.path + " at " + std::to_string(offset) + ", " + std::to_string(size) + " bytes");
  }
  if (item.kind == FaultKind::kBitRot) {
    for (uint64_t bytes = std::min<uint64_t>(size, 1 + random.below(8)); bytes > 0; --bytes) {
      disk(item.node).flip(file.path, offset + random.below(size), static_cast<uint8_t>(1 + random.below(255)));
    }
  } else if (passes) {
    disk(item.node).fail_reads(file.path, offset, size, static_cast<uint64_t>(item.extra));
  } else {
    disk(item.node).damage(file.path, offset, size);
  }
  return true;
}

void World::end(const Item& item, uint64_t life) {
  Node& node = *machines_[at(item.node)];
  switch (item.kind) {
    case FaultKind::kPause:
      if (node.life == life) resume(item.node);
      break;
    case FaultKind::kKill:
    case FaultKind::kPowerCut:
    case FaultKind::kWipe:
      start(item.node);
      break;
    case FaultKind::kPowerCutInIo:
      node.disk.crash_at_io(0);
      break;
    case FaultKind::kPartition:
      links_.mend(item.to, item.from);
      [[fallthrough]];
    case FaultKind::kOneWay:
      links_.mend(item.from, item.to);
      break;
    case FaultKind::kClog:
      links_.release(item.from, item.to);
      links_.release(item.to, item.from);
      break;
    case FaultKind::kSlowLink:
      links_.slow(item.from, item.to, -item.amount);
      if (item.extra == 0) links_.slow(item.to, item.from, -item.amount);
      break;
    case FaultKind::kSlowDisk:
      if (--node.slowed == 0) node.disk.set_latency(kDiskLatencyNs, kDiskJitterNs);
      break;
    case FaultKind::kFullDisk:
      if (--node.filled == 0) node.disk.set_capacity(std::numeric_limits<uint64_t>::max());
      break;
    default:
      break;  // those happen once
  }
}

void World::heal() {
  healing_ = true;
  if (journal_.on()) journal_.say(kNoNode, "all faults end");
  links_.weather() = Weather{.fifo = links_.weather().fifo};
  links_.heal();
  for (uint32_t i = 0; i < machines_.size(); ++i) {
    const NodeIndex index{i};
    Node& node = *machines_[i];
    node.clock.set_drift_ppm(0);
    node.clock.set_wall_offset(0);
    node.disk.end_faults();
    node.disk.set_latency(kDiskLatencyNs, kDiskJitterNs);
    if (node.pauses != 0) {
      node.pauses = 1;
      resume(index);
    }
    start(index);
  }
}

}  // namespace clew::sim
