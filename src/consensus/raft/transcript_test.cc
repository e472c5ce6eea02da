// Raft's transcripts: testdata/*.txt. How they are written: consensus/transcript_test.h.
#include "consensus/transcript_test.h"

#include <gtest/gtest.h>

#include "consensus/raft/cores_test.h"

namespace clew::consensus::raft {
namespace {

class Transcript : public testing::TestWithParam<std::string> {};

TEST_P(Transcript, readsAsWritten) { play_transcript<RaftPlay>(GetParam()); }

INSTANTIATE_TEST_SUITE_P(Raft, Transcript, testing::ValuesIn(transcripts(RaftPlay::kName)),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace clew::consensus::raft
