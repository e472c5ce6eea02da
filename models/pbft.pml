/*
 * PBFT: ordering of one sequence number and view changes (Castro and Liskov, "Practical Byzantine Fault Tolerance",
 * OSDI 1999, §4), four replicas of which one does whatever it likes, as src/consensus/pbft is to do it.
 *
 * Bounds: N replicas, one of them (BYZ) Byzantine, views 0..V-1, one sequence number, two requests (1, 2) and the null
 * request (3). Checkpoints are left out: nothing is stable yet. Messages of the honest stay known and are taken at any
 * time or never. The Byzantine replica needs no state: wherever its message would help, it has sent it, to each what
 * suits, limited by signatures alone: it cannot speak for others, so its certificates need their prepares.
 *
 * Run with BYZ 0 (the primary of view 0 equivocates) and BYZ 1 (the primary of view 1 shapes the new view).
 *
 * check: equivocating-primary                                 holds quick DEFINES -DBYZ=0 -DV=2
 * check: malicious-new-primary                                holds quick DEFINES -DBYZ=1 -DV=2
 * check: malicious-backup                                     holds quick DEFINES -DBYZ=3 -DV=2
 * check: three-views-first                                    holds       DEFINES -DBYZ=0 -DV=3
 * check: three-views-second                                   holds       DEFINES -DBYZ=1 -DV=3
 * check: three-views-third                                    holds       DEFINES -DBYZ=2 -DV=3
 * check: bug-commit-quorum     (2f commits suffice)           breaks quick DEFINES -DBYZ=0 -DV=2 -DBUG_COMMIT_QUORUM
 * check: bug-prepared-dropped  (view change without P)        breaks quick DEFINES -DBYZ=3 -DV=2 -DBUG_PREPARED_DROPPED
 * check: bug-proof-unchecked   (certificates are believed)    breaks quick DEFINES -DBYZ=3 -DV=2 -DBUG_PROOF_UNCHECKED
 * check: bug-number-alone      (a new view without V)         breaks quick DEFINES -DBYZ=1 -DV=2 -DBUG_NUMBER_ALONE
 * check: bug-forgets-prepare   (a restart forgets its word)   breaks quick DEFINES -DBYZ=0 -DV=1 -DBUG_FORGETS_PREPARE
 * check: three-replicas        (n = 3, f = 1: too few)        breaks quick DEFINES -DN=3 -DBYZ=0 -DV=1
 */
#ifndef N
#define N 4
#endif
#ifndef V
#define V 2
#endif
#ifndef BYZ
#define BYZ 0
#endif
#define QUORUM (N - 1)  /* n - f: 2f + 1 when n = 3f + 1 */
#define NULL_REQUEST 3

#define PRIMARY(v) ((v) % N)
#define BIT(i) (1 << (i))
#define COUNT(set) (((set) & 1) + (((set) >> 1) & 1) + (((set) >> 2) & 1) + (((set) >> 3) & 1))

/* Of each honest replica */
byte view[N];
bool entered[N];           /* the view is entered, not only asked for */
byte accepted[N];         /* the request that was pre-prepared in this view; 0 none */
byte prepared_in[N];      /* the view of the newest prepared certificate, + 1; 0 none */
byte prepared_what[N];
bool decided[N];

/* What honest replicas have sent: by view and request, one bit each */
byte pre_prepared[V];     /* of an honest primary: its one request */
byte prepares[V * 4], commits[V * 4];
bool view_change[(V + 1) * N];
byte carried_in[(V + 1) * N], carried_what[(V + 1) * N];
byte new_view[V];         /* of an honest primary: what its O says */

byte decision = 0;

#define SLOT(v, d) ((v) * 4 + (d))
#define VC(v, i) ((v) * N + (i))

/* Prepares of distinct backups; the Byzantine one, where it is a backup, prepares whatever is asked for. */
#define PREPARES(v, d) (COUNT(prepares[SLOT(v, d)] & ~BIT(PRIMARY(v))) + (PRIMARY(v) != BYZ))
#define COMMITS(v, d) (COUNT(commits[SLOT(v, d)]) + 1)
#define PRE_PREPARED(v, d) (PRIMARY(v) == BYZ || pre_prepared[v] == (d))
/* Whether a certificate for (v, d) can be shown. */
#define CERTIFIED(v, d) (PRE_PREPARED(v, d) && PREPARES(v, d) >= QUORUM - 1)
#ifdef BUG_PROOF_UNCHECKED
#define CLAIM(v, d) true
#else
#define CLAIM(v, d) CERTIFIED(v, d)
#endif
#ifdef BUG_COMMIT_QUORUM
#define COMMIT_QUORUM (QUORUM - 1)
#else
#define COMMIT_QUORUM QUORUM
#endif

inline accept_request(i, d) {
  accepted[i] = d;
  if
  :: PRIMARY(view[i]) != i -> prepares[SLOT(view[i], d)] = prepares[SLOT(view[i], d)] | BIT(i)
  :: else
  fi
}

/* The newest certificate of those in V: of every replica but `without`; `in` and `what`: what the Byzantine one claims
 * (0: none), where it is among them. */
#define COMPLETE(v, without) ((0 == without || 0 == BYZ || view_change[VC(v, 0)]) && \
                              (1 == without || 1 == BYZ || view_change[VC(v, 1)]) && \
                              (2 == without || 2 == BYZ || view_change[VC(v, 2)]) && FOURTH(v, without))
