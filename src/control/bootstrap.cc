#include "control/bootstrap.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/hash.h"
#include "base/hex.h"
#include "base/varint.h"
#include "control/system_space.h"

namespace clew::control {
namespace {

using consensus::kNobody;
using consensus::Member;
using consensus::Membership;
using consensus::NodeId;

constexpr std::string_view kFile = "member";
constexpr std::string_view kTitle = "clew member 2";
constexpr uint64_t kMaxFileBytes = 64u << 10;

Error invalid(std::string what) { return {Code::kInvalidArgument, std::move(what)}; }

template <typename T>
bool parse_number(std::string_view text, int base, T& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out, base);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

std::string founders_text(const Membership& founders) {
  std::string text;
  for (const Member& member : founders.members()) {
    if (!text.empty()) text += ',';
    text += std::to_string(number(member.id)) + "=" + member.address;
    if (member.role == consensus::Role::kWitness) text += "/witness";
  }
  return text;
}

Error broken(const std::string& path) {
  return {Code::kDataLoss, path +
                               ": does not say what it was written to say; restore the file, or replace this member "
                               "by a new one (docs/operations.md)"};
}

// The configuration may be silent about what the directory knows; it may not contradict it.
Status agrees(const Belonging& known, const BootstrapOptions& options, const std::string& path) {
  const auto refuse = [&](const std::string& what) -> Status {
    return Error{Code::kFailedPrecondition, path + ": " + what};
  };
  if (options.node != kNobody && options.node != known.node) {
    return refuse("this data directory is member " + std::to_string(number(known.node)) +
                  "'s, the configuration says " + std::to_string(number(options.node)) +
                  "; correct control.node_id, or the path");
  }
  if (options.founders.empty() || known.founders.empty()) return {};
  CLEW_ASSIGN(const Membership founders, Membership::make(options.founders));
  if (founding_of(options.token, founders, known.restored) != known.founding) {
    return refuse("this data directory belongs to a group of the founding " + hex16(known.founding) + ", founded as " +
                  founders_text(known.founders) + "; control.initial_cluster and its token found " +
                  hex16(founding_of(options.token, founders, known.restored)) +
                  ". They are looked at once, at the first start: put them "
                  "back, or remove them; members change by `clew member`");
  }
  return {};
}

}  // namespace

Result<std::vector<Member>> parse_founders(std::string_view text) {
  std::vector<Member> members;
  while (!text.empty()) {
    const size_t comma = text.find(',');
    std::string_view item = text.substr(0, comma);
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
    const std::string whole(item);
    Member member;
    uint64_t id = 0;
    const size_t equals = item.find('=');
    if (equals == std::string_view::npos || !parse_number(item.substr(0, equals), 10, id) || id == 0) {
      return invalid("\"" + whole + "\" is not ID=HOST:PORT, with an ID from 1");
    }
    member.id = NodeId{id};
    item.remove_prefix(equals + 1);
    if (const size_t slash = item.find('/'); slash != std::string_view::npos) {
      const std::string_view role = item.substr(slash + 1);
      if (role != "witness" && role != "voter") {
        return invalid("\"" + whole + "\": founders are voters (say nothing) or witnesses (/witness)");
      }
      if (role == "witness") member.role = consensus::Role::kWitness;
      item = item.substr(0, slash);
    }
    if (item.find(':') == std::string_view::npos) return invalid("\"" + whole + "\" has no port; write HOST:PORT");
    member.address = item;
    members.push_back(std::move(member));
  }
  if (const auto checked = Membership::make(members); !checked.ok()) return checked.error();
  return members;
}

uint64_t founding_of(std::string_view token, const Membership& founders, uint64_t restored) {
  std::string bytes(token);
  bytes.push_back('\0');
  founders.append_to(bytes);
  if (restored != 0) append_fixed(bytes, restored);
  return std::max<uint64_t>(stable_hash64(bytes), 1);
}

std::string Belonging::encode() const {
  std::string text(kTitle);
  text += "\nfounding " + hex16(founding) + "\ncluster " + hex16(cluster) + "\nnode " + std::to_string(number(node)) +
          "\nfounders " + founders_text(founders) + "\nstate " + (is_new ? "new" : "started") + "\n";
  if (restored != 0) text += "restored " + hex16(restored) + "\n";
  return text + "checksum " + hex16(stable_hash64(text)) + "\n";
}

Result<Belonging> Belonging::parse(std::string_view text, const std::string& path) {
  const size_t last = text.rfind("checksum ");
  uint64_t checksum = 0;
  if (last == std::string_view::npos || !text.ends_with('\n') ||
      !parse_number(text.substr(last + 9, text.size() - last - 10), 16, checksum) ||
      checksum != stable_hash64(text.substr(0, last))) {
    return broken(path);
  }
  std::vector<std::string_view> lines;
  for (std::string_view rest = text.substr(0, last); !rest.empty();) {
    const size_t end = rest.find('\n');
    if (end == std::string_view::npos) return broken(path);
    lines.push_back(rest.substr(0, end));
    rest.remove_prefix(end + 1);
  }
  if (lines.empty() || lines[0] != kTitle) {
    return Error{Code::kFailedPrecondition, path + ": was written by another version of the program"};
  }
  const auto value = [&](size_t line, std::string_view key) -> std::optional<std::string_view> {
    if (line >= lines.size() || !lines[line].starts_with(key)) return std::nullopt;
    return lines[line].substr(key.size());
  };
  Belonging belonging;
  uint64_t node = 0;
  const auto founding = value(1, "founding ");
  const auto cluster = value(2, "cluster ");
  const auto id = value(3, "node ");
  const auto founders = value(4, "founders ");
  const auto state = value(5, "state ");
  const auto restored = value(6, "restored ");
  if (lines.size() != (restored ? 7 : 6) || (restored && !parse_number(*restored, 16, belonging.restored)) ||
      !founding || !cluster || !id || !founders || !state || !parse_number(*founding, 16, belonging.founding) ||
      belonging.founding == 0 || !parse_number(*cluster, 16, belonging.cluster) || !parse_number(*id, 10, node) ||
      node == 0 || (*state != "new" && *state != "started")) {
    return broken(path);
  }
  belonging.node = NodeId{node};
  belonging.is_new = *state == "new";
  if (!founders->empty()) {
    CLEW_ASSIGN(auto members, parse_founders(*founders));
    CLEW_ASSIGN(belonging.founders, Membership::make(std::move(members)));
  }
  return belonging;
}

Status remember(env::Disk& disk, const std::string& directory, const Belonging& belonging) {
  return env::write_file_atomically(disk, directory, std::string(kFile), belonging.encode());
}

Result<std::optional<Belonging>> belong(env::Disk& disk, env::Random& random, const BootstrapOptions& options) {
  CLEW_TRY(disk.make_dirs(options.directory));
  const std::string path = options.directory + "/" + std::string(kFile);
  auto text = env::read_file(disk, path, kMaxFileBytes);
  if (text.ok()) {
    CLEW_ASSIGN(auto known, Belonging::parse(*text, path));
    CLEW_TRY(agrees(known, options, path));
    return std::optional<Belonging>(std::move(known));
  }
  if (text.error().code != Code::kNotFound) return text.error();
  if (options.joins) return std::optional<Belonging>();

  Belonging made;
  if (options.founders.empty()) {
    made.node = options.node == kNobody ? NodeId{1} : options.node;
    Member alone;
    alone.id = made.node;
    alone.address = options.own_address;
    CLEW_ASSIGN(made.founders, Membership::make({std::move(alone)}));
    made.founding = made.cluster = std::max<uint64_t>(random.next(), 1);
  } else {
    CLEW_ASSIGN(made.founders, Membership::make(options.founders));
    made.node = options.node;
    if (made.node == kNobody) {
      return Error{Code::kInvalidArgument,
                   "control.initial_cluster names several members; say by control.node_id "
                   "(--node-id) which of them this is"};
    }
    if (!made.founders.contains(made.node)) {
      return Error{Code::kInvalidArgument, "control.node_id " + std::to_string(number(made.node)) +
                                               " is not among control.initial_cluster " + founders_text(made.founders)};
    }
    made.founding = founding_of(options.token, made.founders);
  }
  CLEW_TRY(remember(disk, options.directory, made));
  return std::optional<Belonging>(std::move(made));
}

namespace {

struct Joining {
  std::string peer_address;
  consensus::Role role;
  std::string protocol;
  CallOptions options;
  Done<Belonging> done;
};

// `as_of`: a state that the group had reached when it was asked to take somebody in.
void join_as_seen(Service& existing, Joining joining, const GroupStatus& group, consensus::Position as_of) {
  const auto refuse = [&](Code code, std::string why) { joining.done(CallError{code, std::move(why), false, {}, {}}); };
  if (group.protocol != joining.protocol) {
    return refuse(Code::kFailedPrecondition, "the group runs " + group.protocol + ", this node would run " +
                                                 joining.protocol + "; set control.consensus (--consensus) to " +
                                                 group.protocol);
  }
  // One that has not heard of everything yet may name a member that was removed.
  if (group.applied < as_of) return refuse(Code::kUnavailable, "the member that was asked is behind; ask again");
  if (group.cluster == 0) {
    return refuse(Code::kUnavailable,
                  "the member that was asked has not heard which id the founders agreed on; ask again, or another one");
  }
  // One that is leaving may still be among the members, without its record: as one that never started.
  if (group.changing) return refuse(Code::kUnavailable, "another change of the members is under way; ask again");
  Belonging belonging;
  belonging.founding = group.founding;
  belonging.cluster = group.cluster;
  for (const MemberStatus& member : group.members) {
    const auto& urls = member.record.peer_urls;
    if (std::find(urls.begin(), urls.end(), "http://" + joining.peer_address) == urls.end()) continue;
    belonging.node = member.record.id;
    if (member.record.name.empty()) return joining.done(std::move(belonging));
    const std::string id = std::to_string(number(member.record.id));
    return refuse(Code::kAlreadyExists, "member " + id + " has the address " + joining.peer_address +
                                            " and has been started before; if its disk is gone, remove it first: "
                                            "`clew member remove " +
                                            id + "` (docs/operations.md, Replacing a dead machine)");
  }
  existing.add_member({joining.peer_address, joining.role, true}, joining.options,
                      [belonging, done = std::move(joining.done)](std::variant<NodeId, CallError> added) mutable {
                        if (auto* const error = std::get_if<CallError>(&added)) return done(std::move(*error));
                        belonging.node = std::get<NodeId>(added);
                        done(std::move(belonging));
                      });
}

}  // namespace

void join(Service& existing, std::string peer_address, consensus::Role role, std::string protocol, int64_t timeout_ns,
          Done<Belonging> done) {
  CallOptions options;
  options.timeout_ns = timeout_ns;
  Joining joining{std::move(peer_address), role, std::move(protocol), options, std::move(done)};
  kv::RangeRequest anything;
  anything.key = kNextMemberKey;
  existing.execute(kv::Space::kSystem, std::move(anything), options,
                   [&existing, joining = std::move(joining)](std::variant<CallReply, CallError> now) mutable {
                     if (auto* const error = std::get_if<CallError>(&now)) return joining.done(std::move(*error));
                     const consensus::Position as_of = std::get<CallReply>(now).position;
                     const CallOptions with = joining.options;
                     existing.status(with, [&existing, as_of, joining = std::move(joining)](
                                               std::variant<GroupStatus, CallError> answer) mutable {
                       if (auto* const error = std::get_if<CallError>(&answer)) return joining.done(std::move(*error));
                       join_as_seen(existing, std::move(joining), std::get<GroupStatus>(answer), as_of);
                     });
                   });
}

}  // namespace clew::control
