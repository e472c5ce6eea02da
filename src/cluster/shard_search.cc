#include "cluster/shard_search.h"

#include <algorithm>
#include <set>

#include "store/chunk_index.h"

namespace clew::cluster {
namespace {

constexpr size_t kIndexesPerSearch = 16;  // 30 ms of a query worker

// What an open trace's assessment means at this moment: the same rules as the lifecycle's, read from outside.
model::TraceState state_of(const model::Verdict& verdict, int64_t quiet_ns, const NodeOptions& options) {
  if (quiet_ns < options.lifecycle.quiet_period_ns) return model::TraceState::kActive;
  if (verdict.state == model::TraceState::kComplete) return model::TraceState::kComplete;
  return quiet_ns < options.lifecycle.trace_timeout_ns ? model::TraceState::kCollecting : model::TraceState::kTimedOut;
}

// Lets queries ask the learnt peers without teaching them: a query must not change verdicts.
class ReadOnlyHistory final : public trace::PeerHistory {
 public:
  explicit ReadOnlyHistory(SharedPeerHistory& shared) : shared_(shared) {}
  void learn(std::string_view, std::string_view, bool) override {}
  bool expects_server_child(std::string_view service, std::string_view name) const override {
    MutexLock lock(shared_.mutex);
    return shared_.peers.expects_server_child(service, name);
  }

 private:
  SharedPeerHistory& shared_;
};

// Fills `assembly` from the part's rows and `stored`; the chain is left in `chain`.
void assemble(const OpenPart& part, const model::TraceData* stored, Assembly& assembly, trace::PeerHistory& history,
              std::vector<store::ChunkRow>& chain) {
  assembly.begin();
  if (stored != nullptr) assembly.add_stored(*stored);
  part.snapshot->chunks.chain(part.newest, part.rows, chain);
  for (size_t i = chain.size(); i-- > 0;) assembly.add_row(*chain[i].dictionary, chain[i].row, chain[i].stamp);
  assembly.finish(&history, false);
}

model::Verdict verdict_now(Assembly& assembly, const OpenPart& part, const NodeOptions& options, int64_t wall_ns) {
  model::Verdict verdict = assembly.take_verdict();
  verdict.state = state_of(verdict, part.quiet_ns, options);
  if (verdict.state != model::TraceState::kActive) verdict.basis |= model::kBasisQuiet;
  if (verdict.state == model::TraceState::kTimedOut) verdict.basis |= model::kBasisTimeout;
  verdict.version = assembly.stored_versions() + 1;
  verdict.decided_ns = wall_ns;
  return verdict;
}

bool has_finding(const model::Verdict& verdict, uint32_t findings) {
  if (findings == 0) return true;
  for (const model::Finding& finding : verdict.findings) {
    if (findings >> static_cast<uint32_t>(finding.kind) & 1) return true;
  }
  return false;
}

// One search on one shard; lives until its `done` ran.
class ShardSearch : public std::enable_shared_from_this<ShardSearch> {
 public:
  ShardSearch(Shard& shard, const NodeOptions& options, std::shared_ptr<const store::TraceQuery> query,
              UniqueFunction<void(Result<std::vector<store::TraceHit>>)> done)
      : shard_(shard), options_(options), query_(std::move(query)), done_(std::move(done)), assembly_(options.policy) {}

  void start() {
    shard_.loop().post([self = shared_from_this()] {
      self->open_ = std::make_shared<const OpenSnapshot>(self->shard_.snapshot());
      self->view_ = self->open_->view;
      self->on_worker([self] { self->scan(); });
    });
  }

 private:
  template <typename F>
  void on_worker(F work) {
    shard_.loop().offload(
        env::Lane::kQuery, [work = std::move(work)]() mutable { work(); }, [] {});
  }

  void scan() {
    auto compiled = store::Matcher::compile(query_->where);
    if (!compiled.ok()) return done_(compiled.error());
    matcher_ = std::make_unique<store::RowMatcher>(std::move(compiled).value());
    for (size_t i = open_->chunks.size(); i-- > 0;) {
      store::add_ranges(*open_->chunks[i], matcher_->matcher(), query_->tenant, ranges_);
    }
    std::stable_sort(ranges_.begin(), ranges_.end(),
                     [](const auto& a, const auto& b) { return a.max_start_ns > b.max_start_ns; });
    next_round();
  }

  // Reads rows until the unresolved candidates' best bound is not beaten by an unread range, then sums them up.
  void next_round() {
    while (next_range_ < ranges_.size() &&
           (pending_.empty() || ranges_[next_range_].max_start_ns >= pending_.begin()->first)) {
      if (enough(ranges_[next_range_].max_start_ns)) break;
      read_range(ranges_[next_range_++]);
    }
    if (pending_.empty() || enough(pending_.begin()->first)) return search_store();
    const size_t batch = std::max<size_t>(2 * query_->limit, 32);
    asked_.clear();
    for (auto it = pending_.begin(); it != pending_.end() && asked_.size() < batch; it = pending_.erase(it)) {
      asked_.push_back(model::trace_key(query_->tenant, it->second));
    }
    shard_.loop().post([self = shared_from_this()] {
      self->parts_ = self->shard_.parts(self->asked_);
      self->on_worker([self] { self->resolve(); });
    });
  }

