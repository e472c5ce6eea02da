// clew search: traces by verdict, service, findings and a TraceQL filter, newest first, page after page.
#include <simdjson.h>

#include <algorithm>
#include <cstdio>
#include <memory>

#include "app/client_output.h"
#include "app/commands.h"
#include "app/reply.h"

namespace clew::app {
namespace {

using simdjson::dom::element;

struct SearchFlags {
  ClientFlags client;
  std::string filter;
  std::vector<std::string> states, findings;
  std::string service, since, start, end;
  int64_t limit = 20;
  bool json = false;
};
constexpr uint64_t kPage = 500;
constexpr int kError = 2;  // 1 is an answer: none

std::string query_string(const SearchFlags& flags, uint64_t limit, const std::string& cursor) {
  std::string out = "?limit=" + std::to_string(limit);
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) out += std::string("&") + name + "=" + url_encode(value);
  };
  for (const std::string& state : flags.states) add("state", state);
  for (const std::string& finding : flags.findings) add("finding", finding);
  add("service", flags.service);
  add("since", flags.since);
  add("start", flags.start);
  add("end", flags.end);
  add("q", flags.filter);
  add("cursor", cursor);
  return out;
}

// The widths are those of print_hit.
void print_header(bool colours) {
  const std::string line = fitted("start (UTC)", 23, true) + "  " + fitted("state", 10, true) + "  " +
                           fitted("duration", 9, true) + " " + fitted("spans", 12, true) + " " +
                           fitted("errors", 10, true) + " " + fitted("trace id", 32, true) + "  root";
  std::printf("%s\n", painted(Paint::kBold, line, colours).c_str());
}

void print_hit(element hit, bool colours) {
  element summary;
  if (hit["summary"].get(summary) != simdjson::SUCCESS) return;
  const std::string state = text(summary, "state");
  const int64_t errors = number(summary, "errors");
  std::printf("%s  %s  %s %s %s %s  %s\n", readable_time(number(summary, "startTimeUnixNano")).c_str(),
              painted(paint_of_state(state), fitted(state, 10, true), colours).c_str(),
              fitted(readable_duration(number(summary, "durationNano")), 9, true).c_str(),
              fitted(counted(static_cast<uint64_t>(number(summary, "spans")), "span"), 12, true).c_str(),
              painted(errors > 0 ? Paint::kRed : Paint::kDim,
                      fitted(counted(static_cast<uint64_t>(errors), "error"), 10, true), colours)
                  .c_str(),
              text(hit, "traceID").c_str(),
              printable(text(summary, "rootService") + ": " + text(summary, "rootName")).c_str());
}

int search(const SearchFlags& flags) {
  if (flags.limit < 1) return fail(Status(Code::kInvalidArgument, "--limit wants 1 or more"), kError);
  const auto limit = static_cast<uint64_t>(flags.limit);
  auto client = flags.client.connect();
  if (!client.ok()) return fail(client.status(), kError);
  const bool colours = colours_on();
  simdjson::dom::parser parser;
  std::string cursor;
  uint64_t shown = 0;
  while (shown < limit) {
    const auto response = client->get("/clew/v1/search" + query_string(flags, std::min(kPage, limit - shown), cursor));
    if (!response.ok()) return fail(response.status(), kError);
    if (response->status != 200) return fail(Status(Code::kInvalidArgument, error_text(*response)), kError);
    element root;
    if (parser.parse(response->body).get(root) != simdjson::SUCCESS)
      return fail(Status(Code::kInternal, "the node's answer is not JSON"), kError);
    const auto hits = items(root, "hits");
    if (!flags.json && shown == 0 && !hits.empty()) print_header(colours);
    for (const element hit : hits) {
      if (flags.json) {
        std::printf("%s\n", simdjson::minify(hit).c_str());
      } else {
        print_hit(hit, colours);
      }
    }
    shown += hits.size();
    cursor = text(root, "next");
    if (cursor.empty() || hits.empty()) break;
  }
  if (!flags.json)
    std::fprintf(stderr, "%s%s\n", counted(shown, "trace").c_str(), cursor.empty() ? "" : "; there are more: --limit");
  return shown > 0 ? 0 : 1;
}

}  // namespace

void add_search(CLI::App& program, int& exit_code) {
  auto flags = std::make_shared<SearchFlags>();
  auto* command =
      program.add_subcommand("search", "find traces, newest first; exit code 0: some found, 1: none, 2: an error");
  flags->client.add_to(*command, "16686");
  command->add_option("filter", flags->filter,
                      "a TraceQL spanset filter, e.g. '{ .http.route = \"/orders\" && duration > 1s }'");
  command->add_option("--state", flags->states,
                      "active, collecting, complete, timed_out, incomplete (the two that lack something), open");
  command->add_option("--finding", flags->findings, "orphan, no_root, cycle, clock_skew, ... (docs/verdict.md)");
  command->add_option("--service", flags->service, "with a span of this service");
  command->add_option("--since", flags->since, "started within, e.g. 1h");
  command->add_option("--start", flags->start, "started at or after: RFC 3339 or Unix nanoseconds");
  command->add_option("--end", flags->end, "started before");
  command->add_option("--limit", flags->limit, "traces, 1 or more")->capture_default_str();
  command->add_flag("--json", flags->json, "one JSON object a line");
  command->callback([flags, &exit_code] { exit_code = search(*flags); });
}

}  // namespace clew::app
