/*
 * ZAB: discovery, synchronisation and broadcast (Junqueira, Reed, Serafini, "Zab: High-performance broadcast for
 * primary-backup systems", DSN 2011, §4; Medeiros, "ZooKeeper's atomic broadcast protocol", 2012), as
 * src/consensus/zab does it.
 *
 * Bounds: three servers, epochs up to T, histories of up to L transactions. Election is an oracle that may name
 * anybody at any time, rightly or not (§3.3: only liveness rests on it). Connections break and servers crash between
 * any two steps, any number of times; durable: accepted epoch, history, current epoch, in separate steps.
 *
 * A connection is FIFO and dies with either end. What a follower does after its leader died with what had already
 * arrived touches nobody else, so it is done before the death here. A leader's history only grows in its epoch, so
 * that what a follower has received is always a prefix of it.
 *
 * Liveness assumes a broadcasting leader of the highest epoch, with a quorum, that from some time on nobody leaves; that
 * a leader without a quorum gives up; and weak fairness: then its history is delivered by all.
 *
 * check: safety                                               holds quick DEFINES -DT=2 -DL=2
 * check: safety-epochs                                        holds       DEFINES -DT=3 -DL=1
 * check: safety-histories                                     holds       DEFINES -DT=3 -DL=2
 * check: liveness                                             holds quick DEFINES -DT=2 -DL=1 -DCALM LTL delivered
 * check: bug-epoch-first       (current epoch before history) breaks quick DEFINES -DT=3 -DL=1 -DBUG_EPOCH_FIRST
 * check: bug-no-step-back      (an acker is more recent)      breaks quick DEFINES -DT=3 -DL=1 -DBUG_NO_STEP_BACK
 * check: bug-epoch-counted-twice (an epoch known already)     breaks quick DEFINES -DT=2 -DL=1 -DBUG_EPOCH_COUNTED_TWICE
 * check: bug-epoch-forgotten   (accepted epoch not durable)   breaks quick DEFINES -DT=2 -DL=1 -DBUG_EPOCH_FORGOTTEN
 * check: bug-ack-early         (history not durable)          breaks quick DEFINES -DT=2 -DL=1 -DBUG_ACK_EARLY
 * check: bug-no-truncation     (a foreign suffix stays)       breaks quick DEFINES -DT=3 -DL=2 -DBUG_NO_TRUNCATION
 * check: bug-no-uptodate       (initial history never commits) breaks quick DEFINES -DT=2 -DL=1 -DCALM -DBUG_NO_COMMIT LTL delivered
 */
#ifndef T
#define T 2
#endif
#ifndef L
#define L 1
#endif
#define N 3

#define LOOKING      0
#define FOLLOWING    1  /* connected; has told its accepted epoch */
#define ACKNOWLEDGED 2  /* has sent ACKEPOCH */
#define SYNCING      3  /* history durable, current epoch not yet */
#define READY        4  /* has acknowledged NEWLEADER */
#define DISCOVERY    5  /* a prospective leader */
#define PROPOSED     6  /* it has chosen its epoch */
#define SYNCHRONISE  7  /* a quorum has sent ACKEPOCH */
#define BROADCAST    8  /* a quorum has acknowledged NEWLEADER */

byte state[N], leader[N];
byte accepted_epoch[N], current_epoch[N];  /* durable */
byte length[N], history[N * (L + 1)];      /* durable: the epoch of each transaction */
byte told[N];        /* of a leader: one bit for each follower whose ACKEPOCH counts: it was new to it */
byte joined[N];      /* of a leader: one bit for each follower that may be synchronised */
byte initial[N];     /* of a leader: the length of its history when it began to synchronise */
byte committed[N];   /* of a leader */

bool fresh[N];       /* of a follower: the epoch was new to it, so nobody else has its word for it */

byte chosen[L + 1];
byte established[T + 1];  /* who broadcasts in an epoch, + 1 */
bool calm = false;  /* the primary is stable */
byte primary = 0;   /* who it is then */
#ifdef BUG_ACK_EARLY
bool unsynced[N];
#endif

#define H(i, k) history[(i) * (L + 1) + (k)]
#define BIT(i) (1 << (i))
#define COUNT(set) (((set) & 1) + (((set) >> 1) & 1) + (((set) >> 2) & 1))
#define MINE(i, l) (leader[i] == (l) && state[i] >= FOLLOWING && state[i] <= READY)
#define LAST(i) (length[i] == 0 -> 0 : H(i, length[i]))
/* (current epoch, last zxid); the counter within an epoch is the place, as histories are gapless */
#define MORE_RECENT(i, j) (current_epoch[i] > current_epoch[j] || \
                           (current_epoch[i] == current_epoch[j] && \
                            (LAST(i) > LAST(j) || (LAST(i) == LAST(j) && length[i] > length[j]))))

/* accepted >= current >= the epoch of the last transaction; the last of it only while somebody takes part: a crash
 * between taking a history and its epoch leaves transactions above the current epoch, which harms nobody (the current
 * epoch decides who is more recent). */
