#include "consensus/in_flight.h"

#include "base/check.h"

namespace clew::consensus {

void InFlightWindow::sent(Position last, uint64_t bytes) {
  CHECK(!full());
  sent_.push_back({last, bytes});
  bytes_ += bytes;
}

void InFlightWindow::acknowledged(Position position) {
  while (!sent_.empty() && sent_.front().last <= position) {
    bytes_ -= sent_.front().bytes;
    sent_.pop_front();
  }
}

void InFlightWindow::clear() {
  sent_.clear();
  bytes_ = 0;
}

}  // namespace clew::consensus
