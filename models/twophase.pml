/*
 * Two-phase commit with presumed abort (Gray, "Notes on Data Base Operating Systems", 1978; Mohan, Lindsay, Obermarck,
 * "Transaction Management in the R* Distributed Database Management System", TODS 1986).
 *
 * Bounds: one coordinator, two participants, up to C crashes of each, any vote. Messages may be delayed, repeated and
 * reordered; lost ones are asked for again, so that what was sent is taken at some time. Durable: a participant's
 * prepared state, the coordinator's decision to commit; both before they are spoken of.
 *
 * Atomic: no participant commits while another aborts. No deadlock: who waits is answered once the coordinator is back
 * (no state without a step but the final one). In doubt ends: under weak fairness everybody decides. That this rests on
 * the coordinator coming back is inherent, and shown: `blocking`.
 *
 * check: safety                                               holds quick DEFINES -DC=2
 * check: liveness                                             holds quick DEFINES -DC=1 -DCHECK_LTL LTL ended
 * check: blocking              (the coordinator stays away)   breaks quick DEFINES -DC=1 -DCOORDINATOR_STAYS_AWAY -DCHECK_LTL LTL ended
 * check: bug-decision-forgotten (spoken of, then durable)     breaks quick DEFINES -DC=1 -DBUG_DECISION_FORGOTTEN
 * check: bug-decides-alone     (in doubt, it aborts)          breaks quick DEFINES -DC=1 -DBUG_DECIDES_ALONE
 * check: bug-vote-forgotten    (voted yes, then durable)      breaks quick DEFINES -DC=1 -DBUG_VOTE_FORGOTTEN
 */
#ifndef C
#define C 1
#endif
#define WORKING   0
#define PREPARED  1
#define COMMITTED 2
#define ABORTED   3

byte state[2];                 /* of the participants; PREPARED and what follows is durable */
bool asked = false;            /* prepare was sent */
bool yes[2], no[2];            /* votes sent */
byte decided = WORKING;        /* the coordinator: COMMITTED is durable; ABORTED need not be, it is presumed */
bool told_commit = false, told_abort = false;

inline finish(p, outcome) {
  state[p] = outcome;
  assert(!(state[0] == COMMITTED && state[1] == ABORTED) && !(state[0] == ABORTED && state[1] == COMMITTED))
}

#ifdef BUG_VOTE_FORGOTTEN
#define VOTE_YES(p) yes[p] = true
#else
#define VOTE_YES(p) state[p] = PREPARED; yes[p] = true
#endif
#ifdef BUG_DECISION_FORGOTTEN
#define DECIDE told_commit = true
#else
#define DECIDE decided = COMMITTED
#endif

proctype participant(byte p) {
  byte crashes = 0;
  do
  :: d_step { state[p] == WORKING && asked && !yes[p] && !no[p] -> VOTE_YES(p) }
  :: d_step { state[p] == WORKING && asked && !yes[p] && !no[p] -> no[p] = true; finish(p, ABORTED) }
  :: d_step { state[p] == WORKING && !yes[p] -> no[p] = true; finish(p, ABORTED) }  /* tired of waiting, before its word */
#ifdef BUG_VOTE_FORGOTTEN
  :: d_step { state[p] == WORKING && yes[p] -> state[p] = PREPARED }
  :: d_step { state[p] == WORKING && yes[p] && crashes < C -> crashes++; finish(p, ABORTED) }
#endif
  :: d_step { state[p] == WORKING && !yes[p] && crashes < C -> crashes++; no[p] = true; finish(p, ABORTED) }
  :: d_step { state[p] == PREPARED && told_commit -> finish(p, COMMITTED) }
  :: d_step { state[p] == PREPARED && told_abort -> finish(p, ABORTED) }
#ifdef BUG_DECIDES_ALONE
  :: d_step { state[p] == PREPARED -> finish(p, ABORTED) }
#endif
  :: state[p] >= COMMITTED -> break
  od
}

proctype coordinator() {
  byte crashes = 0;
  do
  :: d_step { !asked && decided == WORKING -> asked = true }
  :: d_step { decided == WORKING && yes[0] && yes[1] -> DECIDE }
  :: d_step { decided == WORKING && (no[0] || no[1]) -> decided = ABORTED; told_abort = true }
  :: d_step { decided == WORKING && asked -> decided = ABORTED; told_abort = true }  /* tired of waiting */
#ifdef BUG_DECISION_FORGOTTEN
  :: d_step { told_commit && decided == WORKING -> decided = COMMITTED }
#endif
  :: d_step { decided == COMMITTED && !told_commit -> told_commit = true }  /* again after a restart */
  :: d_step { decided == WORKING && crashes < C -> crashes++; decided = ABORTED; told_abort = true }  /* presumed */
  :: (decided == COMMITTED && told_commit) || decided == ABORTED -> break
#ifdef COORDINATOR_STAYS_AWAY
  :: decided == WORKING && asked -> break
#endif
  od
}

#ifdef CHECK_LTL
ltl ended { <> (state[0] >= COMMITTED && state[1] >= COMMITTED) }
#endif

init {
  atomic { run participant(0); run participant(1); run coordinator() }
}
