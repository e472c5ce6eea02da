// The service that the public W3C Trace Context conformance suite drives: POST /test with a JSON list of {url,
// arguments}; each url is called by POST of its arguments, with the context of the request propagated as
// otlp/trace_context.h does it.
//
//   trace_context_service --port 5000        then, in the suite:  python3 test.py http://127.0.0.1:5000/test
//
// Prints "listening on PORT" once it does (port 0: any free one). Loopback only.
#include <simdjson.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <span>

#include "loopback_http.h"
#include "otlp/trace_context.h"

namespace {

using clew::otlp::TraceContext;
using clew::tests::Headers;
using clew::tests::Request;
namespace http = clew::tests::http;

uint64_t random_id() {
  thread_local std::random_device device;
  uint64_t id = 0;
  while (id == 0) id = uint64_t{device()} << 32 | device();
  return id;
}

// What goes out for each call: its own span id, so that the calls can be told apart.
Headers outgoing(const std::optional<TraceContext>& received) {
  const TraceContext sent = received ? clew::otlp::propagate(*received, {random_id()})
                                     : clew::otlp::start({random_id(), random_id()}, {random_id()}, true);
  Headers headers = {{"traceparent", clew::otlp::format_traceparent(sent.parent)}};
  if (!sent.state.empty()) headers.emplace_back("tracestate", sent.state.format());
  return headers;
}

http::status handle(const Request& request) {
  if (request.target() != "/test" || request.method() != http::verb::post) return http::status::not_found;
  const std::vector<std::string> parents = clew::tests::header_values(request, "traceparent");
  const std::vector<std::string> states = clew::tests::header_values(request, "tracestate");
  const std::optional<TraceContext> received =
      clew::otlp::extract(std::vector<std::string_view>(parents.begin(), parents.end()),
                          std::vector<std::string_view>(states.begin(), states.end()));
  simdjson::dom::parser parser;
  simdjson::dom::array calls;
  if (parser.parse(request.body()).get(calls) != simdjson::SUCCESS) return http::status::bad_request;
  for (const simdjson::dom::element call : calls) {
    std::string_view url;
    simdjson::dom::element arguments;
    if (call["url"].get(url) != simdjson::SUCCESS || call["arguments"].get(arguments) != simdjson::SUCCESS)
      return http::status::bad_request;
    if (clew::tests::post(url, outgoing(received), simdjson::minify(arguments)) != 200)
      return http::status::bad_gateway;
  }
  return http::status::ok;
}

}  // namespace

int main(int count, char** words) {
  if (count != 3 || std::strcmp(words[1], "--port") != 0) {
    std::fprintf(stderr, "usage: trace_context_service --port PORT\n");
    return 2;
  }
  clew::tests::LoopbackServer server(static_cast<uint16_t>(std::atoi(words[2])), handle);
  std::printf("listening on %u\n", server.port());
  std::fflush(stdout);
  server.wait();
}
