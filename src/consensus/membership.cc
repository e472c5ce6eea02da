#include "consensus/membership.h"

#include <algorithm>

#include "base/varint.h"

namespace clew::consensus {
namespace {

constexpr uint8_t kFormat = 1;

bool by_id(const Member& a, const Member& b) { return a.id < b.id; }

Error invalid(std::string why) { return {Code::kInvalidArgument, "membership: " + std::move(why)}; }

std::string label(const Member& member) {
  const std::string id = std::to_string(number(member.id));
  if (member.role == Role::kWitness) return "w" + id;
  return member.incoming || member.outgoing ? id : "l" + id;
}

}  // namespace

std::string_view role_name(Role role) {
  switch (role) {
    case Role::kVoter:
      return "voter";
    case Role::kWitness:
      return "witness";
    case Role::kLearner:
      return "learner";
  }
  return "unknown";
}

Membership Membership::of_voters(const std::vector<NodeId>& ids) {
  std::vector<Member> members;
  members.reserve(ids.size());
  for (NodeId id : ids) members.push_back({.id = id});
  auto made = make(std::move(members));
  CHECK(made.ok());
  return std::move(made).value();
}

Result<Membership> Membership::make(std::vector<Member> members) {
  if (members.size() > kMaxMembers) {
    return invalid(std::to_string(members.size()) + " members; at most " + std::to_string(kMaxMembers) +
                   " are possible");
  }
  std::sort(members.begin(), members.end(), by_id);
  Membership result;
  bool data_incoming = false;
  bool data_outgoing = false;
  bool any_outgoing = false;
  for (size_t i = 0; i < members.size(); i++) {
    const Member& member = members[i];
    const std::string id = std::to_string(number(member.id));
    if (member.id == kNobody) return invalid("0 is not a member's number");
    if (i > 0 && members[i - 1].id == member.id) return invalid("member " + id + " is named twice");
    if (member.address.size() > kMaxAddressBytes) return invalid("the address of member " + id + " is too long");
    const bool votes = member.incoming || member.outgoing;
    if (member.role == Role::kLearner && member.incoming) return invalid("learner " + id + " cannot vote");
    if (member.role == Role::kWitness && !votes) return invalid("witness " + id + " has nothing to do but vote");
    const bool data = member.role != Role::kWitness;
    data_incoming |= data && member.incoming;
    data_outgoing |= data && member.outgoing;
    any_outgoing |= member.outgoing;
  }
  if (!data_incoming) return invalid("it has no voter that stores data; add one");
  if (any_outgoing && !data_outgoing) return invalid("the electorate being left has no voter that stores data");
  result.joint_ = any_outgoing;
  result.members_ = std::move(members);
  return result;
}

const Member* Membership::find(NodeId id) const {
  for (const Member& member : members_) {
    if (member.id == id) return &member;
  }
  return nullptr;
}

bool Membership::votes(NodeId id) const {
  const Member* member = find(id);
  return member != nullptr && (member->incoming || member->outgoing);
}

bool Membership::may_lead(NodeId id) const {
  const Member* member = find(id);
  return member != nullptr && (member->incoming || member->outgoing) && member->role != Role::kWitness;
}

size_t Membership::voters() const {
  return static_cast<size_t>(
      std::count_if(members_.begin(), members_.end(), [](const Member& m) { return m.incoming || m.outgoing; }));
}

Status Membership::can_become(const Membership& target) const {
  if (joint_ || target.joint_) return invalid("another change is under way; wait until it is over");
  for (const Member& member : target.members_) {
    const Member* mine = find(member.id);
    if (mine != nullptr && (mine->role == Role::kWitness) != (member.role == Role::kWitness)) {
      return invalid("member " + std::to_string(number(member.id)) +
                     " cannot turn into or from a witness, which stores no data; remove it and add another number");
    }
  }
  return {};
}

Membership Membership::enter_joint(const Membership& target) const {
  CHECK(can_become(target).ok());
  const auto votes_in = [](const Membership& in, NodeId id) {
    const Member* member = in.find(id);
    return member != nullptr && member->incoming;
  };
  const auto unchanged = [&](const Member& m) { return votes_in(*this, m.id) == votes_in(target, m.id); };
  if (std::all_of(members_.begin(), members_.end(), unchanged) &&
      std::all_of(target.members_.begin(), target.members_.end(), unchanged)) {
    return target;
  }
  Membership result;
  result.joint_ = true;
  result.members_ = target.members_;
  for (const Member& mine : members_) {
    if (!mine.incoming) continue;  // a learner that goes just goes
    auto at = std::lower_bound(result.members_.begin(), result.members_.end(), mine, by_id);
    if (at == result.members_.end() || at->id != mine.id) {
      at = result.members_.insert(at, mine);
      at->incoming = false;
    }
    at->outgoing = true;
  }
  return result;
}

Membership Membership::leave_joint() const {
  Membership result;
  for (Member member : members_) {
    const bool leaves = member.outgoing && !member.incoming && member.role != Role::kLearner;
    member.outgoing = false;
    if (!leaves) result.members_.push_back(std::move(member));
  }
  return result;
}

void Membership::append_to(std::string& out) const {
  out.push_back(static_cast<char>(kFormat));
  append_varint(out, members_.size());
  for (const Member& member : members_) {
    append_varint(out, number(member.id));
    out.push_back(static_cast<char>(member.role));
    out.push_back(static_cast<char>((member.outgoing ? 1 : 0) | (member.incoming ? 2 : 0)));
    append_bytes(out, member.address);
  }
}

Result<Membership> Membership::parse(std::string_view bytes) {
  ByteReader in(bytes);
  if (in.fixed<uint8_t>() != kFormat) return invalid("unknown format");
  const uint64_t count = in.varint();
  if (count > kMaxMembers) return invalid("too many members");
  std::vector<Member> members;
  for (uint64_t i = 0; i < count && in.ok(); i++) {
    Member member;
    member.id = NodeId{in.varint()};
    const uint8_t role = in.fixed<uint8_t>();
    const uint8_t flags = in.fixed<uint8_t>();
    if (role > kMaxRole || flags > 3) return invalid("unknown role");
    member.role = static_cast<Role>(role);
    member.outgoing = (flags & 1) != 0;
    member.incoming = (flags & 2) != 0;
    member.address = std::string(in.prefixed_bytes());
    if (!members.empty() && !by_id(members.back(), member)) return invalid("members out of order");
    members.push_back(std::move(member));
  }
  if (!in.ok() || !in.at_end()) return invalid("truncated or followed by more");
  if (members.empty()) return Membership();
  return make(std::move(members));
}

std::string Membership::to_string() const {
  const auto list = [&](auto&& wanted) {
    std::string out;
    for (const Member& member : members_) {
      if (wanted(member)) out += (out.empty() ? "" : ",") + label(member);
    }
    return out;
  };
  const auto is_learner = [](const Member& m) { return !m.incoming && !m.outgoing; };
  if (!joint_) return list([](const Member&) { return true; });
  const std::string learners = list(is_learner);
  return "(" + list([](const Member& m) { return m.outgoing; }) + ")->(" +
         list([](const Member& m) { return m.incoming; }) + ")" + (learners.empty() ? "" : "," + learners);
}

}  // namespace clew::consensus
