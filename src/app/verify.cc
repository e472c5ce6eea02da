#include "app/verify.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <tuple>
#include <utility>

#include "app/progress.h"
#include "app/trace_file.h"
#include "app/trace_set.h"
#include "trace/client_server.h"

namespace clew::app {
namespace {

using model::FindingKind;
using model::Severity;

// What was learnt from all traces, while they are judged one by one.
class Frozen final : public trace::PeerHistory {
 public:
  explicit Frozen(const trace::PeerHistory& history) : history_(history) {}
  void learn(std::string_view, std::string_view, bool) override {}
  bool expects_server_child(std::string_view service, std::string_view span_name) const override {
    return history_.expects_server_child(service, span_name);
  }

 private:
  const trace::PeerHistory& history_;
};

void report_error(VerifyReport& report, const Error& error) {
  ++report.unreadable;
  if (report.errors.size() < kMaxErrors) report.errors.push_back(error.message);
}

void read_file(const std::string& path, const VerifyOptions& options, const env::Clock& clock, TraceSet& set,
               VerifyReport& report) {
  VerifyReport::Input& input = report.inputs.emplace_back();
  input.path = path;
  auto opened = TraceFileReader::open(path, {.limits = options.limits, .max_body_bytes = options.max_request_bytes});
  if (!opened.ok()) return report_error(report, opened.error());
  TraceFileReader& reader = *opened.value();
  ProgressBar bar(path, reader.total_bytes(), clock);
  const uint64_t spans_before = set.spans();
  while (true) {
    std::string_view body;
    const auto more = reader.next(body);
    if (!more.ok()) {
      report_error(report, more.error());
      if (!reader.can_continue()) break;
      continue;
    }
    if (!more.value()) break;
    const Status added = set.add_request(body);
    if (!added.ok()) {
      report_error(report, {added.code(), fmt::format("{}, request {}: {}", path, reader.bodies(), added.message())});
    }
    if (bar.visible()) bar.update(reader.bytes_read(), grouped(set.spans()) + " spans");
  }
  input.bytes = reader.bytes_read();
  input.requests = reader.bodies();
  input.spans = set.spans() - spans_before;
}

class Judge {
 public:
  Judge(const VerifyOptions& options, VerifyReport& report)
      : options_(options), report_(report), assessor_(options.policy) {}

  void learn(const TraceSet::View& view) {
    assessor_.assess(view.distinct, view.context, view.names, &history_, assessment_);
  }
  void judge(const TraceSet::View& view) {
    Frozen frozen(history_);
    defects_.add(view.arrived, report_.defects);
    assessor_.assess(view.distinct, view.context, view.names, &frozen, assessment_);
    model::Verdict& verdict = assessment_.verdict;
    report_.spans += view.distinct.size();
    report_.repeated_spans += view.arrived.size() - view.distinct.size();
    if (verdict.state == model::TraceState::kComplete) {
      ++report_.complete;
    } else {
      verdict.state = model::TraceState::kTimedOut;
      ++report_.incomplete;
      if (report_.incomplete_examples.size() < options_.examples) {
        report_.incomplete_examples.push_back({view.id, model::verdict_sentence(verdict)});
      }
    }
    bool defective = false;
    for (const model::Finding& finding : verdict.findings) {
      VerifyReport::FindingTotal& total = findings_[static_cast<size_t>(finding.kind)];
      total.kind = finding.kind;
      total.severity = std::max(total.severity, finding.severity);
      ++total.traces;
      total.count += finding.count;
      if (total.examples.size() < options_.examples) total.examples.push_back({view.id, finding.detail});
      defective |= finding.severity != Severity::kInfo;
    }
    report_.defective += defective;
    for (const model::SkewEstimate& estimate : verdict.skew) {
      Offsets& seen = skew_[{estimate.host, estimate.reference}];
      seen.offsets.push_back(estimate.offset_ns);
      seen.edges += estimate.edges;
    }
  }
  void finish() {
    for (VerifyReport::FindingTotal& total : findings_) {
      if (total.traces > 0) report_.findings.push_back(std::move(total));
    }
    std::stable_sort(report_.findings.begin(), report_.findings.end(),
                     [](const auto& a, const auto& b) { return a.severity > b.severity; });
    for (auto& [pair, seen] : skew_) {
      std::vector<int64_t>& offsets = seen.offsets;
      std::sort(offsets.begin(), offsets.end());
      report_.skew.push_back({pair.first, pair.second, offsets.size(), seen.edges, offsets[(offsets.size() - 1) / 2],
                              offsets.front(), offsets.back()});
    }
  }

 private:
  struct Offsets {
    std::vector<int64_t> offsets;
    uint64_t edges = 0;
  };
  const VerifyOptions& options_;
  VerifyReport& report_;
  trace::Assessor assessor_;
  trace::Assessment assessment_;
  trace::DefectCounter defects_;
  // A file is one period: nothing of it is forgotten.
  trace::DecayedPeerHistory history_{{.entries = 1u << 16, .window = 1u << 30}};
  std::array<VerifyReport::FindingTotal, static_cast<size_t>(FindingKind::kTooManySpans) + 1> findings_;
  std::map<std::pair<std::string, std::string>, Offsets> skew_;
};

}  // namespace

int VerifyReport::exit_code() const {
  if (unreadable > 0) return 2;
  return incomplete > 0 || defective > 0 || rejected_spans > 0 ? 1 : 0;
}

VerifyReport verify_files(const VerifyOptions& options, const env::Clock& clock) {
  VerifyReport report;
  TraceSet set(options.limits);
  for (const std::string& path : options.files) read_file(path, options, clock, set, report);
  report.traces = set.traces();
  report.services = set.services();
  report.hosts = set.hosts();
  report.rejected = set.rejected();
  for (const uint64_t n : report.rejected) report.rejected_spans += n;

  Judge judge(options, report);
  set.for_each([&](const TraceSet::View& view) { judge.learn(view); });
  set.for_each([&](const TraceSet::View& view) { judge.judge(view); });
  judge.finish();
  return report;
}

int run_verify(const VerifyOptions& options, const env::Clock& clock) {
  const VerifyReport report = verify_files(options, clock);
  const std::string text = options.json ? report_json(report) : report_text(report);
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
  for (const std::string& error : report.errors) std::fprintf(stderr, "clew: %s\n", error.c_str());
  if (report.unreadable > report.errors.size()) {
    std::fprintf(stderr, "clew: and %s more like these\n", grouped(report.unreadable - report.errors.size()).c_str());
  }
  return report.exit_code();
}

}  // namespace clew::app
