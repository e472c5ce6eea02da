#include "app/lab_report.h"

#include <algorithm>
#include <cstdio>
#include <string_view>
#include <vector>

#include "api/json_writer.h"
#include "app/client_output.h"

namespace clew::app {
namespace {

namespace check = sim::check;
namespace groups = sim::groups;
namespace lab = sim::lab;

std::string fixed(double value, int digits) {
  char text[48];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}
std::string ms(int64_t ns, int digits = 2) { return fixed(static_cast<double>(ns) / 1e6, digits); }
std::string thousands(double value) { return fixed(value / 1e3, 1) + "k"; }

size_t letters(std::string_view text) {  // of UTF-8
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char byte) { return (static_cast<uint8_t>(byte) & 0xc0) != 0x80; }));
}

// Columns as wide as their widest cell; the first is text, the others are numbers.
class Table {
 public:
  explicit Table(std::vector<std::string> head) : rows_{std::move(head)} {}
  // With fewer cells than columns the last one is a note, as long as it likes.
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  std::string text() const {
    std::vector<size_t> widths(rows_.front().size(), 0);
    for (const auto& row : rows_) {
      if (row.size() != widths.size()) continue;  // a note
      for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], letters(row[i]));
    }
    std::string out;
    for (const auto& row : rows_) {
      for (size_t i = 0; i < row.size(); ++i) {
        const bool last = i + 1 == row.size();
        const size_t wide = letters(row[i]);
        const size_t gap = i < widths.size() && wide < widths[i] ? widths[i] - wide : 0;
        const bool note = row.size() != widths.size() && last;
        if (i == 0 || note) {
          out += row[i] + (last ? "" : std::string(gap, ' '));
        } else {
          out += std::string(gap, ' ') + row[i];
        }
        out += last ? "\n" : "  ";
      }
    }
    return out;
  }

 private:
  std::vector<std::vector<std::string>> rows_;
};

std::string median(const std::vector<int64_t>& rising) {
  return rising.empty() ? "-" : ms(rising[rising.size() / 2], 0);
}

std::string cells_text(const lab::LabReport& report, lab::Latency latency, lab::Fault fault) {
  Table table({"protocol", "n", "survives", "msgs/cmd", "stated", "bytes/cmd", "syncs/cmd", "signed/cmd", "checked/cmd",
               "idle msgs/s", "p50 ms", "p99 ms", "saturates at", "with"});
  for (const lab::Cell& cell : report.cells) {
    if (cell.latency != latency || cell.fault != fault) continue;
    const std::string name(cell.protocol->name);
    const lab::ProtocolFacts* const facts = lab::facts_of(name);
    if (!cell.senseless.empty() || !cell.failed.ok()) {
      table.add({name, std::to_string(cell.nodes),
                 cell.senseless.empty() ? "failed: " + std::string(cell.failed.message()) : cell.senseless});
      continue;
    }
    const lab::Measured& light = cell.light();
    const lab::Cell::Point& most = cell.most();
    const auto n = static_cast<double>(cell.nodes);
    table.add({name, std::to_string(cell.nodes), std::to_string(lab::survives(facts, cell.nodes)),
               fixed(light.a_command(light.messages), 1), facts == nullptr ? "-" : fixed(facts->messages(n), 0),
               fixed(light.a_command(light.bytes), 0), fixed(light.a_command(light.syncs), 1),
               fixed(light.a_command(light.signatures_made), 1), fixed(light.a_command(light.signatures_checked), 1),
               fixed(light.idle_messages_a_second, 0), ms(light.percentile_ns(0.5)), ms(light.percentile_ns(0.99)),
               (cell.saturates ? "" : "> ") + thousands(most.measured.throughput()), std::to_string(most.outstanding)});
  }
  return table.text();
}

