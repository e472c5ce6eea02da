// ZAB's transcripts: testdata/*.txt. How they are written: consensus/transcript_test.h.
#include "consensus/transcript_test.h"

#include <gtest/gtest.h>

#include "consensus/zab/cores_test.h"

namespace clew::consensus::zab {
namespace {

class ZabTranscript : public testing::TestWithParam<std::string> {};

TEST_P(ZabTranscript, readsAsWritten) { play_transcript<ZabPlay>(GetParam()); }

INSTANTIATE_TEST_SUITE_P(Plays, ZabTranscript, testing::ValuesIn(transcripts(ZabPlay::kName)),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace clew::consensus::zab
