#include <algorithm>

#include "api/etcd/cluster_wire.h"
#include "api/etcd/execute.h"
#include "api/etcd/methods.h"

namespace clew::api::etcd {
namespace {

using CallPtr = std::shared_ptr<rpc::Call>;
using consensus::NodeId;

// etcd leaves the revision out of what the Cluster service answers.
Header header_of(const Context& context) {
  Header header = context.header();
  header.revision = 0;
  return header;
}

// "http://host:port" → "host:port"; nothing when it is no such URL.
std::string peer_address(const std::vector<std::string>& urls) {
  if (urls.empty()) return {};
  std::string_view url = urls.front();
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (url.substr(0, scheme.size()) != scheme) continue;
    url.remove_prefix(scheme.size());
    const size_t colon = url.rfind(':');
    if (colon == 0 || colon == std::string_view::npos || colon + 1 == url.size()) return {};
    const std::string_view port = url.substr(colon + 1);
    const bool digits = std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (!digits || port.size() > 5 || url.find_first_of("/?#@ ") != std::string_view::npos) return {};
    return url.size() <= consensus::kMaxAddressBytes ? std::string(url) : std::string();
  }
  return {};
}

Error add_error(const control::CallError& error) {
  return error.code == Code::kAlreadyExists ? errors::peer_url_exists() : as_etcd(error);
}
Error member_error(const control::CallError& error) {
  if (error.code == Code::kNotFound) return errors::member_not_found();
  return add_error(error);
}

// The members as they are now, to `answered(call, status)`.
template <typename Answered>
void with_status(Context& context, const CallPtr& call, Answered answered) {
  const auto options = context.call_options(call->head(), false);
  if (!options.ok()) return call->finish(options.status());
  context.service().status(
      *options, then<control::GroupStatus>(call, [&context, answered](rpc::Call& open, control::GroupStatus status) {
        context.learn(status);
        answered(open, status);
      }));
}
void answer_members(Context& context, const CallPtr& call) {
  with_status(context, call, [&context](rpc::Call& open, const control::GroupStatus& status) {
    answer_with(open, encode_members(header_of(context), status.members));
  });
}

void list(Context& context, const CallPtr& call, std::string_view message) {
  const auto linearizable = decode_number(message);  // a bool in field 1
  if (!linearizable.ok()) return call->finish(linearizable.status());
  if (*linearizable == 0) return answer_members(context, call);
  // A read of the group first: whoever cannot have one may know members that are no more.
  const auto options = context.call_options(call->head(), false);
  if (!options.ok()) return call->finish(options.status());
  kv::RangeRequest barrier;
  barrier.key = std::string(1, '\0');
  barrier.count_only = true;
  context.service().execute(kv::Space::kUser, barrier, *options,
                            then<control::CallReply>(call, [&context](rpc::Call& open, const control::CallReply&) {
                              answer_members(context, open.shared_from_this());
                            }));
}

void add(Context& context, const CallPtr& call, std::string_view message) {
  auto add = decode_member_add(message);
  if (!add.ok()) return call->finish(add.status());
  control::Service::NewMember member;
  member.peer_address = peer_address(add->peer_urls);
  if (member.peer_address.empty()) return call->finish(errors::bad_member_urls());
  member.role = add->learner ? consensus::Role::kLearner : consensus::Role::kVoter;
  member.catch_up_first = add->learner;
  const auto options = context.call_options(call->head(), false);
  if (!options.ok()) return call->finish(options.status());
  auto added = [&context, urls = std::move(add->peer_urls), learner = add->learner](rpc::Call& open, NodeId id) {
    with_status(context, open.shared_from_this(),
                [&context, urls, learner, id](rpc::Call& answered, control::GroupStatus& status) {
                  control::MemberStatus fresh;
                  fresh.record.id = id;
                  fresh.record.peer_urls = urls;
                  fresh.role = learner ? control::MemberRole::kLearner : control::MemberRole::kSecondary;
                  const auto known =
                      std::find_if(status.members.begin(), status.members.end(),
                                   [&](const control::MemberStatus& one) { return one.record.id == id; });
                  // This member may not have heard of it yet.
                  if (known == status.members.end()) status.members.push_back(fresh);
                  answer_with(answered, encode_member_added(header_of(context), fresh, status.members));
                });
  };
  context.service().add_member(std::move(member), *options, then<NodeId>(call, std::move(added), add_error));
}

void remove(Context& context, const CallPtr& call, std::string_view message) {
  const auto id = decode_number(message);
  if (!id.ok()) return call->finish(id.status());
  const auto options = context.call_options(call->head(), false);
  if (!options.ok()) return call->finish(options.status());
  context.service().remove_member(
      NodeId{*id}, *options,
      then<consensus::Position>(
          call, [&context](rpc::Call& open, consensus::Position) { answer_members(context, open.shared_from_this()); },
          member_error));
}

void update(Context& context, const CallPtr& call, std::string_view message) {
  const auto update = decode_member_update(message);
  if (!update.ok()) return call->finish(update.status());
  std::string address = peer_address(update->peer_urls);
  if (address.empty()) return call->finish(errors::bad_member_urls());
  const auto options = context.call_options(call->head(), false);
  if (!options.ok()) return call->finish(options.status());
  context.service().update_member(
      update->id, std::move(address), *options,
      then<consensus::Position>(
          call, [&context](rpc::Call& open, consensus::Position) { answer_members(context, open.shared_from_this()); },
          member_error));
}

// Who is no learner is told so before the group is asked, whose refusal means that one has not caught up.
void promote(Context& context, const CallPtr& call, std::string_view message) {
  const auto asked = decode_number(message);
  if (!asked.ok()) return call->finish(asked.status());
  with_status(context, call, [&context, id = NodeId{*asked}](rpc::Call& open, const control::GroupStatus& status) {
    const auto member = std::find_if(status.members.begin(), status.members.end(),
                                     [&](const control::MemberStatus& one) { return one.record.id == id; });
    if (member == status.members.end()) return open.finish(errors::member_not_found());
    if (member->role != control::MemberRole::kLearner) return open.finish(errors::not_learner());
    const auto options = context.call_options(open.head(), false);
    if (!options.ok()) return open.finish(options.status());
    context.service().promote_member(
        id, *options,
        then<consensus::Position>(
            open.shared_from_this(),
            [&context](rpc::Call& done, consensus::Position) { answer_members(context, done.shared_from_this()); },
            [](const control::CallError& error) {
              return error.code == Code::kFailedPrecondition ? errors::learner_not_ready() : member_error(error);
            }));
  });
}

}  // namespace

void add_cluster(Methods& methods) {
  methods["/etcdserverpb.Cluster/MemberList"].unary = list;
  methods["/etcdserverpb.Cluster/MemberAdd"].unary = add;
  methods["/etcdserverpb.Cluster/MemberRemove"].unary = remove;
  methods["/etcdserverpb.Cluster/MemberUpdate"].unary = update;
  methods["/etcdserverpb.Cluster/MemberPromote"].unary = promote;
}

}  // namespace clew::api::etcd
