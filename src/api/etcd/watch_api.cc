#include <variant>
#include <vector>

#include "api/etcd/execute.h"
#include "api/etcd/methods.h"
#include "api/etcd/watch_wire.h"

namespace clew::api::etcd {
namespace {

constexpr size_t kPullBytes = 1u << 20;
constexpr size_t kMaxUnanswered = 65'536;  // commands of one stream that no response has answered yet

// One client's watches. Responses are asked for only when the former ones have left, so a client that reads slowly
// holds its watches back, not our memory.
class WatchCall final : public rpc::Handler {
 public:
  WatchCall(Context& context, rpc::Call& call)
      : context_(context), call_(call), stream_(context.service().watch(kv::Space::kUser)) {
    pull();
  }

  void on_message(std::string_view message) override {
    auto command = decode_watch(message);
    if (!command.ok()) return call_.finish(command.status());
    if (unanswered_ >= kMaxUnanswered) return call_.finish(errors::too_many_requests());
    if (auto* create = std::get_if<kv::WatchRequest>(&*command)) {
      unanswered_++;
      stream_->create(std::move(*create));
    } else if (const auto* cancel = std::get_if<CancelWatch>(&*command)) {
      stream_->cancel(cancel->id);
    } else if (std::holds_alternative<WatchProgress>(*command)) {
      stream_->request_progress();
    }
  }
  // A client that has said all it wants still listens: on_client_done() ends nothing, as in etcd.
  void on_room() override { pull(); }
  void on_drain() override { call_.finish(errors::stopped()); }

 private:
  void pull() {
    if (pulling_) return;
    pulling_ = true;
    stream_->next(kPullBytes, then<std::vector<kv::WatchResponse>>(
                                  call_.shared_from_this(),
                                  [this](rpc::Call&, const std::vector<kv::WatchResponse>& r) { send(r); }));
  }
  void send(const std::vector<kv::WatchResponse>& responses) {
    pulling_ = false;
    const Header header = context_.header();
    for (const kv::WatchResponse& response : responses) {
      if (response.created && unanswered_ > 0) unanswered_--;
      call_.send(encode_watch(header, response));
    }
    if (responses.empty()) pull();
  }

  Context& context_;
  rpc::Call& call_;
  const std::unique_ptr<control::WatchStream> stream_;
  size_t unanswered_ = 0;
  bool pulling_ = false;
};

}  // namespace

void add_watch(Methods& methods) {
  methods["/etcdserverpb.Watch/Watch"].stream = [](Context& context, rpc::Call& call) -> std::unique_ptr<rpc::Handler> {
    return std::make_unique<WatchCall>(context, call);
  };
}

}  // namespace clew::api::etcd
