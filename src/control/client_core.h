// The inside of Client: calls (client_core.cc), connections (client_links.cc) and streams (client_streams.h). On the
// loop only, but for run().
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/random.h"
#include "control/client.h"
#include "control/frames.h"
#include "control/messages.h"

namespace clew::control {

class ClientStream;

class ClientCore : public std::enable_shared_from_this<ClientCore> {
 public:
  // The bytes of an answer, borrowed for the call.
  using Answer = UniqueFunction<void(std::variant<std::string_view, CallError>)>;

  ClientCore(env::Loop& loop, env::Network& network, uint64_t seed, ClientOptions options);

  struct Ask {
    MessageKind kind = MessageKind::kStatus;
    std::string body;  // with its options in front
    int64_t timeout_ns = 0;
    bool follow = true;       // leaders and retries; else one try where we are
    bool leader = true;       // better asked of the leader
    bool repeatable = false;  // asking twice does no harm
    bool read = false;        // has no effect at all
    bool vouched = false;     // where members may lie one is not enough
  };
  void call(Ask ask, Answer done);
  void close();
  bool closed() const { return closed_; }

  // Now on the loop, later from elsewhere.
  template <typename F>
  void run(F then) {
    if (loop_.on_this_thread()) return then(*this);
    loop_.post([self = shared_from_this(), then = std::move(then)]() mutable { then(*self); });
  }
  env::Loop& loop() { return loop_; }
  const ClientOptions& options() const { return options_; }
  ClientStats stats;
  uint64_t cluster() const { return cluster_; }
  consensus::NodeId connected_to() const;

  // --- For streams ---
  uint64_t add_stream(std::shared_ptr<ClientStream> stream);
  void remove_stream(uint64_t id);
  // Sends, if a connection stands; a stream is told when there is a new one.
  template <typename F>
  void stream_send(MessageKind kind, uint64_t id, F append_body) {
    Link* link = active();
    if (link == nullptr) return;
    append_body(link->batch.begin(kind, id));
    link->batch.end();
    flush_later(*link);
  }
  void elsewhere();  // this member does not serve what it should: another one is tried

 private:
  struct Call {
    uint32_t generation = 0;
    bool live = false;
    Ask ask;
    Answer done;
    int64_t deadline_ns = 0;
    uint64_t link = 0;       // where it was sent; 0: nowhere
    bool uncertain = false;  // an earlier try may have taken effect
    bool sent = false;
    std::string parts;  // of a long answer
  };
  struct Link {
    enum class State : uint8_t { kConnecting, kGreeting, kReady };
    uint64_t number = 0;
    std::string address;
    consensus::NodeId expected = consensus::kNobody;  // who should be there: a leader that was named
    consensus::NodeId node = consensus::kNobody;
    State state = State::kConnecting;
    std::unique_ptr<env::Stream> stream;
    consensus::FrameReader reader{kMaxHelloBytes};
    Batch batch;
    bool unflushed = false;
    bool retiring = false;    // replaced; it stays for the answers that are due
    bool byzantine = false;   // it says that members of its group may lie
    bool forwarding = false;  // the leader cannot be reached from here: this member passes requests on
    size_t outstanding = 0;
    size_t max_in_flight = 1;
    int64_t since_ns = 0;  // an answer, or the handshake, is due
    int64_t heard_ns = 0;
    int64_t written_ns = 0;
  };
  static constexpr uint64_t kSlotBits = 17;
  static constexpr uint64_t kStreamBit = 1ull << 50;

  // Calls.
  Call* find(uint64_t id);
  uint64_t id_of(const Call& call, size_t slot) const { return (uint64_t{call.generation} << kSlotBits) | slot; }
  void dispatch();
  void send(uint64_t id, Call& call, Link& link);
  CallError too_few_to_tell() const;
  void open_stream(ClientStream& stream, const Link& link);
  void finish(uint64_t id, std::variant<std::string_view, CallError> result);
  void fail(uint64_t id, CallError error);
  void on_call_error(uint64_t id, CallError error);
  void retry_later(uint64_t id);
  void detach(Call& call);  // from the connection that it was sent on
  void release(uint64_t link);
  void fail_waiting(Code code, const std::string& message);
  void arm();
  void tick();

  // Connections.
  Link* active();
  void connect_next();
  void connect_to(const std::string& address, consensus::NodeId expected);
  void connected(Link& link, Result<std::unique_ptr<env::Stream>> stream);
  void attempt_failed(Link& link, const std::string& problem);
  void welcomed(Link& link, const Welcome& welcome);
  void on_bytes(uint64_t number, std::string_view bytes);
  void on_message(Link& link, const Message& message);
  void overrun(uint64_t id, ClientStream& stream, const Link& link);  // it sent what it had no credit for
  void follow(consensus::NodeId leader, const std::string& address, uint64_t id);
  void no_leader_here();
  void lost(uint64_t number, const std::string& why, bool silent);
  void drop(uint64_t number);
  void check_links(int64_t now);
  void flush_later(Link& link);
  void flush();

  env::Loop& loop_;
  env::Network& network_;
  Generator random_;
  const ClientOptions options_;
  uint64_t cluster_;
  bool closed_ = false;

  std::deque<Call> slots_;  // by slot; a deque, because answers make calls
  std::vector<size_t> free_slots_;
  size_t live_calls_ = 0;
  std::deque<uint64_t> waiting_;   // to be sent
  std::vector<uint64_t> held_;     // until it is known whether the leader answers
  std::vector<uint64_t> refused_;  // to be asked again, soon
  env::TimerId retry_timer_ = 0;
  env::TimerId tick_timer_ = 0;
  bool tick_fast_ = false;
  int64_t ticked_ns_ = 0;

  std::map<uint64_t, std::unique_ptr<Link>> links_;
  uint64_t last_link_ = 0;
  uint64_t active_ = 0;   // the link that requests go to
  uint64_t attempt_ = 0;  // the link that is being made
  bool attempt_is_leader_ = false;
  size_t cursor_ = 0;    // of options_.addresses
  size_t failures_ = 0;  // in a row
  size_t redirects_in_a_row_ = 0;
  bool elsewhere_ = false;           // the member that is connected does not serve what it should
  int64_t leaderless_since_ns_ = 0;  // the member that is connected knows no leader; 0: it does, or nobody asked
  size_t leaderless_moves_ = 0;      // to other members for that reason, without finding a leader
  env::TimerId connect_timer_ = 0;
  std::string problem_;                      // of the last attempt
  std::map<std::string, int64_t> suspects_;  // leaders that did not answer, and since when
  std::vector<uint64_t> unflushed_;
  bool flush_posted_ = false;

  std::map<uint64_t, std::shared_ptr<ClientStream>> streams_;  // shared with the user's handle
  uint64_t last_stream_ = 0;
  std::map<uint64_t, std::string> stream_parts_;
};

}  // namespace clew::control
