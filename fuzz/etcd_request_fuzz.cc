// Any bytes as the message of each of the etcd API's methods: read or refused; what is read of a request is validated,
// carried out on a small store, and its answer written. The first byte chooses the method.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "api/etcd/cluster_wire.h"
#include "api/etcd/kv_wire.h"
#include "api/etcd/lease_wire.h"
#include "api/etcd/snapshot_file.h"
#include "api/etcd/watch_wire.h"
#include "base/check.h"
#include "kv/custom.h"
#include "kv/memory_engine.h"
#include "kv/state_machine.h"
#include "kv/validate.h"
#include "kv/watch.h"
#include "sim/disk.h"

namespace {

namespace kv = clew::kv;
namespace etcd = clew::api::etcd;

struct Node {
  Node() : machine(std::move(*kv::KvStateMachine::open(engine, registry))), hub(machine->store(), {}) {
    run(kv::PutRequest{.key = "a", .value = "1"});
    run(kv::PutRequest{.key = "b", .value = "2"});
  }
  void run(kv::Request request) {
    if (!kv::validate(request).ok()) return;
    auto response = kv::read_only(request)
                        ? machine->read(request)
                        : kv::decode_response(machine->apply({++position, 1'000}, kv::encode(request)));
    if (!response.ok()) return;
    const etcd::Header header{1, 2, 3, 4};
    std::visit(
        [&](const auto& answer) {
          using T = std::decay_t<decltype(answer)>;
          if constexpr (std::is_same_v<T, kv::RangeResponse>) etcd::encode_range(header, answer);
          if constexpr (std::is_same_v<T, kv::PutResponse>) etcd::encode_put(header, answer);
          if constexpr (std::is_same_v<T, kv::DeleteRangeResponse>) etcd::encode_delete_range(header, answer);
          if constexpr (std::is_same_v<T, kv::TxnResponse>) etcd::encode_txn(header, answer);
          if constexpr (std::is_same_v<T, kv::LeaseGrantResponse>) etcd::encode_lease_grant(header, answer);
        },
        *response);
  }
  kv::MemoryEngine engine;
  kv::CustomRegistry registry;
  std::unique_ptr<kv::KvStateMachine> machine;
  kv::WatchHub hub;
  clew::consensus::Position position = 0;
};

// To its end, when it is one.
void read_snapshot_file(std::string_view bytes) {
  clew::sim::SimDisk disk;
  CHECK(disk.make_dirs("/backup").ok());
  {
    auto file = disk.open("/backup/snapshot", {.create = true, .writable = true});
    CHECK(file.ok() && (*file)->write_at(0, bytes).ok());
  }
  auto reader = etcd::SnapshotFileReader::open(disk, "/backup/snapshot");
  if (!reader.ok()) return;
  uint64_t read = 0;
  while (true) {
    const auto piece = (*reader)->read();
    CHECK(piece.ok());  // it was found sound
    if (piece->empty()) break;
    read += piece->size();
  }
  CHECK(read == (*reader)->bytes());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  Node node;
  switch (data[0] % 12) {
    case 0:
      if (auto range = etcd::decode_range(bytes); range.ok()) node.run(std::move(range->request));
      break;
    case 1:
      if (auto put = etcd::decode_put(bytes); put.ok()) node.run(std::move(*put));
      break;
    case 2:
      if (auto erase = etcd::decode_delete_range(bytes); erase.ok()) node.run(std::move(*erase));
      break;
    case 3:
    case 4:
      if (auto txn = etcd::decode_txn(bytes); txn.ok()) node.run(std::move(txn->request));
      break;
    case 5:
      if (auto compact = etcd::decode_compact(bytes); compact.ok()) node.run(*compact);
      break;
    case 6:
      if (auto grant = etcd::decode_lease_grant(bytes); grant.ok()) node.run(*grant);
      break;
    case 7:
      if (auto command = etcd::decode_watch(bytes); command.ok()) {
        const auto stream = node.hub.open([] {});
        if (const auto* create = std::get_if<kv::WatchRequest>(&*command)) node.hub.create(stream, *create);
        while (node.hub.pump()) {
        }
        kv::WatchResponse response;
        while (node.hub.next(stream, response)) etcd::encode_watch({}, response);
        node.hub.check_invariants();
      }
      break;
    case 8:
      (void)etcd::decode_member_add(bytes);
      (void)etcd::decode_member_update(bytes);
      break;
    case 9:
      (void)etcd::decode_alarm(bytes);
      (void)etcd::decode_credentials(bytes);
      break;
    case 10:
      (void)etcd::decode_number(bytes);
      (void)etcd::decode_text(bytes);
      (void)etcd::decode_lease_time_to_live(bytes);
      break;
    default:
      read_snapshot_file(bytes);
  }
  return 0;
}
