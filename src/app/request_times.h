// Times and ids of an encoded OTLP request, changed in place: all are fixed-width in protobuf, so no byte moves.
// For `clew import --shift` and --new-ids. Malformed parts are left alone: the server says what is wrong with them.
// Pure; any thread; linear in bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace clew::app {

struct RequestContent {
  uint64_t spans = 0;
  int64_t newest_end_ns = INT64_MIN;  // of spans; INT64_MIN when there is none
};
// Adds what `request` (an encoded ExportTraceServiceRequest) holds to `content`.
void scan_request(std::string_view request, RequestContent& content);

// Adds `delta_ns` to the start and end of every span and the time of every event; a time of 0 means "none" and stays.
void shift_request(std::string& request, int64_t delta_ns);

// Exchanges every trace id (of spans and links) for another, the same for the same id and `seed`.
void renew_trace_ids(std::string& request, uint64_t seed);

}  // namespace clew::app
