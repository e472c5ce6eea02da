// PeerTap: a Transport in front of a replica's that remembers when each member was last heard of: what a member knows
// of the others by itself, when there is no leader to ask. On the replica's loop; O(members) a frame.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "consensus/transport.h"
#include "env/loop.h"

namespace clew::control {

class PeerTap final : public consensus::Transport {
 public:
  PeerTap(consensus::Transport& behind, const env::Clock& clock) : behind_(behind), clock_(clock) {}

  void start(Handler handler) override {
    on_frame_ = std::move(handler.on_frame);
    handler.on_frame = [this](consensus::NodeId from, consensus::Instance instance, std::string_view frame) {
      heard(from);
      on_frame_(from, instance, frame);
    };
    admits_ = std::move(handler.admits);
    handler.admits = [this](consensus::NodeId peer, consensus::Instance instance) {
      const bool admitted = admits_(peer, instance);
      if (!admitted) refused(peer);
      return admitted;
    };
    on_connection_ = std::move(handler.on_connection);
    handler.on_connection = [this](consensus::NodeId peer, bool up) {
      note(peer).connected = up;
      on_connection_(peer, up);
    };
    behind_.start(std::move(handler));
  }
  void set_peers(const std::vector<consensus::Member>& peers) override {
    std::erase_if(heard_, [&](const Heard& one) {
      return std::none_of(peers.begin(), peers.end(), [&](const auto& peer) { return peer.id == one.peer; });
    });
    behind_.set_peers(peers);
  }
  void send(consensus::NodeId to, std::string frame) override { behind_.send(to, std::move(frame)); }
  void flush() override { behind_.flush(); }
  std::string unreached(consensus::NodeId peer) const override { return behind_.unreached(peer); }

  // Whether anything came from it since `since`, on the monotonic clock, or it is connected.
  bool heard_since(consensus::NodeId peer, consensus::Time since) const {
    return std::any_of(heard_.begin(), heard_.end(),
                       [&](const Heard& one) { return one.peer == peer && (one.connected || one.at >= since); });
  }

  // It came with another data directory than it had: at a handshake, or in a frame.
  void refused(consensus::NodeId peer) { note(peer).refused_at = clock_.mono_ns(); }
  // Whether that was so since then.
  bool refused_since(consensus::NodeId peer, consensus::Time since) const {
    return std::any_of(heard_.begin(), heard_.end(),
                       [&](const Heard& one) { return one.peer == peer && one.refused_at >= since; });
  }

 private:
  struct Heard {
    consensus::NodeId peer;
    consensus::Time at;
    bool connected;
    consensus::Time refused_at;
  };
  // Strangers are remembered as well, so the list is bounded by what a membership may hold.
  Heard& note(consensus::NodeId peer) {
    for (Heard& one : heard_) {
      if (one.peer == peer) return one;
    }
    if (heard_.size() >= consensus::kMaxMembers) heard_.erase(heard_.begin());
    return heard_.emplace_back(Heard{peer, INT64_MIN, false, INT64_MIN});
  }
  void heard(consensus::NodeId from) { note(from).at = clock_.mono_ns(); }

  consensus::Transport& behind_;
  const env::Clock& clock_;
  decltype(Handler::on_frame) on_frame_;
  decltype(Handler::on_connection) on_connection_;
  decltype(Handler::admits) admits_;
  std::vector<Heard> heard_;
};

}  // namespace clew::control
