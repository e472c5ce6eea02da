#include "sim/groups/family.h"

#include <array>

#include "consensus/raft/raft.h"

namespace clew::sim::groups {
namespace {

std::unique_ptr<consensus::Protocol> make_raft(const Shape& shape, consensus::NodeId self,
                                               const consensus::Membership& founding, uint64_t seed) {
  consensus::raft::Options options = shape.raft;
  options.self = self;
  options.founding = founding;
  return std::make_unique<consensus::Raft>(options, seed);
}

}  // namespace

std::span<const Family> families() {
  static const std::array<Family, 1> all = {Family{"raft", make_raft, make_raft_judge}};
  return all;
}

const Family* family_named(std::string_view name) {
  for (const Family& family : families()) {
    if (family.name == name) return &family;
  }
  return nullptr;
}

}  // namespace clew::sim::groups
