// The query half of Node: asks the shards, joins what they say.
#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <set>

#include "cluster/node.h"
#include "cluster/shard.h"
#include "cluster/shard_search.h"

namespace clew::cluster {
namespace {

constexpr size_t kVocabularyRows = 100'000;  // open rows looked at for names and values: what is older is in segments
constexpr size_t kVocabularyValues = 10'000;

// Runs `ask(shard, done)` on all shards and `join` once with their answers, on the thread of the last one.
template <typename T, typename Ask, typename Join>
void on_all(const std::vector<std::unique_ptr<Shard>>& shards, Ask ask, Join join) {
  struct State {
    Mutex mutex;
    std::vector<T> answers CLEW_GUARDED_BY(mutex);
    Status status CLEW_GUARDED_BY(mutex);
    size_t left CLEW_GUARDED_BY(mutex) = 0;
  };
  auto state = std::make_shared<State>();  // shared by the shards' completions
  auto joined = std::make_shared<Join>(std::move(join));
  {
    MutexLock lock(state->mutex);
    state->left = shards.size();
  }
  for (const auto& shard : shards) {
    ask(*shard, [state, joined](Result<T> answer) {
      std::vector<T> answers;
      Status status;
      {
        MutexLock lock(state->mutex);
        if (answer.ok()) {
          state->answers.push_back(std::move(answer).value());
        } else {
          state->status = answer.status();
        }
        if (--state->left != 0) return;
        answers = std::move(state->answers);
        status = std::move(state->status);
      }
      (*joined)(std::move(answers), std::move(status));
    });
  }
}

// Takes a snapshot on each shard's loop and runs `work(snapshot) -> Result<T>` on the query lane.
template <typename T, typename Work, typename Join>
void on_snapshots(const std::vector<std::unique_ptr<Shard>>& shards, Work work, Join join) {
  on_all<T>(
      shards,
      [work](Shard& shard, auto done) {
        shard.loop().post([&shard, work, done]() mutable {
          shard.loop().offload(
              env::Lane::kQuery, [snapshot = shard.snapshot(), work, done]() mutable { done(work(snapshot)); }, [] {});
        });
      },
      std::move(join));
}

store::Vocabulary merge(std::vector<store::Vocabulary> parts, const store::NameFilter& wanted) {
  store::Vocabulary all;
  for (store::Vocabulary& part : parts) {
    all.truncated = all.truncated || part.truncated;
    all.values.insert(all.values.end(), std::make_move_iterator(part.values.begin()),
                      std::make_move_iterator(part.values.end()));
  }
  all.truncated = wanted.bound(all.values) || all.truncated;
  return all;
}

// What answers when all shards have said their words.
auto join_vocabularies(store::NameFilter wanted, QueryService::Done<store::Vocabulary> done) {
  return [wanted = std::move(wanted), done = std::move(done)](std::vector<store::Vocabulary> parts,
                                                              const Status& status) mutable {
    if (!status.ok()) return done(status.error());
    done(merge(std::move(parts), wanted));
  };
}

void add_values(const std::set<std::string>& values, store::Vocabulary& out) {
  for (const std::string& value : values) {
    if (out.wanted.fits(value)) out.values.push_back(value);
  }
}

// Open rows as readable spans, for the rarer vocabularies. `visit` sees each span once.
template <typename Visit>
void visit_recent_spans(const OpenSnapshot& snapshot, model::TenantId tenant, Visit visit) {
  model::TraceData data;
  size_t rows = 0;
  visit_recent_rows(snapshot, tenant, kVocabularyRows / 10,
                    [&](const model::Dictionary& dictionary, std::string_view row) {
                      if (++rows % 1024 == 0) data = model::TraceData();
                      data.spans.clear();
                      if (model::append_span_of_row(dictionary, row, {}, data).ok()) visit(data.spans.back());
                    });
}

std::string text_of(const model::Value& value) {
  switch (value.type) {
    case model::ValueType::kString:
      return std::string(value.bytes);
    case model::ValueType::kBool:
      return value.integer != 0 ? "true" : "false";
    case model::ValueType::kInt:
      return std::to_string(value.integer);
    case model::ValueType::kDouble: {
      std::array<char, 32> text{};  // shortest form that reads back as the same number
      return {text.data(), std::to_chars(text.data(), text.data() + text.size(), value.real).ptr};
    }
    default:
      return {};
  }
}

// The newest of `traces` that keep below the bound on bytes. Nulls have expired since they were found, or stand behind
// what a shard read up to the bound.
void take_within(const TraceBounds& bounds, std::vector<std::unique_ptr<model::TraceData>> traces, FoundTraces& out) {
  uint64_t bytes = 0;
  for (auto& trace : traces) {
    if (trace == nullptr) continue;
    bytes += memory_bytes_of(*trace);
    if (!out.traces.empty() && bytes > bounds.bytes) {
      out.bounded = true;
      return;
    }
    out.traces.push_back(std::move(trace));
  }
  out.bounded = out.bounded || (bytes >= bounds.bytes && out.traces.size() < out.found);
}

void add_attribute_values(const std::vector<model::Attribute>& attributes, std::string_view key,
                          std::set<std::string>& out) {
  for (const model::Attribute& attribute : attributes) {
    if (attribute.key != key || out.size() >= kVocabularyValues) continue;
    if (std::string text = text_of(attribute.value); !text.empty()) out.insert(std::move(text));
  }
}

}  // namespace

void Node::trace(model::TenantId tenant, model::TraceId id, Done<std::unique_ptr<model::TraceData>> done) {
  Shard& shard = shard_of(id);
  read_traces(shard, options_, {model::trace_key(tenant, id)}, UINT64_MAX,
              [id, done = std::move(done)](Result<std::vector<std::unique_ptr<model::TraceData>>> traces) mutable {
                if (!traces.ok()) return done(traces.error());
                if ((*traces)[0] == nullptr)
                  return done(Error{Code::kNotFound, "trace " + id.hex() + " is not known here"});
                done(std::move((*traces)[0]));
              });
}

void Node::search(store::TraceQuery query, Done<SearchPage> done) {
  // One more than asked for tells whether there is a next page.
  const uint32_t limit = query.limit;
  ++query.limit;
  auto shared = std::make_shared<const store::TraceQuery>(std::move(query));  // shared by the shards' searches
  auto answer = std::make_shared<Done<SearchPage>>(std::move(done));
  using Hits = std::vector<store::TraceHit>;
  on_all<Hits>(
      shards_, [this, shared](Shard& shard, auto part_done) { search_shard(shard, options_, shared, part_done); },
      [limit, answer](std::vector<Hits> parts, const Status& status) {
        if (!status.ok()) return (*answer)(status.error());
        SearchPage page;
        for (Hits& part : parts) {
          page.hits.insert(page.hits.end(), std::make_move_iterator(part.begin()), std::make_move_iterator(part.end()));
        }
        std::sort(page.hits.begin(), page.hits.end(), [](const store::TraceHit& a, const store::TraceHit& b) {
          return store::newer(a.summary.start_ns, a.key.trace, b.summary.start_ns, b.key.trace);
        });
        if (page.hits.size() > limit) {
          page.hits.resize(limit);
          page.more = true;
        }
        if (!page.hits.empty()) page.next = {page.hits.back().summary.start_ns, page.hits.back().key.trace};
        (*answer)(std::move(page));
      });
}

void Node::search_traces(store::TraceQuery query, TraceBounds bounds, Done<FoundTraces> done) {
  using Traces = std::vector<std::unique_ptr<model::TraceData>>;
  auto answer = std::make_shared<Done<FoundTraces>>(std::move(done));  // shared by the steps
  search(std::move(query), [this, bounds, answer](Result<SearchPage> page) {
    if (!page.ok()) return (*answer)(page.error());
    FoundTraces result;
    result.found = page->hits.size();
    if (page->hits.empty()) return (*answer)(std::move(result));
    // Their spans are known before anything is read.
    uint64_t spans = 0;
    size_t wanted = 0;
    while (wanted < page->hits.size()) {
      spans += page->hits[wanted].summary.span_count;
      if (wanted > 0 && spans > bounds.spans) break;
      ++wanted;
    }
    struct State {
      Mutex mutex;
      Traces traces CLEW_GUARDED_BY(mutex);
      Status status CLEW_GUARDED_BY(mutex);
      size_t left CLEW_GUARDED_BY(mutex) = 0;
      FoundTraces result CLEW_GUARDED_BY(mutex);
    };
    auto state = std::make_shared<State>();
    std::map<Shard*, std::pair<std::vector<model::TraceKey>, std::vector<size_t>>> by_shard;
    for (size_t i = 0; i < wanted; ++i) {
      auto& [keys, places] = by_shard[&shard_of(page->hits[i].key.trace)];
      keys.push_back(page->hits[i].key);
      places.push_back(i);
    }
    {
      MutexLock lock(state->mutex);
      state->traces.resize(wanted);
      state->left = by_shard.size();
      result.bounded = wanted < page->hits.size();
      state->result = std::move(result);
    }
    for (auto& [shard, ask] : by_shard) {
      // A shard may hold all of them, so each reads up to the bound; the join cuts again.
      read_traces(*shard, options_, std::move(ask.first), bounds.bytes,
                  [state, answer, bounds, places = std::move(ask.second)](Result<Traces> part) {
                    FoundTraces all;
                    Traces traces;
                    {
                      MutexLock lock(state->mutex);
                      if (part.ok()) {
                        for (size_t i = 0; i < places.size(); ++i) state->traces[places[i]] = std::move((*part)[i]);
                      } else {
                        state->status = part.status();
                      }
                      if (--state->left != 0) return;
                      if (!state->status.ok()) {
                        part = state->status;
                      } else {
                        traces = std::move(state->traces);
                        all = std::move(state->result);
                      }
                    }
                    if (!part.ok()) return (*answer)(part.error());
                    take_within(bounds, std::move(traces), all);
                    (*answer)(std::move(all));
                  });
    }
  });
}

void Node::services(model::TenantId tenant, int64_t from_ns, int64_t to_ns, store::NameFilter wanted,
                    Done<store::Vocabulary> done) {
  on_snapshots<store::Vocabulary>(
      shards_,
      [tenant, from_ns, to_ns, wanted](const OpenSnapshot& snapshot) -> Result<store::Vocabulary> {
        store::Vocabulary out;
        out.wanted = wanted;
        CLEW_TRY(snapshot.view->services(tenant, from_ns, to_ns, out));
        std::set<std::string> found;
        const model::Dictionary* last_dictionary = nullptr;
        uint32_t last_resource = 0;
        visit_recent_rows(snapshot, tenant, kVocabularyRows,
                          [&](const model::Dictionary& dictionary, std::string_view row) {
                            model::RowHead head;
                            if (!model::parse_row_head(row, head)) return;
                            if (&dictionary == last_dictionary && head.resource == last_resource) return;
                            last_dictionary = &dictionary;
                            last_resource = head.resource;
                            if (const auto name = dictionary.service_name(head.resource); !name.empty())
                              found.insert(std::string(name));
                          });
        add_values(found, out);
        return out;
      },
      join_vocabularies(wanted, std::move(done)));
}

void Node::operations(model::TenantId tenant, std::string service, store::NameFilter wanted,
                      Done<std::vector<Operation>> done) {
  using Names = std::set<std::pair<std::string, uint8_t>>;
  auto answer = std::make_shared<Done<std::vector<Operation>>>(std::move(done));  // shared by the steps
  on_snapshots<Names>(
      shards_,
      [tenant, service, wanted](const OpenSnapshot& snapshot) -> Result<Names> {
        Names names;
        store::Vocabulary stored;
        stored.wanted = wanted;
        std::vector<uint8_t> kinds;
        CLEW_TRY(snapshot.view->operations(tenant, service, stored, kinds));
        for (size_t i = 0; i < stored.values.size(); ++i) names.emplace(stored.values[i], kinds[i]);
        std::string scratch;
        visit_recent_rows(snapshot, tenant, kVocabularyRows,
                          [&](const model::Dictionary& dictionary, std::string_view row) {
                            model::RowHead head;
                            if (!model::parse_row_head(row, head) ||
                                (!service.empty() && dictionary.service_name(head.resource) != service))
                              return;
                            if (names.size() >= kVocabularyValues) return;
                            const std::string_view name =
                                model::strref_text(dictionary, model::EntryKind::kString, head.name, scratch);
                            if (wanted.fits(name)) names.emplace(name, head.kind);
                          });
        return names;
      },
      [answer, wanted](std::vector<Names> parts, const Status& status) {
        if (!status.ok()) return (*answer)(status.error());
        Names all;
        for (Names& part : parts) all.merge(part);
        std::vector<Operation> operations;
        for (const auto& [name, kind] : all) operations.push_back({name, kind});
        std::stable_partition(operations.begin(), operations.end(),
                              [&](const Operation& operation) { return wanted.begins(operation.name); });
        if (operations.size() > wanted.most) operations.resize(wanted.most);
        (*answer)(std::move(operations));
      });
}

void Node::keys(model::TenantId tenant, store::Field scope, store::NameFilter wanted, Done<store::Vocabulary> done) {
  on_snapshots<store::Vocabulary>(
      shards_,
      [tenant, scope, wanted](const OpenSnapshot& snapshot) -> Result<store::Vocabulary> {
        store::Vocabulary out;
        out.wanted = wanted;
        CLEW_TRY(snapshot.view->keys(tenant, scope, out));
        std::set<std::string> found;
        visit_recent_spans(snapshot, tenant, [&](const model::Span& span) {
          if (scope != store::Field::kResource) {
            for (const model::Attribute& attribute : span.attributes) found.emplace(attribute.key);
          }
          if (scope != store::Field::kAttribute) {
            for (const model::Attribute& attribute : span.resource->attributes) found.emplace(attribute.key);
          }
        });
        add_values(found, out);
        return out;
      },
      join_vocabularies(wanted, std::move(done)));
}

void Node::values(model::TenantId tenant, store::Field field, std::string key, store::NameFilter wanted,
                  Done<store::Vocabulary> done) {
  on_snapshots<store::Vocabulary>(
      shards_,
      [tenant, field, key, wanted](const OpenSnapshot& snapshot) -> Result<store::Vocabulary> {
        store::Vocabulary out;
        out.wanted = wanted;
        CLEW_TRY(snapshot.view->values(tenant, field, key, out));
        std::set<std::string> found;
        visit_recent_spans(snapshot, tenant, [&](const model::Span& span) {
          using store::Field;
          if (field == Field::kName) found.emplace(span.name);
          if (field == Field::kService) found.emplace(span.resource->service_name);
          if (field == Field::kAttribute || field == Field::kAny) add_attribute_values(span.attributes, key, found);
          if (field == Field::kResource || field == Field::kAny)
            add_attribute_values(span.resource->attributes, key, found);
        });
        add_values(found, out);
        return out;
      },
      join_vocabularies(wanted, std::move(done)));
}

void Node::stats(Done<NodeStats> done) {
  auto answer = std::make_shared<Done<NodeStats>>(std::move(done));  // shared by the steps
  on_all<NodeStats>(
      shards_,
      [](Shard& shard, auto part_done) {
        shard.loop().post([&shard, part_done]() mutable { part_done(shard.stats()); });
      },
      [this, answer](const std::vector<NodeStats>& parts, const Status& status) {
        if (!status.ok()) return (*answer)(status.error());
        NodeStats all;
        for (const NodeStats& part : parts) {  // what a shard counts
          all.duplicate_spans += part.duplicate_spans;
          all.malformed_rows += part.malformed_rows;
          all.seal_read_failures += part.seal_read_failures;
          all.maintenance_failures += part.maintenance_failures;
          all.open_traces += part.open_traces;
          all.open_rows += part.open_rows;
          all.memory_bytes += part.memory_bytes;
          all.verdicts_complete += part.verdicts_complete;
          all.verdicts_timed_out += part.verdicts_timed_out;
          all.reopened += part.reopened;
          all.wal_bytes += part.wal_bytes;
          all.wal_syncs += part.wal_syncs;
          all.wal_damage += part.wal_damage;
          all.wal_torn_bytes += part.wal_torn_bytes;
          all.wal_lost_spans += part.wal_lost_spans;
          all.disk_full = all.disk_full || part.disk_full;
          all.store.segments += part.store.segments;
          all.store.traces += part.store.traces;
          all.store.spans += part.store.spans;
          all.store.bytes += part.store.bytes;
          all.store.damaged_blocks += part.store.damaged_blocks;
          all.store.compactions += part.store.compactions;
          all.store.expired_segments += part.store.expired_segments;
          if (part.store.oldest_arrival_ns != 0 &&
              (all.store.oldest_arrival_ns == 0 || part.store.oldest_arrival_ns < all.store.oldest_arrival_ns)) {
            all.store.oldest_arrival_ns = part.store.oldest_arrival_ns;
          }
        }
        all.accepted_spans = accepted_spans_;
        for (size_t i = 0; i < all.rejected.size(); ++i) all.rejected[i] = rejected_[i];
        all.refused_requests = refused_requests_;
        all.memory_limit_bytes = options_.memory_limit_bytes;
        all.ready = !draining_ && !halted_;
        (*answer)(all);
      });
}

}  // namespace clew::cluster
