#!/usr/bin/env bash
# Consensus groups and whole nodes in the simulator: fixed seeds and fresh ones of every profile live, and the canary (a
# state machine that loses what it acknowledged) dies. Fresh seeds are drawn from the commit: each commit meets others,
# and whoever tests the same commit meets the same. One that fails prints its replay: mend the cause, then keep the seed
# below. (A seed is another world once its profile is drawn otherwise, so each cause has a test of its own as well.)
set -euo pipefail
cd "$(dirname "$0")/.."
clew=${CLEW:-build/release/clew}

fixed=60 # over all profiles in turn
fresh=90
fixed_of_nodes=36
fresh_of_nodes=36
fresh_of_others=24
fresh_of_pbft=8
commit=$(git rev-parse --short=8 HEAD 2>/dev/null || printf '%04x%04x' "$RANDOM" "$RANDOM") # an archive has no commit
first=$((0x${commit:0:8} % 1000000000 + 1000000))
echo "fresh seeds from $first on"

while read -r profile seed _; do
  "$clew" sim --profile "$profile" --seed "$seed"
done <<'TEXT'
swarm 5004 a witness restarted: the judge took its entries for lost
swarm 5037 a group was shrunk onto members that never came back
swarm 607047 beside a witness one copy of the data was on a disk that was as good as lost
swarm 606858 messages that the network doubled sent the next probe each, and multiplied without end
snapshots 1 a former witness was made a voter, and had no data
swarm 10157 a snapshot that could not be read for once counted as lost
disks 10283 what came in place of a lost snapshot was forgotten by the next start
disks 100 a first start without room for a log left a directory that looked like a lost one
membership 10088 one late message made the leader send its window again for each of those behind it
membership 10093 the same
rot 29 the end of a log that could not be read for once was cut off
rot 320 bad sectors of a log file that was recycled lay behind the end of the log: it is the operator who has to see to them
overtaken 5 small appends were dropped whenever the log made room, and their receiver never caught up
nodes 2300330 bytes of a connection that were under way when a clog ended came before those that it had held up
disks 7100137 a byte of a fetched snapshot rotted before it was installed: the halt was taken for a broken promise
nodes 2300013 the operator of whole nodes let the one copy beside a witness be lost
TEXT

while read -r profile seed _; do
  "$clew" sim --protocol multipaxos --profile "$profile" --seed "$seed"
done <<'TEXT'
swarm 500005 a witness in another's place delivered values without commands
handovers 9 the wish of one reign for another leader lifted the lease of an earlier one
handovers 720006 an answer of many pages was asked for from its first page on, again and again
snapshots 1044 a proposer that only members of an old configuration elected was judged against a lease
sessions 1061 a new leader proposes again what several earlier ones had under way
handovers 800462 elected by members of a configuration that was over, it was promised what the lease of another forbids
rot 20 one of two members with data was lost while the other was away: a witness is no copy
swarm 1100085 a value that only a witness had voted for, and whose one holder had lost it, was waited for for ever
rot 1102892 votes were given up behind a lost record that held none
rot 1104215 a log whose base goes back was taken for compacted
overtaken 1109590 a gap was filled by one message a heartbeat
handovers 5205296 who knew that a membership was chosen was out of it, and those that it named did not know
disks 5208541 the judge took what a start without its snapshot wrote, and did not know to be durable, for a loss
swarm 5404434 a member that missed its removal led those who had followed it there
TEXT

while read -r profile seed _; do
  "$clew" sim --protocol zab --profile "$profile" --seed "$seed"
done <<'TEXT'
handovers 5125 nobody led: those who were replaced had a transaction more than those who replaced them
handovers 5030 one that learned by a snapshot that it is no voter any more had a tick due for ever
successions 750663 more waited behind a window of one transaction than a new leader could hand on in time
handovers 1203851 two that were replaced elected and deposed a third one five hundred times a second
handovers 1409294 the same, of one that lacks what is committed
swarm 1802514 a fetched snapshot's file went bad before it was installed: the halt was taken for a broken promise
membership 1900945 a transfer from a source that had died was given up after 30 s only
membership 1504864 a voter proposed before its disk was lost counted as whole, and another one was lost
handovers 5003 the judge took a membership that a leader did not know to be committed for one that was not
TEXT

while read -r profile seed _; do
  "$clew" sim --protocol pbft --profile "$profile" --seed "$seed"
done <<'TEXT'
handovers 1 members that were replaced answered each other's reads with the past
handovers 2950008 a new view that was older than what a member had caught up with was taken for a proof of too many liars
membership 3 what a gateway signed before it was removed took effect when it was a member again
holes 2005535 a primary that may not vote led a group in which nobody asked for anything; and damage without entries was not counted
disks 2000718 the same, when the new membership was delivered, and the old one still decided
disks 4 whoever was to be replaced was lost before the new members governed
rot 2201367 a checkpoint became stable before the one where members changed, which was damaged
membership 2101307 a primary that gave up its view was waited for, where nobody asked for anything
returns 7000014 a member whose patience ended alone was outside of its group for good
reigns 7200618 a hand-over past several views left its old primary alone there
snapshots 7200920 a voter that is one no more waited in a later view, and nobody heard it
nodes 27 a dead one of four could not be replaced where it was: the group may not be smaller in between
nodes-disks 40000247 a removed member was switched off while it still decided
nodes-disks 35 a watch of a compacted revision was told that it had been given everything
nodes-members 16 a machine joined under the id of the member that was leaving
nodes-members 169 all whom a member knew had been replaced while it was away, and it heard no stranger
nodes-clocks 311 a clock that stood ahead took replicated time along, and leases ended
nodes-clocks 35997998 a member that had seen no time yet proposed by its own clock, and leases ended
TEXT

"$clew" sim --profile all --first 1 --seeds "$fixed" --jobs "$(nproc)"
for protocol in multipaxos zab; do
  "$clew" sim --protocol "$protocol" --profile all --first 1 --seeds 30 --jobs "$(nproc)"
done
"$clew" sim --profile decrees --first 1 --seeds 40 --jobs "$(nproc)"
"$clew" sim --protocol pbft --profile all --first 1 --seeds 23 --jobs "$(nproc)"
"$clew" sim --profile all --first "$first" --seeds "$fresh" --jobs "$(nproc)" --keep-going
for protocol in multipaxos zab; do
  "$clew" sim --protocol "$protocol" --profile all --first "$first" --seeds "$fresh_of_others" --jobs "$(nproc)" --keep-going
done
"$clew" sim --protocol pbft --profile all --first "$first" --seeds "$fresh_of_pbft" --jobs "$(nproc)" --keep-going

# the finder of the transfer that was always begun anew (consensus/catch_up.h)
"$clew" sim --profile nodes-sessions --seed 1027
"$clew" sim --profile nodes-all --first 1 --seeds "$fixed_of_nodes" --jobs "$(nproc)"
"$clew" sim --profile nodes-all --first "$first" --seeds "$fresh_of_nodes" --jobs "$(nproc)" --keep-going
for protocol in multipaxos zab pbft; do
  "$clew" sim --protocol "$protocol" --profile nodes-all --first "$first" --seeds "$fresh_of_nodes" --jobs "$(nproc)" --keep-going
done

for profile in calm swarm; do
  code=0
  "$clew" sim --canary --profile "$profile" --seed 1 >/dev/null 2>&1 || code=$?
  if [ "$code" != 1 ]; then
    echo "the canary lived in the profile $profile (exit code $code): what the simulator finds clean proves nothing"
    exit 1
  fi
done
echo "canary: found"
