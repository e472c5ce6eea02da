// DamageWatch: whoever runs a node is told when damage took a part of its member's log, what becomes of that, and while
// it lasts. Nothing else says so to people: the protocol fetches what it can and goes on.
//
// An observer in front of another one; on the replica's loop. `tell` gets a line of the log, key=value.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "consensus/replica.h"

namespace clew::app {

class DamageWatch final : public consensus::Observer {
 public:
  enum class Level : uint8_t { kInfo, kWarning };
  using Tell = std::function<void(Level, const std::string&)>;
  DamageWatch(consensus::Observer& next, bool byzantine, Tell tell)
      : next_(next), byzantine_(byzantine), tell_(std::move(tell)) {}

  // Now and then: says once more what lasts, and that it is over where no fact said so.
  void look(const consensus::Report& report, consensus::Time now);

  void on_fact(const consensus::Fact& fact) override;
  void on_applied(consensus::Position at, const consensus::Entry& entry, std::string_view result) override {
    next_.on_applied(at, entry, result);
  }
  void on_record(consensus::LogSeq seq, std::string_view record) override { next_.on_record(seq, record); }
  void on_send(consensus::NodeId to, std::string_view frame) override { next_.on_send(to, frame); }

 private:
  void whole();

  consensus::Observer& next_;
  const bool byzantine_;
  const Tell tell_;
  struct Open {
    consensus::Position first = 0;
    consensus::Time since = 0;
    consensus::Time told = 0;
  };
  std::optional<Open> open_;
};

}  // namespace clew::app
