// The bytes of a snapshot: the engine's mark and its entries in ascending order, nothing else, so that equal states
// have equal bytes whatever engine they stand in. Checksums and chunks are the host's. docs/format/kv.md has the
// grammar. write_snapshot may run on another thread than the engine's.
#pragma once

#include "base/status.h"
#include "consensus/state_machine.h"
#include "kv/engine.h"

namespace clew::kv {

Status write_snapshot(const EngineView& view, consensus::SnapshotSink& sink);

// Reads one into an emptied engine. kDataLoss: it is none, or not whole; the engine is then without a mark, as it is
// when the process ends meanwhile. Does nothing when the engine is persistent and as new as the snapshot or newer.
Status read_snapshot(consensus::SnapshotSource& source, Engine& engine);

}  // namespace clew::kv
