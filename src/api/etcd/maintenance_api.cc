#include <algorithm>

#include "api/etcd/cluster_wire.h"
#include "api/etcd/execute.h"
#include "api/etcd/methods.h"

namespace clew::api::etcd {
namespace {

using CallPtr = std::shared_ptr<rpc::Call>;

// What this member holds, whatever the others have: the calls below are about one member.
control::CallOptions local(const Context& context, const rpc::Call& call) {
  control::CallOptions options;
  options.consistency = control::Consistency::kSequential;
  options.timeout_ns = call.head().remaining_ns(context.timeout_ns());
  return options;
}

// The group's status, then this member's revision, to `answered(call, status, header)`.
template <typename Answered>
void with_status(Context& context, const CallPtr& call, Answered answered) {
  context.service().status(
      local(context, *call),
      then<control::GroupStatus>(call, [&context, answered](rpc::Call& open, control::GroupStatus status) {
        context.learn(status);
        kv::RangeRequest nothing;
        nothing.key = std::string(1, '\0');
        nothing.count_only = true;
        // A member without state (a witness) has no revision to tell.
        auto with_revision = [&context, answered, status = std::move(status), call = open.shared_from_this()](
                                 std::variant<control::CallReply, control::CallError> result) mutable {
          kv::Revision revision = 0;
          if (const auto* reply = std::get_if<control::CallReply>(&result)) {
            if (const auto* range = std::get_if<kv::RangeResponse>(&reply->response)) revision = range->revision;
          }
          call->run([&context, answered, status = std::move(status), revision](rpc::Call& open_still) {
            answered(open_still, status, context.header(revision, status.consensus.epoch));
          });
        };
        context.service().execute(kv::Space::kUser, nothing, local(context, open), std::move(with_revision));
      }));
}

void status(Context& context, const CallPtr& call, std::string_view /*empty*/) {
  with_status(context, call, [&context](rpc::Call& open, const control::GroupStatus& status, const Header& header) {
    answer_with(open, encode_status(header, status, context.version()));
  });
}

void hash_at(Context& context, const CallPtr& call, kv::Revision revision, bool with_compaction) {
  execute<kv::HashResponse>(context, call, kv::HashRequest{revision}, local(context, *call),
                            [with_compaction](const Header& header, const kv::HashResponse& response) {
                              return encode_hash(header, static_cast<uint32_t>(response.hash.lo),
                                                 with_compaction ? response.compact_revision : 0);
                            });
}
void hash(Context& context, const CallPtr& call, std::string_view /*empty*/) { hash_at(context, call, 0, false); }
void hash_kv(Context& context, const CallPtr& call, std::string_view message) {
  const auto revision = decode_number(message);
  if (!revision.ok()) return call->finish(revision.status());
  hash_at(context, call, static_cast<kv::Revision>(*revision), true);
}

void alarm(Context& context, const CallPtr& call, std::string_view message) {
  const auto command = decode_alarm(message);
  if (!command.ok()) return call->finish(command.status());
  using Action = AlarmCommand::Action;
  if (command->action == Action::kGet) {
    return with_status(
        context, call,
        [kind = command->kind](rpc::Call& open, const control::GroupStatus& status, const Header& header) {
          std::vector<control::Alarm> alarms = status.alarms;
          if (kind != 0) {
            std::erase_if(alarms, [&](const control::Alarm& one) { return static_cast<uint32_t>(one.kind) != kind; });
          }
          answer_with(open, encode_alarms(header, alarms));
        });
  }
  if (command->kind == 0) return answer_with(*call, answer(context.header()));  // none of no kind, as in etcd
  const control::Alarm alarm{consensus::NodeId{command->member}, static_cast<control::AlarmKind>(command->kind)};
  const auto options = context.call_options(call->head(), false);
  if (!options.ok()) return call->finish(options.status());
  context.service().set_alarm(alarm, command->action == Action::kActivate, *options,
                              then<consensus::Position>(call, [&context, alarm](rpc::Call& open, consensus::Position) {
                                answer_with(open, encode_alarms(context.header(), {alarm}));
                              }));
}

// Nothing to do: the engines give their space back by themselves.
void defragment(Context& /*context*/, const CallPtr& call, std::string_view /*empty*/) {
  answer_with(*call, rpc::begin_message());
}

void move_leader(Context& context, const CallPtr& call, std::string_view message) {
  const auto target = decode_number(message);
  if (!target.ok()) return call->finish(target.status());
  const consensus::NodeId to{*target};
  with_status(context, call, [&context, to](rpc::Call& open, const control::GroupStatus& status, const Header&) {
    const auto member = std::find_if(status.members.begin(), status.members.end(),
                                     [&](const control::MemberStatus& one) { return one.record.id == to; });
    if (member == status.members.end() || member->role == control::MemberRole::kLearner ||
        member->role == control::MemberRole::kWitness) {
      return open.finish(errors::bad_transferee());
    }
    const auto options = context.call_options(open.head(), false);
    if (!options.ok()) return open.finish(options.status());
    context.service().transfer_leadership(
        to, *options, then<consensus::NodeId>(open.shared_from_this(), [&context](rpc::Call& moved, consensus::NodeId) {
          answer_with(moved, answer(context.header()));
        }));
  });
}

}  // namespace

void add_maintenance(Methods& methods) {
  methods["/etcdserverpb.Maintenance/Status"].unary = status;
  methods["/etcdserverpb.Maintenance/Hash"].unary = hash;
  methods["/etcdserverpb.Maintenance/HashKV"].unary = hash_kv;
  methods["/etcdserverpb.Maintenance/Alarm"].unary = alarm;
  methods["/etcdserverpb.Maintenance/Defragment"].unary = defragment;
  methods["/etcdserverpb.Maintenance/MoveLeader"].unary = move_leader;
  methods["/etcdserverpb.Maintenance/Snapshot"].stream = snapshot_call;
}

}  // namespace clew::api::etcd
