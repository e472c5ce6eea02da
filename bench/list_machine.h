// A machine of lists for tests of real processes: "KEY VALUE" appends VALUE to the list KEY and answers its place in
// the log, which a repetition is answered too; a query "KEY" answers the list as a JSON array. Keys and values are
// words without quotes or backslashes (`append` of raft_node takes no others). On the replica's loop, like every
// StateMachine. Snapshots copy all lists: small states only.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "base/varint.h"
#include "consensus/state_machine.h"

namespace clew::consensus {

class ListMachine final : public StateMachine {
 public:
  std::string apply(const Applied& at, std::string_view command) override {
    const size_t space = command.find(' ');
    const std::string_view key = command.substr(0, space);
    const std::string_view value = space == std::string_view::npos ? "" : command.substr(space + 1);
    lists_[std::string(key)].emplace_back(value);
    digest_ = mix64(digest_, stable_hash64(command));
    ++count_;
    position_ = at.position;
    return std::to_string(position_);
  }
  std::string query(std::string_view key) const override {
    std::string out = "[";
    if (const auto found = lists_.find(key); found != lists_.end()) {
      for (const std::string& value : found->second) {
        if (out.size() > 1) out += ',';
        out += '"' + value + '"';
      }
    }
    return out + "]";
  }
  UniqueFunction<Status(SnapshotSink&)> freeze() override {
    std::string state;
    append_fixed(state, count_);
    append_fixed(state, digest_);
    append_varint(state, lists_.size());
    for (const auto& [key, values] : lists_) {
      append_text(state, key);
      append_varint(state, values.size());
      for (const std::string& value : values) append_text(state, value);
    }
    return [state = std::move(state)](SnapshotSink& sink) { return sink.write(state); };
  }
  Status restore(SnapshotSource& source) override {
    std::string state;
    for (;;) {
      CLEW_ASSIGN(const std::string_view bytes, source.read());
      if (bytes.empty()) break;
      state.append(bytes);
    }
    ByteReader in(state);
    count_ = in.fixed<uint64_t>();
    digest_ = in.fixed<uint64_t>();
    lists_.clear();
    for (uint64_t keys = in.varint(); keys > 0 && in.ok(); --keys) {
      std::vector<std::string>& values = lists_[std::string(in.bytes(in.varint()))];
      for (uint64_t size = in.varint(); size > 0 && in.ok(); --size) values.emplace_back(in.bytes(in.varint()));
    }
    return in.ok() && in.at_end() ? Status() : Status(Code::kDataLoss, "not lists");
  }
  Hash128 digest() const override { return {digest_, count_}; }

  // Of the last command that was executed here: a repetition that the session table recognised is none.
  uint64_t executed_at() const { return position_; }

 private:
  static void append_text(std::string& out, std::string_view text) {
    append_varint(out, text.size());
    out.append(text);
  }

  std::map<std::string, std::vector<std::string>, std::less<>> lists_;
  uint64_t count_ = 0;
  uint64_t digest_ = 0;
  uint64_t position_ = 0;
};

}  // namespace clew::consensus
