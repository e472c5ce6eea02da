/*
 * Raft: election and replication (Ongaro, "Consensus: Bridging Theory and Practice", 2014, §3; figure 3.1), as
 * src/consensus/raft does it without its refinements (pre-vote, leases, snapshots, joint consensus: simulator).
 *
 * Bounds: N servers, terms up to T, logs of up to L entries, one fault of every kind at any time and any number of
 * times: crash with restart, loss, delay, reordering and repetition of messages.
 *
 * No channels. What a leader of term t sends about position k can be told at any later time from its log of that term,
 * which only grows (leader append-only, asserted): so `sent` remembers that log, and a server may receive any part of
 * it at any time, which is loss, delay, reordering and repetition in one. Answers are remembered likewise: who voted
 * for whom in the present term, and up to where a server has acknowledged the leader of a term. A request of a
 * candidate that has moved on could only raise terms, which a time-out does as well: it is left out.
 *
 * What is durable when it is spoken of: term, vote, log. A restart forgets the rest.
 *
 * Liveness assumes what it must (FLP): at some time a leader is there, nobody campaigns or crashes after that, and
 * every server that can take a step takes one at last (weak fairness). Then what the leader has accepted is chosen, and
 * stands in every log.
 *
 * check: safety                                              holds quick  DEFINES -DN=3 -DT=2 -DL=2
 * check: safety-terms                                        holds        DEFINES -DN=3 -DT=4 -DL=1
 * check: safety-logs                                         holds        DEFINES -DN=3 -DT=3 -DL=2
 * check: liveness                                            holds quick  DEFINES -DN=3 -DT=2 -DL=2 -DCALM LTL delivered
 * check: bug-vote-forgotten    (a restart forgets the vote)  breaks quick DEFINES -DN=3 -DT=2 -DL=1 -DBUG_VOTE_FORGOTTEN
 * check: bug-vote-unchecked    (the voter's log ignored)     breaks quick DEFINES -DN=3 -DT=3 -DL=1 -DBUG_VOTE_UNCHECKED
 * check: bug-prior-term        (figure 3.7: counted copies)  breaks quick DEFINES -DN=3 -DT=4 -DL=1 -DBUG_PRIOR_TERM
 * check: bug-ack-early         (acknowledged, not durable)   breaks quick DEFINES -DN=3 -DT=3 -DL=1 -DBUG_ACK_EARLY
 * check: bug-prev-unchecked    (the entry before ignored)    breaks quick DEFINES -DN=3 -DT=3 -DL=2 -DBUG_PREV_UNCHECKED
 * check: bug-silent            (entries are never sent)      breaks quick DEFINES -DN=3 -DT=2 -DL=2 -DCALM -DBUG_SILENT LTL delivered
 */
#ifndef N
#define N 3
#endif
#ifndef T
#define T 2
#endif
#ifndef L
#define L 2
#endif
#define QUORUM (N / 2 + 1)

#define FOLLOWER  0
#define CANDIDATE 1
#define LEADER    2

byte role[N], term[N];
byte voted[N];     /* 0: nobody; else the server + 1 */
byte granted[N];   /* of a candidate: one bit a voter */
byte length[N];
byte entries[N * (L + 1)];  /* the term of the entry at a position, from 1 */

/* By term: its leader + 1, its log, how far it has been acknowledged, how far it has committed. */
byte leader[T + 1], sent_length[T + 1], committed[T + 1];
byte sent[(T + 1) * (L + 1)];
byte acked[(T + 1) * N];

byte chosen[L + 1];     /* what the group has chosen at a position: the entry's term, 0 nothing */
byte chosen_in[L + 1];  /* the term whose leader committed it first */
bool calm = false;   /* the leader is stable */
byte reign = 0;      /* its term */

#ifdef BUG_ACK_EARLY
bool unsynced[N];  /* the last entry is not durable yet */
#endif