std::string loads_text(const lab::LabReport& report) {
  std::vector<std::string> head = {"protocol", "n", "network"};
  for (const size_t load : report.options.loads) {
    head.push_back("cmds/s at " + std::to_string(load));
    head.push_back("p99 ms");
  }
  Table table(std::move(head));
  for (const lab::Cell& cell : report.cells) {
    if (cell.fault != lab::Fault::kNone || cell.points.size() != report.options.loads.size()) continue;
    std::vector<std::string> row = {std::string(cell.protocol->name), std::to_string(cell.nodes),
                                    std::string(lab::latency_name(cell.latency))};
    for (const lab::Cell::Point& point : cell.points) {
      row.push_back(fixed(point.measured.throughput(), 0));
      row.push_back(ms(point.measured.percentile_ns(0.99)));
    }
    table.add(std::move(row));
  }
  return table.text();
}

// What a new leader took beside how much the literature says that it takes.
std::string failovers_text(const lab::LabReport& report) {
  Table table({"protocol", "n", "network", "fault", "ms", "worst", "msgs", "bytes", "stated msgs", "stated bits"});
  bool any = false;
  for (const lab::Cell& cell : report.cells) {
    if (cell.failover_ns.empty()) continue;
    any = true;
    const lab::ProtocolFacts* const facts = lab::facts_of(cell.protocol->name);
    const bool bits = facts != nullptr && !facts->change_bits.empty();
    table.add(
        {std::string(cell.protocol->name), std::to_string(cell.nodes), std::string(lab::latency_name(cell.latency)),
         std::string(lab::fault_name(cell.fault)), median(cell.failover_ns), ms(cell.failover_ns.back(), 0),
         std::to_string(cell.failover_messages[cell.failover_messages.size() / 2]),
         std::to_string(cell.failover_bytes[cell.failover_bytes.size() / 2]),
         facts == nullptr ? "-" : std::string(facts->change_order), bits ? std::string(facts->change_bits) : "-"});
  }
  if (!any) return {};
  return "\na change of leader: the median of its time, and of the messages and bytes that all members sent from the "
         "leader's death to the next commit, timeouts and heartbeats included\n" +
         table.text();
}

std::string literature_text(const lab::LabReport& report) {
  std::string text;
  for (const groups::Family* const family : report.options.protocols) {
    const lab::ProtocolFacts* const facts = lab::facts_of(family->name);
    if (facts == nullptr) continue;
    text += "  " + std::string(family->name) + ": " + std::string(facts->messages_text) + " messages, " +
            fixed(facts->delays, 0) + " delays. " + std::string(facts->source) +
            "\n    a change of leader: " + std::string(facts->leader_change) + ". " + std::string(facts->change_order) +
            " messages" + (facts->change_bits.empty() ? "" : ", " + std::string(facts->change_bits) + " bits") + ", " +
            std::string(facts->change_details) + "\n";
  }
  return text;
}

std::string claims_text(const lab::LabReport& report) {
  std::string text;
  for (const lab::Claim& claim : report.claims) {
    const std::string verdict = !claim.holds ? "open" : *claim.holds ? "holds" : "REFUTED";
    text += "  " + fitted(verdict, 8, true) + "  " + claim.statement;
    if (!claim.holds) text += " (these options do not decide it)";
    if (claim.holds) text += "\n            predicts " + claim.prediction + "; measured " + claim.measured;
    text += "\n";
  }
  return text;
}

std::string lies_text(const lab::LabReport& report) {
  std::string text;
  for (const lab::LieCell& cell : report.lies) {
    text += "  " + std::string(cell.protocol->name) + ", n=" + std::to_string(cell.nodes) + ": ";
    if (!cell.senseless.empty()) {
      text += cell.senseless + "\n";
    } else if (!cell.failed.ok()) {
      text += "failed: " + std::string(cell.failed.message()) + "\n";
    } else if (cell.lie.violation.empty()) {
      text += "holds: with " + counted(cell.lie.liars, "liar") + " a command was acknowledged, and " +
              (cell.lie.replaced ? "another one after it\n" : "no other one in its place\n");
    } else {
      text += "VIOLATED by " + counted(cell.lie.liars, "liar") + " at " + ms(cell.lie.seen_at_ns, 0) +
              " ms: a command was acknowledged, " +
              (cell.lie.replaced ? "and another one was acknowledged in its place" : "and then lost") + "\n    " +
              cell.lie.violation + "\n";
    }
    for (const lab::Endured& endured : cell.endured) {
      text += "    " + counted(endured.liars, "liar") + ", of which the primary " +
              std::string(lab::habit_name(endured.habit)) + ": ";
      if (!endured.violation.empty()) {
        text += "VIOLATED: " + endured.violation + "\n";
        continue;
      }
      const int64_t seconds = endured.span_ns / 1'000'000'000;
      text += (endured.during > 0 ? "goes on, " : "STANDS, ") + counted(endured.during, "command") + " in " +
              counted(static_cast<uint64_t>(seconds), "second") + "; before, " + std::to_string(endured.before) +
              "; the longest pause " + ms(endured.pause_ns, 0) + " ms\n";
    }
  }
  return text;
}

