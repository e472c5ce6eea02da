// What a user's watch stream gives, as text.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "control/service.h"
#include "kv/watch.h"

namespace clew::control::fake {

// Takes what a stream gives, as text, as fast as it comes or not at all.
struct Taker {
  explicit Taker(std::unique_ptr<WatchStream> of) : stream(std::move(of)) {}
  void ask(size_t max_bytes = 4'096) {
    stream->next(max_bytes, [this, max_bytes](std::variant<std::vector<kv::WatchResponse>, CallError> result) {
      if (auto* error = std::get_if<CallError>(&result)) {
        ended = error->message;
        return;
      }
      for (const kv::WatchResponse& response : std::get<0>(result)) take(response);
      if (going) ask(max_bytes);
    });
  }
  void take(const kv::WatchResponse& response) {
    ++responses;
    const std::string id = std::to_string(response.id);
    if (response.created) notes.push_back(id + " created");
    if (response.cancelled) notes.push_back(id + " cancelled " + response.cancel_reason);
    if (response.id == kv::kNoWatch && !response.created)
      notes.push_back("progress " + std::to_string(response.revision));
    for (const auto& event : response.events) {
      events[response.id].push_back(event->kv.key + "=" + event->kv.value);
    }
    if (!response.events.empty()) in_fragment[response.id] = response.fragment;
  }
  std::unique_ptr<WatchStream> stream;
  bool going = true;
  size_t responses = 0;
  std::vector<std::string> notes;
  std::map<kv::WatchId, std::vector<std::string>> events;
  std::map<kv::WatchId, bool> in_fragment;
  std::string ended;
};

inline kv::WatchRequest from_all(kv::WatchId id, kv::Revision start, bool fragment = false) {
  kv::WatchRequest request;
  request.id = id;
  request.range_end = std::string(1, '\0');
  request.start_revision = start;
  request.fragment = fragment;
  return request;
}

}  // namespace clew::control::fake