#define E(i, k)   entries[(i) * (L + 1) + (k)]
#define S(t, k)   sent[(t) * (L + 1) + (k)]
#define ACK(t, i) acked[(t) * N + (i)]
#define BIT(i)    (1 << (i))
#define VOTES(i)  ((granted[i] & 1) + ((granted[i] >> 1) & 1) + ((granted[i] >> 2) & 1) + ((granted[i] >> 3) & 1) + ((granted[i] >> 4) & 1))
#define LAST_TERM(i) (length[i] == 0 -> 0 : E(i, length[i]))
#ifdef BUG_VOTE_UNCHECKED
#define UP_TO_DATE(c, v) true
#else
#define UP_TO_DATE(c, v) (LAST_TERM(c) > LAST_TERM(v) || (LAST_TERM(c) == LAST_TERM(v) && length[c] >= length[v]))
#endif

/* State machine safety: whoever believes a position to be committed sees the same entry there. */
inline commit_entry(position, entry, in) {
  assert(chosen[position] == 0 || chosen[position] == entry);
  if :: chosen[position] == 0 || chosen_in[position] > in -> chosen_in[position] = in :: else fi;
  chosen[position] = entry
}

/* Leader completeness: what was committed in a term stands in the log of the leader of every later one. (Votes on their
 * way may still elect the leader of an earlier term.) Its log begins the term's messages. */
inline begin_term(i) {
  assert(leader[term[i]] == 0);  /* election safety */
  role[i] = LEADER;
  granted[i] = 0;
  leader[term[i]] = i + 1;
  k = 1;
  do
  :: k <= L ->
     assert(chosen[k] == 0 || chosen_in[k] >= term[i] || length[i] >= k && E(i, k) == chosen[k]);
     k++
  :: else -> break
  od;
  sent_length[term[i]] = length[i];
  ACK(term[i], i) = length[i];
  k = 1;
  do
  :: k <= length[i] -> S(term[i], k) = E(i, k); k++
  :: else -> break
  od;
  k = 0
}

inline append_own(i) {
  length[i]++;
  E(i, length[i]) = term[i];
  sent_length[term[i]] = length[i];
  S(term[i], length[i]) = term[i];
  ACK(term[i], i) = length[i]
}

#ifdef BUG_PREV_UNCHECKED
#define FOLLOWS(i, t, p) (length[i] >= (p))
#else
#define FOLLOWS(i, t, p) ((p) == 0 || (length[i] >= (p) && E(i, p) == S(t, p)))
#endif

/* AppendEntries with the entry at p + 1 of the leader of term t. Only what changes something is a step. */
#define HAS(i, t, p) (length[i] > (p) && E(i, (p) + 1) == S(t, (p) + 1))
#ifdef BUG_SILENT
#define SENT(t, p) false
#else
#define SENT(t, p) (sent_length[t] > (p))
#endif
#define RECEIVE(i, t, p) \
  :: d_step { \
       SENT(t, p) && leader[t] != i + 1 && t >= term[i] && \
           (t > term[i] || role[i] == CANDIDATE || (FOLLOWS(i, t, p) && (!HAS(i, t, p) || ACK(t, i) <= p))) -> \
       if :: t > term[i] -> term[i] = t; voted[i] = 0 :: else fi; \
       role[i] = FOLLOWER; granted[i] = 0; \
       if \
       :: FOLLOWS(i, t, p) -> \
          if \
          :: HAS(i, t, p) -> skip \
          :: else -> \
             k = p + 2; \
             do :: k <= L -> E(i, k) = 0; k++ :: else -> break od; \
             k = 0; \
             length[i] = p + 1; E(i, (p) + 1) = S(t, (p) + 1); UNSYNCED(i) \
          fi; \
          if :: ACK(t, i) <= p -> ACK(t, i) = p + 1 :: else fi; \
          if :: committed[t] > p -> commit_entry((p) + 1, E(i, (p) + 1), t) :: else fi \
       :: else \
       fi }
#ifdef BUG_ACK_EARLY
#define UNSYNCED(i) unsynced[i] = true
#else
#define UNSYNCED(i) skip
#endif

#define VOTE(i, c) \
  :: d_step { \
       c < N && c != i && role[c] == CANDIDATE && \
           (term[c] > term[i] || (term[c] == term[i] && role[i] == FOLLOWER && voted[i] == 0 && UP_TO_DATE(c, i))) -> \
       if :: term[c] > term[i] -> term[i] = term[c]; voted[i] = 0; role[i] = FOLLOWER; granted[i] = 0 :: else fi; \
       if :: UP_TO_DATE(c, i) -> voted[i] = c + 1; granted[c] = granted[c] | BIT(i) :: else fi }

