#include "app/process_stats.h"

#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace clew::app {
namespace {

// Field `wanted` of /proc/self/stat, counted from 3, which follows the program's name (it may hold blanks).
uint64_t stat_field(int wanted) {
  std::ifstream file("/proc/self/stat");
  std::string text((std::istreambuf_iterator<char>(file)), {});
  std::istringstream rest(text.substr(std::min(text.size(), text.rfind(')') + 1)));
  std::string field;
  for (int at = 3; at <= wanted; ++at) rest >> field;
  return std::strtoull(field.c_str(), nullptr, 10);
}

double boot_time_s() {
  std::ifstream file("/proc/stat");
  for (std::string name; file >> name; std::getline(file, name)) {
    double value = 0;
    if (name == "btime" && file >> value) return value;
  }
  return 0;
}

}  // namespace

api::ProcessStats read_process_stats() {
  api::ProcessStats stats;
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  stats.cpu_seconds = seconds(usage.ru_utime) + seconds(usage.ru_stime);
  std::ifstream memory("/proc/self/statm");
  uint64_t total = 0, resident = 0;
  memory >> total >> resident;
  stats.resident_bytes = resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  std::error_code ignored;
  for (auto entry = std::filesystem::directory_iterator("/proc/self/fd", ignored);
       entry != std::filesystem::directory_iterator(); entry.increment(ignored)) {
    ++stats.open_fds;
  }
  static const double start =
      boot_time_s() + static_cast<double>(stat_field(22)) / static_cast<double>(sysconf(_SC_CLK_TCK));
  stats.start_time_seconds = start;
  return stats;
}

int64_t thread_cpu_ns() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

}  // namespace clew::app