std::string_view choice_name(lab::Choice choice) {
  return choice == lab::Choice::kConsistency ? "consistency" : "availability";
}

std::string verdict_text(const check::CheckResult& result) {
  std::string text(name(result.verdict));
  if (!result.violations.empty()) text += ": " + result.violations.front().summary;
  return text;
}

}  // namespace

std::string lab_text(const lab::LabReport& report) {
  const lab::Costs costs;
  std::string text = "seed " + std::to_string(report.options.seed) + "; commands of 100 bytes; a processor takes " +
                     fixed(static_cast<double>(costs.message_ns) / 1e3, 1) + " µs a message and " +
                     fixed(static_cast<double>(costs.command_ns) / 1e3, 1) + " µs a command, a disk " +
                     ms(costs.sync_ns, 1) + " ms a sync; a signature takes the processor " +
                     fixed(static_cast<double>(costs.sign_ns) / 1e3, 0) + " µs to make, and one of " +
                     std::to_string(costs.workers) + " workers " + fixed(static_cast<double>(costs.check_ns) / 1e3, 0) +
                     " µs to check\n";
  for (const lab::Latency latency : report.options.latencies) {
    for (const lab::Fault fault : report.options.faults) {
      text += "\n" + std::string(lab::latency_name(latency)) + ", fault: " + std::string(lab::fault_name(fault)) +
              "\n" + cells_text(report, latency, fault);
    }
  }
  if (!report.cells.empty()) {
    text +=
        "\nmsgs, bytes, syncs, signatures made and checked: a committed command, by all members, " +
        std::to_string(report.options.loads.front()) +
        " outstanding, heartbeats included; stated: by the literature, without batching or piggybacking; it "
        "saturates at so many commands a second with so many outstanding: twice as many bring less than 3 % more\n\n" +
        loads_text(report) + failovers_text(report);
  }
  text += "\nthe literature\n" + literature_text(report);
  if (!report.cells.empty()) text += "\nclaims\n" + claims_text(report);
  if (!report.lies.empty()) text += "\na liar acknowledges, and comes back with an older disk\n" + lies_text(report);
  return text;
}

