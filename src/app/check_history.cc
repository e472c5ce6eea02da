// clew check-history: reads a history of clients from a file and says which promises it keeps.
#include <cstdio>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "app/client_output.h"
#include "app/commands.h"
#include "app/progress.h"
#include "otlp/encode.h"
#include "sim/check/check.h"
#include "sim/check/history_file.h"

namespace clew::app {
namespace {

namespace check = sim::check;

constexpr int kFine = 0, kViolated = 1, kUndecided = 2, kBadInput = 3;

struct Flags {
  std::string file;
  std::vector<std::string> checkers;
  check::CheckOptions options;
  bool json = false;
};

Result<check::History> read_history(const std::string& path, bool& torn) {
  std::ifstream file;
  if (path != "-") {
    file.open(path, std::ios::binary);
    if (!file) {
      return Error{Code::kNotFound, path + " cannot be opened; check the path and that you may read it"};
    }
  }
  std::istream& in = path == "-" ? std::cin : file;
  check::HistoryReader reader;
  std::vector<char> buffer(1 << 20);
  while (in) {
    in.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
    const Status fed = reader.feed({buffer.data(), static_cast<size_t>(in.gcount())});
    if (!fed.ok()) return Error{fed.code(), path + ", " + std::string(fed.message())};
  }
  if (in.bad()) return Error{Code::kDataLoss, path + " cannot be read to its end"};
  auto history = reader.finish();
  torn = reader.torn();
  if (!history.ok()) return Error{history.error().code, path + ": " + history.error().message};
  return history;
}

Paint paint_of(check::Verdict verdict) {
  switch (verdict) {
    case check::Verdict::kFine:
      return Paint::kGreen;
    case check::Verdict::kViolated:
      return Paint::kRed;
    case check::Verdict::kUnknown:
      return Paint::kYellow;
    case check::Verdict::kNothing:
      return Paint::kDim;
  }
  return Paint::kNone;
}

void print_table(const check::History& history, const std::vector<check::CheckResult>& results, bool torn) {
  const bool colours = colours_on();
  std::printf("%s: %s, %s reported by nodes%s\n\n", std::string(check::name(history.workload)).c_str(),
              counted(history.operations.size(), "operation").c_str(),
              counted(history.applied.size() + history.digests.size(), "fact").c_str(),
              torn ? "; the last line is not whole and was left out" : "");
  for (const check::CheckResult& result : results) {
    std::string detail = result.reason;
    if (result.violations_found > 0) detail = counted(result.violations_found, "violation");
    if (result.verdict == check::Verdict::kFine) {
      detail = grouped(result.looked_at) + " judged";
      if (result.steps > 0) detail += ", " + counted(result.steps, "step");
    }
    std::printf("  %s  %s  %s\n", fitted(result.checker, 17, true).c_str(),
                painted(paint_of(result.verdict), fitted(check::name(result.verdict), 16, true), colours).c_str(),
                printable(detail).c_str());
  }
  for (const check::CheckResult& result : results) {
    for (const check::Violation& violation : result.violations) {
      std::printf("\n%s: %s\n", painted(Paint::kRed, result.checker, colours).c_str(),
                  printable(violation.summary).c_str());
      std::fputs(violation.play.c_str(), stdout);
    }
    if (result.violations_found > result.violations.size()) {
      std::printf("\n%s: %s more\n", std::string(result.checker).c_str(),
                  grouped(result.violations_found - result.violations.size()).c_str());
    }
  }
}

void append_member(std::string& out, std::string_view name, std::string_view text) {
  out += ",\"" + std::string(name) + "\":";
  otlp::append_json_string(text, out);
}

void print_json(const check::History& history, const std::vector<check::CheckResult>& results, bool torn) {
  std::string out = "{\"operations\":" + std::to_string(history.operations.size());
  out += torn ? ",\"torn\":true" : ",\"torn\":false";
  append_member(out, "workload", check::name(history.workload));
  append_member(out, "verdict", check::name(check::overall(results)));
  out += ",\"checkers\":[";
  for (size_t i = 0; i < results.size(); ++i) {
    const check::CheckResult& result = results[i];
    out += std::string(i > 0 ? "," : "") + "{\"judged\":" + std::to_string(result.looked_at) +
           ",\"steps\":" + std::to_string(result.steps) +
           ",\"violations_found\":" + std::to_string(result.violations_found);
    append_member(out, "checker", result.checker);
    append_member(out, "verdict", check::name(result.verdict));
    if (!result.reason.empty()) append_member(out, "reason", result.reason);
    out += ",\"violations\":[";
    for (size_t v = 0; v < result.violations.size(); ++v) {
      const check::Violation& violation = result.violations[v];
      out += std::string(v > 0 ? "," : "") + "{\"operations\":[";
      for (size_t o = 0; o < violation.operations.size(); ++o) {
        out += (o > 0 ? "," : "") + std::to_string(violation.operations[o]);
      }
      out += ']';
      append_member(out, "summary", violation.summary);
      append_member(out, "play", violation.play);
      out += '}';
    }
    out += "]}";
  }
  std::printf("%s]}\n", out.c_str());
}

int run(const Flags& flags) {
  std::vector<const check::Checker*> chosen;
  for (const std::string& name : flags.checkers) {
    const check::Checker* checker = check::find_checker(name);
    if (checker == nullptr) {
      std::string names;
      for (const check::Checker& known : check::checkers()) names += ' ' + std::string(known.name);
      return fail(Status(Code::kInvalidArgument, "no checker is called " + name + "; there are:" + names), kBadInput);
    }
    chosen.push_back(checker);
  }
  bool torn = false;
  const auto history = read_history(flags.file, torn);
  if (!history.ok()) return fail(history.status(), kBadInput);
  std::vector<check::CheckResult> results;
  if (chosen.empty()) {
    results = check::check_all(*history, flags.options);
  } else {
    for (const check::Checker* checker : chosen) results.push_back(checker->run(*history, flags.options));
  }
  if (flags.json) {
    print_json(*history, results, torn);
  } else {
    print_table(*history, results, torn);
  }
  switch (check::overall(results)) {
    case check::Verdict::kFine:
      return kFine;
    case check::Verdict::kViolated:
      return kViolated;
    case check::Verdict::kNothing:  // of all that was asked for, nothing was shown to hold
    case check::Verdict::kUnknown:
      return kUndecided;
  }
  return kUndecided;
}

}  // namespace

void add_check_history(CLI::App& program, int& exit_code) {
  auto flags = std::make_shared<Flags>();
  auto* command = program.add_subcommand(
      "check-history",
      "say which promises a recorded history of clients keeps; exit code 0: all that it tells of, 1: one is broken, "
      "2: not decided, or wrong arguments, 3: unreadable input");
  std::string names;
  for (const check::Checker& checker : check::checkers()) {
    names += "\n" + std::string(checker.name) + ": " + std::string(checker.promise);
  }
  command->add_option("file", flags->file, "JSON lines, see docs/format/history.md; - is standard input")->required();
  command->add_option("--checker", flags->checkers, "only this one; may be given several times:" + names);
  command->add_option("--budget", flags->options.max_steps, "steps of search for each independent key")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  command->add_option("--violations", flags->options.max_violations, "shown of each checker")->capture_default_str();
  command->add_flag("--json", flags->json, "the report as one JSON object");
  command->callback([flags, &exit_code] { exit_code = run(*flags); });
}

}  // namespace clew::app
