// Session: one client's line of work over a Service. Its commands take effect exactly once each, however often they
// had to be sent and whichever leader answered; its sequential reads never go backwards, on whatever node.
//
//   control::Session session(*client);
//   session.execute(kv::Space::kUser, kv::AppendRequest{"log", "one line\n"}, {}, [](auto result) { ... });
//
// Commands are numbered here and remembered by the group until their answers came (consensus/session_table.h). The
// session is opened with the first command, and again when the group has forgotten it (idle for an hour, or too many
// sessions): the commands under way then end with CallError::session_ended, and may or may not have taken effect. An
// error with `uncertain` is about one command only, and the others go on.
//
// When not to use it: for single requests that may be repeated anyway (a put of a fixed value, a compare-and-set by
// revision): the session costs an entry in the log.
//
// On the service's loop only. The service outlives it; answers that come after its end are delivered all the same.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "control/service.h"

namespace clew::control {

// What a client has seen: hand it to another program, or keep it in a file, and sequential reads there go on from it.
struct SessionToken {
  uint64_t cluster = 0;
  consensus::Position position = 0;
  std::string to_string() const;  // "clew:5d2f…:1042"
  static std::optional<SessionToken> parse(std::string_view text);
};

class Session {
 public:
  explicit Session(Commands& service, consensus::Position seen = 0);
  ~Session();  // tells the group to forget it
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Of the options `consistency`, `timeout_ns` and `forward` count; the rest is filled in. At most 1,024 commands are
  // under way, others wait their turn; their timeouts begin with it.
  void execute(kv::Space space, kv::Request request, CallOptions options, Done<CallReply> done);

  consensus::Position position() const;  // the newest state that an answer came from

 private:
  struct State;
  std::shared_ptr<State> state_;  // shared with the answers under way
};

}  // namespace clew::control