inline check_epochs(i) {
  assert(accepted_epoch[i] >= current_epoch[i] && accepted_epoch[i] >= LAST(i));
  assert(state[i] < READY || state[i] == DISCOVERY || state[i] == PROPOSED || current_epoch[i] >= LAST(i))
}

#ifdef BUG_ACK_EARLY
#define FORGET(i) if :: unsynced[i] -> H(i, length[i]) = 0; length[i]--; unsynced[i] = false :: else fi
#define UNSYNCED(i) unsynced[i] = true
#else
#define FORGET(i) skip
#define UNSYNCED(i) skip
#endif

/* The connection of everybody with a leader that gives up, or of one follower. */
inline leave(i) {
  if
  :: state[i] >= DISCOVERY ->
     k = 0;
     do
     :: k < N -> if :: MINE(k, i) -> state[k] = LOOKING; leader[k] = 0; fresh[k] = false; FORGET(k) :: else fi; k++
     :: else -> break
     od;
     k = 0; told[i] = 0; joined[i] = 0; initial[i] = 0; committed[i] = 0
  :: else ->
     if :: state[i] != LOOKING -> told[leader[i]] = told[leader[i]] & ~BIT(i); joined[leader[i]] = joined[leader[i]] & ~BIT(i) :: else fi;
     FORGET(i)
  fi;
  state[i] = LOOKING; leader[i] = 0; fresh[i] = false
}
inline commit_up_to(i, last) {
  k = 1;
  do
  :: k <= last ->
     assert(chosen[k] == 0 || chosen[k] == H(i, k));  /* agreement, total order */
     chosen[k] = H(i, k); k++
  :: else -> break
  od;
  k = 0; committed[i] = last
}

/* DIFF, TRUNC or SNAP: what agrees with the leader's history stays, what does not goes, and what is missing of its
 * initial history comes; later transactions follow NEWLEADER. What agrees is never cut: it may have been acknowledged. */
inline take_history(i, l) {
  k = 1;
#ifndef BUG_NO_TRUNCATION
  do
  :: k <= length[i] && k <= length[l] && H(i, k) == H(l, k) -> k++
  :: else -> break
  od;
  length[i] = k - 1;
  k = length[i] + 1;
  do
  :: k <= L -> H(i, k) = 0; k++
  :: else -> break
  od;
#endif
  do
  :: length[i] < initial[l] -> length[i]++; H(i, length[i]) = H(l, length[i])
  :: else -> break
  od;
  k = 0
}

#define COPIES(l, p) (((l) == 0 || MINE(0, l) && state[0] == READY && length[0] >= p) + \
                      ((l) == 1 || MINE(1, l) && state[1] == READY && length[1] >= p) + \
                      ((l) == 2 || MINE(2, l) && state[2] == READY && length[2] >= p))
#define READIES(l) COPIES(l, 0)
#define ACCEPTED_BY(l, j) (MINE(j, l) && accepted_epoch[j] > highest -> accepted_epoch[j] : highest)

/* Server i as a follower of l. */
#define FOLLOW(i, l) \
  :: d_step { state[i] == LOOKING && i != l && state[l] >= DISCOVERY && !(calm && state[l] != BROADCAST) -> \
       state[i] = FOLLOWING; leader[i] = l } \
  :: d_step { MINE(i, l) && state[i] == FOLLOWING && state[l] >= PROPOSED && accepted_epoch[l] >= accepted_epoch[i] -> \
       fresh[i] = accepted_epoch[l] > accepted_epoch[i]; \
       accepted_epoch[i] = accepted_epoch[l]; state[i] = ACKNOWLEDGED; check_epochs(i) } \
  :: d_step { MINE(i, l) && state[i] == FOLLOWING && state[l] >= PROPOSED && accepted_epoch[l] < accepted_epoch[i] -> \
       leave(i) } \
  :: d_step { MINE(i, l) && state[i] == ACKNOWLEDGED && state[l] >= PROPOSED && (joined[l] & BIT(i)) == 0 -> \
       if \
       :: STEP_BACK && MORE_RECENT(i, l) -> leave(l) \
       :: else -> \
          joined[l] = joined[l] | BIT(i); \
          if :: COUNTS(i) -> told[l] = told[l] | BIT(i) :: else fi \
       fi } \
  SYNCHRONISATION(i, l) \
  :: d_step { MINE(i, l) && state[i] == READY && length[i] < length[l] -> \
       length[i]++; H(i, length[i]) = H(l, length[i]); UNSYNCED(i) }
#ifdef BUG_NO_STEP_BACK
#define STEP_BACK false
#else
#define STEP_BACK true
#endif
#ifdef BUG_EPOCH_COUNTED_TWICE
#define COUNTS(i) true
#else
#define COUNTS(i) fresh[i]
#endif
#ifdef BUG_EPOCH_FIRST
#define SYNCHRONISATION(i, l) \
  :: d_step { MINE(i, l) && state[i] == ACKNOWLEDGED && state[l] >= SYNCHRONISE && (joined[l] & BIT(i)) != 0 -> \
       current_epoch[i] = accepted_epoch[l]; state[i] = SYNCING } \
  :: d_step { MINE(i, l) && state[i] == SYNCING -> take_history(i, l); state[i] = READY }