#ifdef BUG_PRIOR_TERM
#define OF_OWN_TERM(i, p) true
#else
#define OF_OWN_TERM(i, p) (E(i, p) == term[i])
#endif
#define COPIES(t, p) ((ACK(t, 0) >= p) + (ACK(t, 1) >= p) + (ACK(t, 2) >= p))

#define COMMIT(i, p) \
  :: d_step { \
       role[i] == LEADER && length[i] >= p && committed[term[i]] < p && OF_OWN_TERM(i, p) && \
           COPIES(term[i], p) >= QUORUM -> \
       k = 1; \
       do :: k <= p -> commit_entry(k, E(i, k), term[i]); k++ :: else -> break od; \
       k = 0; committed[term[i]] = p }

#if defined(BUG_VOTE_FORGOTTEN)
#define CRASH_LOSES(i) || voted[i] != 0
#define CRASH(i) voted[i] = 0
#elif defined(BUG_ACK_EARLY)
#define CRASH_LOSES(i) || unsynced[i]
#define CRASH(i) if :: unsynced[i] -> E(i, length[i]) = 0; length[i]--; unsynced[i] = false :: else fi
#else
#define CRASH_LOSES(i)
#define CRASH(i) skip
#endif

proctype server(byte i) {
  byte k = 0;
end:
  do
  :: d_step { !calm && role[i] != LEADER && term[i] < T ->  /* the election timeout */
       term[i]++; voted[i] = i + 1; role[i] = CANDIDATE; granted[i] = BIT(i) }
  VOTE(i, 0) VOTE(i, 1) VOTE(i, 2)
  :: d_step { role[i] == CANDIDATE && VOTES(i) >= QUORUM -> begin_term(i) }
#ifdef CALM
  /* The last position is kept for the stable leader: logs are bounded, and it needs an entry of its own term. */
  :: d_step { role[i] == LEADER && (length[i] < L - 1 || (calm && length[i] < L && LAST_TERM(i) != term[i])) -> append_own(i) }
#else
  :: d_step { role[i] == LEADER && length[i] < L -> append_own(i) }
#endif
  RECEIVE(i, 1, 0) RECEIVE(i, 2, 0)
#if T > 2
  RECEIVE(i, 3, 0)
#endif
#if T > 3
  RECEIVE(i, 4, 0)
#endif
  COMMIT(i, 1)
#if L > 1
  RECEIVE(i, 1, 1) RECEIVE(i, 2, 1)
#if T > 2
  RECEIVE(i, 3, 1)
#endif
  COMMIT(i, 2)
#endif
#ifdef BUG_ACK_EARLY
  :: d_step { unsynced[i] -> unsynced[i] = false }
#endif
  :: d_step { !calm && (role[i] != FOLLOWER CRASH_LOSES(i)) ->  /* crash and restart */
       role[i] = FOLLOWER; granted[i] = 0; CRASH(i) }
  od
}
#ifdef CALM
/* From some time on a leader of the highest term stands undisturbed. */
#define NEWEST(i) (role[i] == LEADER && term[i] >= term[0] && term[i] >= term[1] && term[i] >= term[2])
active proctype peace() {
end:
  d_step {
    (NEWEST(0) || NEWEST(1) || NEWEST(2)) ->
    calm = true;
    if :: NEWEST(0) -> reign = term[0] :: NEWEST(1) -> reign = term[1] :: NEWEST(2) -> reign = term[2] fi
  }
}
#define EVERYWHERE(p) (E(0, p) == S(reign, p) && E(1, p) == S(reign, p) && E(2, p) == S(reign, p))
#define DONE (sent_length[reign] > 0 && committed[reign] == sent_length[reign] && \
              EVERYWHERE(1) && (sent_length[reign] < 2 || EVERYWHERE(2)))
ltl delivered { [] (calm -> <> DONE) }
#endif

init {
  atomic { run server(0); run server(1); run server(2) }
}
