// Slot: what one PBFT member knows of one sequence number: the pre-prepare and the votes of the present view, the
// certificate of the highest view in which it was prepared, and the batch that is committed there. Plain value; one
// thread.
#pragma once

#include <map>
#include <optional>

#include "consensus/pbft/messages.h"
#include "consensus/types.h"

namespace clew::consensus::pbft {

struct Slot {
  // The pre-prepare that it accepted last, and the votes of that view.
  Epoch view = 0;  // 0: none
  Digest digest;
  BatchPtr batch;  // null: a new view named its digest, and the batch has yet to come
  Signed pre_prepare;
  std::map<NodeId, VoteMessage> prepares;
  std::map<NodeId, VoteMessage> commits;
  // The certificate of the highest view in which it was prepared.
  std::optional<Prepared> prepared;
  BatchPtr prepared_batch;
  std::optional<Certificate> committed;
  BatchPtr committed_batch;
  Position last = 0;  // of its entries, once executed
  // Where they stand in the log on disk; 0: nowhere.
  LogSeq accepted_seq = 0;
  LogSeq prepared_seq = 0;
  LogSeq prepared_batch_seq = 0;  // the accepted record that has its batch
  LogSeq committed_seq = 0;
  LogSeq committed_batch_seq = 0;
};

}  // namespace clew::consensus::pbft
