// clew import: files of traces to a running node. Requests are gathered to about a megabyte, sent one after another,
// and sent again with growing pauses while the node refuses for load.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <thread>

#include "app/client_output.h"
#include "app/commands.h"
#include "app/progress.h"
#include "app/request_times.h"
#include "app/trace_file.h"
#include "base/random.h"
#include "base/varint.h"
#include "os/clock.h"

namespace clew::app {
namespace {

constexpr size_t kRequestBytes = 1u << 20;

struct ImportFlags {
  ClientFlags client;
  std::vector<std::string> files;
  bool shift = false;
  bool new_ids = false;
  bool json = false;
  double patience_s = 300;
};

// The exit code by what went wrong; docs/operations.md has the same list.
enum ExitCode : int {
  kAllAccepted = 0,
  kSomeRejected = 1,  // or some requests of the files could not be read; the rest is stored
  kWrongUse = 2,
  kUnreadable = 3,   // a file cannot be opened, or not be read to its end
  kUnreachable = 4,  // nobody answers, or the node refuses for load longer than --patience
  kRefused = 5,      // the node takes nothing from us: credentials, another port, a body that it calls malformed
};

struct Totals {
  uint64_t requests = 0;
  uint64_t spans = 0;       // in what was sent
  uint64_t rejected = 0;    // by the node, with a reason
  uint64_t unreadable = 0;  // requests of the files that do not parse
  uint64_t waits = 0;       // refusals for load
  std::string last_reason;
  ExitCode failure = kUnreadable;  // what the end was, when there was one: files fail unless something else says so
};

// Sends bodies and keeps the count of what became of them.
class Sender {
 public:
  Sender(HttpClient client, double patience_s)
      : client_(std::move(client)), patience_s_(patience_s), random_(static_cast<uint64_t>(wall_now_ns())) {}

  Status send(std::string_view body, Totals& totals) {
    RequestContent content;
    scan_request(body, content);
    if (content.spans == 0) return {};
    double waited_s = 0;
    for (uint32_t attempt = 0;; ++attempt) {
      const auto response = client_.post("/v1/traces", "application/x-protobuf", body);
      if (!response.ok() && response.error().code != Code::kUnavailable) {  // our own settings
        totals.failure = kWrongUse;
        return response.status();
      }
      if (!response.ok() && attempt == 0 && totals.requests == 0) {  // nobody there: say so at once
        totals.failure = kUnreachable;
        return response.status();
      }
      const bool retry = !response.ok() || response->status == 429 || response->status == 502 ||
                         response->status == 503 || response->status == 504;
      if (!retry) {
        if (response->status != 200) {
          totals.failure = kRefused;
          return Status(Code::kInvalidArgument, "the node refuses: " + otlp_error_text(*response));
        }
        ++totals.requests;
        totals.spans += content.spans;
        read_rejections(response->body, totals);
        return {};
      }
      ++totals.waits;
      if (waited_s > patience_s_) {
        totals.failure = kUnreachable;
        return Status(Code::kUnavailable, response.ok() ? "the node keeps refusing: " + otlp_error_text(*response)
                                                        : response.error().message);
      }
      // Twice as long each time up to 10 s, at least what the node asks for, and some jitter so that clients part.
      double pause_s = std::min(10.0, 0.1 * static_cast<double>(1u << std::min(attempt, 7u)));
      if (response.ok() && response->retry_after_s)
        pause_s = std::max(pause_s, static_cast<double>(*response->retry_after_s));
      pause_s *= 1 + 0.25 * random_.unit();
      std::this_thread::sleep_for(std::chrono::duration<double>(pause_s));
      waited_s += pause_s;
    }
  }

 private:
  // ExportTraceServiceResponse: partial_success (1) { rejected_spans (1), error_message (2) }.
  static void read_rejections(std::string_view body, Totals& totals) {
    ByteReader reader(body);
    while (reader.ok() && !reader.at_end()) {
      const uint64_t tag = reader.varint();
      if (tag != (1u << 3 | 2u)) return;
      ByteReader partial(reader.prefixed_bytes());
      while (partial.ok() && !partial.at_end()) {
        switch (partial.varint()) {
          case 1u << 3:
            totals.rejected += partial.varint();
            break;
          case 2u << 3 | 2u:
            totals.last_reason = partial.prefixed_bytes();
            break;
          default:
            return;
        }
      }
    }
  }

