// Transcripts: <protocol>/testdata/*.txt, each a play for a few cores. A line that begins with "> " is a command, what
// stands below it is what happened. CLEW_REGENERATE=1 writes the files anew; read the difference before you commit it.
//
//   > cluster 1,2,3 [seed=N] [leases] [tail=BYTES] [message=BYTES] [window=N] [NAME=N]   members: w3 witness
//   > join 4 | timeout 1 | tick 1 | advance MS | run MS
//   > propose 1 text… | read 1 [lease] | members 1 1,2,l4 | transfer 1 2
//   > write 1 [N] | crash 1 [N written] | start 1 | damage 1 FIRST LAST | lose-snapshot 1
//   > snapshot 1 | fetched 1 ok|failed | down 1 2 | up 1 2
//   > deliver [FROM TO] [N] | drop FROM TO | cut FROM TO | heal | settle [quiet]
//   > status | log 1 | network
//
// `T` is a play of consensus/cores_test.h, with set(options, name, value) for its further options.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "consensus/cores_test.h"

namespace clew::consensus {

inline NodeId node_id(const std::string& text) { return NodeId{text == "*" ? 0 : std::stoull(text)}; }

inline Membership members_of(const std::string& text) {  // "1,2,w3,l4"
  std::vector<Member> members;
  std::istringstream in(text);
  for (std::string item; std::getline(in, item, ',');) {
    Member member;
    if (item[0] == 'w' || item[0] == 'l') {
      member.role = item[0] == 'w' ? Role::kWitness : Role::kLearner;
      member.incoming = item[0] == 'w';
      item.erase(0, 1);
    }
    member.id = node_id(item);
    members.push_back(member);
  }
  return Membership::make(std::move(members)).value();
}

template <typename T>
class Play {
 public:
  std::string command(const std::string& line) {
    std::istringstream in(line);
    std::string verb;
    in >> verb;
    std::vector<std::string> words;
    for (std::string word; in >> word;) words.push_back(word);
    out_.clear();
    if (cores_ == nullptr && verb != "cluster") return "begin with a cluster\n";
    run(verb, words);
    if (cores_->failure() && !told_) {
      out_ += "FAILURE " + *cores_->failure() + "\n";
      told_ = true;
    }
    return out_.empty() ? "ok\n" : out_;
  }
  bool failed() const { return cores_ != nullptr && cores_->failure(); }

 private:
  using Words = std::vector<std::string>;

  void cluster(const Words& words) {
    uint64_t seed = 1;
    for (size_t i = 1; i < words.size(); ++i) {
      const auto value = [&](const std::string& key) -> std::optional<uint64_t> {
        if (words[i].rfind(key + "=", 0) != 0) return std::nullopt;
        return std::stoull(words[i].substr(key.size() + 1));
      };
      if (const auto v = value("seed")) seed = *v;
      if constexpr (requires(typename T::Options o) { o.keep_tail_bytes; }) {
        if (const auto v = value("tail")) options_.keep_tail_bytes = *v;
      }
      if (const auto v = value("message")) options_.max_message_bytes = *v;
      if (const auto v = value("window")) options_.window.messages = *v;
      if (const auto v = value("uncommitted")) options_.max_uncommitted_bytes = *v;
      if (const size_t at = words[i].find('='); at != std::string::npos) {
        T::set(options_, words[i].substr(0, at), std::stoull(words[i].substr(at + 1)));
      }
      if constexpr (requires(typename T::Options o) { o.leases; }) {
        if (words[i] == "leases") options_.leases = true;
      }
    }
    cores_ = std::make_unique<Cores<T>>(seed);
    cores_->trace_to([&](const std::string& text) {
      if (!quiet_) out_ += "  " + text + "\n";
    });
    options_.founding = members_of(words.at(0));
    for (const Member& member : options_.founding.members()) add(member.id);
    if constexpr (!requires { T::kLeastVoters; }) options_.founding = Membership();  // else it says whom to trust
  }
  void add(NodeId id) {
    options_.self = id;
    cores_->add(options_);
  }

  void status() {
    for (auto& [id, node] : cores_->nodes()) {
      out_ += "  " + std::to_string(number(id)) + ": ";
      if (node.core == nullptr || node.halted) {
        out_ += node.halted ? "halted\n" : "down\n";
        continue;
      }
      const Report report = node.core->report();
      out_ += std::string(standing_name(report.standing)) + " " + std::string(T::kEpoch) + "=" +
              std::to_string(report.epoch) + " log=" + std::to_string(report.first) + ".." +
              std::to_string(report.last) + " commit=" + std::to_string(report.committed) +
              " members=" + node.core->membership().to_string() + " state=" + node.state + "\n";
    }
  }
  void log(NodeId id) {
    const typename T::Core& core = cores_->core(id);
    const Report report = core.report();
    out_ += " ";
    for (Position p = report.first; p <= report.last; ++p) {
      const auto entry = core.entry_at(p);
      out_ += " " + std::to_string(p) + "/" + (entry ? std::to_string(entry->epoch) : "lost");
    }
    out_ += "\n";
  }

