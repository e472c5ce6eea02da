/*
 * Multi-Paxos: one phase 1 over the open suffix, gaps filled with no-ops, pipelined phase 2, and a membership that
 * takes effect alpha slots later (Lamport, "Paxos Made Simple", 2001, §3; Lampson, "How to Build a Highly Available
 * System Using Consensus", 1996; van Renesse and Altinbuken, "Paxos Made Moderately Complex", 2015), as
 * src/consensus/multipaxos does it without leases, snapshots and catch-up (simulator).
 *
 * Bounds: three acceptors, two slots, ballots 1..B. Messages as in paxos.pml: what was sent stays known, each acceptor
 * takes any of it at any time or never. Acceptors crash and restart with what was durable.
 *
 * With ALPHA the leader of ballot 1 proposes in slot 1 to shrink the group to acceptor 0. Alpha is 1: what slot 1
 * decides governs slot 2, and whoever proposes in slot 2 must know it.
 *
 * Liveness assumes that nobody begins another ballot after some time, and weak fairness: then every slot is decided
 * without a gap.
 *
 * check: safety                                               holds quick DEFINES -DB=2
 * check: safety-ballots                                       holds       DEFINES -DB=3
 * check: membership                                           holds quick DEFINES -DB=2 -DALPHA
 * check: membership-ballots                                   holds       DEFINES -DB=3 -DALPHA
 * check: liveness                                             holds quick DEFINES -DB=2 -DCALM LTL decided
 * check: bug-suffix-ignored    (own values over others' votes) breaks quick DEFINES -DB=2 -DBUG_SUFFIX_IGNORED
 * check: bug-first-slot-only   (phase 1 covers one slot)      breaks quick DEFINES -DB=2 -DBUG_FIRST_SLOT_ONLY
 * check: bug-accept-lowers     (accepts, promise not raised)  breaks       DEFINES -DB=3 -DBUG_ACCEPT_WITHOUT_PROMISE
 * check: bug-gap-left          (no no-op)                     breaks quick DEFINES -DB=2 -DCALM -DBUG_GAP_LEFT LTL decided
 * check: bug-membership-early  (slot 2 without knowing slot 1) breaks quick DEFINES -DB=2 -DALPHA -DBUG_MEMBERSHIP_UNKNOWN
 */
#ifndef B
#define B 2
#endif
#define N 3
#define NOOP 100
#define SHRINK 101

byte promised[N];
byte voted_ballot[N * 2], voted_value[N * 2];  /* by acceptor and slot */

bool prepare[B + 1];
bool promise[(B + 1) * N];
byte carried_ballot[(B + 1) * N * 2], carried_value[(B + 1) * N * 2];
byte accept[(B + 1) * 2];
bool accepted[(B + 1) * N * 2];

byte chosen[2];
bool calm = false;

#define AT(b, a) ((b) * N + (a))
#define SLOT(x, s) ((x) * 2 + (s))

/* A quorum of the membership that governs slot s: acceptor 0 alone once slot 0 has said so, else two of three. The
 * mistake: the leader of a later ballot proposes in slot 1 before it knows slot 0, under the membership that it has. */
#ifdef BUG_MEMBERSHIP_UNKNOWN
#define SHRUNK(b, s) ((s) == 1 && chosen[0] == SHRINK && (b) == 1)
#define KNOWS(b, s) ((b) > 1 || (s) == 0 || chosen[0] != 0)
#else
#define SHRUNK(b, s) ((s) == 1 && chosen[0] == SHRINK)
#ifdef ALPHA
#define KNOWS(b, s) ((s) == 0 || chosen[0] != 0)
#else
#define KNOWS(b, s) true
#endif
#endif
#define TWO(x, y, z) ((x) + (y) + (z) >= 2)
#define PROMISES(b, s) (SHRUNK(b, s) && promise[AT(b, 0)] || \
                        !SHRUNK(b, s) && TWO(promise[AT(b, 0)], promise[AT(b, 1)], promise[AT(b, 2)]))
#define VOTES(b, s) (SHRUNK(b, s) && accepted[SLOT(AT(b, 0), s)] || \
                     !SHRUNK(b, s) && TWO(accepted[SLOT(AT(b, 0), s)], accepted[SLOT(AT(b, 1), s)], accepted[SLOT(AT(b, 2), s)]))

inline choose(s, value) {
  assert(chosen[s] == 0 || chosen[s] == value);  /* agreement, by slot */
  chosen[s] = value
}

#ifdef BUG_FIRST_SLOT_ONLY
#define CARRY_SECOND(a, b) skip
#else
#define CARRY_SECOND(a, b) \
  carried_ballot[SLOT(AT(b, a), 1)] = voted_ballot[SLOT(a, 1)]; carried_value[SLOT(AT(b, a), 1)] = voted_value[SLOT(a, 1)]
#endif
/* What nobody will look at again is cleared, so that states which differ in nothing else are one: what promises say of
 * slot 0 once their ballot has proposed there, all of it once it has in both (whoever proposes in slot 0 looks at what
 * stands above), and who voted once that was a quorum. */
#define PROPOSED(b) (accept[SLOT(b, 0)] != 0 && accept[SLOT(b, 1)] != 0)
#define CLEAR_FIRST(b, a) carried_ballot[SLOT(AT(b, a), 0)] = 0; carried_value[SLOT(AT(b, a), 0)] = 0
#define CLEAR_PROMISE(b, a) \
  promise[AT(b, a)] = false; \
  CLEAR_FIRST(b, a); \
  carried_ballot[SLOT(AT(b, a), 1)] = 0; carried_value[SLOT(AT(b, a), 1)] = 0
