#include "consensus/read_gate.h"

#include <utility>

namespace clew::consensus {

bool ReadGate::add(Waiting read) {
  if (waiting_.size() >= max_waiting_) return false;
  waiting_.push_back({read, 0});
  return true;
}

uint64_t ReadGate::start_round() {
  // Reads without a round stand at the back.
  if (waiting_.empty() || waiting_.back().round != 0) return 0;
  round_++;
  for (auto item = waiting_.rbegin(); item != waiting_.rend() && item->round == 0; ++item) item->round = round_;
  return round_;
}

std::vector<ReadGate::Waiting> ReadGate::confirmed(uint64_t round) {
  std::vector<Waiting> ready;
  while (!waiting_.empty() && waiting_.front().round != 0 && waiting_.front().round <= round) {
    ready.push_back(waiting_.front().read);
    waiting_.pop_front();
  }
  return ready;
}

std::vector<ReadGate::Waiting> ReadGate::clear() {
  std::vector<Waiting> all;
  for (const Item& item : waiting_) all.push_back(item.read);
  waiting_.clear();
  return all;
}

}  // namespace clew::consensus
