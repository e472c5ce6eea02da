// What callers on any thread see of a plane: letters to its loop.
#include <utility>

#include "control/plane.h"

namespace clew::control {
namespace {

CallError stopping() { return {Code::kUnavailable, "this node is stopping", false, {}, {}}; }

}  // namespace

void Plane::execute(kv::Space space, kv::Request request, CallOptions options, Done<CallReply> done) {
  mailbox_->push([space, request = std::move(request), options, done = std::move(done)](Plane* plane) mutable {
    if (plane == nullptr) return done(stopping());
    plane->start(space, std::move(request), options, std::move(done));
  });
}

void Plane::keep_alive(kv::LeaseId lease, CallOptions options, Done<int64_t> done) {
  mailbox_->push([lease, options, done = std::move(done)](Plane* plane) mutable {
    if (plane == nullptr) return done(stopping());
    if (!options.forward && !plane->proposes_) {
      return done(plane->error(Code::kUnavailable, "this member does not lead", false));
    }
    plane->keep_alives_.push_back({lease, plane->now() + options.timeout_ns, std::move(done)});
  });
}

void Plane::attest(consensus::SessionId session, uint64_t sequence, CallOptions options, Done<Attestation> done) {
  mailbox_->push([session, sequence, options, done = std::move(done)](Plane* plane) mutable {
    if (plane == nullptr) return done(stopping());
    if (!plane->options_.attests) {
      return done(plane->error(Code::kUnimplemented, "the members of this group believe each other", false));
    }
    if (!plane->halted_.empty()) return done(plane->error(Code::kUnavailable, plane->halted_, false));
    plane->attests_.ask({session, sequence, options.asker, plane->now() + options.timeout_ns},
                        plane->replica_->applied(), std::move(done));
  });
}

void Plane::open_session(CallOptions options, Done<consensus::SessionId> done) {
  mailbox_->push([options, done = std::move(done)](Plane* plane) mutable {
    if (plane == nullptr) return done(stopping());
    plane->open_session_here(options, std::move(done));
  });
}

void Plane::close_session(consensus::SessionId session, CallOptions options) {
  mailbox_->push([session, options](Plane* plane) {
    if (plane == nullptr) return;
    if (plane->proposes_) return plane->replica_->close_session(session);
    if (!options.forward) return;
    if (const auto leader = plane->leader_service()) {
      CallOptions once = options;
      once.forward = plane->witness_;
      leader->close_session(session, once);
    }
  });
}

void Plane::status(CallOptions options, Done<GroupStatus> done) {
  mailbox_->push([options, done = std::move(done)](Plane* plane) mutable {
    if (plane == nullptr) return done(stopping());
    plane->ask_status(options, std::move(done));
  });
}

void Plane::add_member(NewMember member, CallOptions options, Done<consensus::NodeId> done) {
  mailbox_->push([member = std::move(member), options, done = std::move(done)](Plane* plane) mutable {
    if (plane == nullptr) return done(stopping());
    plane->run<consensus::NodeId>(
        options, [plane, member](Done<consensus::NodeId> then) { plane->desk_.add(member, std::move(then)); },
        [member](Service& leader, CallOptions once, Done<consensus::NodeId> then) {
          leader.add_member(member, once, std::move(then));
        },
        std::move(done));
  });
}

void Plane::remove_member(consensus::NodeId id, CallOptions options, Done<consensus::Position> done) {
  mailbox_->push([id, options, done = std::move(done)](Plane* plane) mutable {
    if (plane == nullptr) return done(stopping());
    plane->run<consensus::Position>(
        options, [plane, id](Done<consensus::Position> then) { plane->desk_.remove(id, std::move(then)); },
        [id](Service& leader, CallOptions once, Done<consensus::Position> then) {
          leader.remove_member(id, once, std::move(then));
        },
        std::move(done));
  });
}

void Plane::promote_member(consensus::NodeId id, CallOptions options, Done<consensus::Position> done) {
  mailbox_->push([id, options, done = std::move(done)](Plane* plane) mutable {
    if (plane == nullptr) return done(stopping());
    plane->run<consensus::Position>(
        options, [plane, id](Done<consensus::Position> then) { plane->desk_.promote(id, std::move(then)); },
        [id](Service& leader, CallOptions once, Done<consensus::Position> then) {
          leader.promote_member(id, once, std::move(then));
        },
        std::move(done));
  });
}

void Plane::update_member(consensus::NodeId id, std::string peer_address, CallOptions options,
                          Done<consensus::Position> done) {
  mailbox_->push([id, address = std::move(peer_address), options, done = std::move(done)](Plane* plane) mutable {
    if (plane == nullptr) return done(stopping());
    plane->run<consensus::Position>(
        options,
        [plane, id, address](Done<consensus::Position> then) { plane->desk_.update(id, address, std::move(then)); },
        [id, address](Service& leader, CallOptions once, Done<consensus::Position> then) {
          leader.update_member(id, address, once, std::move(then));
        },
        std::move(done));
  });
}

void Plane::transfer_leadership(consensus::NodeId to, CallOptions options, Done<consensus::NodeId> done) {
  mailbox_->push([to, options, done = std::move(done)](Plane* plane) mutable {
    if (plane == nullptr) return done(stopping());
    const consensus::Time deadline = plane->now() + options.timeout_ns;
    plane->run<consensus::NodeId>(
        options,
        [plane, to, deadline](Done<consensus::NodeId> then) { plane->transfer(to, deadline, std::move(then)); },
        [to](Service& leader, CallOptions once, Done<consensus::NodeId> then) {
          leader.transfer_leadership(to, once, std::move(then));
        },
        std::move(done));
  });
}

void Plane::propose_decree(std::string name, std::string value, CallOptions options,
                           Done<consensus::paxos::Outcome> done) {
  mailbox_->push(
      [name = std::move(name), value = std::move(value), options, done = std::move(done)](Plane* plane) mutable {
        if (plane == nullptr) return done(stopping());
        if (plane->decrees_ == nullptr) {
          return done(plane->error(Code::kUnimplemented, "this member keeps no decrees", false));
        }
        plane->decrees_->propose(std::move(name), std::move(value), options, std::move(done));
      });
}

void Plane::set_alarm(Alarm alarm, bool on, CallOptions options, Done<consensus::Position> done) {
  kv::Request request;
  if (on) {
    kv::PutRequest put;
    put.key = alarm_key(alarm);
    request = std::move(put);
  } else {
    kv::DeleteRangeRequest erase;
    erase.key = alarm_key(alarm);
    request = std::move(erase);
  }
  execute(kv::Space::kSystem, std::move(request), options,
          [done = std::move(done)](std::variant<CallReply, CallError> answer) mutable {
            if (auto* error = std::get_if<CallError>(&answer)) return done(std::move(*error));
            done(std::get<CallReply>(answer).position);
          });
}

// --- Streams ---

class PlaneWatchStream final : public WatchStream {
 public:
  PlaneWatchStream(std::shared_ptr<Mailbox> mailbox, uint64_t key, kv::Space space)
      : mailbox_(std::move(mailbox)), key_(key) {
    mailbox_->push([key, space](Plane* plane) {
      if (plane != nullptr) plane->watches_.open(key, space);
    });
  }
  ~PlaneWatchStream() override {
    mailbox_->push([key = key_](Plane* plane) {
      if (plane != nullptr) plane->watches_.close(key);
    });
  }
  void create(kv::WatchRequest request) override { ask(std::move(request)); }
  void cancel(kv::WatchId id) override { ask(id); }
  void request_progress() override { ask(std::monostate()); }
  void next(size_t max_bytes, Done<std::vector<kv::WatchResponse>> done) override {
    mailbox_->push([key = key_, max_bytes, done = std::move(done)](Plane* plane) mutable {
      if (plane == nullptr) return done(stopping());
      plane->watches_.next(key, max_bytes, std::move(done));
    });
  }

