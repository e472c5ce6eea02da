// What an appended byte costs, everything included (copy, checksum, group, write, completion): on tmpfs, so that the
// device does not count. CPU time of the whole process, I/O threads included.
// build/release/wal_bench --benchmark_filter=... ; arguments: bytes of a record, records a burst.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <filesystem>
#include <future>
#include <string>

#include "os/disk.h"
#include "os/loop.h"
#include "os/workers.h"
#include "wal/group.h"
#include "wal/wal.h"

namespace clew::wal {
namespace {

void append_and_commit(benchmark::State& state) {
  const std::string body(static_cast<size_t>(state.range(0)), 'x');
  const int64_t burst = state.range(1);
  std::string directory = "/dev/shm/clew-wal-XXXXXX";
  if (::mkdtemp(directory.data()) == nullptr) {
    state.SkipWithError("no /dev/shm here");
    return;
  }
  {
    os::Workers workers;
    os::OsLoop loop("bench", workers);
    os::OsDisk disk;
    Options options;
    options.directory = directory;
    std::unique_ptr<Wal> wal;
    std::promise<void> opened;
    loop.post([&] {
      auto result = Wal::open(
          loop, disk, options, [](uint64_t, uint64_t, std::string_view) { return Status(); }, nullptr,
          [](Status) { std::abort(); });
      wal = std::move(result).value();
      opened.set_value();
    });
    opened.get_future().wait();
    for ([[maybe_unused]] auto _ : state) {
      std::promise<void> done;
      loop.post([&] {
        if (wal->wants_rotation()) {
          wal->rotate();
          wal->release(wal->durable_record());
        }
        const std::string_view pieces[] = {body};
        for (int64_t i = 1; i < burst; ++i) wal->append(pieces, [] {});
        wal->append(pieces, [&] { done.set_value(); });
      });
      done.get_future().wait();
    }
    state.SetBytesProcessed(state.iterations() * state.range(0) * burst);
    state.counters["groups"] = static_cast<double>(wal->sync_count());
    std::promise<void> closed;
    loop.post([&] {
      wal.reset();
      closed.set_value();
    });
    closed.get_future().wait();
    loop.stop();
  }
  std::filesystem::remove_all(directory);
}
BENCHMARK(append_and_commit)
    ->Args({512, 64})    // 8 spans a request
    ->Args({16384, 1})   // 256 spans a request, alone
    ->Args({16384, 64})  // the same under load
    ->Args({1 << 20, 4})
    ->MeasureProcessCPUTime()
    ->UseRealTime();

// The copy and the checksums alone: the floor of the above.
void gather(benchmark::State& state) {
  const std::string body(static_cast<size_t>(state.range(0)), 'x');
  const std::string_view pieces[] = {body};
  auto target = std::make_shared<LogFile>();
  target->number = 1;
  env::AlignedBuffer buffer(4 << 20);
  const int64_t records = (2 << 20) / state.range(0);
  for ([[maybe_unused]] auto _ : state) {
    Group group(target, 1, std::move(buffer));
    for (int64_t i = 0; i < records; ++i) group.add(pieces, static_cast<uint32_t>(body.size()), 7, nullptr);
    group.seal(0, 7);
    benchmark::DoNotOptimize(group.bytes().data());
    buffer = group.take_buffer();
  }
  state.SetBytesProcessed(state.iterations() * records * state.range(0));
}
BENCHMARK(gather)->Arg(512)->Arg(16384)->Arg(1 << 20);

}  // namespace
}  // namespace clew::wal
