#include "control/session.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <utility>

namespace clew::control {
namespace {

// Far below what the group keeps of one session (SessionLimits::max_kept_results).
constexpr size_t kWindow = 1'024;

}  // namespace

std::string SessionToken::to_string() const {
  char text[64];
  std::snprintf(text, sizeof text, "clew:%016llx:%llu", static_cast<unsigned long long>(cluster),
                static_cast<unsigned long long>(position));
  return text;
}

std::optional<SessionToken> SessionToken::parse(std::string_view text) {
  constexpr std::string_view kPrefix = "clew:";
  if (!text.starts_with(kPrefix)) return std::nullopt;
  text.remove_prefix(kPrefix.size());
  SessionToken token;
  const char* const end = text.data() + text.size();
  const auto cluster = std::from_chars(text.data(), end, token.cluster, 16);
  if (cluster.ec != std::errc() || cluster.ptr == end || *cluster.ptr != ':') return std::nullopt;
  const auto position = std::from_chars(cluster.ptr + 1, end, token.position);
  if (position.ec != std::errc() || position.ptr != end) return std::nullopt;
  return token;
}

struct Session::State : std::enable_shared_from_this<State> {
  struct Command {
    kv::Space space;
    kv::Request request;
    CallOptions options;
    Done<CallReply> done;
  };

  Commands& service;
  bool ended = false;
  consensus::Position seen;
  consensus::SessionId id = consensus::kNoSession;
  bool opening = false;
  uint64_t last_sequence = 0;
  std::set<uint64_t> unanswered;  // sequences of the present session
  std::deque<Command> waiting;

  State(Commands& of, consensus::Position position) : service(of), seen(position) {}

  void pump() {
    if (waiting.empty()) return;
    if (id == consensus::kNoSession) return open();
    // The group remembers so many numbers behind the newest, answered or not.
    while (!waiting.empty() && (unanswered.empty() || last_sequence - *unanswered.begin() < kWindow - 1)) {
      Command command = std::move(waiting.front());
      waiting.pop_front();
      const uint64_t sequence = ++last_sequence;
      unanswered.insert(sequence);
      command.options.session = id;
      command.options.sequence = sequence;
      command.options.acknowledged_below = *unanswered.begin();
      service.execute(command.space, std::move(command.request), command.options,
                      [self = shared_from_this(), used = id, sequence,
                       done = std::move(command.done)](std::variant<CallReply, CallError> result) mutable {
                        self->answered(used, sequence, result);
                        done(std::move(result));
                      });
    }
  }

  void open() {
    if (std::exchange(opening, true)) return;
    CallOptions options;
    options.timeout_ns = waiting.front().options.timeout_ns;
    options.forward = waiting.front().options.forward;
    service.open_session(options, [self = shared_from_this()](std::variant<consensus::SessionId, CallError> result) {
      self->opening = false;
      if (auto* error = std::get_if<CallError>(&result)) {
        error->uncertain = false;  // of the commands: none was sent
        for (Command& command : std::exchange(self->waiting, {})) command.done(*error);
        return;
      }
      self->id = std::get<0>(result);
      self->last_sequence = 0;
      self->unanswered.clear();
      self->pump();
      if (self->ended) self->close_when_idle();
    });
  }

  void answered(consensus::SessionId used, uint64_t sequence, const std::variant<CallReply, CallError>& result) {
    if (const auto* reply = std::get_if<CallReply>(&result)) seen = std::max(seen, reply->position);
    if (used != id) return;
    unanswered.erase(sequence);
    const auto* error = std::get_if<CallError>(&result);
    if (error != nullptr && error->session_ended) id = consensus::kNoSession;
    pump();
    if (ended) close_when_idle();
  }

  void close_when_idle() {
    if (id == consensus::kNoSession || !unanswered.empty() || !waiting.empty()) return;
    service.close_session(std::exchange(id, consensus::kNoSession), CallOptions());
  }
};

Session::Session(Commands& service, consensus::Position seen) : state_(std::make_shared<State>(service, seen)) {}

Session::~Session() {
  state_->ended = true;
  state_->close_when_idle();
}

void Session::execute(kv::Space space, kv::Request request, CallOptions options, Done<CallReply> done) {
  if (!kv::read_only(request)) {
    state_->waiting.push_back({space, std::move(request), options, std::move(done)});
    return state_->pump();
  }
  options.session = consensus::kNoSession;
  if (options.consistency == Consistency::kSequential) options.at_least = std::max(options.at_least, state_->seen);
  state_->service.execute(space, std::move(request), options,
                          [state = state_, done = std::move(done)](std::variant<CallReply, CallError> result) mutable {
                            if (const auto* reply = std::get_if<CallReply>(&result)) {
                              state->seen = std::max(state->seen, reply->position);
                            }
                            done(std::move(result));
                          });
}

consensus::Position Session::position() const { return state_->seen; }

}  // namespace clew::control