  // Whether the page is full and nothing that starts at or before `bound` could still enter it.
  bool enough(int64_t bound) const {
    return hits_.size() >= query_->limit && hits_[query_->limit - 1].summary.start_ns > bound;
  }

  void read_range(const store::RowRange& range) {
    if (range.chunk->index() == nullptr && unindexed_.size() < kIndexesPerSearch) unindexed_.push_back(range.chunk);
    store::search_rows(range, *matcher_, query_->tenant, [&](const store::RowHit& hit) {
      const model::TraceId trace = hit.record->trace;
      if (!enough(hit.head.start_ns) && candidates_.insert(trace).second) {
        pending_.emplace(hit.head.start_ns, trace);
      }
      return true;
    });
  }

  void resolve() {
    ReadOnlyHistory history(shard_.peer_history());
    view_ = parts_.front().snapshot->view;
    for (const OpenPart& part : parts_) {
      if (!part.found) continue;  // sealed since the snapshot: the store, asked last, has it
      model::TraceData stored;
      stored.key = part.key;
      const bool has_stored = part.snapshot->view->may_contain(part.key) &&
                              part.snapshot->view->read(part.key, stored).ok() && !stored.spans.empty();
      assemble(part, has_stored ? &stored : nullptr, assembly_, history, chain_);
      store::TraceHit hit;
      hit.key = part.key;
      hit.summary = assembly_.summary();
      const model::Verdict verdict = verdict_now(assembly_, part, options_, 0);
      hit.summary.state = verdict.state;
      hit.summary.verdict_version = verdict.version;
      answered_.insert(part.key.trace);
      if (hit.summary.start_ns < query_->from_ns || hit.summary.start_ns >= query_->to_ns) continue;
      if (!store::newer(query_->after.start_ns, query_->after.trace, hit.summary.start_ns, hit.key.trace)) continue;
      if ((query_->states >> static_cast<uint32_t>(verdict.state) & 1) == 0) continue;
      if (!has_finding(verdict, query_->findings)) continue;
      if (!collect_spans(part, has_stored ? &stored : nullptr, hit)) continue;
      insert(std::move(hit));
    }
    next_round();
  }

  // The matching spans of an open trace, checked against the whole trace (its root and duration are known now).
  bool collect_spans(const OpenPart& part, const model::TraceData* stored, store::TraceHit& hit) {
    model::TraceData data;
    data.key = part.key;
    for (const store::SealSpan& row : assembly_.new_spans()) {
      if (!model::append_span_of_row(*row.dictionary, row.row, row.stamp, data).ok()) continue;
    }
    auto check = [&](const model::Span& span) {
      if (matcher_->matcher().matches(span, hit.summary)) store::add_match(span, *query_, hit);
    };
    if (stored != nullptr) {
      for (const model::Span& span : stored->spans) check(span);
    }
    for (const model::Span& span : data.spans) check(span);
    return hit.matched > 0;
  }

  void insert(store::TraceHit hit) {
    const auto place =
        std::upper_bound(hits_.begin(), hits_.end(), hit, [](const store::TraceHit& a, const store::TraceHit& b) {
          return store::newer(a.summary.start_ns, a.key.trace, b.summary.start_ns, b.key.trace);
        });
    hits_.insert(place, std::move(hit));
    if (hits_.size() > query_->limit) hits_.pop_back();
  }

  // The stored traces, from a view at least as new as every part's, so that what was sealed meanwhile is found.
  void search_store() {
    store::TraceQuery query = *query_;
    if (hits_.size() >= query_->limit)
      query.from_ns = std::max(query.from_ns, hits_[query_->limit - 1].summary.start_ns);
    while (true) {
      std::vector<store::TraceHit> stored;
      if (Status status = view_->search(query, stored); !status.ok()) return done_(status.error());
      const bool last = stored.size() < query.limit;
      if (!stored.empty()) query.after = {stored.back().summary.start_ns, stored.back().key.trace};
      size_t taken = 0;
      for (store::TraceHit& hit : stored) {
        if (answered_.contains(hit.key.trace)) continue;  // the open trace has its own, newer, answer
        insert(std::move(hit));
        ++taken;
      }
      // Stored traces that an open one stands for leave gaps in a page: the next ones fill them.
      if (last || taken == stored.size() || enough(query.after.start_ns)) break;
    }
    done_(std::move(hits_));
    // The answer is on its way: now what was read whole is made cheaper for the next search.
    for (const store::RowChunk* chunk : unindexed_) (void)store::ensure_index(*chunk);
  }

