// OTLP JSON to traces without storing them: the spans of a file as a query would return them, without verdicts. Spans
// that ingest would reject are left out. Traces in order of first appearance. Pure; bounded by otlp::Limits.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/span.h"

namespace clew::api {

Result<std::vector<std::unique_ptr<model::TraceData>>> traces_of_otlp_json(std::string_view json);

}  // namespace clew::api