 private:
  void ask(WatchDesk::Ask what) {
    mailbox_->push([key = key_, what = std::move(what)](Plane* plane) mutable {
      if (plane != nullptr) plane->watches_.ask(key, std::move(what));
    });
  }

  const std::shared_ptr<Mailbox> mailbox_;
  const uint64_t key_;
};

std::unique_ptr<WatchStream> Plane::watch(kv::Space space) {
  return std::make_unique<PlaneWatchStream>(mailbox_, next_stream_.fetch_add(1), space);
}

class PlaneSnapshotStream final : public Service::SnapshotStream {
 public:
  PlaneSnapshotStream(std::shared_ptr<Mailbox> mailbox, uint64_t key) : mailbox_(std::move(mailbox)), key_(key) {
    mailbox_->push([key, total = total_](Plane* plane) mutable {
      if (plane != nullptr && !plane->witness_) plane->exports_.open(key, std::move(total));
    });
  }
  ~PlaneSnapshotStream() override {
    mailbox_->push([key = key_](Plane* plane) {
      if (plane != nullptr) plane->exports_.close(key);
    });
  }
  void next(size_t max_bytes, Done<std::string> done) override {
    mailbox_->push([key = key_, max_bytes, done = std::move(done)](Plane* plane) mutable {
      if (plane == nullptr) return done(stopping());
      if (plane->witness_) {
        return done(plane->error(Code::kUnavailable, "a witness keeps no state; ask a member with data", false));
      }
      plane->exports_.next(key, max_bytes, std::move(done));
    });
  }
  uint64_t total_bytes() const override { return total_->load(); }

 private:
  const std::shared_ptr<Mailbox> mailbox_;
  const uint64_t key_;
  // Shared with the export, which sets it.
  const std::shared_ptr<std::atomic<uint64_t>> total_ = std::make_shared<std::atomic<uint64_t>>(0);
};

std::unique_ptr<Service::SnapshotStream> Plane::snapshot() {
  return std::make_unique<PlaneSnapshotStream>(mailbox_, next_stream_.fetch_add(1));
}

}  // namespace clew::control
