// A state machine over a memory engine, spoken to in values: every request goes through its bytes.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "consensus/state_machine.h"
#include "kv/command.h"
#include "kv/custom.h"
#include "kv/memory_engine.h"
#include "kv/state_machine.h"

namespace clew::kv {

class StringSink final : public consensus::SnapshotSink {
 public:
  Status write(std::string_view bytes) override {
    bytes_ += bytes;
    return {};
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

// Keeps the bytes and hands out `piece` of them at a time.
class StringSource final : public consensus::SnapshotSource {
 public:
  explicit StringSource(std::string bytes, size_t piece = 7) : bytes_(std::move(bytes)), piece_(piece) {}
  Result<std::string_view> read() override {
    const std::string_view next = std::string_view(bytes_).substr(at_, piece_);
    at_ += next.size();
    return next;
  }

 private:
  std::string bytes_;
  size_t at_ = 0;
  size_t piece_;
};

struct Machine {
  explicit Machine(Engine& on, const CustomRegistry& commands) : engine(on) {
    auto opened = KvStateMachine::open(engine, commands);
    EXPECT_TRUE(opened.ok());
    state = std::move(opened).value();
    position = state->applied();
  }

  // Both sides' bytes are decoded again and must be what they were made of.
  Result<Response> call(const Request& request, int64_t time_ns = 0) {
    const std::string bytes = encode(request);
    EXPECT_EQ(decode_request(bytes).value(), request);
    const std::string result = state->apply({++position, time_ns, epoch}, bytes);
    auto response = decode_response(result);
    EXPECT_EQ(encode(response), result);
    return response;
  }
  // Whatever the answer, it is not refused.
  void done(const Request& request, int64_t time_ns = 0) {
    const auto response = call(request, time_ns);
    EXPECT_TRUE(response.ok()) << (response.ok() ? "" : response.error().message);
  }
  Result<Response> ask(const Request& request) const { return decode_response(state->query(encode(request))); }

  template <typename T>
  T must(const Request& request, int64_t time_ns = 0) {
    auto response = call(request, time_ns);
    EXPECT_TRUE(response.ok()) << (response.ok() ? "" : response.error().message);
    if (!response.ok() || !std::holds_alternative<T>(*response)) {
      ADD_FAILURE() << "another answer than expected";
      return T{};
    }
    return std::get<T>(*response);
  }
  Revision put(std::string key, std::string value, LeaseId lease = kNoLease) {
    return must<PutResponse>(PutRequest{.key = std::move(key), .value = std::move(value), .lease = lease}).revision;
  }
  RangeResponse range(const RangeRequest& request) const {
    auto response = ask(request);
    EXPECT_TRUE(response.ok()) << (response.ok() ? "" : response.error().message);
    return response.ok() ? std::get<RangeResponse>(*response) : RangeResponse{};
  }
  std::string snapshot() {
    StringSink sink;
    EXPECT_TRUE(state->freeze()(sink).ok());
    return sink.bytes();
  }

  Engine& engine;
  std::unique_ptr<KvStateMachine> state;
  consensus::Position position = 0;
  consensus::Epoch epoch = 5;
};

inline std::string error_of(const Result<Response>& response) {
  return response.ok() ? "OK" : std::string(code_name(response.error().code)) + ": " + response.error().message;
}

}  // namespace clew::kv
