// Single-decree Paxos' transcripts: testdata/*.txt, each a play for a few members.
//
//   > synod 3 [acceptors-tell]
//   > propose 1 decree value | timeout 1 | write 1 [N] | crash 1 | start 1 | damage 1
//   > deliver [FROM TO] | drop FROM TO | settle | status decree
#include "consensus/transcript_test.h"

#include <gtest/gtest.h>

#include <sstream>

#include "consensus/paxos/decrees_test.h"

namespace clew::consensus::paxos {
namespace {

class SynodPlay {
 public:
  std::string command(const std::string& line) {
    std::istringstream in(line);
    std::vector<std::string> words;
    for (std::string word; in >> word;) words.push_back(word);
    out_.clear();
    if (synod_ == nullptr && words.at(0) != "synod") return "begin with a synod\n";
    run(words);
    if (synod_->failure() && !told_) {
      out_ += "FAILURE " + *synod_->failure() + "\n";
      told_ = true;
    }
    return out_.empty() ? "ok\n" : out_;
  }
  bool failed() const { return synod_ != nullptr && synod_->failure(); }

 private:
  using Words = std::vector<std::string>;

  void run(const Words& w) {
    const std::string& verb = w[0];
    if (verb == "synod") {
      DecreesOptions options;
      options.random_pauses = false;  // so that a play says the same when the generator changes
      if (w.size() > 2 && w[2] == "acceptors-tell") options.telling = Telling::kAcceptors;
      synod_ = std::make_unique<Synod>(std::stoull(w.at(1)), options);
      synod_->settle();
      synod_->trace_to([this](const std::string& what) { out_ += "  " + what + "\n"; });
      return;
    }
    const NodeId id = w.size() > 1 && verb != "status" ? node_id(w[1]) : kNobody;
    if (verb == "propose") {
      const Status status = synod_->propose(id, w.at(2), w.at(3));
      if (!status.ok()) out_ += "  refused: " + std::string(status.message()) + "\n";
    } else if (verb == "timeout") {
      synod_->timeout(id);
    } else if (verb == "write") {
      synod_->write(id, w.size() > 2 ? std::stoull(w[2]) : SIZE_MAX);
    } else if (verb == "crash") {
      synod_->crash(id);
    } else if (verb == "start") {
      synod_->start(id);
    } else if (verb == "damage") {
      synod_->damage(id);
    } else if (verb == "deliver") {
      synod_->deliver(id, w.size() > 2 ? node_id(w[2]) : kNobody);
    } else if (verb == "drop") {
      out_ += "  " + std::to_string(synod_->drop(id, w.size() > 2 ? node_id(w[2]) : kNobody)) + " lost\n";
    } else if (verb == "settle") {
      synod_->settle();
    } else if (verb == "status") {
      status(w.at(1));
    } else {
      out_ += "no such command\n";
    }
  }

  void status(const std::string& decree) {
    for (auto& [id, node] : synod_->nodes()) {
      out_ += "  " + std::to_string(number(id)) + ": ";
      const auto view = node.core == nullptr ? std::nullopt : node.core->find(decree);
      if (!view) {
        out_ += node.core == nullptr ? "down\n" : "has not heard of it\n";
        continue;
      }
      const Acceptor::State& state = view->acceptor;
      out_ += "promised " + ballot_text(state.promised);
      if (!state.accepted.ballot.none()) {
        out_ += ", accepted " + ballot_text(state.accepted.ballot) + " \"" + state.accepted.value + "\"";
      }
      if (view->chosen) out_ += ", knows that \"" + view->chosen->value + "\" was chosen";
      out_ += "\n";
    }
  }

  std::unique_ptr<Synod> synod_;
  bool told_ = false;
  std::string out_;
};

class PaxosTranscript : public testing::TestWithParam<std::string> {};

TEST_P(PaxosTranscript, readsAsWritten) {
  SynodPlay play;
  play_file(testdata("paxos") / (GetParam() + ".txt"), play);
}

INSTANTIATE_TEST_SUITE_P(Paxos, PaxosTranscript, testing::ValuesIn(transcripts("paxos")),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace clew::consensus::paxos
