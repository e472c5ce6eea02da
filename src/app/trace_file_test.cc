#include "app/trace_file.h"

#include <gtest/gtest.h>
#include <unistd.h>
#include <zstd.h>

#include <filesystem>
#include <fstream>

#include "app/trace_set.h"
#include "base/varint.h"

namespace clew::app {
namespace {

// One span as JSON, with an id of its own.
std::string request_json(int n, std::string_view gap = "") {
  const std::string id = std::to_string(1000 + n);
  return R"({"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"sh}op"}}]},)" +
         std::string(gap) + R"("scopeSpans":[{"spans":[{"traceId":"0000000000000000000000000000)" + id +
         R"(","spanId":"000000000000)" + id +
         R"(","name":"a \"quoted\" {","startTimeUnixNano":"1700000000000000000",)" +
         R"("endTimeUnixNano":"1700000000000001000"}]}]}]})";
}

std::string zstd_frame(std::string_view bytes) {
  std::string out(ZSTD_compressBound(bytes.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), 3));
  return out;
}

class TraceFile : public testing::Test {
 protected:
  TraceFile() : path_(testing::TempDir() + "clew_trace_file_" + std::to_string(getpid())) {}
  ~TraceFile() override { std::filesystem::remove(path_); }

  void write(std::string_view bytes) {
    std::ofstream(path_, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }

  // Spans read; `errors` collects what did not parse.
  uint64_t read(TraceFileReader::Options options = {}) {
    errors.clear();
    bodies.clear();
    TraceSet set;
    auto opened = TraceFileReader::open(path_, options);
    if (!opened.ok()) {
      errors.push_back(opened.error());
      return 0;
    }
    TraceFileReader& reader = *opened.value();
    while (true) {
      std::string_view body;
      const auto more = reader.next(body);
      if (!more.ok()) {
        errors.push_back(more.error());
        if (!reader.can_continue()) break;
        continue;
      }
      if (!more.value()) break;
      EXPECT_TRUE(set.add_request(body).ok());
      bodies.emplace_back(body);
    }
    if (errors.empty()) {
      EXPECT_EQ(reader.bytes_read(), std::filesystem::file_size(path_));
    }
    return set.spans();
  }
  // The protobuf form of JSON requests.
  std::vector<std::string> protobuf_of(int requests) {
    std::string lines;
    for (int n = 0; n < requests; ++n) lines += request_json(n) + '\n';
    write(lines);
    read();
    return bodies;
  }

  const std::string path_;
  std::vector<Error> errors;
  std::vector<std::string> bodies;
};

TEST_F(TraceFile, jsonLinesWithBlankLinesAndNoLineFeedAtTheEnd) {
  write(request_json(1) + "\n\r\n" + request_json(2) + "\n  " + request_json(3));
  EXPECT_EQ(read(), 3u);
  EXPECT_EQ(bodies.size(), 3u);
}

TEST_F(TraceFile, jsonSpreadOverLines) {
  write(request_json(1, "\n  ") + "\n" + request_json(2, "\n\n") + request_json(3));
  EXPECT_EQ(read(), 3u);
  EXPECT_TRUE(errors.empty());
}

TEST_F(TraceFile, aBadLineIsToldWithItsPlaceAndTheNextIsRead) {
  write(request_json(1) + "\n{\"resourceSpans\":[{\"scopeSpans\":7}]}\n" + request_json(2) + "\n");
  EXPECT_EQ(read(), 2u);
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_NE(errors[0].message.find("byte " + std::to_string(request_json(1).size() + 1)), std::string::npos)
      << errors[0].message;
}

TEST_F(TraceFile, anObjectThatNeverClosesIsAnError) {
  write(request_json(1) + "\n{\"resourceSpans\":[\n");
  EXPECT_EQ(read(), 1u);
  EXPECT_EQ(errors.size(), 1u);
}

TEST_F(TraceFile, plainProtobufOfManyRequestsRunTogether) {
  std::string all;
  for (const std::string& body : protobuf_of(5)) all += body;
  write(all);
  EXPECT_EQ(read(), 5u);
}

TEST_F(TraceFile, messagesBehindAVarintLength) {
  std::string all;
  for (const std::string& body : protobuf_of(5)) append_bytes(all, body);
  write(all);
  EXPECT_EQ(read(), 5u);
  EXPECT_EQ(bodies.size(), 5u);
}

TEST_F(TraceFile, messagesBehindFourBytesOfLength) {
  std::string all;
  for (const std::string& body : protobuf_of(5)) {
    for (int shift = 24; shift >= 0; shift -= 8) all += static_cast<char>(body.size() >> shift);
    all += body;
  }
  write(all);
  EXPECT_EQ(read(), 5u);
  EXPECT_EQ(bodies.size(), 5u);
}

TEST_F(TraceFile, everyFormCutAtEveryByteIsReadUpToThereOrRefusedButNeverMore) {
  std::string plain, framed;
  for (const std::string& body : protobuf_of(2)) {
    plain += body;
    append_bytes(framed, body);
  }
  for (const std::string& whole : {plain, framed, zstd_frame(plain), request_json(1) + "\n" + request_json(2)}) {
    for (size_t cut = 0; cut < whole.size(); ++cut) {
      write(whole.substr(0, cut));
      EXPECT_LE(read(), 2u);
    }
    write(whole);
    EXPECT_EQ(read(), 2u);
    EXPECT_TRUE(errors.empty());
  }
}

TEST_F(TraceFile, zstdOfSeveralFrames) {
  write(zstd_frame(request_json(1) + "\n" + request_json(2).substr(0, 40)) + zstd_frame(request_json(2).substr(40)));
  EXPECT_EQ(read(), 2u);
}

TEST_F(TraceFile, aCutOrFlippedZstdStreamIsDataLoss) {
  const std::string frame = zstd_frame(request_json(1));
  write(frame.substr(0, frame.size() - 3));
  EXPECT_EQ(read(), 0u);
  ASSERT_FALSE(errors.empty());
  EXPECT_EQ(errors.back().code, Code::kDataLoss);
}

TEST_F(TraceFile, aRequestAboveTheLimitIsRefused) {
  write(request_json(1));
  EXPECT_EQ(read({.limits = {}, .max_body_bytes = 100}), 0u);
  for (const std::string& body : protobuf_of(1)) write(body);
  EXPECT_EQ(read({.limits = {}, .max_body_bytes = 10}), 0u);
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_EQ(errors[0].code, Code::kResourceExhausted);
}

TEST_F(TraceFile, neitherFormNorMissingFilesNorDirectoriesAreTaken) {
  write("#!/bin/sh\n");
  read();
  EXPECT_EQ(errors.at(0).code, Code::kInvalidArgument);
  EXPECT_EQ(TraceFileReader::open(path_ + ".absent", {}).error().code, Code::kNotFound);
  EXPECT_EQ(TraceFileReader::open(testing::TempDir(), {}).error().code, Code::kInvalidArgument);
}

TEST_F(TraceFile, anEmptyFileHasNoRequests) {
  write("");
  EXPECT_EQ(read(), 0u);
  EXPECT_TRUE(errors.empty());
}

}  // namespace
}  // namespace clew::app
