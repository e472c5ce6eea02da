// clew trace: one trace in the terminal: its verdict, what was found, and the waterfall.
#include <simdjson.h>

#include <cstdio>
#include <memory>

#include "app/client_output.h"
#include "app/commands.h"
#include "app/reply.h"
#include "app/waterfall.h"

namespace clew::app {
namespace {

using simdjson::dom::element;

struct TraceFlags {
  ClientFlags client;
  std::string id;
  bool json = false;
  uint64_t max_spans = 1000;
};

std::vector<WaterfallSpan> spans_of(element trace) {
  std::vector<WaterfallSpan> out;
  for (const element resource : items(trace, "resourceSpans")) {
    std::string service = "-";
    for (const element attribute : items(resource, "/resource/attributes")) {
      if (text(attribute, "key") == "service.name") service = text(attribute, "/value/stringValue");
    }
    for (const element scope : items(resource, "scopeSpans")) {
      for (const element span : items(scope, "spans")) {
        out.push_back({text(span, "spanId"), text(span, "parentSpanId"), service, text(span, "name"),
                       number(span, "startTimeUnixNano"), number(span, "endTimeUnixNano"),
                       number(span, "/status/code") == 2});
      }
    }
  }
  return out;
}

void print_verdict(element verdict, bool colours) {
  const std::string state = text(verdict, "state");
  std::printf("%s\n", painted(paint_of_state(state), printable(text(verdict, "sentence")), colours).c_str());
  for (const element finding : items(verdict, "findings")) {
    const std::string severity = text(finding, "severity");
    const Paint paint = severity == "loss" ? Paint::kRed : severity == "warning" ? Paint::kYellow : Paint::kDim;
    std::printf("  %s %s\n", painted(paint, fitted(severity, 7, true), colours).c_str(),
                printable(text(finding, "detail")).c_str());
  }
  for (const element skew : items(verdict, "skew")) {
    std::printf("  %s clock of %s against %s: %s, give or take %s (%lld edges)\n",
                painted(Paint::kDim, "skew   ", colours).c_str(), printable(text(skew, "host")).c_str(),
                printable(text(skew, "reference")).c_str(), readable_duration(-number(skew, "offsetNano")).c_str(),
                readable_duration(number(skew, "boundNano")).c_str(), static_cast<long long>(number(skew, "edges")));
  }
}

int show_trace(const TraceFlags& flags) {
  auto client = flags.client.connect();
  if (!client.ok()) return fail(client.status());
  const auto response = client->get("/clew/v1/traces/" + url_encode(flags.id));
  if (!response.ok()) return fail(response.status());
  if (response->status != 200) return fail(Status(Code::kNotFound, error_text(*response)));
  if (flags.json) {
    std::printf("%s\n", response->body.c_str());
    return 0;
  }
  simdjson::dom::parser parser;
  element root;
  if (parser.parse(response->body).get(root) != simdjson::SUCCESS)
    return fail(Status(Code::kInternal, "the node's answer is not JSON"));
  const bool colours = colours_on();
  element trace, summary, verdict;
  const auto spans = root["trace"].get(trace) == simdjson::SUCCESS ? spans_of(trace) : std::vector<WaterfallSpan>{};
  if (root["summary"].get(summary) == simdjson::SUCCESS) {
    const std::string name = text(summary, "rootService") + ": " + text(summary, "rootName");
    std::printf("%s  %s\n", painted(Paint::kBold, text(root, "traceID"), colours).c_str(), printable(name).c_str());
    std::printf("%s UTC, %s, %zu spans, %lld services, %lld errors\n",
                readable_time(number(summary, "startTimeUnixNano")).c_str(),
                readable_duration(number(summary, "durationNano")).c_str(), spans.size(),
                static_cast<long long>(number(summary, "services")), static_cast<long long>(number(summary, "errors")));
  }
  if (root["verdict"].get(verdict) == simdjson::SUCCESS && !verdict.is_null()) {
    print_verdict(verdict, colours);
  } else {
    std::printf("no verdict yet: spans may still arrive\n");
  }
  std::printf(
      "\n%s",
      draw_waterfall(spans, {.width = terminal_width(), .colours = colours, .max_rows = flags.max_spans}).c_str());
  return 0;
}

}  // namespace

void add_trace(CLI::App& program, int& exit_code) {
  auto flags = std::make_shared<TraceFlags>();
  auto* command = program.add_subcommand("trace", "show a trace with its verdict");
  flags->client.add_to(*command, "16686");
  command->add_option("id", flags->id, "trace id, hexadecimal")->required();
  command->add_flag("--json", flags->json, "the node's answer: OTLP JSON, summary, verdict, history");
  command->add_option("--max-spans", flags->max_spans, "rows to draw")->capture_default_str();
  command->callback([flags, &exit_code] { exit_code = show_trace(*flags); });
}

}  // namespace clew::app