  void run(const std::string& verb, const Words& w) {
    const NodeId id = w.empty() || verb == "cluster" || verb == "settle" ? kNobody : node_id(w[0]);
    const auto count = [&](size_t at, size_t otherwise) { return w.size() > at ? std::stoull(w[at]) : otherwise; };
    if (verb == "cluster") {
      cluster(w);
    } else if (verb == "join") {
      add(id);
    } else if (verb == "timeout") {
      cores_->timeout(id);
    } else if (verb == "tick") {
      cores_->tick(id);
    } else if (verb == "advance") {
      cores_->advance(static_cast<Time>(count(0, 0)) * kMillisecond);
    } else if (verb == "run") {
      quiet_ = true;
      cores_->run(static_cast<Time>(count(0, 0)) * kMillisecond);
      quiet_ = false;
    } else if (verb == "propose") {
      cores_->propose(id, w.at(1));
    } else if (verb == "read") {
      cores_->read(id, w.size() > 1 ? ReadBarrier::kLease : ReadBarrier::kQuorum);
    } else if (verb == "members") {
      cores_->reconfigure(id, members_of(w.at(1)));
    } else if (verb == "transfer") {
      cores_->transfer(id, node_id(w.at(1)));
    } else if (verb == "write") {
      cores_->write(id, count(1, SIZE_MAX));
    } else if (verb == "crash") {
      cores_->crash(id, count(1, 0));
    } else if (verb == "start") {
      cores_->start(id);
    } else if (verb == "damage") {
      for (LogSeq seq = count(1, 0); seq <= count(2, 0); ++seq) cores_->node(id).damaged.insert(seq);
    } else if (verb == "lose-snapshot") {
      cores_->node(id).snapshots.clear();
    } else if (verb == "snapshot") {
      cores_->save_snapshot(id);
    } else if (verb == "fetched") {
      cores_->finish_fetch(id, w.at(1) == "ok");
    } else if (verb == "down" || verb == "up") {
      cores_->connection(id, node_id(w.at(1)), verb == "up");
    } else if (verb == "deliver") {
      cores_->deliver(id, w.size() > 1 ? node_id(w[1]) : kNobody, count(2, SIZE_MAX));
    } else if (verb == "drop") {
      out_ += "  " + std::to_string(cores_->drop(id, node_id(w.at(1)))) + " dropped\n";
    } else if (verb == "cut") {
      cores_->cut(id, node_id(w.at(1)));
    } else if (verb == "heal") {
      cores_->heal();
    } else if (verb == "settle") {
      quiet_ = !w.empty();
      cores_->settle();
      quiet_ = false;
    } else if (verb == "status") {
      status();
    } else if (verb == "log") {
      log(id);
    } else if (verb == "network") {
      for (const typename Cores<T>::Frame& frame : cores_->network()) {
        out_ += "  " + std::to_string(number(frame.from)) + " -> " + std::to_string(number(frame.to)) + " " +
                T::describe_frame(frame.bytes) + "\n";
      }
    } else {
      out_ += "unknown command\n";
    }
  }

  typename T::Options options_;
  std::unique_ptr<Cores<T>> cores_;
  std::string out_;
  bool quiet_ = false;
  bool told_ = false;
};

inline std::filesystem::path testdata(std::string_view protocol) {
  return std::filesystem::path(CLEW_SOURCE_DIR) / "src/consensus" / protocol / "testdata";
}

inline std::vector<std::string> transcripts(std::string_view protocol) {
  std::vector<std::string> names;
  for (const auto& file : std::filesystem::directory_iterator(testdata(protocol))) {
    names.push_back(file.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

// Plays it, and compares; or writes it anew when CLEW_REGENERATE is set. `Player` has command(line) and failed().
template <typename Player>
void play_file(const std::filesystem::path& path, Player& play) {
  std::ifstream file(path);
  ASSERT_TRUE(file) << path;
  std::string expected;
  std::string actual;
  for (std::string line; std::getline(file, line);) {
    expected += line + "\n";
    if (line.rfind("> ", 0) == 0) {
      actual += line + "\n" + play.command(line.substr(2));
    } else if (line.empty() || line[0] == '#') {
      actual += line + "\n";
    }
  }
  EXPECT_FALSE(play.failed());
  if (std::getenv("CLEW_REGENERATE") != nullptr) {
    std::ofstream(path) << actual;
    return;
  }
  EXPECT_EQ(actual, expected) << "regenerate with CLEW_REGENERATE=1 and read the difference";
}

template <typename T>
void play_transcript(const std::string& name) {
  Play<T> play;
  play_file(testdata(T::kName) / (name + ".txt"), play);
}

}  // namespace clew::consensus
