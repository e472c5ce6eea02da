#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>

#include "app/progress.h"
#include "app/verify.h"
#include "otlp/encode.h"

namespace clew::app {
namespace {

using model::Severity;

std::string_view severity_name(Severity severity) {
  switch (severity) {
    case Severity::kInfo:
      return "info";
    case Severity::kWarning:
      return "warning";
    case Severity::kLoss:
      return "loss";
  }
  return "";
}

std::string counted(uint64_t n, std::string_view one, std::string_view many) {
  return grouped(n) + ' ' + std::string(n == 1 ? one : many);
}

std::string milliseconds(int64_t ns) { return fmt::format("{:+.3f} ms", static_cast<double>(ns) / 1e6); }

std::string percent(uint64_t part, uint64_t whole) {
  if (whole == 0) return "";
  // Never rounded to what it is not: 99.99 % of many traces is not all of them.
  const double share = 100.0 * static_cast<double>(part) / static_cast<double>(whole);
  if (part != whole && share > 99.9) return "> 99.9 %";
  if (part != 0 && share < 0.1) return "< 0.1 %";
  return fmt::format("{:.1f} %", share);
}

struct NamedCount {
  std::string_view name;
  uint64_t value;
  std::string_view unit;  // "" for a count
};

std::vector<NamedCount> named(const trace::Defects& d) {
  return {{"orphan_spans", d.orphan_spans, ""},
          {"traces_with_orphans", d.traces_with_orphans, ""},
          {"traces_without_root", d.traces_without_root, ""},
          {"traces_with_several_roots", d.traces_with_several_roots, ""},
          {"duplicate_span_ids", d.duplicate_span_ids, ""},
          {"span_ids_seen_twice_in_trace", d.span_ids_seen_twice, ""},
          {"spans_negative_duration", d.spans_negative_duration, ""},
          {"spans_zero_duration", d.spans_zero_duration, ""},
          {"children_start_before_parent", d.children_start_before_parent, ""},
          {"children_start_before_parent_across_services", d.children_start_before_parent_across_services, ""},
          {"worst_start_before_parent_us", d.worst_start_before_parent_us, "us"},
          {"children_end_after_parent", d.children_end_after_parent, ""},
          {"worst_end_after_parent_us", d.worst_end_after_parent_us, "us"},
          {"children_start_after_parent_end", d.children_start_after_parent_end, ""}};
}

std::string quoted(std::string_view text) {
  std::string out;
  otlp::append_json_string(text, out);
  return out;
}

template <typename Range, typename Write>
std::string json_list(const Range& range, Write write) {
  std::string out = "[";
  for (const auto& item : range) {
    if (out.size() > 1) out += ',';
    out += write(item);
  }
  return out + ']';
}

std::string example_json(const VerifyReport::Example& example) {
  return fmt::format(R"({{"trace":"{}","text":{}}})", example.trace.hex(), quoted(example.text));
}

// Names in a file may hold anything; a terminal obeys control characters.
std::string printable(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return out.empty() ? "(none)" : out;
}

}  // namespace

std::string report_text(const VerifyReport& r) {
  std::string out;
  const auto line = [&](std::string_view text) { out.append(text).push_back('\n'); };
  uint64_t bytes = 0, requests = 0;
  for (const VerifyReport::Input& input : r.inputs) {
    bytes += input.bytes;
    requests += input.requests;
  }
  line(fmt::format("{} in {}, from {} ({}, {})", counted(r.spans, "span", "spans"),
                   counted(r.traces, "trace", "traces"), counted(r.inputs.size(), "file", "files"), megabytes(bytes),
                   counted(requests, "request", "requests")));
  line(fmt::format("{}, {}", counted(r.services, "service", "services"), counted(r.hosts, "host", "hosts")));
  if (r.repeated_spans > 0) {
    line(fmt::format("{} repeated an earlier one exactly, and count once", counted(r.repeated_spans, "span", "spans")));
  }
  line("");
  line(fmt::format("  complete    {:>12}  {:>8}", grouped(r.complete), percent(r.complete, r.traces)));
  line(fmt::format("  incomplete  {:>12}  {:>8}", grouped(r.incomplete), percent(r.incomplete, r.traces)));
  line(fmt::format("  defective   {:>12}  {:>8}  (complete or not, with a finding above info)", grouped(r.defective),
                   percent(r.defective, r.traces)));

  if (!r.incomplete_examples.empty()) {
    line("");
    line(r.incomplete > r.incomplete_examples.size() ? "Incomplete, for example" : "Incomplete");
    for (const VerifyReport::Example& example : r.incomplete_examples) {
      line(fmt::format("  {}  {}", example.trace.hex(), example.text));
    }
  }
  if (r.rejected_spans > 0) {
    line("");
    line(fmt::format("Rejected: {}", counted(r.rejected_spans, "span", "spans")));
    for (size_t i = 0; i < r.rejected.size(); ++i) {
      if (r.rejected[i] == 0) continue;
      line(fmt::format("  {:<28} {:>12}", otlp::reject_name(static_cast<otlp::Reject>(i)), grouped(r.rejected[i])));
    }
  }
  if (!r.findings.empty()) {
    line("");
    line(fmt::format("{:<28} {:<8} {:>12} {:>12}", "Findings", "", "traces", "spans"));
    for (const VerifyReport::FindingTotal& f : r.findings) {
      line(fmt::format("  {:<26} {:<8} {:>12} {:>12}", model::finding_kind_name(f.kind), severity_name(f.severity),
                       grouped(f.traces), grouped(f.count)));
      for (const VerifyReport::Example& example : f.examples) {
        line(fmt::format("    {}  {}", example.trace.hex(), example.text));
      }
    }
  }
  if (!r.skew.empty()) {
    constexpr size_t kShown = 20;
    line("");
    line("Clocks that differ: add the offset to the host's times to read them on the other's clock");
    line(
        fmt::format("  {:<36} {:<36} {:>14} {:>32} {:>8}", "host", "against", "median", "range over traces", "traces"));
    std::vector<const VerifyReport::SkewTotal*> by_traces;
    for (const VerifyReport::SkewTotal& skew : r.skew) by_traces.push_back(&skew);
    std::stable_sort(by_traces.begin(), by_traces.end(), [](auto* a, auto* b) { return a->traces > b->traces; });
    for (size_t i = 0; i < std::min(kShown, by_traces.size()); ++i) {
      const VerifyReport::SkewTotal& s = *by_traces[i];
      line(fmt::format("  {:<36} {:<36} {:>14} {:>32} {:>8}", printable(s.host), printable(s.reference),
                       milliseconds(s.median_ns), milliseconds(s.low_ns) + " to " + milliseconds(s.high_ns),
                       grouped(s.traces)));
    }
    if (by_traces.size() > kShown) line(fmt::format("  and {} more pairs", by_traces.size() - kShown));
  }
  bool heading = false;
  for (const NamedCount& count : named(r.defects)) {
    if (count.value == 0) continue;
    if (!heading) {
      line("");
      line("As sent, before any adjustment");
    }
    heading = true;
    std::string_view name = count.name;
    if (!count.unit.empty()) name.remove_suffix(3);
    line(fmt::format("  {:<45} {:>14} {}", name, grouped(count.value), count.unit));
  }
  line(fmt::format("{}  {:<45} {:>14}", heading ? "" : "\nAs sent, before any adjustment\n", "max_depth",
                   grouped(r.defects.max_depth)));
  line(fmt::format("  {:<45} {:>14}", "max_children", grouped(r.defects.max_children)));
  line(fmt::format("  {:<45} {:>14}", "max_spans_in_trace", grouped(r.defects.max_spans_in_trace)));
  line("");
  if (r.unreadable > 0) {
    line(fmt::format("Not all input could be read ({}): this report covers the rest.",
                     counted(r.unreadable, "error", "errors")));
  }
  if (r.traces == 0) {
    line("No traces.");
  } else if (r.incomplete > 0) {
    line(fmt::format("{} of {} incomplete: spans are missing.", grouped(r.incomplete),
                     r.traces == 1 ? "1 trace is" : grouped(r.traces) + " traces are"));
  } else {
    line(r.defective > 0 || r.rejected_spans > 0 ? "Every trace is complete, but not all is sound: see the findings."
                                                 : "Every trace is complete.");
  }
  return out;
}

std::string report_json(const VerifyReport& r) {
  std::string out = fmt::format(
      R"({{"exit_code":{},"traces":{},"spans":{},"repeated_spans":{},"services":{},"hosts":{},"complete":{},"incomplete":{},"defective":{},"rejected_spans":{},"unreadable":{})",
      r.exit_code(), r.traces, r.spans, r.repeated_spans, r.services, r.hosts, r.complete, r.incomplete, r.defective,
      r.rejected_spans, r.unreadable);
  out += R"(,"errors":)" + json_list(r.errors, [](const std::string& error) { return quoted(error); });
  out += R"(,"inputs":)" + json_list(r.inputs, [](const VerifyReport::Input& input) {
           return fmt::format(R"({{"path":{},"bytes":{},"requests":{},"spans":{}}})", quoted(input.path), input.bytes,
                              input.requests, input.spans);
         });
  out += R"(,"rejected":{)";
  bool first = true;
  for (size_t i = 0; i < r.rejected.size(); ++i) {
    if (r.rejected[i] == 0) continue;
    fmt::format_to(std::back_inserter(out), R"({}"{}":{})", first ? "" : ",",
                   otlp::reject_name(static_cast<otlp::Reject>(i)), r.rejected[i]);
    first = false;
  }
  out += R"(},"incomplete_examples":)" + json_list(r.incomplete_examples, example_json);
  out += R"(,"findings":)" + json_list(r.findings, [](const VerifyReport::FindingTotal& f) {
           return fmt::format(R"({{"kind":"{}","severity":"{}","traces":{},"spans":{},"examples":{}}})",
                              model::finding_kind_name(f.kind), severity_name(f.severity), f.traces, f.count,
                              json_list(f.examples, example_json));
         });
  // Nanoseconds as strings: numbers of JSON lose them.
  out += R"(,"skew":)" + json_list(r.skew, [](const VerifyReport::SkewTotal& s) {
           return fmt::format(
               R"({{"host":{},"reference":{},"median_ns":"{}","low_ns":"{}","high_ns":"{}","traces":{},"edges":{}}})",
               quoted(s.host), quoted(s.reference), s.median_ns, s.low_ns, s.high_ns, s.traces, s.edges);
         });
  out += R"(,"as_sent":{)";
  for (const NamedCount& count : named(r.defects))
    fmt::format_to(std::back_inserter(out), R"("{}":{},)", count.name, count.value);
  fmt::format_to(std::back_inserter(out), R"("max_depth":{},"max_children":{},"max_spans_in_trace":{}}}}})",
                 r.defects.max_depth, r.defects.max_children, r.defects.max_spans_in_trace);
  out += '\n';
  return out;
}

}  // namespace clew::app
