// What a client that believes no single member makes of what members say: whose word counts, and of which errors. For
// answers (reply_question.h) and for watches (watch_quorum.h).
//
// Pure.
#pragma once

#include <cstddef>
#include <set>
#include <vector>

#include "consensus/types.h"
#include "control/service.h"

namespace clew::control {

// Members and not addresses, as one may answer at two. Nobody is none of them.
class Voices {
 public:
  void add(consensus::NodeId member) {
    if (member != consensus::kNobody) members_.insert(member);
  }
  size_t count() const { return members_.size(); }

 private:
  std::set<consensus::NodeId> members_;
};

// How many members there are among those, each with a `member`, for which `holds`.
template <typename Said, typename Holds>
size_t voices(const std::vector<Said>& said, Holds holds) {
  Voices those;
  for (const Said& one : said) {
    if (holds(one)) those.add(one.member);
  }
  return those.count();
}

// The error speaks of the member that gave it: it could not, or would not, do it now. Every other one is the group's
// answer once f + 1 members gave it. So is kResourceExhausted: it is how a group says that its quota is used up, or
// that an answer would be too long, and asking again does not mend that.
inline bool own_affair(const CallError& error) {
  return error.code == Code::kUnavailable || error.code == Code::kDeadlineExceeded ||
         (error.uncertain && !error.session_ended);
}

// The member may do another time what it refused. Where no vote is taken on errors (a stream that ended),
// kResourceExhausted is the word of one member which has no room: as passing as the rest.
inline bool passing(const CallError& error) { return own_affair(error) || error.code == Code::kResourceExhausted; }

}  // namespace clew::control
