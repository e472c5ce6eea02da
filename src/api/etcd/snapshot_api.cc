#include <optional>

#include "api/etcd/cluster_wire.h"
#include "api/etcd/execute.h"
#include "api/etcd/methods.h"
#include "api/etcd/snapshot_file.h"

namespace clew::api::etcd {
namespace {

constexpr size_t kPieceBytes = 256u << 10;

// The snapshot leaves as fast as its client reads: a piece is asked for when the former ones have gone.
class SnapshotCall final : public rpc::Handler {
 public:
  SnapshotCall(Context& context, rpc::Call& call) : context_(context), call_(call) {}

  void on_message(std::string_view /*empty*/) override {
    if (stream_ != nullptr) return;
    stream_ = context_.service().snapshot();
    pull();
  }
  void on_client_done() override {
    if (stream_ == nullptr) call_.finish(Error{Code::kInternal, "the call carries no message"});
  }
  void on_room() override { pull(); }

 private:
  void pull() {
    if (pulling_) return;
    pulling_ = true;
    stream_->next(kPieceBytes, then<std::string>(call_.shared_from_this(),
                                                 [this](rpc::Call&, const std::string& piece) { send(piece); }));
  }
  void send(const std::string& piece) {
    pulling_ = false;
    if (!file_.has_value()) {
      file_.emplace(stream_->total_bytes());
      remaining_ = snapshot_file_bytes(stream_->total_bytes());
    }
    if (!piece.empty()) return give(file_->piece(piece));
    const auto end = file_->end();
    if (!end.ok()) return call_.finish(end.status());
    give(*end);
    call_.finish({});
  }
  void give(const std::string& bytes) {
    remaining_ -= bytes.size();
    call_.send(encode_snapshot(context_.header(), remaining_, bytes));
  }

  Context& context_;
  rpc::Call& call_;
  std::unique_ptr<control::Service::SnapshotStream> stream_;
  std::optional<SnapshotFileWriter> file_;
  uint64_t remaining_ = 0;
  bool pulling_ = false;
};

}  // namespace

std::unique_ptr<rpc::Handler> snapshot_call(Context& context, rpc::Call& call) {
  return std::make_unique<SnapshotCall>(context, call);
}

}  // namespace clew::api::etcd
