// Drives trace_context_service as the public W3C Trace Context conformance suite does, case by case under that suite's
// names: sends POST /test with headers good and bad, and looks at what the service then sends to the callback given.
//
//   trace_context_driver PORT                the port of the service
#include <cstdio>
#include <cstdlib>
#include <mutex>

#include "loopback_http.h"
#include "otlp/trace_context.h"

namespace {

using clew::otlp::TraceParent;
using clew::otlp::TraceState;
using clew::tests::Headers;
using clew::tests::Request;
namespace http = clew::tests::http;

const std::string kTrace = "12345678901234567890123456789012", kSpan = "1234567890123456";
const std::string kParent = "00-" + kTrace + "-" + kSpan + "-01";

// One call as the callback saw it.
struct Seen {
  std::vector<std::string> parents, states;
};

class Harness {
 public:
  explicit Harness(std::string service_port)
      : service_("http://127.0.0.1:" + service_port + "/test"),
        server_(0, [this](const Request& request) { return record(request); }) {}

  // Sends `headers` to the service, which is asked to call back `calls` times.
  std::vector<Seen> send(const Headers& headers, int calls = 1) {
    std::string body = "[";
    for (int i = 0; i < calls; ++i) body += (i ? "," : "") + call("[]");
    return run(headers, body + "]");
  }
  // The service is asked to call itself, and only that second service to call back.
  std::vector<Seen> send_through_two(const Headers& headers) {
    return run(headers, "[{\"url\":\"" + service_ + "\",\"arguments\":[" + call("[]") + "]}]");
  }

 private:
  std::string call(const std::string& arguments) {
    return "{\"url\":\"http://127.0.0.1:" + std::to_string(server_.port()) + "/callback\",\"arguments\":" + arguments +
           "}";
  }
  std::vector<Seen> run(const Headers& headers, const std::string& body) {
    {
      const std::lock_guard lock(mutex_);
      seen_.clear();
    }
    const unsigned status = clew::tests::post(service_, headers, body);
    if (status != 200) std::printf("the service answered %u\n", status);
    const std::lock_guard lock(mutex_);
    return seen_;
  }
  http::status record(const Request& request) {
    const std::lock_guard lock(mutex_);
    seen_.push_back(
        {clew::tests::header_values(request, "traceparent"), clew::tests::header_values(request, "tracestate")});
    return http::status::ok;
  }

  const std::string service_;
  std::mutex mutex_;
  std::vector<Seen> seen_;  // guarded by mutex_
  clew::tests::LoopbackServer server_;
};

class Suite {
 public:
  explicit Suite(std::string port) : harness_(std::move(port)) {}
  int run();

 private:
  // Whatever comes in, one valid traceparent and at most one tracestate go out. The context that the service sent.
  std::pair<TraceParent, TraceState> sent(const Headers& headers) { return valid(harness_.send(headers), 1).front(); }
  std::vector<std::pair<TraceParent, TraceState>> valid(const std::vector<Seen>& seen, size_t calls) {
    std::vector<std::pair<TraceParent, TraceState>> result;
    expect(seen.size() == calls, "the callback was called " + std::to_string(seen.size()) + " times");
    for (const Seen& one : seen) {
      expect(one.parents.size() == 1, "not exactly one traceparent was sent");
      expect(one.states.size() <= 1, "several tracestate headers were sent");
      const auto parent = clew::otlp::parse_traceparent(one.parents.empty() ? "" : one.parents[0]);
      const auto state = TraceState::parse(one.states.empty() ? "" : one.states[0]);
      expect(parent.has_value(), "the traceparent sent is not valid");
      expect(parent && one.parents[0] == clew::otlp::format_traceparent(*parent),
             "the traceparent sent is not version 00");
      expect(state.has_value(), "the tracestate sent is not valid");
      result.emplace_back(parent.value_or(TraceParent()), state.value_or(TraceState()));
    }
    result.resize(calls);
    return result;
  }
  void expect(bool condition, const std::string& otherwise) {
    if (!condition && problem_.empty()) problem_ = otherwise;
  }
  void expect_kept(const Headers& headers, const std::string& state = "") {
    const auto [parent, sent_state] = sent(headers);
    expect(clew::otlp::format_traceparent(parent).substr(3, 32) == kTrace, "the trace id was not kept");
    expect(clew::otlp::format_traceparent(parent).substr(36, 16) != kSpan, "the caller's span id was sent on");
    expect(sent_state.format() == state,
           "tracestate sent: \"" + sent_state.format() + "\", expected: \"" + state + "\"");
  }
  void expect_restarted(const Headers& headers) {
    const auto [parent, state] = sent(headers);
    expect(clew::otlp::format_traceparent(parent).substr(3, 32) != kTrace, "the trace id was kept");
    expect(state.empty(), "the tracestate of the old trace was sent on");
  }
  void restarted_by(const std::string& traceparent) {
    expect_restarted({{"traceparent", traceparent}, {"tracestate", "foo=1"}});
  }
  void kept_by(const std::string& traceparent) { expect_kept({{"traceparent", traceparent}}); }
  void state(std::vector<std::string> headers, const std::string& expected) {
    Headers all = {{"traceparent", kParent}};
    for (std::string& header : headers) all.emplace_back("tracestate", std::move(header));
    expect_kept(all, expected);
  }
  template <typename Test>
  void test(const char* name, Test&& body) {
    problem_.clear();
    body();
    std::printf("%s %s%s%s\n", problem_.empty() ? "ok    " : "FAILED", name, problem_.empty() ? "" : ": ",
                problem_.c_str());
    ++(problem_.empty() ? passed_ : failed_);
  }

