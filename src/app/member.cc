// clew member: who belongs to the control group.
#include <cstdio>
#include <memory>

#include "app/client_output.h"
#include "app/commands.h"
#include "app/control_client.h"
#include "app/status_report.h"

namespace clew::app {
namespace {

constexpr int kError = 2;

struct Flags {
  ControlFlags control;
  bool json = false;
  uint64_t id = 0;
  std::string address;
  std::string role = "voter";
  bool at_once = false;
};

// Asks, and says `done` (or its JSON) with the number that came back.
template <typename T, typename F>
int ask(const Flags& flags, const char* done, const char* name, F start) {
  auto client = ControlClient::connect(flags.control);
  if (!client.ok()) return fail(client.status(), kError);
  ControlClient& asked = **client;
  const auto result = asked.wait<T>([&](auto then) { start(asked.client(), asked.call_options(), std::move(then)); });
  if (const auto* error = std::get_if<control::CallError>(&result)) return fail(*error);
  const auto number = static_cast<unsigned long long>(std::get<T>(result));
  if (flags.json) {
    std::printf("{\"%s\":\"%llu\"}\n", name, number);
  } else {
    std::printf(done, number);
  }
  return 0;
}

int list(const Flags& flags) {
  auto client = ControlClient::connect(flags.control);
  if (!client.ok()) return fail(client.status(), kError);
  const auto answer = (*client)->status();
  if (const auto* error = std::get_if<control::CallError>(&answer)) return fail(*error);
  const auto& status = std::get<control::GroupStatus>(answer);
  if (flags.json) {
    std::fputs(status_json(status).c_str(), stdout);
    return 0;
  }
  for (const control::MemberStatus& member : status.members) {
    const auto& record = member.record;
    std::printf("%-20llu  %s  %s  %s  peer %s  client %s\n",
                static_cast<unsigned long long>(consensus::number(record.id)),
                fitted(printable(record.name), 16, true).c_str(),
                fitted(control::member_role_name(member.role), 9, true).c_str(),
                fitted(control::member_state_name(member.state), 7, true).c_str(),
                record.peer_urls.empty() ? "-" : printable(record.peer_urls[0]).c_str(),
                record.client_address.empty() ? "-" : printable(record.client_address).c_str());
  }
  return 0;
}

int add(const Flags& flags) {
  control::Service::NewMember member;
  member.peer_address = flags.address;
  member.catch_up_first = !flags.at_once;
  member.role = flags.role == "witness"   ? consensus::Role::kWitness
                : flags.role == "learner" ? consensus::Role::kLearner
                                          : consensus::Role::kVoter;
  return ask<consensus::NodeId>(
      flags,
      "added as node %llu; start it there with --join, naming some of the others (docs/operations.md, Growing)\n", "id",
      [&](control::Client& client, const control::CallOptions& options, auto then) {
        client.add_member(member, options, std::move(then));
      });
}

int disarm(const Flags& flags) {
  auto client = ControlClient::connect(flags.control);
  if (!client.ok()) return fail(client.status(), kError);
  ControlClient& asked = **client;
  const auto answer = asked.status();
  if (const auto* error = std::get_if<control::CallError>(&answer)) return fail(*error);
  uint64_t ended = 0;
  for (const control::Alarm& alarm : std::get<control::GroupStatus>(answer).alarms) {
    if (flags.id != 0 && alarm.member != consensus::NodeId{flags.id}) continue;
    const auto result = asked.wait<consensus::Position>(
        [&](auto then) { asked.client().set_alarm(alarm, false, asked.call_options(), std::move(then)); });
    if (const auto* error = std::get_if<control::CallError>(&result)) return fail(*error);
    ++ended;
  }
  if (flags.json) {
    std::printf("{\"disarmed\":%llu}\n", static_cast<unsigned long long>(ended));
  } else {
    std::printf("%s ended\n", counted(ended, "alarm").c_str());
  }
  return 0;
}

// One step, for groups that may not be smaller in between (four members under PBFT).
int replace(const Flags& flags) {
  const std::string done = "node %llu takes the place of node " + std::to_string(flags.id) +
                           "; its key first, where members sign; then start it there with --join, its data directory "
                           "empty\n";
  return ask<consensus::NodeId>(flags, done.c_str(), "id",
                                [&](control::Client& client, const control::CallOptions& options, auto then) {
                                  control::Service::NewMember member;
                                  member.peer_address = flags.address;
                                  member.replaces = consensus::NodeId{flags.id};
                                  client.add_member(std::move(member), options, std::move(then));
                                });
}

}  // namespace

void add_member(CLI::App& program, int& exit_code) {
  auto* member = program.add_subcommand("member", "who belongs to the cluster; exit code 0: done, 2: an error");
  member->require_subcommand(1);
  const auto declare = [&](const char* name, const char* text, auto act) {
    auto flags = std::make_shared<Flags>();
    auto* command = member->add_subcommand(name, text);
    flags->control.add_to(*command);
    command->add_flag("--json", flags->json, "one JSON object");
    command->callback([flags, act, &exit_code] { exit_code = act(*flags); });
    return std::pair(command, flags);
  };
  declare("list", "all members with their roles and states", list);

  auto [adding, added] = declare("add", "a new member; the others go on meanwhile", add);
  adding->add_option("peer-address", added->address, "host:port where the others will reach it")->required();
  adding->add_option("--role", added->role, "")
      ->capture_default_str()
      ->check(CLI::IsMember({"voter", "witness", "learner"}));
  adding->add_flag("--at-once", added->at_once, "let it count before it has caught up");

  using control::CallOptions;
  using control::Client;
  auto [promoting, promoted] =
      declare("promote", "a learner that has caught up becomes a voter", [](const Flags& flags) {
        return ask<consensus::Position>(flags, "promoted, at position %llu\n", "position",
                                        [&](Client& client, const CallOptions& options, auto then) {
                                          client.promote_member(consensus::NodeId{flags.id}, options, std::move(then));
                                        });
      });
  promoting->add_option("id", promoted->id, "of the node")->required();

  auto [removing, removed] =
      declare("remove", "a member leaves for good; its id is never used again", [](const Flags& flags) {
        return ask<consensus::Position>(flags, "removed, at position %llu\n", "position",
                                        [&](Client& client, const CallOptions& options, auto then) {
                                          client.remove_member(consensus::NodeId{flags.id}, options, std::move(then));
                                        });
      });
  removing->add_option("id", removed->id, "of the node")->required();

  auto [replacing, replaced] = declare("replace", "a machine's disk is gone: another member takes its place", replace);
  replacing->add_option("id", replaced->id, "of the node that is gone")->required();
  replacing->add_option("--peer-address", replaced->address,
                        "host:port where the others will reach the new one; default: where the old one was");

  auto [updating, updated] = declare("update", "a member has moved to another address", [](const Flags& flags) {
    return ask<consensus::Position>(
        flags, "updated, at position %llu\n", "position", [&](Client& client, const CallOptions& options, auto then) {
          client.update_member(consensus::NodeId{flags.id}, flags.address, options, std::move(then));
        });
  });
  updating->add_option("id", updated->id, "of the node")->required();
  updating->add_option("peer-address", updated->address, "host:port where the others reach it")->required();

  auto [moving, moved] = declare("transfer", "another member shall lead", [](const Flags& flags) {
    return ask<consensus::NodeId>(flags, "node %llu leads\n", "leader",
                                  [&](Client& client, const CallOptions& options, auto then) {
                                    client.transfer_leadership(consensus::NodeId{flags.id}, options, std::move(then));
                                  });
  });
  moving->add_option("id", moved->id, "of the node; without it, the fittest");

  auto [disarming, disarmed] = declare("disarm", "end alarms, when what they warned of is over", disarm);
  disarming->add_option("id", disarmed->id, "only those of this node");
}

}  // namespace clew::app
