// Any bytes as a command, a query, a response and a snapshot: read or refused, and what is read comes back the same.
// Commands and queries are carried out on a small store, so that whatever a stranger may send is applied, not only
// read.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "kv/command.h"
#include "kv/custom.h"
#include "kv/memory_engine.h"
#include "kv/snapshot.h"
#include "kv/state_machine.h"

namespace {

class Source final : public clew::consensus::SnapshotSource {
 public:
  explicit Source(std::string_view bytes) : bytes_(bytes) {}
  clew::Result<std::string_view> read() override {
    const std::string_view next = bytes_.substr(0, 11);
    bytes_.remove_prefix(next.size());
    return next;
  }

 private:
  std::string_view bytes_;
};

class Nowhere final : public clew::consensus::SnapshotSink {
 public:
  clew::Status write(std::string_view) override { return {}; }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace clew::kv;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (auto request = decode_request(bytes); request.ok()) {
    const std::string again = encode(*request);
    auto decoded = decode_request(again);
    CHECK(decoded.ok() && encode(*decoded) == again);
  }
  if (auto response = decode_response(bytes); response.ok()) {
    const std::string again = encode(response);
    auto decoded = decode_response(again);
    CHECK(decoded.ok() && encode(decoded) == again);
  }
  MemoryEngine engine;
  const CustomRegistry registry;
  auto machine = KvStateMachine::open(engine, registry);
  CHECK(machine.ok());
  KvStateMachine& state = **machine;
  clew::consensus::Position position = 0;
  const auto apply = [&](const Request& request) { state.apply({++position, 0}, encode(request)); };
  apply(LeaseGrantRequest{LeaseId{1}, 10});
  apply(PutRequest{.key = "a", .value = "1", .lease = LeaseId{1}});
  apply(PutRequest{.key = "b", .value = "2"});
  state.query(bytes);
  state.apply({++position, 1}, bytes);
  apply(CompactRequest{state.store().revision()});
  Nowhere nowhere;
  CHECK(state.freeze()(nowhere).ok());
  Source source(bytes);
  MemoryEngine other;
  auto restored = KvStateMachine::open(other, registry);
  CHECK(restored.ok());
  if ((*restored)->restore(source).ok()) CHECK((*restored)->freeze()(nowhere).ok());
  return 0;
}