  Harness harness_;
  std::string problem_;
  int passed_ = 0, failed_ = 0;
};

std::string members(int count) {
  std::string list;
  for (int i = 0; i < count; ++i)
    list.append(i ? ",bar" : "bar").append(std::to_string(i)).append("=").append(std::to_string(i));
  return list;
}

int Suite::run() {
  const std::string tail = "-" + kTrace + "-" + kSpan + "-01";
  test("both_traceparent_and_tracestate_missing", [&] { expect_restarted({}); });
  test("traceparent_included_tracestate_missing", [&] { kept_by(kParent); });
  test("traceparent_duplicated", [&] {
    expect_restarted(
        {{"traceparent", "00-" + kTrace + "-" + kSpan + "-01"}, {"traceparent", "00-" + kTrace + "-" + kSpan + "-00"}});
    expect_restarted({{"traceparent", kParent}, {"traceparent", kParent}, {"tracestate", "foo=1"}});
  });
  test("traceparent_header_name", [&] {
    expect_restarted({{"trace-parent", kParent}});
    expect_restarted({{"trace.parent", kParent}});
  });
  test("traceparent_header_name_valid_casing", [&] {
    for (const char* name : {"TraceParent", "TrAcEpArEnT", "TRACEPARENT"}) expect_kept({{name, kParent}});
  });
  test("traceparent_version_0x00", [&] {
    restarted_by(kParent + ".");
    restarted_by(kParent + "-what-the-future-will-be-like");
  });
  test("traceparent_version_0xcc", [&] {
    kept_by("cc" + tail);
    kept_by("cc" + tail + "-what-the-future-will-be-like");
    restarted_by("cc" + tail + ".what-the-future-will-be-like");
  });
  test("traceparent_version_0xff", [&] { restarted_by("ff" + tail); });
  test("traceparent_version_illegal_characters", [&] {
    restarted_by(".0" + tail);
    restarted_by("0." + tail);
    restarted_by("0A" + tail);
  });
  test("traceparent_version_too_long", [&] {
    restarted_by("000" + tail);
    restarted_by("0000" + tail);
  });
  test("traceparent_version_too_short", [&] { restarted_by("0" + tail); });
  const auto with_trace = [&](const std::string& trace) { restarted_by("00-" + trace + "-" + kSpan + "-01"); };
  test("traceparent_trace_id_all_zero", [&] { with_trace(std::string(32, '0')); });
  test("traceparent_trace_id_illegal_characters", [&] {
    with_trace("." + kTrace.substr(1));
    with_trace(kTrace.substr(1) + ".");
    with_trace("A" + kTrace.substr(1));
  });
  test("traceparent_trace_id_too_long", [&] { with_trace(kTrace + "3"); });
  test("traceparent_trace_id_too_short", [&] { with_trace(kTrace.substr(1)); });
  const auto with_span = [&](const std::string& span) { restarted_by("00-" + kTrace + "-" + span + "-01"); };
  test("traceparent_parent_id_all_zero", [&] { with_span(std::string(16, '0')); });
  test("traceparent_parent_id_illegal_characters", [&] {
    with_span("." + kSpan.substr(1));
    with_span(kSpan.substr(1) + ".");
    with_span("A" + kSpan.substr(1));
  });
  test("traceparent_parent_id_too_long", [&] { with_span(kSpan + "7"); });
  test("traceparent_parent_id_too_short", [&] { with_span(kSpan.substr(1)); });
  const auto with_flags = [&](const std::string& flags) { restarted_by("00-" + kTrace + "-" + kSpan + "-" + flags); };
  test("traceparent_trace_flags_illegal_characters", [&] {
    for (const char* flags : {".0", "0.", "0A"}) with_flags(flags);
  });
  test("traceparent_trace_flags_too_long", [&] { with_flags("001"); });
  test("traceparent_trace_flags_too_short", [&] { with_flags("1"); });
  test("traceparent_trace_flags_unknown_are_cleared", [&] {
    const auto [parent, state] = sent({{"traceparent", "00-" + kTrace + "-" + kSpan + "-ff"}});
    expect(parent.flags == 3, "flags other than sampled and random were sent on, or one of these was not");
  });
  test("traceparent_ows_handling", [&] {
    for (const char* space : {" ", "\t", " \t"}) {
      kept_by(space + kParent);
      kept_by(kParent + space);
      kept_by(space + kParent + space);
    }
  });
  test("tracestate_included_traceparent_missing", [&] {
    expect_restarted({{"tracestate", "foo=1"}});
    expect_restarted({{"tracestate", "foo=1,bar=2"}});
  });
  test("tracestate_included_traceparent_included", [&] { state({"foo=1,bar=2"}, "foo=1,bar=2"); });
  test("tracestate_header_name", [&] {
    expect_kept({{"traceparent", kParent}, {"trace-state", "foo=1"}});
    expect_kept({{"traceparent", kParent}, {"trace.state", "foo=1"}});
  });
  test("tracestate_header_name_valid_casing", [&] {
    for (const char* name : {"TraceState", "TrAcEsTaTe", "TRACESTATE"})
      expect_kept({{"traceparent", kParent}, {name, "foo=1"}}, "foo=1");
  });
  test("tracestate_empty_header", [&] {
    state({""}, "");
    state({"foo=1", ""}, "foo=1");
    state({"", "foo=1"}, "foo=1");
  });
  test("tracestate_multiple_headers_different_keys", [&] {
    state({"foo=1,bar=2", "rojo=1,congo=2", "baz=3"}, "foo=1,bar=2,rojo=1,congo=2,baz=3");
  });
  test("tracestate_duplicated_keys", [&] {
    state({"foo=1,foo=1"}, "foo=1");
    state({"foo=1,foo=2"}, "foo=1");
    state({"foo=1", "foo=1"}, "foo=1");
    state({"foo=1", "foo=2"}, "foo=1");
  });
  test("tracestate_all_allowed_characters", [&] {
    const std::string key = "abcdefghijklmnopqrstuvwxyz0123456789_-*/@";
    std::string value;
    for (char c = 0x20; c <= 0x7e; ++c) {
      if (c != ',' && c != '=') value += c;
    }
    state({key + "=" + value}, key + "=" + value);
    state({"0" + key + "=" + value}, "0" + key + "=" + value);
  });
  test("tracestate_ows_handling", [&] {
    state({"foo=1 \t , \t bar=2, \t baz=3"}, "foo=1,bar=2,baz=3");
    state({"foo=1\t ,\t bar=2,\tbaz=3"}, "foo=1,bar=2,baz=3");
    for (const char* space : {" ", "\t", " \t"}) state({std::string(space) + "foo=1" + space}, "foo=1");
  });
  test("tracestate_key_illegal_characters", [&] {
    for (const char* header : {"foo =1", "FOO=1", "foo.bar=1", "@foo=1,bar=2"}) state({header}, "");
  });
  test("tracestate_key_length_limit", [&] {
    const std::string longest(256, 'z');
    state({longest + "=1"}, longest + "=1");
    state({longest + "z=1"}, "");
  });
  test("tracestate_value_illegal_characters", [&] {
    for (const char* header : {"foo=bar=baz", "foo=,bar=3", "foo=\xc3\xa4"}) state({header}, "");
  });
  test("tracestate_member_count_limit", [&] {
    state({members(32)}, members(32));
    state({members(16), members(48).substr(members(16).size() + 1, members(32).size() - members(16).size() - 1)},
          members(32));
    state({members(33)}, "");
  });
  test("tracestate_overflow_512", [&] {  // at least 512 characters must be passed on
    const std::string exactly = "foo=" + std::string(250, 'x') + ",bar=" + std::string(252, 'y');
    expect(exactly.size() == 511, "the case itself is wrong");
    state({exactly}, exactly);
    state({exactly + ",a=" + std::string(200, 'z')}, exactly + ",a=" + std::string(200, 'z'));
  });
  test("multiple_requests_with_valid_traceparent", [&] {
    const auto calls = valid(harness_.send({{"traceparent", kParent}}, 3), 3);
    for (size_t i = 0; i < 3; ++i) {
      expect(calls[i].first.trace == calls[0].first.trace &&
                 clew::otlp::format_traceparent(calls[i].first).substr(3, 32) == kTrace,
             "the trace id was not kept");
      expect(i == 0 || !(calls[i].first.parent == calls[i - 1].first.parent), "two calls share a span id");
    }
  });
  test("multiple_requests_with_illegal_traceparent", [&] {
    for (const auto& call : valid(harness_.send({{"traceparent", "ff" + tail}}, 3), 3))
      expect(clew::otlp::format_traceparent(call.first).substr(3, 32) != kTrace, "the trace id was kept");
  });
  test("through_two_services", [&] {
    const auto calls = valid(harness_.send_through_two({{"traceparent", kParent}, {"tracestate", "foo=1"}}), 1);
    expect(clew::otlp::format_traceparent(calls[0].first).substr(3, 32) == kTrace, "the trace id was not kept");
    expect(calls[0].second.format() == "foo=1", "the tracestate was not kept");
  });
  std::printf("%d passed, %d failed\n", passed_, failed_);
  return failed_ == 0 && passed_ > 0 ? 0 : 1;
}

}  // namespace

int main(int count, char** words) {
  if (count != 2) {
    std::fprintf(stderr, "usage: trace_context_driver PORT\n");
    return 2;
  }
  return Suite(words[1]).run();
}
