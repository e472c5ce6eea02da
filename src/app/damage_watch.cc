#include "app/damage_watch.h"

namespace clew::app {
namespace {

constexpr consensus::Time kTellAgainEvery = 60 * consensus::kSecond;

}  // namespace

void DamageWatch::on_fact(const consensus::Fact& fact) {
  next_.on_fact(fact);
  if (fact.kind == consensus::FactKind::kHoleFilled) return whole();
  if (fact.kind != consensus::FactKind::kHoleFound) return;
  open_ = Open{fact.position, fact.at, fact.at};
  const std::string first = std::to_string(fact.position);
  // PBFT's members forget votes, too, and know of their number only, not how many entries they stood for.
  const std::string missing = byzantine_
                                  ? "what followed position " + std::to_string(fact.position - 1) +
                                        ", and its votes on " + std::to_string(fact.value) + " sequence numbers"
                                  : "positions " + first + " to " + std::to_string(fact.position + fact.value - 1);
  tell_(Level::kWarning, "msg=\"damage took a part of the control group's log\" missing=\"" + missing +
                             "\" now=\"this member fetches it from the others, and " +
                             (byzantine_ ? "votes on nothing of it before a later checkpoint is stable\""
                                         : "does not lead before it is whole\""));
}

void DamageWatch::look(const consensus::Report& report, consensus::Time now) {
  if (!open_) return;
  if (report.standing != consensus::Standing::kRecovering) return whole();
  if (now - open_->told < kTellAgainEvery) return;
  open_->told = now;
  tell_(Level::kWarning, "msg=\"the damaged part of the control group's log is still missing\" from_position=" +
                             std::to_string(open_->first) +
                             " seconds=" + std::to_string((now - open_->since) / consensus::kSecond) +
                             " do=\"look whether enough of the others run and can be reached (clew status); else "
                             "replace this member: docs/operations.md, Damage\"");
}

void DamageWatch::whole() {
  if (!open_) return;
  tell_(Level::kInfo, "msg=\"the control group's log is whole again\" from_position=" + std::to_string(open_->first));
  open_.reset();
}

}  // namespace clew::app
