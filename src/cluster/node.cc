#include "cluster/node.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "cluster/parsed_request.h"
#include "cluster/shard.h"

namespace clew::cluster {
namespace {

constexpr uint32_t kRetryAfterMs = 1'000;
constexpr uint32_t kMaxShards = 256;
constexpr std::string_view kMetaName = "node.meta";
constexpr std::string_view kMetaHead = "clew data directory, format 1\nshards ";

// The directory's first lines say what it is and how many shards it has: the one thing that later starts cannot choose.
Result<uint32_t> shards_of_directory(env::Disk& disk, const std::string& directory, uint32_t wanted) {
  auto meta = env::read_file(disk, directory + "/" + std::string(kMetaName), 4096);
  if (!meta.ok()) {
    if (meta.error().code != Code::kNotFound) return meta.error();
    CLEW_TRY(env::write_file_atomically(disk, directory, std::string(kMetaName),
                                        std::string(kMetaHead) + std::to_string(wanted) + "\n"));
    return wanted;
  }
  uint32_t shards = 0;
  const std::string& text = *meta;
  if (text.starts_with(kMetaHead)) {
    std::from_chars(text.data() + kMetaHead.size(), text.data() + text.size(), shards);
  }
  if (shards == 0 || shards > kMaxShards) {
    return Error{Code::kFailedPrecondition,
                 directory + "/" + std::string(kMetaName) +
                     " is not of a Clew data directory that this version reads; give --data-dir an empty directory"};
  }
  return shards;
}

// A request in the hands of several shards: counts their parts, answers when the last is done.
struct Gather {
  std::atomic<uint32_t> open{0};
  Mutex mutex;
  IngestReply reply CLEW_GUARDED_BY(mutex);
  otlp::RejectCounts rejected CLEW_GUARDED_BY(mutex){};
  UniqueFunction<void(IngestReply)> done;
};

std::string describe(const otlp::RejectCounts& rejected) {
  std::string text;
  for (size_t i = 1; i < rejected.size(); ++i) {
    if (rejected[i] == 0) continue;
    if (!text.empty()) text += ", ";
    text += std::to_string(rejected[i]) + " " + std::string(otlp::reject_name(static_cast<otlp::Reject>(i)));
  }
  return text.empty() ? text : "spans rejected: " + text;
}

}  // namespace

Node::Node(Ports ports, NodeOptions options) : ports_(std::move(ports)), options_(std::move(options)) {}
Node::~Node() = default;

Result<std::unique_ptr<Node>> Node::open(Ports ports, NodeOptions options, ReplayTotals* replay,
                                         UniqueFunction<void(Status)> on_halt) {
  CHECK(!ports.loops.empty());
  std::unique_ptr<Node> node(new Node(std::move(ports), std::move(options)));
  Node* self = node.get();
  node->on_halt_ = std::move(on_halt);
  env::Disk& disk = *node->ports_.disk;
  const std::string& directory = node->options_.data_directory;
  CLEW_TRY(disk.make_dirs(directory));
  CLEW_ASSIGN(node->directory_lock_, disk.lock_dir(directory));
  const uint32_t wanted = node->options_.shards != 0 ? std::min(node->options_.shards, kMaxShards)
                                                     : static_cast<uint32_t>(node->ports_.loops.size());
  CLEW_ASSIGN(node->options_.shards, shards_of_directory(disk, directory, wanted));

  const NodeOptions& told = node->options_;
  if (const uint64_t most = largest_admissible_bytes(told.memory_limit_bytes, told.shards);
      most < told.largest_request_bytes) {
    return Error{Code::kInvalidArgument,
                 "limits.memory of " + std::to_string(told.memory_limit_bytes >> 20) + " MiB over " +
                     std::to_string(told.shards) + " shards could never admit a request of " +
                     std::to_string(told.largest_request_bytes >> 20) +
                     " MiB, the largest that a receiver takes, but " + std::to_string(most >> 20) +
                     " MiB: raise limits.memory, or lower max_request_body_size and max_recv_msg_size"};
  }

  node->options_.policy.hash_seed = node->ports_.random->next();

  ReplayTotals totals;
  const auto on_tenant = [self](std::string_view name) {
    MutexLock lock(self->mutex_);
    self->tenants_.try_emplace(model::tenant_id(name).value, name);
  };
  uint64_t hlc = 0, sequence = 0;
  for (uint32_t i = 0; i < node->options_.shards; ++i) {
    const std::string shard_directory = directory + "/shard-" + std::to_string(i);
    CLEW_TRY(disk.make_dirs(shard_directory));
    CLEW_ASSIGN(auto shard, Shard::open({node->ports_.loops[i % node->ports_.loops.size()], &disk, node->ports_.random,
                                         node->ports_.open_store, node->ports_.report},
                                        i, node->options_, shard_directory, totals, on_tenant,
                                        [self](Status status) { self->halt(std::move(status)); }));
    hlc = std::max(hlc, shard->last_hlc());
    sequence = std::max(sequence, shard->last_sequence());
    node->shards_.push_back(std::move(shard));
  }
  {
    MutexLock lock(node->mutex_);
    node->hlc_.restore(hlc);
    node->next_sequence_ = sequence + 1;
  }
  for (auto& shard : node->shards_) shard->start();
  if (replay != nullptr) *replay = std::move(totals);
  return node;
}

size_t Node::shard_number_of(model::TraceId id) const {
  // Ranges of the token space, so that a shard's segments cover one range each.
  return static_cast<size_t>(static_cast<unsigned __int128>(model::token_of(id).value) * shards_.size() >> 64);
}

void Node::halt(Status status) {
  if (!halted_.exchange(true)) on_halt_(std::move(status));
}

Status Node::admit_tenant(const std::string& name, model::TenantId id) {
  MutexLock lock(mutex_);
  const auto known = tenants_.find(id.value);
  if (known == tenants_.end()) {
    if (tenants_.size() >= options_.max_tenants) {
      return Error{Code::kFailedPrecondition, "tenant \"" + name + "\" is new, and the node has " +
                                                  std::to_string(tenants_.size()) +
                                                  " tenants already (limits.max_tenants); raise the limit, or let only "
                                                  "known tenants in with auth.bearer_tokens"};
    }
    tenants_.emplace(id.value, name);
    return {};
  }
  if (known->second == name) return {};
  return Error{Code::kFailedPrecondition,
               "tenant \"" + name + "\" collides with another tenant's key; choose another name"};
}

void Node::ingest(IngestRequest request, UniqueFunction<void(IngestReply)> done) {
  IngestReply reply;
  const auto refuse = [&](Status status, uint32_t retry_after_ms) {
    if (retry_after_ms != 0) refused_requests_.fetch_add(1, std::memory_order_relaxed);
    reply.status = std::move(status);
    reply.retry_after_ms = retry_after_ms;
    done(std::move(reply));
  };
  if (draining_.load(std::memory_order_relaxed) || halted_.load(std::memory_order_relaxed)) {
    return refuse(Error{Code::kUnavailable, "the node is shutting down; send to another node or retry"}, kRetryAfterMs);
  }
  if (!model::tenant_name_valid(request.tenant)) {
    return refuse(Error{Code::kInvalidArgument, "invalid tenant name; use 1 to 128 of A-Z a-z 0-9 _ . : @ -"}, 0);
  }
  auto parsed = std::make_shared<ParsedRequest>();  // shared by the owning shards
  parsed->body = std::move(request.body);
  parsed->tenant = model::tenant_id(request.tenant);
  parsed->tenant_name = std::move(request.tenant);
  if (Status status = otlp::open_envelope(*parsed->body, options_.limits, parsed->envelope); !status.ok()) {
    return refuse(std::move(status), 0);
  }
  // After the envelope: what is refused as malformed makes no tenant known.
  if (Status status = admit_tenant(parsed->tenant_name, parsed->tenant); !status.ok())
    return refuse(std::move(status), 0);
  const std::vector<otlp::EnvelopeSpan>& spans = parsed->envelope.spans;
  parsed->shard_of.resize(spans.size());
  std::vector<bool> owns(shards_.size(), false);
  for (size_t i = 0; i < spans.size(); ++i) {
    const size_t shard = shard_number_of(spans[i].trace);
    parsed->shard_of[i] = static_cast<uint16_t>(shard);
    owns[shard] = true;
  }
  {
    MutexLock lock(mutex_);
    parsed->stamp.hlc = hlc_.now(ports_.loops[0]->clock().wall_ns());
    parsed->stamp.sequence = next_sequence_++;
  }

  auto gather = std::make_shared<Gather>();  // shared by the parts
  {
    MutexLock lock(gather->mutex);
    gather->rejected = parsed->envelope.rejected;
  }
  gather->done = std::move(done);
  gather->open = 1 + static_cast<uint32_t>(std::count(owns.begin(), owns.end(), true));
  const auto part_done = [this, gather](const PartReply* part) {
    {
      MutexLock lock(gather->mutex);
      if (part != nullptr) {
        if (!part->status.ok()) gather->reply.status = part->status;
        gather->reply.accepted += part->accepted;
        for (size_t i = 0; i < part->rejected.size(); ++i) gather->rejected[i] += part->rejected[i];
      }
    }
    if (gather->open.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    IngestReply answer;
    otlp::RejectCounts rejected;
    {
      MutexLock lock(gather->mutex);
      answer = std::move(gather->reply);
      rejected = gather->rejected;
    }
    for (size_t i = 0; i < rejected.size(); ++i) {
      answer.rejected += rejected[i];
      if (rejected[i] != 0) rejected_[i].fetch_add(rejected[i], std::memory_order_relaxed);
    }
    accepted_spans_.fetch_add(answer.accepted, std::memory_order_relaxed);
    answer.message = describe(rejected);
    if (!answer.status.ok()) {
      answer.retry_after_ms = kRetryAfterMs;
      refused_requests_.fetch_add(1, std::memory_order_relaxed);
    }
    gather->done(std::move(answer));
  };
  for (size_t i = 0; i < shards_.size(); ++i) {
    if (!owns[i]) continue;
    Shard& shard = *shards_[i];
    auto run = [&shard, parsed, part_done]() mutable {
      shard.ingest(std::move(parsed), [part_done](const PartReply& part) { part_done(&part); });
    };
    if (shard.loop().on_this_thread()) {
      run();
    } else {
      shard.loop().post(std::move(run));
    }
  }
  part_done(nullptr);
}

void Node::drain(Task done) {
  draining_ = true;
  auto left = std::make_shared<std::atomic<size_t>>(shards_.size());  // shared by the shards' completions
  auto finished = std::make_shared<Task>(std::move(done));
  for (auto& shard : shards_) {
    Shard* each = shard.get();
    each->loop().post([each, left, finished] {
      each->drain([left, finished] {
        if (left->fetch_sub(1) == 1) (*finished)();
      });
    });
  }
}

}  // namespace clew::cluster