  Shard& shard_;
  const NodeOptions& options_;
  const std::shared_ptr<const store::TraceQuery> query_;  // shared by the searches of all shards
  UniqueFunction<void(Result<std::vector<store::TraceHit>>)> done_;

  std::shared_ptr<const OpenSnapshot> open_;  // of the start; shared: as a part's
  std::shared_ptr<const store::View> view_;   // of the newest snapshot; shared with the store
  std::unique_ptr<store::RowMatcher> matcher_;
  std::vector<store::RowRange> ranges_;  // that may hold a match, newest start first
  size_t next_range_ = 0;
  std::vector<const store::RowChunk*> unindexed_;  // read without an index; closed ones get one
  std::set<model::TraceId> candidates_;            // traces with a matching open row
  // Those not summed up yet, newest first, each by the start of a matching span: the trace starts then or before.
  std::set<std::pair<int64_t, model::TraceId>, std::greater<>> pending_;
  std::vector<model::TraceKey> asked_;
  std::vector<OpenPart> parts_;
  std::set<model::TraceId> answered_;  // open traces that were summed up: their stored parts are no hits of their own
  std::vector<store::TraceHit> hits_;
  Assembly assembly_;
  std::vector<store::ChunkRow> chain_;
};

}  // namespace

void search_shard(Shard& shard, const NodeOptions& options, std::shared_ptr<const store::TraceQuery> query,
                  UniqueFunction<void(Result<std::vector<store::TraceHit>>)> done) {
  std::make_shared<ShardSearch>(shard, options, std::move(query), std::move(done))->start();
}

Result<std::unique_ptr<model::TraceData>> materialise(const OpenPart& part, const NodeOptions& options,
                                                      SharedPeerHistory& peers, int64_t wall_ns) {
  auto data = std::make_unique<model::TraceData>();
  data->key = part.key;
  bool stored = false;
  if (part.snapshot->view->may_contain(part.key)) {
    CLEW_TRY(part.snapshot->view->read(part.key, *data));
    stored = !(data->spans.empty() && data->history.empty());
  }
  if (!part.found) return stored ? std::move(data) : std::unique_ptr<model::TraceData>();

  ReadOnlyHistory history(peers);
  Assembly assembly(options.policy);
  std::vector<store::ChunkRow> chain;
  assemble(part, stored ? data.get() : nullptr, assembly, history, chain);
  if (assembly.new_spans().empty() && stored) return data;  // only duplicates of what is stored
  for (const store::SealSpan& row : assembly.new_spans()) {
    CLEW_TRY(model::append_span_of_row(*row.dictionary, row.row, row.stamp, *data));
  }
  data->summary = assembly.summary();
  data->history.push_back(verdict_now(assembly, part, options, wall_ns));
  data->summary.state = data->history.back().state;
  data->summary.verdict_version = data->history.back().version;
  return data;
}

void read_traces(Shard& shard, const NodeOptions& options, std::vector<model::TraceKey> keys, uint64_t max_bytes,
                 UniqueFunction<void(Result<std::vector<std::unique_ptr<model::TraceData>>>)> done) {
  shard.loop().post([&shard, &options, keys = std::move(keys), max_bytes, done = std::move(done)]() mutable {
    std::vector<OpenPart> parts = shard.parts(keys);
    const int64_t wall_ns = shard.loop().clock().wall_ns();
    shard.loop().offload(
        env::Lane::kQuery,
        [&shard, &options, parts = std::move(parts), wall_ns, max_bytes, done = std::move(done)]() mutable {
          std::vector<std::unique_ptr<model::TraceData>> traces(parts.size());
          uint64_t bytes = 0;
          for (size_t i = 0; i < parts.size() && bytes < max_bytes; ++i) {
            auto trace = materialise(parts[i], options, shard.peer_history(), wall_ns);
            if (!trace.ok()) return done(trace.error());
            traces[i] = std::move(trace).value();
            if (traces[i] != nullptr) bytes += memory_bytes_of(*traces[i]);
          }
          done(std::move(traces));
        },
        [] {});
  });
}

void visit_recent_rows(const OpenSnapshot& snapshot, model::TenantId tenant, size_t max_rows,
                       const std::function<void(const model::Dictionary&, std::string_view)>& visit) {
  for (size_t i = snapshot.chunks.size(); i-- > 0 && max_rows > 0;) {
    const store::RowChunk& chunk = *snapshot.chunks[i];
    chunk.scan([&](const store::RowRecord& record) {
      if (record.tenant != tenant) return true;
      visit(chunk.dictionary(), record.row());
      return --max_rows > 0;
    });
  }
}

}  // namespace clew::cluster
