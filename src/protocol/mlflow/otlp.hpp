#pragma once
// Spans of a trace as get-trace-artifact gives them, and as the OTLP endpoint takes them so that they arrive
// unchanged (mlflow-rest 7.3, "Exact attributes"). Pure.

#include <span>
#include <string>

#include "protocol/mlflow/json.hpp"

namespace mlferry::mlflow {

// Body of POST /v1/traces: snake_case keys with base64 ids, the spelling that get-trace-artifact uses itself.
// Each element holds the spans of one trace; all of one experiment. Throws JsonError when a span is not of
// the form {trace_id, span_id, name, start_time_unix_nano, attributes, ...}.
std::string otlp_body(std::span<const json::array* const> traces);

// The id that the server gives the trace of these spans: "tr-" and 32 hex digits. "" when the spans have no
// trace id of 16 bytes, or not all the same one.
std::string otlp_trace_id(const json::array& spans);

// "tr-" and 32 hex digits as spans have it: 16 bytes in base64. "" for an id of another form.
std::string otlp_id_text(std::string_view trace_id);

}  // namespace mlferry::mlflow
