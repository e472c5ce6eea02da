/*
 * Single-decree Paxos (Lamport, "Paxos Made Simple", 2001, §2.2-2.3), as src/consensus/paxos does it.
 *
 * Bounds: three acceptors, ballots 1..B, each of one proposer that has a value of its own; any message may be lost,
 * delayed, reordered and repeated; acceptors crash and restart at any time, with what was durable.
 *
 * No channels: what has been sent stays known for ever (a set of messages), and each acceptor takes any of it at any
 * time or never: that is loss, delay, reordering and repetition in one.
 *
 * A proposer that crashes stays silent, which it may do anyway. One that comes back uses a new ballot, which is another
 * proposer here; that it might use its old one again is a planted mistake.
 *
 * Liveness assumes what it must: at some time nobody begins another ballot (the leader is stable), and who can take a
 * step takes one at last (weak fairness). Then a value is chosen, and every acceptor has accepted it.
 *
 * check: safety                                              holds quick  DEFINES -DB=3
 * check: safety-ballots                                      holds        DEFINES -DB=4
 * check: liveness                                            holds quick  DEFINES -DB=3 -DCALM LTL decided
 * check: bug-promise-forgotten (a restart forgets it)        breaks quick DEFINES -DB=2 -DBUG_PROMISE_FORGOTTEN
 * check: bug-accept-lowers     (accepts, promise not raised) breaks quick DEFINES -DB=3 -DBUG_ACCEPT_WITHOUT_PROMISE
 * check: bug-highest-value     (not of the highest ballot)   breaks quick DEFINES -DB=3 -DBUG_HIGHEST_VALUE
 * check: bug-ballot-reused     (after a restart)             breaks quick DEFINES -DB=2 -DBUG_BALLOT_REUSED
 * check: bug-small-quorum      (phase 1 asks one alone)      breaks quick DEFINES -DB=2 -DBUG_SMALL_QUORUM
 * check: bug-duel              (proposers never settle)      breaks quick DEFINES -DB=3 -DCALM -DBUG_NO_PHASE_2 LTL decided
 */
#ifndef B
#define B 3
#endif
#define N 3
#define QUORUM 2
#ifdef BUG_SMALL_QUORUM
#define QUORUM1 1
#else
#define QUORUM1 QUORUM
#endif

byte promised[N], voted_ballot[N], voted_value[N];  /* of the acceptors, durable */

/* Messages, by ballot: prepare sent; by ballot and acceptor: promise sent, with the vote that it carries; value of the
 * accept request; who answered it. */
bool prepare[B + 1];
bool promise[(B + 1) * N];
byte carried_ballot[(B + 1) * N], carried_value[(B + 1) * N];
byte accept[B + 1];
bool accepted[(B + 1) * N];

byte chosen = 0;
bool calm = false;

#define AT(b, a) ((b) * N + (a))
#define ANSWERS(set, b) (set[AT(b, 0)] + set[AT(b, 1)] + set[AT(b, 2)])

inline choose(value) {
  assert(chosen == 0 || chosen == value);  /* agreement */
  chosen = value
}

/* What one acceptor does with prepare(b) and accept(b, value). */
#define PHASE_1(a, b) \
  :: d_step { \
       prepare[b] && b > promised[a] && !promise[AT(b, a)] -> \
       promised[a] = b; promise[AT(b, a)] = true; \
       carried_ballot[AT(b, a)] = voted_ballot[a]; carried_value[AT(b, a)] = voted_value[a] }
#ifdef BUG_ACCEPT_WITHOUT_PROMISE
#define RAISE(a, b) skip
#else
#define RAISE(a, b) promised[a] = b
#endif
#define PHASE_2(a, b) \
  :: d_step { \
       accept[b] != 0 && b >= promised[a] && !accepted[AT(b, a)] -> \
       RAISE(a, b); voted_ballot[a] = b; voted_value[a] = accept[b]; accepted[AT(b, a)] = true; \
       if :: ANSWERS(accepted, b) >= QUORUM -> choose(accept[b]) :: else fi }

proctype acceptor(byte a) {
end:
  do
  PHASE_1(a, 1) PHASE_1(a, 2) PHASE_2(a, 1) PHASE_2(a, 2)
#if B > 2
  PHASE_1(a, 3) PHASE_2(a, 3)
#endif
#if B > 3
  PHASE_1(a, 4) PHASE_2(a, 4)
#endif
#ifdef BUG_PROMISE_FORGOTTEN
  :: d_step { promised[a] > voted_ballot[a] -> promised[a] = voted_ballot[a] }
#endif
  od
}

/* The value of the highest ballot among the promises; ours (the ballot's own number) when there is none. */
#define CONSIDER(b, a) \
  if \
  :: promise[AT(b, a)] && BETTER(b, a) -> best = carried_ballot[AT(b, a)]; value = carried_value[AT(b, a)] \
  :: else \
  fi
#ifdef BUG_HIGHEST_VALUE
#define BETTER(b, a) (carried_value[AT(b, a)] > value || best == 0 && carried_value[AT(b, a)] != 0)
#else
#define BETTER(b, a) (carried_ballot[AT(b, a)] > best)
#endif

/* Own values fall while ballots rise, so that "the highest value" and "the value of the highest ballot" differ. */
#define OWN(b) (B + 1 - (b))
#ifdef BUG_NO_PHASE_2
#define REQUEST(b, v) skip
#else
#define REQUEST(b, v) accept[b] = v
#endif

proctype proposer(byte b) {
  byte best = 0, value = 0;
  if
  :: d_step { !calm || b == B -> prepare[b] = true }
  :: calm && b < B -> goto silent
  fi;
end:
  d_step {
    ANSWERS(promise, b) >= QUORUM1 ->
    CONSIDER(b, 0); CONSIDER(b, 1); CONSIDER(b, 2);
    if :: value == 0 -> value = OWN(b) :: else fi;
    REQUEST(b, value);
    best = 0
  };
#ifdef BUG_BALLOT_REUSED
  /* It restarts, has forgotten which value it asked for, and asks for another at the same ballot. */
  d_step { true -> accept[b] = OWN(b) + B }
#endif
silent: skip
}

#ifdef CALM
/* From some time on nobody else begins a ballot, and the last proposer is the stable leader. */
active proctype peace() { calm = true }
ltl decided { <> (chosen != 0 && accepted[AT(B, 0)] && accepted[AT(B, 1)] && accepted[AT(B, 2)]) }
#endif

init {
  atomic {
    run acceptor(0); run acceptor(1); run acceptor(2);
    run proposer(1); run proposer(2);
#if B > 2
    run proposer(3);
#endif
#if B > 3
    run proposer(4)
#endif
  }
}
