#include "app/sim_record.h"

#include <simdjson.h>

#include <cstdio>
#include <filesystem>
#include <map>
#include <numeric>
#include <sstream>
#include <utility>

#include "app/progress.h"
#include "app/reply.h"
#include "otlp/encode.h"

namespace clew::app {
namespace {

std::string_view fault_name(size_t kind) { return name(static_cast<sim::FaultKind>(kind)); }

std::string in_decimals(double value, int decimals) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  return text;
}

}  // namespace

std::string encode(const SimRecord& record) {
  std::string out = "{\"seed\":" + std::to_string(record.seed) + ",\"profile\":";
  otlp::append_json_string(record.profile, out);
  out += std::string(",\"failed\":") + (record.failed ? "true" : "false") +
         ",\"undecided\":" + (record.undecided ? "true" : "false") + ",\"text\":";
  otlp::append_json_string(record.text, out);
  out += ",\"cpu_seconds\":" + in_decimals(record.cpu_seconds, 6) +
         ",\"virtual_ns\":" + std::to_string(record.virtual_ns) + ",\"events\":" + std::to_string(record.events) +
         ",\"faults\":{";
  bool first = true;
  for (size_t kind = 0; kind < record.faults.size(); ++kind) {
    if (record.faults[kind] == 0) continue;
    out += (std::exchange(first, false) ? "\"" : ",\"") + std::string(fault_name(kind)) +
           "\":" + std::to_string(record.faults[kind]);
  }
  out += "},\"deeds\":{";
  first = true;
  for (const auto& field : sim::groups::Deeds::fields()) {
    out += (std::exchange(first, false) ? "\"" : ",\"") + std::string(field.name) +
           "\":" + std::to_string(record.deeds.*field.value);
  }
  return out + "}}";
}

Result<SimRecord> decode_sim_record(std::string_view line) {
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  const simdjson::padded_string padded(line);
  if (parser.parse(padded).get(root) != simdjson::SUCCESS) {
    return Error{Code::kInvalidArgument, "not a line of JSON"};
  }
  SimRecord record;
  std::string_view profile, text;
  bool whole =
      root["seed"].get(record.seed) == simdjson::SUCCESS && root["profile"].get(profile) == simdjson::SUCCESS &&
      root["failed"].get(record.failed) == simdjson::SUCCESS &&
      root["undecided"].get(record.undecided) == simdjson::SUCCESS && root["text"].get(text) == simdjson::SUCCESS &&
      root["cpu_seconds"].get(record.cpu_seconds) == simdjson::SUCCESS &&
      root["virtual_ns"].get(record.virtual_ns) == simdjson::SUCCESS &&
      root["events"].get(record.events) == simdjson::SUCCESS;
  record.profile = profile;
  record.text = text;
  for (size_t kind = 0; kind < record.faults.size(); ++kind) {
    record.faults[kind] = static_cast<uint64_t>(number(root, "/faults/" + std::string(fault_name(kind))));
  }
  for (const auto& field : sim::groups::Deeds::fields()) {
    whole = whole && root["deeds"][field.name].get(record.deeds.*field.value) == simdjson::SUCCESS;
  }
  if (!whole) return Error{Code::kInvalidArgument, "not what became of a seed"};
  return record;
}

void SimSum::add(const SimRecord& record) {
  ++seeds;
  failed += record.failed;
  undecided += record.undecided;
  cpu_seconds += record.cpu_seconds;
  virtual_seconds += static_cast<double>(record.virtual_ns) / 1e9;
  events += record.events;
  for (size_t kind = 0; kind < faults.size(); ++kind) faults[kind] += record.faults[kind];
  deeds.add(record.deeds);
}

uint64_t SimSum::faults_in_all() const { return std::accumulate(faults.begin(), faults.end(), uint64_t{0}); }

uint64_t SimSum::crashes() const {
  using enum sim::FaultKind;
  uint64_t sum = 0;
  for (const sim::FaultKind kind : {kKill, kPowerCut, kPowerCutInIo, kWipe}) sum += faults[static_cast<size_t>(kind)];
  return sum;
}

std::string figures_table(const std::vector<SimRecord>& records) {
  std::vector<std::pair<std::string, SimSum>> rows;
  std::map<std::string, uint64_t> first_seed;
  for (const SimRecord& record : records) {
    const auto [at, added] = first_seed.emplace(record.profile, record.seed);
    at->second = std::min(at->second, record.seed);
    if (added) rows.emplace_back(record.profile, SimSum());
    for (auto& [profile, sum] : rows) {
      if (profile == record.profile) sum.add(record);
    }
  }
  std::sort(rows.begin(), rows.end(),
            [&](const auto& a, const auto& b) { return first_seed.at(a.first) < first_seed.at(b.first); });
  SimSum all;
  for (const SimRecord& record : records) all.add(record);
  if (rows.size() > 1) rows.emplace_back("**all**", all);
  std::string out =
      "| profile | seeds | failed | not decided | virtual s | virtual s per CPU s | faults | of them crashes | "
      "operations answered | entries committed | snapshots installed | judgements |\n"
      "|---|---|---|---|---|---|---|---|---|---|---|---|\n";
  for (const auto& [profile, sum] : rows) {
    out += "| " + profile + " | " + grouped(sum.seeds) + " | " + grouped(sum.failed) + " | " + grouped(sum.undecided) +
           " | " + grouped(static_cast<uint64_t>(sum.virtual_seconds)) + " | " +
           in_decimals(sum.virtual_seconds / std::max(sum.cpu_seconds, 1e-9), 0) + " | " +
           grouped(sum.faults_in_all()) + " | " + grouped(sum.crashes()) + " | " + grouped(sum.deeds.answered) + " | " +
           grouped(sum.deeds.entries) + " | " + grouped(sum.deeds.snapshots_installed) + " | " +
           grouped(sum.deeds.judged) + " |\n";
  }
  return out;
}

Status SimLog::open(const std::string& path, std::string_view hunt, std::vector<SimRecord>& records) {
  path_ = path;
  std::string text;
  {
    std::ostringstream read;
    read << std::ifstream(path).rdbuf();
    text = read.str();
  }
  const size_t whole = text.rfind('\n') + 1;  // 0 without any
  size_t at = 0;
  for (bool head = true; at < whole; head = false) {
    const size_t end = text.find('\n', at);
    const std::string_view line = std::string_view(text).substr(at, end - at);
    at = end + 1;
    if (head) {
      if (line == hunt) continue;
      return Error{Code::kFailedPrecondition, path + " is the log of another hunt: " + std::string(line) +
                                                  "; this one is " + std::string(hunt) +
                                                  "; name another file, or remove that one"};
    }
    auto record = decode_sim_record(line);
    if (!record.ok()) {
      return Error{Code::kDataLoss,
                   path + ": " + record.error().message + ": " + std::string(line.substr(0, 80)) + "; remove the line"};
    }
    records.push_back(std::move(record).value());
  }
  if (whole != text.size()) {
    std::error_code failed;
    std::filesystem::resize_file(path, whole, failed);
    if (failed) return Error{Code::kUnavailable, path + ": " + failed.message()};
  }
  file_.open(path, std::ios::app);
  if (whole == 0) file_ << hunt << '\n';
  file_.flush();
  return file_ ? Status() : Status(Code::kUnavailable, path + " cannot be written; look at its folder and the disk");
}

Status SimLog::append(const SimRecord& record) {
  file_ << encode(record) << '\n';
  file_.flush();
  return file_ ? Status() : Status(Code::kUnavailable, path_ + " cannot be written any more; look at the disk");
}

}  // namespace clew::app
