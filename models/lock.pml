/*
 * A lock with leases and fencing tokens (Gray and Cheriton, "Leases", SOSP 1989; Burrows, "The Chubby lock service",
 * OSDI 2006, §2.4; Kleppmann, "How to do distributed locking", 2016).
 *
 * Bounds: two clients that take the lock up to R times each, a lock service (linearizable: a state machine over a log),
 * a resource. A client may stop for as long as it likes between any two steps, or for ever; a lease may end at any time,
 * for clocks say nothing here.
 *
 * That two clients believe that they hold the lock *can* happen, and is shown (`two-believe`). Mutual exclusion is what
 * the resource sees: no operation with a token below one it has seen already is accepted. No deadlock: a holder that
 * never comes back loses the lock with its lease, and whoever waits gets it (first come, first served; weak fairness).
 *
 * check: safety                                               holds quick DEFINES -DR=2
 * check: liveness                                             holds quick DEFINES -DR=1 -DCHECK_LTL LTL granted
 * check: two-believe           (both at once, and harmless)   breaks quick DEFINES -DR=1 -DSHOW_TWO_BELIEVERS
 * check: bug-no-fencing        (the resource takes all)       breaks quick DEFINES -DR=1 -DBUG_NO_FENCING
 * check: bug-token-reused      (a grant repeats a token)      breaks quick DEFINES -DR=2 -DBUG_TOKEN_REUSED
 * check: bug-no-lease          (a dead holder keeps the lock) breaks quick DEFINES -DR=1 -DCHECK_LTL -DBUG_NO_LEASE LTL granted
 */
#ifndef R
#define R 1
#endif
#define NOBODY 2

byte holder = NOBODY, last_token = 0;
byte first = NOBODY, second = NOBODY;  /* who waits */
byte token[2];                         /* what a client believes to hold; 0 nothing */
bool waits[2], got[2];
byte seen = 0;                         /* by the resource: the highest token */
byte last_writer_token = 0;            /* of the last operation that it accepted */
byte taken[2];

#ifdef BUG_TOKEN_REUSED
#define NEXT_TOKEN 1
#else
#define NEXT_TOKEN (last_token + 1)
#endif
#ifdef BUG_NO_FENCING
#define ADMITS(t) true
#else
#define ADMITS(t) ((t) >= seen)
#endif

active proctype service() {
end:
  do
  :: d_step {  /* a grant: the one place where tokens are made */
       holder == NOBODY && first != NOBODY ->
       assert(NEXT_TOKEN > last_token);  /* every token is above all before it */
       last_token = NEXT_TOKEN;
       holder = first; token[first] = last_token; waits[first] = false; got[first] = true;
       first = second; second = NOBODY }
#ifndef BUG_NO_LEASE
  :: d_step { holder != NOBODY && first != NOBODY -> holder = NOBODY }  /* the lease of whoever holds it runs out */
#endif
  od
}

proctype client(byte c) {
end:
  do
  :: d_step {  /* asks */
       taken[c] < R && token[c] == 0 && !waits[c] ->
       taken[c]++; waits[c] = true; got[c] = false;
       if :: first == NOBODY -> first = c :: else -> second = c fi }
  :: d_step {  /* writes with its token, however late */
       token[c] != 0 && token[c] != last_writer_token && ADMITS(token[c]) ->
       assert(token[c] >= last_writer_token);  /* mutual exclusion, as the resource sees it */
       last_writer_token = token[c];
       seen = (token[c] > seen -> token[c] : seen) }
  :: d_step { token[c] != 0 && !ADMITS(token[c]) -> token[c] = 0 }  /* told that it is too late */
  :: d_step { token[c] != 0 -> if :: holder == c -> holder = NOBODY :: else fi; token[c] = 0 }  /* releases */
  :: token[c] != 0 -> break  /* stops for ever, holding it */
#ifdef SHOW_TWO_BELIEVERS
  :: d_step { token[0] != 0 && token[1] != 0 -> assert(false) }
#endif
  od
}

#ifdef CHECK_LTL
ltl granted { [] (waits[0] -> <> got[0]) && [] (waits[1] -> <> got[1]) }
#endif

init {
  atomic { run client(0); run client(1) }
}