#else
#define SYNCHRONISATION(i, l) \
  :: d_step { MINE(i, l) && state[i] == ACKNOWLEDGED && state[l] >= SYNCHRONISE && (joined[l] & BIT(i)) != 0 -> \
       take_history(i, l); state[i] = SYNCING } \
  :: d_step { MINE(i, l) && state[i] == SYNCING -> \
       current_epoch[i] = accepted_epoch[l]; state[i] = READY; check_epochs(i) }
#endif

#ifdef BUG_NO_COMMIT
#define COMMITS(i, p) false
#else
#define COMMITS(i, p) (state[i] == BROADCAST && length[i] >= p && committed[i] < p && COPIES(i, p) >= 2)
#endif
#define FOLLOWERS(l) (MINE(0, l) + MINE(1, l) + MINE(2, l))

#ifdef BUG_NO_COMMIT
#define INITIAL_COMMIT(i) skip
#else
#define INITIAL_COMMIT(i) commit_up_to(i, length[i])
#endif
#ifdef BUG_EPOCH_FORGOTTEN
#define LOSE(i) accepted_epoch[i] = current_epoch[i]
#else
#define LOSE(i) skip
#endif

proctype server(byte i) {
  byte k = 0, highest = 0;
end:
  do
  :: d_step { !calm && state[i] == LOOKING -> state[i] = DISCOVERY; leader[i] = i }
  :: d_step {  /* a quorum with itself has told its accepted epochs */
       state[i] == DISCOVERY && FOLLOWERS(i) >= 1 ->
       highest = accepted_epoch[i];
       highest = ACCEPTED_BY(i, 0); highest = ACCEPTED_BY(i, 1); highest = ACCEPTED_BY(i, 2);
       if
       :: highest < T -> accepted_epoch[i] = highest + 1; state[i] = PROPOSED; told[i] = BIT(i)
       :: else -> leave(i)
       fi;
       highest = 0 }
  :: d_step { state[i] == PROPOSED && COUNT(told[i]) >= 2 ->
       current_epoch[i] = accepted_epoch[i]; initial[i] = length[i]; state[i] = SYNCHRONISE; check_epochs(i) }
  :: d_step {
       state[i] == SYNCHRONISE && READIES(i) >= 2 ->
       assert(established[accepted_epoch[i]] == 0);  /* one primary an epoch */
       established[accepted_epoch[i]] = i + 1;
       k = 1;
       do  /* leader completeness, and with it primary integrity */
       :: k <= L && chosen[k] != 0 -> assert(length[i] >= k && H(i, k) == chosen[k]); k++
       :: else -> break
       od;
       k = 0;
       state[i] = BROADCAST;
       INITIAL_COMMIT(i) }
#ifdef CALM
  :: d_step { state[i] == BROADCAST && length[i] < L && (calm || length[i] < L - 1) ->
#else
  :: d_step { state[i] == BROADCAST && length[i] < L ->
#endif
       length[i]++; H(i, length[i]) = accepted_epoch[i] }
  :: d_step { COMMITS(i, 1) -> commit_up_to(i, 1) }
#if L > 1
  :: d_step { COMMITS(i, 2) -> commit_up_to(i, 2) }
#endif
  FOLLOW(i, 0)
  FOLLOW(i, 1)
  FOLLOW(i, 2)
#ifdef BUG_ACK_EARLY
  :: d_step { unsynced[i] -> unsynced[i] = false }
#endif
  :: d_step { !calm && state[i] != LOOKING -> leave(i); LOSE(i) }  /* a time-out, or a crash and a restart */
  :: d_step { calm && state[i] >= DISCOVERY && state[i] < BROADCAST -> leave(i) }
  :: d_step { calm && state[i] == BROADCAST && i != primary && FOLLOWERS(i) == 0 -> leave(i) }  /* it has no quorum */
  :: d_step { calm && state[i] != LOOKING && state[i] <= READY && state[leader[i]] != BROADCAST -> leave(i) }
  od
}
#ifdef CALM
#define HIGHEST(i) (state[i] == BROADCAST && READIES(i) >= 2 && accepted_epoch[i] >= accepted_epoch[0] && \
                    accepted_epoch[i] >= accepted_epoch[1] && accepted_epoch[i] >= accepted_epoch[2])
active proctype peace() {
end:
  d_step {
    (HIGHEST(0) || HIGHEST(1) || HIGHEST(2)) ->
    calm = true;
    if :: HIGHEST(0) -> primary = 0 :: HIGHEST(1) -> primary = 1 :: HIGHEST(2) -> primary = 2 fi
  }
}
#define SAME(i) (length[i] == length[primary] && H(i, 1) == H(primary, 1) && H(i, L) == H(primary, L))
#define DONE (length[primary] == L && committed[primary] == L && SAME(0) && SAME(1) && SAME(2))
ltl delivered { [] (calm -> <> DONE) }
#endif

init {
  atomic { run server(0); run server(1); run server(2) }
}
