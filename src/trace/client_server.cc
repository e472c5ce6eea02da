#include "trace/client_server.h"

#include <algorithm>

#include "base/hash.h"

namespace clew::trace {

DecayedPeerHistory::DecayedPeerHistory(PeerHistoryOptions options) : options_(options) {
  uint64_t sets = 1;
  while (sets * kWays < options.entries) sets *= 2;
  mask_ = sets - 1;
  entries_.resize(sets * kWays);
}

uint64_t DecayedPeerHistory::key_of(std::string_view service, std::string_view span_name) const {
  const uint64_t key = seeded_hash(span_name, seeded_hash(service, options_.seed));
  return key == 0 ? 1 : key;
}

void DecayedPeerHistory::learn(std::string_view service, std::string_view span_name, bool had_server_child) {
  const uint64_t key = key_of(service, span_name);
  Entry* const set = entries_.data() + set_of(key);
  Entry* entry = nullptr;
  for (size_t i = 0; i < kWays && entry == nullptr; ++i) {
    if (set[i].key == key || set[i].key == 0) entry = &set[i];
  }
  if (entry == nullptr) {
    const auto weight = [](const Entry& e) { return e.with + e.without; };
    entry = std::min_element(set, set + kWays, [&](const Entry& x, const Entry& y) { return weight(x) < weight(y); });
    if (weight(*entry) > 1) {
      entry->with /= 2;
      entry->without /= 2;
      return;
    }
    *entry = {};
  }
  entry->key = key;
  ++(had_server_child ? entry->with : entry->without);
  if (entry->with + entry->without >= options_.window) {
    entry->with /= 2;
    entry->without /= 2;
  }
}

bool DecayedPeerHistory::expects_server_child(std::string_view service, std::string_view span_name) const {
  const uint64_t key = key_of(service, span_name);
  const Entry* const set = entries_.data() + set_of(key);
  for (size_t i = 0; i < kWays; ++i) {
    if (set[i].key != key) continue;
    const uint64_t seen = uint64_t{set[i].with} + set[i].without;
    return seen >= options_.min_seen && uint64_t{set[i].without} * options_.tolerated <= seen;
  }
  return false;
}

}  // namespace clew::trace