#define PHASE_1(a, b) \
  :: d_step { \
       prepare[b] && b > promised[a] && !promise[AT(b, a)] -> \
       promised[a] = b; \
       if \
       :: PROPOSED(b) -> skip \
       :: else -> \
          promise[AT(b, a)] = true; \
          if \
          :: accept[SLOT(b, 0)] == 0 -> \
             carried_ballot[SLOT(AT(b, a), 0)] = voted_ballot[SLOT(a, 0)]; \
             carried_value[SLOT(AT(b, a), 0)] = voted_value[SLOT(a, 0)] \
          :: else \
          fi; \
          CARRY_SECOND(a, b) \
       fi }
#ifdef BUG_ACCEPT_WITHOUT_PROMISE
#define RAISE(a, b) skip
#else
#define RAISE(a, b) promised[a] = b
#endif
#define PHASE_2(a, b, s) \
  :: d_step { \
       accept[SLOT(b, s)] != 0 && b >= promised[a] && voted_ballot[SLOT(a, s)] != b -> \
       RAISE(a, b); \
       voted_ballot[SLOT(a, s)] = b; voted_value[SLOT(a, s)] = accept[SLOT(b, s)]; \
       accepted[SLOT(AT(b, a), s)] = true; \
       if \
       :: VOTES(b, s) -> \
          choose(s, accept[SLOT(b, s)]); \
          accepted[SLOT(AT(b, 0), s)] = true; accepted[SLOT(AT(b, 1), s)] = true; accepted[SLOT(AT(b, 2), s)] = true \
       :: else \
       fi }

proctype acceptor(byte a) {
end:
  do
  PHASE_1(a, 1) PHASE_2(a, 1, 0) PHASE_2(a, 1, 1)
#if B > 1
  PHASE_1(a, 2) PHASE_2(a, 2, 0) PHASE_2(a, 2, 1)
#endif
#if B > 2
  PHASE_1(a, 3) PHASE_2(a, 3, 0) PHASE_2(a, 3, 1)
#endif
  od
}

#define CONSIDER(b, a, s) \
  if \
  :: promise[AT(b, a)] && carried_ballot[SLOT(AT(b, a), s)] > best -> \
     best = carried_ballot[SLOT(AT(b, a), s)]; value = carried_value[SLOT(AT(b, a), s)] \
  :: else \
  fi
#ifdef BUG_SUFFIX_IGNORED
#define FIND(b, s) skip
#else
#define FIND(b, s) CONSIDER(b, 0, s); CONSIDER(b, 1, s); CONSIDER(b, 2, s)
#endif
#define HEARD(b, s) (promise[AT(b, 0)] && carried_ballot[SLOT(AT(b, 0), s)] != 0 || \
                     promise[AT(b, 1)] && carried_ballot[SLOT(AT(b, 1), s)] != 0 || \
                     promise[AT(b, 2)] && carried_ballot[SLOT(AT(b, 2), s)] != 0)
#ifdef ALPHA
#define COMMAND(b, s) ((b) == 1 && (s) == 0 -> SHRINK : 10 * (b) + (s))
#else
#define COMMAND(b, s) (10 * (b) + (s))
#endif

/* Slot s of the leader of ballot b. What phase 1 found there goes on; a hole below something found becomes a no-op;
 * above, a new command. A slot decided already needs nothing. */
#ifdef BUG_GAP_LEFT
#define WANTED(b, s) (HEARD(b, s) || !((s) == 0 && HEARD(b, 1)))
#else
#define WANTED(b, s) true
#endif
#define PROPOSE(b, s) \
  :: d_step { \
       accept[SLOT(b, s)] == 0 && KNOWS(b, s) && PROMISES(b, s) && WANTED(b, s) -> \
       FIND(b, s); \
       if \
       :: value == 0 && (s) == 0 && HEARD(b, 1) -> value = NOOP \
       :: value == 0 && !((s) == 0 && HEARD(b, 1)) -> value = COMMAND(b, s) \
       :: else \
       fi; \
       accept[SLOT(b, s)] = value; value = 0; best = 0; \
       if \
       :: PROPOSED(b) -> CLEAR_PROMISE(b, 0); CLEAR_PROMISE(b, 1); CLEAR_PROMISE(b, 2) \
       :: else \
          if \
          :: (s) == 0 -> CLEAR_FIRST(b, 0); CLEAR_FIRST(b, 1); CLEAR_FIRST(b, 2) \
          :: else \
          fi \
       fi }

proctype leader(byte b) {
  byte best = 0, value = 0;
#ifdef CALM
  if
  :: d_step { !calm || b == B -> prepare[b] = true }
  :: calm && b < B -> goto silent
  fi;
#endif
end:
  do
  PROPOSE(b, 0)
  PROPOSE(b, 1)
  od;
#ifdef CALM
silent: skip
#endif
}

#ifdef CALM
active proctype peace() { calm = true }
ltl decided { <> (chosen[0] != 0 && chosen[1] != 0) }
#endif

init {
  atomic {
#ifndef CALM
    prepare[1] = true;  /* taken at any time, or never: when they are sent makes no difference */
#if B > 1
    prepare[2] = true;
#endif
#if B > 2
    prepare[3] = true;
#endif
#endif
    run acceptor(0); run acceptor(1); run acceptor(2);
    run leader(1);
#if B > 1
    run leader(2);
#endif
#if B > 2
    run leader(3)
#endif
  }
}
