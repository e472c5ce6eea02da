// A directory with one WAL file of arbitrary bytes is opened. Whatever they are: no crash, record numbers ascend, a
// second opening replays the same and finds no further torn tail, and the log takes new records. Where a block begins
// with a group's magic, its checksum is mended first (if the first byte asks for it), or random bytes would never get
// past the header.
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "sim/disk.h"
#include "sim/loop.h"
#include "wal/format.h"
#include "wal/wal.h"

namespace {

using namespace clew;

using Records = std::vector<std::pair<uint64_t, std::string>>;

void mend_headers(std::string& file) {
  for (size_t at = 0; at + wal::kGroupHeaderBytes <= file.size(); at += wal::kBlockBytes) {
    uint32_t magic;
    std::memcpy(&magic, file.data() + at, sizeof magic);
    if (magic != wal::kGroupMagic) continue;
    const uint32_t checksum = checksum32(std::string_view(file).substr(at + 8, wal::kGroupHeaderBytes - 8));
    std::memcpy(file.data() + at + 4, &checksum, sizeof checksum);
  }
}

Records open_and_append(sim::SimDisk& disk, wal::ReplayReport& report, bool append) {
  sim::Scheduler scheduler;
  sim::SimLoop loop(scheduler);
  wal::Options options;
  options.directory = "/wal";
  options.file_bytes = 64 << 10;
  options.max_group_bytes = 16 << 10;
  options.max_record_bytes = 1 << 20;
  Records records;
  auto opened = wal::Wal::open(
      loop, disk, options,
      [&](uint64_t number, uint64_t, std::string_view bytes) {
        CHECK(records.empty() || number > records.back().first);
        records.emplace_back(number, bytes);
        return Status();
      },
      &report, [](Status) { CHECK(false); });
  CHECK(opened.ok());
  CHECK(records.empty() || (*opened)->last_record() >= records.back().first);
  if (append) {
    bool done = false;
    const std::string_view pieces[] = {"one more"};
    records.emplace_back((*opened)->append(pieces, [&] { done = true; }), "one more");
    scheduler.run_for(1'000'000'000);
    CHECK(done);
  }
  return records;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0 || size > (256 << 10)) return 0;
  std::string file(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] % 2 == 1) mend_headers(file);
  sim::SimDisk disk;
  CHECK(disk.make_dirs("/wal").ok());
  {
    auto opened = disk.open("/wal/00000001.wal", {.create = true, .writable = true});
    CHECK(opened.ok() && (*opened)->write_at(0, file).ok());
  }
  wal::ReplayReport first, second;
  const Records appended = open_and_append(disk, first, true);
  const Records again = open_and_append(disk, second, false);
  CHECK(appended == again);
  CHECK(second.torn_tail_bytes == 0);
  return 0;
}
