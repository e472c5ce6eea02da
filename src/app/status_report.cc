#include "app/status_report.h"

#include <algorithm>

#include "api/json_writer.h"
#include "app/client_output.h"
#include "app/progress.h"
#include "app/units.h"
#include "base/hex.h"
#include "consensus/protocols.h"
#include "consensus/quorum.h"

namespace clew::app {
namespace {

using control::AlarmKind;
using control::GroupStatus;
using control::MemberRole;
using control::MemberState;
using control::MemberStatus;

constexpr uint64_t kQuotaWarning = 80;  // per cent

bool votes(const MemberStatus& member) { return member.role != MemberRole::kLearner; }
bool works(const MemberStatus& member) {
  return member.state == MemberState::kOnline || member.state == MemberState::kSyncing;
}

std::string name_of(consensus::NodeId id, const GroupStatus& status) {
  std::string text = "node " + std::to_string(consensus::number(id));
  for (const MemberStatus& member : status.members) {
    if (member.record.id == id && !member.record.name.empty()) text += " (" + printable(member.record.name) + ")";
  }
  return text;
}

std::string cluster_words(uint64_t id) {
  if (id == 0) return "no cluster id agreed on yet";
  return "cluster " + hex16(id);
}

std::string_view alarm_text(AlarmKind kind) {
  return kind == AlarmKind::kNoSpace
             ? "no space: writes are refused; delete keys, `clew kv compact`, or raise the quota, then `clew member "
               "disarm`"
             : "corrupt: its state differs from the others'; stop it, remove it and add it anew with an empty disk";
}

std::string problem_of(const MemberStatus& member, const GroupStatus& status) {
  const std::string who = name_of(member.record.id, status);
  if (!member.problem.empty()) return who + ": " + printable(member.problem);
  if (member.state == MemberState::kOffline) {
    return who + " is offline: start it; if its machine is gone, `clew member remove " +
           std::to_string(consensus::number(member.record.id)) + "` and add another";
  }
  if (member.state == MemberState::kError) return who + " has stopped working: its log says why";
  if (member.state == MemberState::kSyncing && votes(member)) {
    return who + " is catching up, " + grouped(member.behind) + " entries behind: wait; it helps nobody yet";
  }
  return {};
}

Paint paint_of(MemberState state) {
  switch (state) {
    case MemberState::kOnline:
      return Paint::kGreen;
    case MemberState::kSyncing:
      return Paint::kYellow;
    case MemberState::kOffline:
    case MemberState::kError:
      return Paint::kRed;
  }
  return Paint::kNone;
}

}  // namespace

StatusReport judge(const GroupStatus& status) {
  StatusReport report;
  size_t voters = 0, working = 0;
  for (const MemberStatus& member : status.members) {
    voters += votes(member);
    working += votes(member) && works(member);
  }
  const auto* const protocol = consensus::protocol_named(status.protocol);
  const bool byzantine = protocol != nullptr && protocol->byzantine;
  const size_t quorum = byzantine ? consensus::byzantine_quorum(voters) : voters / 2 + 1;
  const bool led = status.consensus.leader != consensus::kNobody;
  report.problems = status.problems;
  for (std::string& problem : report.problems) problem = printable(problem);
  if (!led && report.problems.empty()) {
    report.problems.push_back("no leader: " + std::to_string(working) + " of " + counted(voters, "voter") +
                              " can be reached, " + std::to_string(quorum) +
                              " are needed; start the others, or mend the network between them");
  }
  for (const control::Alarm& alarm : status.alarms) {
    report.problems.push_back(name_of(alarm.member, status) + ": " + std::string(alarm_text(alarm.kind)));
  }
  for (const MemberState state :
       {MemberState::kError, MemberState::kOffline, MemberState::kSyncing, MemberState::kOnline}) {
    for (const MemberStatus& member : status.members) {
      if (member.state != state) continue;
      const std::string problem = problem_of(member, status);
      // The leader's list names its members' problems already.
      const bool said = !member.problem.empty() &&
                        std::any_of(status.problems.begin(), status.problems.end(), [&](const std::string& known) {
                          return known.find(member.problem) != std::string::npos;
                        });
      if (!problem.empty() && !said) report.problems.push_back(problem);
    }
  }
  if (status.quota_bytes != 0 && status.state_bytes * 100 >= status.quota_bytes * kQuotaWarning) {
    report.problems.push_back("the state takes " + megabytes(status.state_bytes) + " of " +
                              megabytes(status.quota_bytes) +
                              ": beyond that writes are refused; compact, delete, or raise the quota");
  }
  const std::string members = std::to_string(working) + " of " + counted(voters, "voter") + " up";
  if (!led) {
    report.verdict = "NO LEADER: nothing can be written, " + members;
  } else if (working < quorum) {
    report.verdict = "NO QUORUM: nothing can be written, " + members + ", " + std::to_string(quorum) + " needed";
  } else if (!report.problems.empty()) {
    const size_t spare = working - quorum;
    report.verdict = "DEGRADED: it works, " + members + ", " +
                     (spare == 0 ? "and the next loss stops it" : "and " + std::to_string(spare) + " more may be lost");
  } else {
    report.healthy = true;
    report.verdict = "healthy: " + members + ", " + name_of(status.consensus.leader, status) + " leads";
  }
  return report;
}

std::string status_page(const GroupStatus& status, bool colours) {
  const StatusReport report = judge(status);
  const bool led = status.consensus.leader != consensus::kNobody;
  std::string out = painted(report.healthy ? Paint::kGreen
                            : led          ? Paint::kYellow
                                           : Paint::kRed,
                            report.verdict, colours);
  out += "\n\n";
  size_t name_width = 4, address_width = 6;
  for (const MemberStatus& member : status.members) {
    name_width = std::clamp(member.record.name.size(), name_width, size_t{24});
    address_width = std::clamp(member.record.client_address.size(), address_width, size_t{40});
  }
  const auto cell = [](std::string_view text, size_t width) { return fitted(printable(text), width, true) + "  "; };
  out += painted(Paint::kBold,
                 "  " + cell("node", 20) + cell("name", name_width) + cell("role", 9) + cell("state", 7) +
                     cell("behind", 9) + cell("client", address_width) + "version",
                 colours) +
         "\n";
  for (const MemberStatus& member : status.members) {
    const bool self = member.record.id == status.self;
    out += self ? "* " : "  ";
    out += cell(std::to_string(consensus::number(member.record.id)), 20) + cell(member.record.name, name_width);
    out += cell(control::member_role_name(member.role), 9);
    out += painted(paint_of(member.state), fitted(control::member_state_name(member.state), 7, true), colours) + "  ";
    out += cell(member.state == MemberState::kOffline ? "-" : grouped(member.behind), 9);
    out += cell(member.record.client_address, address_width) + printable(member.record.version) + "\n";
  }
  if (!report.problems.empty()) {
    out +=
        "\n" + painted(Paint::kBold, counted(report.problems.size(), "problem") + ", the worst first", colours) + "\n";
    for (const std::string& problem : report.problems) out += "  - " + problem + "\n";
  }
  out += "\n" + printable(status.protocol) + ", " + cluster_words(status.cluster) + ", epoch " +
         std::to_string(status.consensus.epoch) + ", committed " + grouped(status.consensus.committed) + ", applied " +
         grouped(status.applied) + ", state " + megabytes(status.state_bytes) + ", log " +
         megabytes(status.consensus.log_bytes) + "; * answered" +
         (status.leader_view ? "" : ", and this is what it sees by itself") + "\n";
  return out;
}

std::string status_json(const GroupStatus& status) {
  const StatusReport report = judge(status);
  std::string out;
  api::JsonWriter json(out);
  json.open_object().key("healthy").boolean(report.healthy).key("verdict").text(report.verdict);
  json.key("cluster")
      .quoted_unsigned(status.cluster)
      .key("answered_by")
      .quoted_unsigned(consensus::number(status.self));
  json.key("leader").quoted_unsigned(consensus::number(status.consensus.leader)).key("protocol").text(status.protocol);
  json.key("changing")
      .boolean(status.changing)
      .key("leader_view")
      .boolean(status.leader_view)
      .key("epoch")
      .unsigned_number(status.consensus.epoch);
  json.key("committed").unsigned_number(status.consensus.committed).key("applied").unsigned_number(status.applied);
  json.key("state_bytes").unsigned_number(status.state_bytes).key("quota_bytes").unsigned_number(status.quota_bytes);
  json.key("log_bytes").unsigned_number(status.consensus.log_bytes).key("members").open_array();
  for (const MemberStatus& member : status.members) {
    json.open_object()
        .key("id")
        .quoted_unsigned(consensus::number(member.record.id))
        .key("name")
        .text(member.record.name);
    json.key("role").text(control::member_role_name(member.role));
    json.key("state").text(control::member_state_name(member.state)).key("behind").unsigned_number(member.behind);
    json.key("acknowledged").unsigned_number(member.acknowledged).key("version").text(member.record.version);
    json.key("client_address").text(member.record.client_address).key("http_address").text(member.record.http_address);
    json.key("etcd_urls").open_array();
    for (const std::string& url : member.record.etcd_urls) json.text(url);
    json.close_array().key("peer_urls").open_array();
    for (const std::string& url : member.record.peer_urls) json.text(url);
    json.close_array();
    if (!member.problem.empty()) json.key("problem").text(member.problem);
    json.close_object();
  }
  json.close_array().key("alarms").open_array();
  for (const control::Alarm& alarm : status.alarms) {
    json.open_object().key("member").quoted_unsigned(consensus::number(alarm.member));
    json.key("kind").text(alarm.kind == AlarmKind::kNoSpace ? "no_space" : "corrupt").close_object();
  }
  json.close_array().key("problems").open_array();
  for (const std::string& problem : report.problems) json.text(problem);
  json.close_array().close_object();
  return out + "\n";
}

}  // namespace clew::app
