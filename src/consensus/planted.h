// Planted bugs: the mistakes that the field is known for (scenario numbers of docs/mutants.md; 0: a trap without a
// number), each at the line where it would be made. A normal build has none: planted() is constantly false and the
// compiler removes the branch. Only the test binary clew_mutants is compiled with CLEW_MUTANTS and chooses one by
// name; the simulator must find every one.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace clew::consensus {

enum class Bug : uint16_t;

#ifdef CLEW_MUTANTS
bool planted(Bug bug);
void plant(Bug bug);  // once, before a world is made; not thread-safe
#else
constexpr bool planted(Bug) { return false; }
#endif

struct BugInfo {
  Bug bug;
  std::string_view name;  // on the command line
  int scenario;
  std::string_view text;  // what is wrong
};
const std::vector<BugInfo>& all_bugs();  // without kNone
std::optional<Bug> bug_named(std::string_view name);

// One line a bug: enumerator, name on the command line, scenario, what is wrong. Raft's own first, then those of the
// parts that every protocol shares (replica, sessions, disk).
// clang-format off
#define CLEW_BUGS(X)                                                                                                  \
  X(kNone, "none", 0, "nothing: the clean build")                                                                     \
  /* --- elections --- */                                                                                             \
  X(kVoteBeforeDurable, "vote-before-durable", 4, "a vote is sent before it is durable")                              \
  X(kVoteWithoutLogCheck, "vote-without-log-check", 0, "a vote is granted to a candidate whose log is behind")        \
  X(kVoteByLengthOnly, "vote-by-length-only", 0, "logs are compared by length, not by the epoch of the last entry")   \
  X(kHeartbeatClearsVote, "heartbeat-clears-vote", 0, "a message of the same term clears the vote")                   \
  X(kVoteCountedTwice, "vote-counted-twice", 0, "a vote that the network doubles counts twice")                       \
  X(kVoteTwice, "vote-twice", 0, "a second candidate of the same term gets a vote as well")                           \
  X(kTimeoutNotRedrawn, "timeout-not-redrawn", 0, "the election timeout is the same for all and never drawn anew")    \
  X(kNoVoteWithholding, "no-vote-withholding", 24, "votes and pre-votes are granted while a leader lives")            \
  X(kNoCheckQuorum, "no-check-quorum", 24, "a leader that hears no quorum goes on leading")                           \
  X(kStaleTermAccepted, "stale-term-accepted", 0, "entries of a leader of an older term are taken")                   \
  X(kTermNotInRecord, "term-not-in-record", 5, "a record of entries carries the term before the present one")         \
  X(kVoteNotInRecord, "vote-not-in-record", 5, "records forget whom this node voted for")                             \
  X(kElectedByOldVotes, "elected-by-old-votes", 0, "votes of an earlier term count in this one")                      \
  /* --- replication --- */                                                                                           \
  X(kCommitPriorTerm, "commit-prior-term", 2, "an entry of an earlier term is committed by counting (Figure 8)")      \
  X(kHintAsMatch, "hint-as-match", 3, "the hint in a rejection is taken for what the follower holds")                 \
  X(kAsyncAppendAba, "async-append-aba", 6, "an old completion of the disk acknowledges a newer entry")               \
  X(kAckBeforeDurable, "ack-before-durable", 0, "a follower acknowledges entries before they are durable")            \
  X(kNonContiguousAppend, "non-contiguous-append", 16, "entries that do not follow `prev` are packed into an append") \
  X(kSingleNodeEarlyAck, "single-node-early-ack", 17, "the leader counts itself before its own disk has the entry")   \
  X(kCommitToLast, "commit-to-last", 0, "a heartbeat commits what a follower has, not what was verified")         \
  X(kAppendWithoutTruncation, "append-without-truncation", 0, "a conflicting suffix stays")                           \
  X(kAppendTruncatesAlways, "append-truncates-always", 0, "a late append cuts off what was acknowledged behind it")   \
  X(kPrevNotChecked, "prev-not-checked", 0, "entries are appended without looking at the entry before them")          \
  X(kCommitByOneLess, "commit-by-one-less", 0, "one acknowledgement less than a majority commits")                    \
  X(kAllDemanded, "all-demanded", 0, "a quorum takes all members instead of a majority")                              \
  /* --- membership --- */                                                                                            \
  X(kSingleServerChange, "single-server-change", 1, "a membership is replaced at once, with nothing of this term committed") \
  X(kMembershipAtApply, "membership-at-apply", 7, "a membership takes effect when applied: a stale quorum")           \
  X(kChangeDuringChange, "change-during-change", 23, "a change is begun before the one before it is committed")       \
  X(kJointNewMajorityOnly, "joint-new-majority-only", 23, "while joint, the incoming majority alone decides")         \
  X(kLearnerCounts, "learner-counts", 0, "a learner's acknowledgement counts towards a quorum")                       \
  X(kWitnessLeads, "witness-leads", 0, "a witness, which has no data, campaigns")                                     \
  X(kMembershipNotUndone, "membership-not-undone", 7, "a membership that is truncated away stays in force")           \
  /* --- reads --- */                                                                                                 \
  X(kReadBeforeOwnCommit, "read-before-own-commit", 8, "a new leader serves a read before an entry of its term commits") \
  X(kReadRoundOfOldReign, "read-round-of-old-reign", 9, "a late answer of an earlier reign confirms a read")          \
  X(kReadContextReused, "read-context-reused", 9, "a follower numbers forwarded reads alike after each change of leader") \
  X(kReadWithoutQuorum, "read-without-quorum", 0, "a leader answers a read without asking anybody")                   \
  X(kLeaseAcrossPause, "lease-across-pause", 10, "a lease is judged by the time of the last tick, not of the answer") \
  X(kLeaseIgnoresDrift, "lease-ignores-drift", 10, "a lease lasts as long as the longest election timeout")           \
  X(kLeaseFromReceipt, "lease-from-receipt", 10, "a lease counts from the receipt of the answer")                     \
  X(kLeaseKeptOnTransfer, "lease-kept-on-transfer", 10, "the lease is kept while leadership is given away")           \
  X(kVoteRightAfterStart, "vote-right-after-start", 10, "a restarted node votes although a lease may rest on it")     \
  /* --- snapshots and recovery --- */                                                                                \
  X(kSnapshotOverCommitted, "snapshot-over-committed", 11, "a snapshot older than what is committed is installed")    \
  X(kSnapshotKeepsConflict, "snapshot-keeps-conflict", 12, "a log that contradicts the snapshot stays behind it")     \
  X(kSnapshotUncommittedMembership, "snapshot-uncommitted-membership", 13, "a snapshot carries the newest membership") \
  X(kReleaseNeededRecords, "release-needed-records", 14, "records of entries above the snapshot are released")        \
  X(kSnapshotWithoutBase, "snapshot-without-base", 14, "an installed snapshot leaves no record")                      \
  X(kSnapshotsMixedUp, "snapshots-mixed-up", 15, "the first of two fetches in a row is taken for the second")         \
  X(kHoleTakenForEnd, "hole-taken-for-end", 19, "damaged records are taken for the end of the log")                   \
  X(kHoleSkipped, "hole-skipped", 19, "entries behind a hole are delivered as if there were none")                    \
  /* --- Multi-Paxos: where it differs from Raft; what it has in common stands above --- */                           \
  X(kPaxosAcceptWithoutPromise, "paxos-accept-without-promise", 27, "a value is accepted at n without raising the promise to n") \
  X(kPaxosLastSeenValue, "paxos-last-seen-value", 28, "a proposer takes the last value that it saw, not that of the highest ballot") \
  X(kPaxosBallotReused, "paxos-ballot-reused", 28, "a ballot is told before it is durable, and drawn again after a restart")     \
  X(kPaxosPromiseBeforeDurable, "paxos-promise-before-durable", 4, "a promise is sent before it is durable")                     \
  X(kPaxosPromiseWithoutVotes, "paxos-promise-without-votes", 0, "a promise says nothing of what was accepted")                  \
  X(kPaxosRefusalsAsPromises, "paxos-refusals-as-promises", 0, "a refusal is counted as a promise")                              \
  X(kPaxosSuffixForgotten, "paxos-suffix-forgotten", 0, "a new leader proposes new values where older ones may be chosen")       \
  X(kPaxosBareVoteForgotten, "paxos-bare-vote-forgotten", 0, "what only a witness tells of is taken for nothing")                \
  X(kPaxosAcceptedOfOldBallot, "paxos-accepted-of-old-ballot", 0, "votes of an earlier ballot count in this one")                \
  X(kPaxosCommitByOlderVote, "paxos-commit-by-older-vote", 0, "what was accepted under an older ballot is taken for the chosen value") \
  X(kPaxosAmnesiacPromises, "paxos-amnesiac-promises", 0, "an acceptor that lost votes goes on promising")                       \
  X(kPaxosBeyondStopSign, "paxos-beyond-stop-sign", 1, "values are proposed above a membership that is not chosen yet")          \
  X(kPaxosNewMembersUnprepared, "paxos-new-members-unprepared", 1, "a leader goes on under a new membership without its promises") \
  X(kPaxosDeliveredUntold, "paxos-delivered-untold", 1, "a change of voters is delivered before those who come know of it") \
  /* --- single-decree Paxos --- */                                                                                   \
  X(kDecreeAcceptWithoutPromise, "decree-accept-without-promise", 27, "an acceptor accepts at n without raising its promise to n") \
  X(kDecreeHighestValue, "decree-highest-value", 28, "a proposer takes the highest value, not that of the highest ballot")     \
  X(kDecreeBallotReused, "decree-ballot-reused", 28, "the incarnation is not counted: a ballot is drawn again after a restart") \
  X(kDecreeVoteBeforeDurable, "decree-vote-before-durable", 4, "promises and votes are sent before they are durable")          \
  X(kDecreeRefusalAsPromise, "decree-refusal-as-promise", 0, "a refusal is counted as a promise")                              \
  X(kDecreeBallotsMixed, "decree-ballots-mixed", 0, "votes under different ballots are added up")                              \
  X(kDecreeBallotOfNobody, "decree-ballot-of-nobody", 0, "ballots do not say whose they are: two proposers draw the same")     \
  X(kDecreeVoteCountedTwice, "decree-vote-counted-twice", 0, "an answer that comes twice counts twice")                        \
  X(kDecreeLossAsFirstStart, "decree-loss-as-first-start", 0, "a log of decrees that was lost is taken for that of a first start") \
  /* --- ZAB --- */                                                                                                   \
  X(kZabVoteByIdOnly, "zab-vote-by-id-only", 0, "the highest id leads, whatever its history")                         \
  X(kZabVoteIgnoresEpoch, "zab-vote-ignores-epoch", 0, "histories are compared by counters, not by epochs")           \
  X(kZabRecencyUnchecked, "zab-recency-unchecked", 0, "a leader goes on although a follower is more recent")          \
  X(kZabPromiseTwice, "zab-promise-twice", 0, "an epoch that was promised to one leader is promised to another")      \
  X(kZabPromiseBeforeDurable, "zab-promise-before-durable", 20, "ACK-E is sent before acceptedEpoch is durable")      \
  X(kZabAcceptedNotInRecord, "zab-accepted-not-in-record", 21, "records forget acceptedEpoch: currentEpoch stands for it") \
  X(kZabEpochBeforeHistory, "zab-epoch-before-history", 20, "currentEpoch is durable before the history")             \
  X(kZabNewLeaderUnchecked, "zab-new-leader-unchecked", 20, "NEWLEADER is acknowledged with a part of the history")   \
  X(kZabNewLeaderAckEarly, "zab-new-leader-ack-early", 20, "NEWLEADER is acknowledged before the history is durable") \
  X(kZabAckBeforeDurable, "zab-ack-before-durable", 20, "a proposal is acknowledged before it is durable")            \
  X(kZabDiscoveryAlone, "zab-discovery-alone", 0, "a leader raises the epoch locally, without promises of a quorum")  \
  X(kZabEstablishedAlone, "zab-established-alone", 0, "the initial history is committed without a quorum that has it") \
  X(kZabNoTrunc, "zab-no-trunc", 0, "what a follower has too much stays behind the leader's history")                 \
  X(kZabDiffAcrossEpochs, "zab-diff-across-epochs", 0, "histories are taken to part where the shorter one ends")      \
  X(kZabCounterWraps, "zab-counter-wraps", 29, "the counter runs over within an epoch")                               \
  X(kZabCounterKept, "zab-counter-kept", 0, "the counter goes on in a new epoch instead of beginning anew")           \
  X(kZabCommitsReordered, "zab-commits-reordered", 0, "commits that overtook each other take effect as they arrive")  \
  X(kZabStaleEpochAccepted, "zab-stale-epoch-accepted", 0, "messages of an earlier epoch count in this one")          \
  X(kZabGapAccepted, "zab-gap-accepted", 20, "a proposal is appended although one before it is missing")              \
  X(kZabCommitByOneLess, "zab-commit-by-one-less", 0, "one acknowledgement less than a majority commits")             \
  X(kZabCommitSkips, "zab-commit-skips", 0, "a commit is taken before the history is the leader's")                   \
  X(kZabNewQuorumOnly, "zab-new-quorum-only", 23, "a membership that is not committed governs alone")                 \
  X(kZabOldQuorumOnly, "zab-old-quorum-only", 7, "a membership commits without a quorum of its own")                  \
  X(kZabChangeDuringChange, "zab-change-during-change", 23, "a change is begun before the one before it is committed") \
  X(kZabSyncUnconfirmed, "zab-sync-unconfirmed", 0, "the leader answers sync without asking a quorum")                \
  X(kZabLeaseIgnored, "zab-lease-ignored", 10, "an epoch is promised although a lease rests on this node")            \
  /* --- PBFT --- */                                                                                                  \
  X(kPbftPreparedDropped, "pbft-prepared-dropped", 25, "a view change leaves out what was prepared")                  \
  X(kPbftNewViewByNumber, "pbft-new-view-by-number", 25, "a new view is accepted on its number alone")                \
  X(kPbftOrderNotChecked, "pbft-order-not-checked", 25, "the order of a new view is believed, not computed anew")     \
  X(kPbftChangeUnverified, "pbft-change-unverified", 25, "the proofs in a view change are not verified")              \
  X(kPbftInvalidMasksValid, "pbft-invalid-masks-valid", 26, "the certificate of the highest view is chosen first and checked then") \
  X(kPbftVotesRepeated, "pbft-votes-repeated", 0, "a vote that comes twice counts twice")                             \
  X(kPbftSignerCountedTwice, "pbft-signer-counted-twice", 0, "a certificate may name one signer several times")       \
  X(kPbftDigestIgnored, "pbft-digest-ignored", 0, "votes are counted by view and number, not by digest")              \
  X(kPbftPrepareByOneLess, "pbft-prepare-by-one-less", 0, "2f - 1 prepares make a batch prepared")                    \
  X(kPbftCommitByOneLess, "pbft-commit-by-one-less", 0, "2f commits make a batch committed")                          \
  X(kPbftExecutesOutOfOrder, "pbft-executes-out-of-order", 0, "what is committed is executed before what is ordered before it") \
  X(kPbftExecutesAgain, "pbft-executes-again", 0, "each commit beyond the quorum executes the batch again")           \
  X(kPbftSignerUnbound, "pbft-signer-unbound", 0, "a signature is checked as of whoever sent it, not of whom it names") \
  X(kPbftAnyTime, "pbft-any-time", 0, "backups take whatever time a command carries")                                 \
  X(kPbftWindowIgnored, "pbft-window-ignored", 0, "votes outside of the window are kept")                             \
  X(kPbftVoteBeforeDurable, "pbft-vote-before-durable", 4, "a vote is sent before it is durable")                     \
  X(kPbftForgetsPrepare, "pbft-forgets-prepare", 4, "what a backup prepared leaves no record")                        \
  X(kPbftJoinsOne, "pbft-joins-one", 0, "one member's wish is enough to join a later view")                           \
  X(kPbftRequestsUnverified, "pbft-requests-unverified", 0, "a primary's batch is taken without its requests' signatures") \
  X(kPbftRequestReplayed, "pbft-request-replayed", 22, "a request that was executed is executed again")               \
  X(kPbftMembershipAtOnce, "pbft-membership-at-once", 7, "new members count from the moment they are ordered")        \
  X(kPbftStateUnchecked, "pbft-state-unchecked", 0, "a state is fetched without the certificates of its checkpoint")  \
  X(kPbftReadAlone, "pbft-read-alone", 0, "a read is answered without asking anybody")                                \
  /* --- replica, log on disk, sessions: placed there --- */                                                          \
  X(kSendBeforeDurable, "send-before-durable", 4, "the replica ignores Send::after")                                  \
  X(kSyncErrorRetried, "sync-error-retried", 18, "a failed sync is tried again and believed")                         \
  X(kCorruptMiddleCut, "corrupt-middle-cut", 19, "a corrupt middle of the log is cut off like a torn tail")           \
  X(kTornTailRefused, "torn-tail-refused", 19, "a torn tail is taken for a corrupt middle")                           \
  X(kSnapshotBeforeDurable, "snapshot-before-durable", 14, "a snapshot is reported before its file is durable")       \
  X(kSnapshotOfMovingState, "snapshot-of-moving-state", 0, "a snapshot holds a later state than its position says")   \
  X(kReleaseBeforeBase, "release-before-base", 14, "old log and snapshots go before the new base is durable")         \
  X(kSnapshotChunkUnchecked, "snapshot-chunk-unchecked", 15, "chunks of two snapshots are put together")              \
  X(kAppliedTwice, "applied-twice", 22, "a repeated command of a session is applied again")                           \
  X(kSessionByLocalClock, "session-by-local-clock", 22, "a session expires by the local clock")                       \
  X(kEvictedSessionReplay, "evicted-session-replay", 22, "a command of an evicted session is applied as a new one")   \
  X(kSessionsNotInSnapshot, "sessions-not-in-snapshot", 22, "a snapshot leaves the sessions out")                     \
  X(kSuccessBeforeCommit, "success-before-commit", 0, "a command is answered when it is placed, not when delivered")  \
  X(kReadBeforeApplied, "read-before-applied", 0, "a read is answered before its position is applied")                \
  X(kWipedDiskVotes, "wiped-disk-votes", 0, "a node whose disk was lost comes back as its old self")                  \
  /* --- whole nodes: the store, the control plane, its client library --- */                                         \
  X(kReadWithoutBarrier, "read-without-barrier", 0, "a linearizable read is answered from the state of whoever is asked") \
  X(kSequentialIgnoresToken, "sequential-ignores-token", 0, "a sequential read does not wait for what its session has seen") \
  X(kForwardDropsSession, "forward-drops-session", 22, "a command that is passed on to the leader loses its session")  \
  X(kForwardRetriesUncertain, "forward-retries-uncertain", 22, "a command that may have taken effect is passed on again") \
  X(kLostAnswerIsCertain, "lost-answer-is-certain", 22, "a lost connection is taken for a request that never arrived") \
  X(kTxnComparesOnce, "txn-compares-once", 0, "a transaction looks at the first of its comparisons only")               \
  X(kWatchResumesLate, "watch-resumes-late", 0, "a watch goes on one revision too late when its node has died")          \
  X(kWatchResumesEarly, "watch-resumes-early", 0, "a watch goes on one revision too early when its node has died")        \
  X(kWatchSkipsSnapshot, "watch-skips-snapshot", 0, "watchers get nothing of what a snapshot brought")                 \
  X(kLeaseEndsEarly, "lease-ends-early", 0, "leases are ended that have some time left")                               \
  X(kLeaseLeapsWithClock, "lease-leaps-with-clock", 0, "a leader's clock that is set forward ends leases")              \
  X(kLeaseWaitsForClock, "lease-waits-for-clock", 0, "replicated time stands still until a clock that was set back has caught up")
// clang-format on

enum class Bug : uint16_t {
#define CLEW_BUG_ENUM(id, name, scenario, text) id,
  CLEW_BUGS(CLEW_BUG_ENUM)
#undef CLEW_BUG_ENUM
};

}  // namespace clew::consensus
