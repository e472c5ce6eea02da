// PBFT's transcripts: testdata/*.txt. How they are written: consensus/transcript_test.h.
#include "consensus/transcript_test.h"

#include <gtest/gtest.h>

#include "consensus/pbft/cores_test.h"

namespace clew::consensus::pbft {
namespace {

class PbftTranscript : public testing::TestWithParam<std::string> {};

TEST_P(PbftTranscript, readsAsWritten) { play_transcript<PbftPlay>(GetParam()); }

INSTANTIATE_TEST_SUITE_P(Plays, PbftTranscript, testing::ValuesIn(transcripts(PbftPlay::kName)),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace clew::consensus::pbft