  HttpClient client_;
  double patience_s_;
  Generator random_;
};

// Reads every request of a file; those that do not parse are counted and skipped where the form of the file allows it.
template <typename Visit>
Status each_request(const std::string& path, const char* label, Totals* totals, Visit&& visit) {
  CLEW_ASSIGN(auto reader, TraceFileReader::open(path, {}));
  const os::OsClock clock;
  ProgressBar progress(std::string(label) + path, reader->total_bytes(), clock);
  while (true) {
    std::string_view body;
    const auto more = reader->next(body);
    if (!more.ok()) {
      if (!reader->can_continue()) return more.status();
      if (totals != nullptr) {
        ++totals->unreadable;
        totals->last_reason = more.error().message;
      }
      continue;
    }
    if (!*more) return {};
    CLEW_TRY(visit(body));
    progress.update(reader->bytes_read(), totals == nullptr ? "" : grouped(totals->spans) + " spans");
  }
}

Status import_file(const std::string& path, const ImportFlags& flags, Sender& sender, Totals& totals) {
  int64_t delta_ns = 0;
  if (flags.shift) {
    if (path == "-") {
      totals.failure = kWrongUse;
      return Status(Code::kInvalidArgument, "--shift reads the file twice; standard input can be read once");
    }
    RequestContent content;
    const auto scan = [&](std::string_view body) {
      scan_request(body, content);
      return Status();
    };
    CLEW_TRY(each_request(path, "reading times of ", nullptr, scan));
    if (content.newest_end_ns != INT64_MIN) delta_ns = wall_now_ns() - content.newest_end_ns;
  }
  const auto seed = static_cast<uint64_t>(wall_now_ns());
  std::string gathered;  // the bytes of several requests in a row are one request
  const auto gather = [&](std::string_view body) -> Status {
    if (!gathered.empty() && gathered.size() + body.size() > kRequestBytes) {
      CLEW_TRY(sender.send(gathered, totals));
      gathered.clear();
    }
    std::string request(body);
    if (delta_ns != 0) shift_request(request, delta_ns);
    if (flags.new_ids) renew_trace_ids(request, seed);
    gathered += request;
    return {};
  };
  CLEW_TRY(each_request(path, "", &totals, gather));
  return sender.send(gathered, totals);
}

int import(const ImportFlags& flags) {
  auto client = flags.client.connect();
  if (!client.ok()) return fail(client.status(), kWrongUse);
  Sender sender(std::move(*client), flags.patience_s);
  Totals totals;
  Status status;
  const int64_t begin_ns = wall_now_ns();
  for (const std::string& path : flags.files) {
    status = import_file(path, flags, sender, totals);
    if (!status.ok()) {
      status = Status(status.code(), path + ": " + std::string(status.message()));
      break;
    }
  }
  if (flags.json) {
    std::printf(
        "{\"requests\":%llu,\"spans\":%llu,\"accepted\":%llu,\"rejected\":%llu,\"unreadable\":%llu,\"waits\":%llu}\n",
        static_cast<unsigned long long>(totals.requests), static_cast<unsigned long long>(totals.spans),
        static_cast<unsigned long long>(totals.spans - std::min(totals.spans, totals.rejected)),
        static_cast<unsigned long long>(totals.rejected), static_cast<unsigned long long>(totals.unreadable),
        static_cast<unsigned long long>(totals.waits));
  } else {
    std::printf("%s spans accepted, %s rejected, in %s %s and %s\n",
                grouped(totals.spans - std::min(totals.spans, totals.rejected)).c_str(),
                grouped(totals.rejected).c_str(), grouped(totals.requests).c_str(),
                totals.requests == 1 ? "request" : "requests", readable_duration(wall_now_ns() - begin_ns).c_str());
    if (totals.unreadable > 0) std::printf("%s requests could not be read\n", grouped(totals.unreadable).c_str());
    if (totals.waits > 0) std::printf("the node asked to wait %s times\n", grouped(totals.waits).c_str());
    if (!totals.last_reason.empty()) std::printf("the last reason: %s\n", totals.last_reason.c_str());
  }
  if (!status.ok()) return fail(status, totals.failure);
  return totals.rejected + totals.unreadable == 0 ? kAllAccepted : kSomeRejected;
}

}  // namespace

void add_import(CLI::App& program, int& exit_code) {
  auto flags = std::make_shared<ImportFlags>();
  auto* command =
      program.add_subcommand("import",
                             "send files of traces to a node: OTLP JSON lines or protobuf, .zst too; exit code 0: all "
                             "accepted, 1: some rejected or unreadable, 2: wrong use, 3: a file cannot be read, 4: the "
                             "node cannot be reached or stays overloaded, 5: the node refuses");
  flags->client.add_to(*command, "4318", "CLEW_OTLP_SERVER");
  command->add_option("file", flags->files, "files; - is standard input")->required();
  command->add_flag("--shift", flags->shift, "move all times so that the newest span of each file ends now");
  command->add_flag("--new-ids", flags->new_ids, "give traces new ids, so that a file can be sent twice");
  command->add_option("--patience", flags->patience_s, "seconds to go on while the node refuses one request")
      ->capture_default_str();
  command->add_flag("--json", flags->json, "one line of JSON");
  command->callback([flags, &exit_code] { exit_code = import(*flags); });
}

}  // namespace clew::app