std::string lab_json(const lab::LabReport& report) {
  std::string out;
  api::JsonWriter json(out);
  json.open_object().key("seed").quoted_unsigned(report.options.seed);
  json.key("cells").open_array();
  for (const lab::Cell& cell : report.cells) {
    const lab::ProtocolFacts* const facts = lab::facts_of(cell.protocol->name);
    json.open_object();
    json.key("protocol").text(cell.protocol->name);
    json.key("nodes").unsigned_number(cell.nodes);
    json.key("latency").text(lab::latency_name(cell.latency));
    json.key("fault").text(lab::fault_name(cell.fault));
    json.key("survives").unsigned_number(lab::survives(facts, cell.nodes));
    if (!cell.senseless.empty()) json.key("senseless").text(cell.senseless);
    if (!cell.failed.ok()) json.key("failed").text(cell.failed.message());
    if (facts != nullptr) {
      json.key("stated_messages").real(facts->messages(static_cast<double>(cell.nodes)));
      json.key("stated_delays").real(facts->delays);
      json.key("stated_change_messages").text(facts->change_order);
      json.key("stated_change_bits").text(facts->change_bits);
    }
    std::vector<const lab::Cell::Point*> points;
    for (const lab::Cell::Point& point : cell.points) points.push_back(&point);
    for (const lab::Cell::Point& point : cell.beyond) points.push_back(&point);
    if (!points.empty()) {
      json.key("saturates").boolean(cell.saturates);
      json.key("most_commands_a_second").real(cell.most().measured.throughput());
      json.key("most_outstanding").unsigned_number(cell.most().outstanding);
    }
    json.key("points").open_array();
    for (const lab::Cell::Point* const each : points) {
      const lab::Cell::Point& point = *each;
      const lab::Measured& measured = point.measured;
      json.open_object();
      json.key("outstanding").unsigned_number(point.outstanding);
      json.key("commands").unsigned_number(measured.commands);
      json.key("commands_a_second").real(measured.throughput());
      json.key("messages_a_command").real(measured.a_command(measured.messages));
      json.key("bytes_a_command").real(measured.a_command(measured.bytes));
      json.key("syncs_a_command").real(measured.a_command(measured.syncs));
      json.key("signatures_made_a_command").real(measured.a_command(measured.signatures_made));
      json.key("signatures_checked_a_command").real(measured.a_command(measured.signatures_checked));
      json.key("idle_messages_a_second").real(measured.idle_messages_a_second);
      json.key("p50_ns").quoted(measured.percentile_ns(0.5));
      json.key("p99_ns").quoted(measured.percentile_ns(0.99));
      json.close_object();
    }
    json.close_array();
    json.key("failovers").unsigned_number(cell.failovers);
    json.key("failover_ns").open_array();
    for (const int64_t ns : cell.failover_ns) json.quoted(ns);
    json.close_array().key("failover_messages").open_array();
    for (const uint64_t messages : cell.failover_messages) json.unsigned_number(messages);
    json.close_array().key("failover_bytes").open_array();
    for (const uint64_t bytes : cell.failover_bytes) json.unsigned_number(bytes);
    json.close_array().close_object();
  }
  json.close_array().key("claims").open_array();
  for (const lab::Claim& claim : report.claims) {
    json.open_object();
    json.key("statement").text(claim.statement);
    json.key("prediction").text(claim.prediction);
    json.key("measured").text(claim.measured);
    json.key("holds");
    if (claim.holds) {
      json.boolean(*claim.holds);
    } else {
      json.null();
    }
    json.close_object();
  }
  json.close_array().key("liars").open_array();
  for (const lab::LieCell& cell : report.lies) {
    json.open_object();
    json.key("protocol").text(cell.protocol->name);
    json.key("nodes").unsigned_number(cell.nodes);
    if (!cell.senseless.empty()) json.key("senseless").text(cell.senseless);
    if (!cell.failed.ok()) json.key("failed").text(cell.failed.message());
    json.key("liars").unsigned_number(cell.lie.liars);
    json.key("violation").text(cell.lie.violation);
    json.key("endured").open_array();
    for (const lab::Endured& endured : cell.endured) {
      json.open_object();
      json.key("primary").text(lab::habit_name(endured.habit));
      json.key("liars").unsigned_number(endured.liars);
      json.key("span_ns").quoted(endured.span_ns);
      json.key("commands_before").unsigned_number(endured.before);
      json.key("commands").unsigned_number(endured.during);
      json.key("longest_pause_ns").quoted(endured.pause_ns);
      json.key("violation").text(endured.violation);
      json.close_object();
    }
    json.close_array().close_object();
  }
  json.close_array().close_object();
  return out + "\n";
}

