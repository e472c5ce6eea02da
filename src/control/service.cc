#include "control/service.h"

#include <array>

namespace clew::control {
namespace {

constexpr std::array<std::string_view, 3> kConsistencies{"linearizable", "lease", "sequential"};
constexpr std::array<std::string_view, 4> kStates{"online", "syncing", "offline", "error"};
constexpr std::array<std::string_view, 4> kRoles{"primary", "secondary", "witness", "learner"};

}  // namespace

std::string_view consistency_name(Consistency level) { return kConsistencies[static_cast<size_t>(level)]; }

std::optional<Consistency> parse_consistency(std::string_view name) {
  for (size_t i = 0; i < kConsistencies.size(); ++i) {
    if (kConsistencies[i] == name) return static_cast<Consistency>(i);
  }
  return std::nullopt;
}

Digest256 command_digest(kv::Space space, const kv::Request& request) {
  return sha256(kv::Spaces::command(space, request));
}
Digest256 answer_digest(const kv::Response& response) {
  std::string bytes;
  kv::append_encoded(bytes, response);
  return sha256(bytes);
}

std::string_view member_state_name(MemberState state) { return kStates[static_cast<size_t>(state)]; }
std::string_view member_role_name(MemberRole role) { return kRoles[static_cast<size_t>(role)]; }

}  // namespace clew::control