#if N > 3
#define FOURTH(v, without) (3 == without || 3 == BYZ || view_change[VC(v, 3)])
#else
#define FOURTH(v, without) true
#endif
inline newest(v, without, in, what) {
  k = 0;
  do
  :: k < N ->
     if
     :: k != without && k != BYZ && carried_in[VC(v, k)] > best ->
        best = carried_in[VC(v, k)]; request = carried_what[VC(v, k)]
     :: else
     fi;
     k++
  :: else -> break
  od;
  k = 0;
  /* Of two certificates of one view, which cannot both be true, the Byzantine one is put first. */
  if :: without != BYZ && in != 0 && in >= best -> best = in; request = what :: else fi;
  if :: best == 0 -> request = NULL_REQUEST :: else fi;
  best = 0
}

inline enter(i) {
  entered[i] = true;
  accept_request(i, request);
  request = 0
}

/* An honest primary composes one new view; each backup of the Byzantine primary is shown another V, but a true one. */
#define COMPOSE(i, v, without, in, what) \
  :: d_step { view[i] == v && !entered[i] && COMPLETE(v, without) && (in == 0 || CLAIM(in - 1, what)) && \
              PRIMARY(v) == i && new_view[v] == 0 -> \
       newest(v, without, in, what); new_view[v] = request; pre_prepared[v] = request; enter(i) } \
  :: d_step { view[i] == v && !entered[i] && COMPLETE(v, without) && (in == 0 || CLAIM(in - 1, what)) && \
              PRIMARY(v) == BYZ -> \
       newest(v, without, in, what); enter(i) }
#if N > 3
#define WITHOUT_FOURTH(i, v, in, what) COMPOSE(i, v, 3, in, what)
#else
#define WITHOUT_FOURTH(i, v, in, what)
#endif
#define CLAIMING(i, v, in, what) \
  COMPOSE(i, v, 0, in, what) COMPOSE(i, v, 1, in, what) COMPOSE(i, v, 2, in, what) WITHOUT_FOURTH(i, v, in, what)

#define ORDER(i, v, d) \
  :: d_step {  /* a pre-prepare of the first view; those of later ones stand in the new view */ \
       v == 0 && view[i] == 0 && entered[i] && accepted[i] == 0 && d != NULL_REQUEST && PRIMARY(0) != i && \
       PRE_PREPARED(0, d) -> \
       accept_request(i, d) } \
  :: d_step {  /* prepared */ \
       view[i] == v && entered[i] && accepted[i] == d && prepared_in[i] != v + 1 && PREPARES(v, d) >= QUORUM - 1 -> \
       prepared_in[i] = v + 1; prepared_what[i] = d; commits[SLOT(v, d)] = commits[SLOT(v, d)] | BIT(i) } \
  :: d_step {  /* committed */ \
       prepared_in[i] == v + 1 && prepared_what[i] == d && view[i] == v && !decided[i] && COMMITS(v, d) >= COMMIT_QUORUM -> \
       assert(decision == 0 || decision == d); \
       decision = d; decided[i] = true }

#ifdef BUG_PREPARED_DROPPED
#define CARRY(i) skip
#else
#define CARRY(i) carried_in[VC(view[i], i)] = prepared_in[i]; carried_what[VC(view[i], i)] = prepared_what[i]
#endif

proctype replica(byte i) {
  byte k = 0, best = 0, request = 0;
end:
  do
  :: d_step { i == PRIMARY(0) && view[i] == 0 && pre_prepared[0] == 0 -> pre_prepared[0] = 1; accept_request(i, 1) }
  :: d_step { i == PRIMARY(0) && view[i] == 0 && pre_prepared[0] == 0 -> pre_prepared[0] = 2; accept_request(i, 2) }
  ORDER(i, 0, 1) ORDER(i, 0, 2)
  :: d_step {  /* the timer: ask for the next view */
       view[i] + 1 < V ->
       view[i]++; entered[i] = false; accepted[i] = 0;
       view_change[VC(view[i], i)] = true;
       CARRY(i) }
#if V > 1
  ORDER(i, 1, 1) ORDER(i, 1, 2) ORDER(i, 1, 3)
  CLAIMING(i, 1, 0, 0) CLAIMING(i, 1, 1, 1) CLAIMING(i, 1, 1, 2)
  :: d_step { view[i] == 1 && !entered[i] && PRIMARY(1) != BYZ && new_view[1] != 0 -> request = new_view[1]; enter(i) }
#endif
#if V > 2
  ORDER(i, 2, 1) ORDER(i, 2, 2) ORDER(i, 2, 3)
  CLAIMING(i, 2, 0, 0) CLAIMING(i, 2, 1, 1) CLAIMING(i, 2, 1, 2) CLAIMING(i, 2, 2, 1) CLAIMING(i, 2, 2, 2) CLAIMING(i, 2, 2, 3)
  :: d_step { view[i] == 2 && !entered[i] && PRIMARY(2) != BYZ && new_view[2] != 0 -> request = new_view[2]; enter(i) }
#endif
#ifdef BUG_NUMBER_ALONE
  :: d_step { view[i] == 1 && !entered[i] && PRIMARY(1) == BYZ -> request = 1; enter(i) }
  :: d_step { view[i] == 1 && !entered[i] && PRIMARY(1) == BYZ -> request = 2; enter(i) }
#endif
#ifdef BUG_FORGETS_PREPARE
  :: d_step { accepted[i] != 0 && !decided[i] -> accepted[i] = 0; prepared_in[i] = 0 }
#endif
  od
}

init {
  byte n = 0;
  atomic {
    do
    :: n < N ->
       entered[n] = true;
       if :: n != BYZ -> run replica(n) :: else fi;
       n++
    :: else -> break
    od
  }
}