std::string flp_text(const FlpLesson& lesson) {
  const lab::FlpRun& run = lesson.fixed;
  std::string text =
      "Two proposers of single-decree Paxos, three acceptors. Nobody crashes, nothing is lost; phase 2 takes longer\n"
      "than phase 1, and both proposers pause for equally long after a refusal.\n\n";
  for (const std::string& line : run.lines) text += "  " + line + "\n";
  text += "\n";
  if (run.decided) {
    text += "decided: \"" + run.value + "\" at " + ms(run.ended_at, 1) + " ms\n";
  } else {
    text += "not decided in " + ms(run.ended_at, 0) + " ms: " + std::to_string(run.ballots) + " ballots, " +
            std::to_string(run.messages) + " messages, each delivered within " + ms(run.longest_delay, 0) + " ms\n";
  }
  if (run.period != 0) {
    text += "from " + ms(run.cycle_begins, 0) + " ms on, everything stands every " + ms(run.period, 0) +
            " ms as it stood before, but for the round: " + std::to_string(run.cycles) + " times, and so for ever\n  " +
            run.state + "\n";
  }
  std::vector<int64_t> times;
  std::vector<int64_t> ballots;
  for (const lab::FlpRun& random : lesson.random) {
    if (!random.decided) continue;
    times.push_back(random.ended_at);
    ballots.push_back(static_cast<int64_t>(random.ballots));
  }
  std::sort(times.begin(), times.end());
  std::sort(ballots.begin(), ballots.end());
  text += "\nThe same with random pauses, seeds " + std::to_string(lesson.first_seed) + " to " +
          std::to_string(lesson.first_seed + lesson.random.size() - 1) + ": " + std::to_string(times.size()) + " of " +
          std::to_string(lesson.random.size()) + " decided";
  if (!times.empty()) {
    text += "; half of them within " + ms(times[times.size() / 2], 1) + " ms and " +
            std::to_string(ballots[ballots.size() / 2]) + " ballots, all within " + ms(times.back(), 1) + " ms and " +
            std::to_string(ballots.back()) + " ballots";
  }
  return text + "\n";
}

std::string flp_json(const FlpLesson& lesson) {
  std::string out;
  api::JsonWriter json(out);
  const auto write = [&](const lab::FlpRun& run) {
    json.open_object();
    json.key("decided").boolean(run.decided);
    json.key("ended_ns").quoted(run.ended_at);
    json.key("ballots").unsigned_number(run.ballots);
    json.key("messages").unsigned_number(run.messages);
    json.key("longest_delay_ns").quoted(run.longest_delay);
    json.key("period_ns").quoted(run.period);
    json.key("cycles").unsigned_number(run.cycles);
    json.close_object();
  };
  json.open_object().key("fixed");
  write(lesson.fixed);
  json.key("first_seed").quoted_unsigned(lesson.first_seed).key("random").open_array();
  for (const lab::FlpRun& run : lesson.random) write(run);
  json.close_array().close_object();
  return out + "\n";
}

std::string cap_text(const lab::Cap& cap, std::string_view protocol) {
  std::string text = "A register of three members (" + std::string(protocol) +
                     "). One of them is cut off; the others go on writing. It is asked:\n\n";
  Table table({"network", "choice", "asked for", "answer", "ms"});
  for (const lab::Asked& asked : cap.asked) {
    const std::string answer = asked.answered ? asked.read ? "\"" + asked.value + "\"" : "written"
                                              : "none within " + ms(cap.patience_ns, 0) + " ms";
    table.add({std::string(phase_name(asked.phase)), std::string(choice_name(asked.choice)),
               asked.read ? "a read" : "a write", answer, asked.answered ? ms(asked.took_ns) : "-"});
  }
  text += table.text() + "\nconsistency first: linearizability " + verdict_text(cap.consistent) +
          "\navailability first: linearizability " + verdict_text(cap.available) + "\n";
  return text;
}

std::string cap_json(const lab::Cap& cap, std::string_view protocol) {
  std::string out;
  api::JsonWriter json(out);
  json.open_object().key("protocol").text(protocol).key("asked").open_array();
  for (const lab::Asked& asked : cap.asked) {
    json.open_object();
    json.key("network").text(phase_name(asked.phase));
    json.key("choice").text(choice_name(asked.choice));
    json.key("what").text(asked.read ? "read" : "write");
    json.key("answered").boolean(asked.answered);
    json.key("value").text(asked.value);
    json.key("took_ns").quoted(asked.took_ns);
    json.close_object();
  }
  json.close_array();
  json.key("consistency_first").text(name(cap.consistent.verdict));
  json.key("availability_first").text(name(cap.available.verdict));
  json.close_object();
  return out + "\n";
}

}  // namespace clew::app
