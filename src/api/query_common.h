// What the query APIs share: their collaborators, the reading of parameters, and the answers for errors.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/http_message.h"
#include "cluster/services.h"
#include "env/loop.h"

namespace clew::api {

// References outlive the router.
struct QueryDeps {
  cluster::QueryService& queries;
  const env::Clock& clock;  // for "the last hour"
  std::string version;      // of this program
  // In force now, as YAML for people, secrets masked; for somebody who may act for `tenant` alone, without what is
  // other tenants' or the operators'; null: for an operator. Any thread.
  std::function<std::string(const std::string* tenant)> configuration = {};
};

using RequestPtr = std::shared_ptr<const HttpRequest>;

int http_status_of(Code code);
HttpResponse json_response(std::string body, int status = 200);
HttpResponse text_response(std::string body, int status = 200);

// The trace id of the path segment "id".
Result<model::TraceId> trace_id_segment(const HttpRequest& request);

// A whole number, or nothing when the parameter is absent or empty; kInvalidArgument when it is neither.
Result<std::optional<int64_t>> int_param(const HttpRequest& request, std::string_view name);
// A Go duration. A bare number is refused.
Result<std::optional<int64_t>> duration_param(const HttpRequest& request, std::string_view name);
// `unit_ns` nanoseconds each; saturates.
Result<std::optional<int64_t>> time_param(const HttpRequest& request, std::string_view name, int64_t unit_ns);
// Between 1 and `most` (more is cut), or `fallback`.
Result<uint32_t> limit_param(const HttpRequest& request, std::string_view name, uint32_t fallback, uint32_t most);

// RFC 3339 with up to nine digits of fraction, "2024-05-01T12:00:00.123456789+02:00".
std::optional<int64_t> parse_rfc3339_ns(std::string_view text);
std::string rfc3339_of_ns(int64_t ns);  // UTC, nine digits

// Whole traces of several ids: found ones in the order asked, ids not found apart; the first other error ends it. They
// are read one by one, so that no more than the bounds and one trace are ever in memory.
struct TracesById {
  std::vector<std::unique_ptr<model::TraceData>> found;
  std::vector<model::TraceId> missing;
  std::vector<model::TraceId> left_out;  // from the first one on that would pass the bounds: not looked for further
};
void fetch_traces(cluster::QueryService& queries, model::TenantId tenant, std::vector<model::TraceId> ids,
                  cluster::TraceBounds bounds, UniqueFunction<void(Result<TracesById>)> done);

// Of an answer that ended at its bounds: how much of it is there, and what to do.
std::string bounded_note(const cluster::FoundTraces& found);
std::string bounded_note(const TracesById& answer);

// The newest verdict, or null when the history is empty.
const model::Verdict* newest_verdict(const model::TraceData& trace);

// Spans sort by start, then id, for output: stable whatever order they came in.
std::vector<const model::Span*> spans_by_start(const model::TraceData& trace);

}  // namespace clew::api
