// Multi-Paxos' transcripts: testdata/*.txt. How they are written: consensus/transcript_test.h.
#include "consensus/transcript_test.h"

#include <gtest/gtest.h>

#include "consensus/multipaxos/cores_test.h"

namespace clew::consensus::multipaxos {
namespace {

class MultiPaxosTranscript : public testing::TestWithParam<std::string> {};

TEST_P(MultiPaxosTranscript, readsAsWritten) { play_transcript<MultiPaxosPlay>(GetParam()); }

INSTANTIATE_TEST_SUITE_P(MultiPaxos, MultiPaxosTranscript, testing::ValuesIn(transcripts(MultiPaxosPlay::kName)),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace clew::consensus::multipaxos
