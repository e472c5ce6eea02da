#include "sim/nodes/watchers.h"

#include <algorithm>
#include <utility>

namespace clew::sim::nodes {
namespace {

constexpr int64_t kMillisecond = 1'000'000;
constexpr int64_t kNoTimeout = 3'600'000 * kMillisecond;  // a stream may have nothing to say
constexpr size_t kMostWatches = 6;

std::string text_of(const kv::WatchResponse& response) {
  std::string text = response.id == kv::kNoWatch ? "all watches" : "watch " + std::to_string(response.id);
  text += response.created ? " created," : response.cancelled ? " cancelled," : "";
  text += " up to revision " + std::to_string(response.revision) + (response.fragment ? " in part:" : ":");
  for (const auto& event : response.events) text += " " + event->kv.key + "@" + std::to_string(event->kv.mod_revision);
  return text;
}

}  // namespace

Watchers::Watchers(Stage stage, size_t count) : stage_(stage), watchers_(count) {
  Generator random(mix64(stage_.seed, 0x3a7c4));
  for (Watcher& watcher : watchers_) {
    watcher.random = Generator(random.next());
    watcher.lazy = random.one_in(3);
  }
}

void Watchers::stopped(NodeIndex machine) {
  for (Watcher& watcher : watchers_) {
    if (watcher.machine == machine) {
      watcher.stream.reset();
      watcher.broken = true;
    }
    end_retired(watcher, machine);
  }
}

// --- Streams ---

void Watchers::go_elsewhere(size_t index, NodeIndex machine) {
  Watcher& watcher = watchers_[index];
  Serving* const before = stage_.switchboard.serving(watcher.machine);
  if (watcher.stream != nullptr && before != nullptr) {
    watcher.retired.emplace_back(watcher.machine, std::move(watcher.stream));
    before->machine().loop.post([this, index, from = watcher.machine] { end_retired(watchers_[index], from); });
  }
  watcher.machine = machine;
  watcher.open = true;
  watcher.broken = false;
  ++watcher.turn;
  if (stage_.world.journal().on()) stage_.say("watcher " + std::to_string(index) + " goes to " + sim::name(machine));
  for (auto& [id, watch] : watcher.watches) watch.audit.resume();
  pull(index);
}

void Watchers::ask_for(Watcher& watcher) {
  for (auto& [id, watch] : watcher.watches) {
    if (std::exchange(watch.asked_in, watcher.turn) != watcher.turn) watcher.stream->create(watch.audit.request());
  }
}

void Watchers::pull(size_t index) {
  Watcher& watcher = watchers_[index];
  const uint64_t turn = watcher.turn;
  const size_t most = size_t{1} << watcher.random.below(18);
  stage_.switchboard.call<Responses>(
      watcher.machine, kNoTimeout,
      [this, index, turn, most](control::Service& service, control::Done<Responses> done) {
        Watcher& asking = watchers_[index];
        if (asking.turn != turn || asking.broken) return done(Switchboard::no_answer(false));
        if (asking.stream == nullptr) {
          asking.stream = service.watch(kv::Space::kUser);
          ask_for(asking);
        }
        asking.stream->next(most, std::move(done));
      },
      [this, index, turn](std::variant<Responses, control::CallError> answer) {
        Watcher& asking = watchers_[index];
        if (asking.turn != turn) return;
        const auto pause = static_cast<int64_t>(asking.random.below(
            static_cast<uint64_t>((asking.lazy && asking.random.one_in(4) ? 800 : 3) * kMillisecond)));
        if (std::holds_alternative<control::CallError>(answer)) {
          const NodeIndex next = stage_.switchboard.door(asking.random);
          return stage_.later(pause + 20 * kMillisecond, [this, index, turn, next] {
            if (watchers_[index].turn == turn) go_elsewhere(index, next);
          });
        }
        on_responses(index, std::get<Responses>(answer));
        stage_.later(pause, [this, index, turn] {
          if (watchers_[index].turn == turn) pull(index);
        });
      });
}

void Watchers::on_responses(size_t index, const Responses& responses) {
  Watcher& watcher = watchers_[index];
  const auto judge = [&](const Status& status) {
    if (!status.ok()) {
      stage_.world.fail("watcher " + std::to_string(index) + " at " + sim::name(watcher.machine) + ": " +
                        std::string(status.message()));
    }
  };
  for (const kv::WatchResponse& response : responses) {
    if (stage_.world.journal().on())
      stage_.say("watcher " + std::to_string(index) + " at " + sim::name(watcher.machine) + ": " + text_of(response));
    tally_.watch_events += response.events.size();
    if (response.id == kv::kNoWatch) {
      if (response.created || response.cancelled) judge({Code::kInternal, "refused: " + response.cancel_reason});
      for (auto& [id, watch] : watcher.watches) judge(watch.audit.take_progress(response.revision));
      continue;
    }
    const auto found = watcher.watches.find(response.id);
    if (found == watcher.watches.end()) {
      judge({Code::kInternal, "a response of watch " + std::to_string(response.id) + ", which is not there"});
      continue;
    }
    judge(found->second.audit.take(response));
    if (found->second.audit.cancelled()) watcher.watches.erase(found);
  }
  ++tally_.answered;
}

// On the loop of its stream's process, if that is still the one.
void Watchers::with_stream(size_t index, std::function<void(Watcher&)> task) {
  const Watcher& watcher = watchers_[index];
  Serving* const serving = stage_.switchboard.serving(watcher.machine);
  if (serving == nullptr) return;
  serving->machine().loop.post([this, index, turn = watcher.turn, task = std::move(task)] {
    Watcher& now = watchers_[index];
    if (now.turn == turn && now.stream != nullptr) task(now);
  });
}

// --- What to do ---

void Watchers::create(size_t index) {
  Watcher& watcher = watchers_[index];
  Generator& random = watcher.random;
  kv::WatchRequest request;
  request.id = ++watcher.last_id;
  switch (random.below(6)) {
    case 0:
    case 1:
      request.range_end = std::string(1, '\0');  // everything
      break;
    case 2:
      request.key = "r";
      request.range_end = kv::prefix_end("r");
      break;
    case 3:
      request.key = "l";
      request.range_end = kv::prefix_end("l");
      break;
    case 4:
      request.key = "b/";
      request.range_end = kv::prefix_end("b/");
      break;
    default:
      request.key = "r" + std::to_string(random.below(stage_.keys));
  }
  const auto revision = static_cast<uint64_t>(stage_.truth.revision());
  if (random.one_in(2)) request.start_revision = static_cast<kv::Revision>(1 + random.below(revision + 3));
  request.prev_kv = random.one_in(3);
  request.fragment = random.one_in(3);
  request.progress_notify = random.one_in(3);
  request.no_put = random.one_in(8);
  request.no_delete = random.one_in(8);
  watcher.watches.emplace(request.id, Watch{WatchAudit(stage_.truth, request)});
  if (stage_.world.journal().on()) {
    stage_.say("watcher " + std::to_string(index) + " asks for watch " + std::to_string(request.id) +
               " from revision " + std::to_string(request.start_revision));
  }
  with_stream(index, [](Watcher& now) { ask_for(now); });
}

void Watchers::compact(Generator& random) {
  const kv::Revision now = stage_.truth.revision();
  kv::CompactRequest request;
  request.revision = now - static_cast<kv::Revision>(random.below(static_cast<uint64_t>(std::min<int64_t>(now, 64))));
  control::CallOptions options;
  options.timeout_ns = 1'000 * kMillisecond;
  stage_.switchboard.call<control::CallReply>(
      stage_.switchboard.door(random), options.timeout_ns,
      [request, options](control::Service& service, control::Done<control::CallReply> done) {
        service.execute(kv::Space::kUser, request, options, std::move(done));
      },
      [](const std::variant<control::CallReply, control::CallError>&) {});
}

void Watchers::issue(Generator random) {
  const size_t index = random.below(watchers_.size());
  Watcher& watcher = watchers_[index];
  if (!watcher.open) return go_elsewhere(index, stage_.switchboard.door(random));
  const uint64_t dice = random.below(20);
  if (dice < 9) {
    if (watcher.watches.size() < kMostWatches) create(index);
  } else if (dice < 12) {
    if (watcher.watches.empty()) return;
    auto at = watcher.watches.begin();
    std::advance(at, random.below(watcher.watches.size()));
    with_stream(index, [id = at->first](Watcher& now) { now.stream->cancel(id); });
  } else if (dice < 15) {
    with_stream(index, [](Watcher& now) { now.stream->request_progress(); });
  } else if (dice < 17) {
    go_elsewhere(index, stage_.switchboard.door(random));
  } else {
    compact(random);
  }
}

std::string Watchers::settle() {
  const bool ask = stage_.now_ns() > asked_progress_ns_ + 500 * kMillisecond;
  if (ask) asked_progress_ns_ = stage_.now_ns();
  std::string waits;
  for (size_t i = 0; i < watchers_.size(); ++i) {
    Watcher& watcher = watchers_[i];
    for (const auto& [id, watch] : watcher.watches) {
      const WatchAudit& audit = watch.audit;
      if (audit.has_everything()) continue;
      waits = "watcher " + std::to_string(i) + " at " + sim::name(watcher.machine) + ", watch " + std::to_string(id) +
              " stands before revision " + std::to_string(audit.next()) + " of " +
              std::to_string(stage_.truth.revision());
      if (ask) with_stream(i, [](Watcher& now) { now.stream->request_progress(); });
    }
  }
  return waits;
}

}  // namespace clew::sim::nodes
