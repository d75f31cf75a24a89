#pragma once
// Traces of the fake server: spans in the database, infos, assessments, links. Generated ones are computed.

#include "support/fake_calls.hpp"

namespace mlferry::test::fake {

HttpResponse search_traces(Call& call);
HttpResponse get_trace(Call& call);             // Call::id
HttpResponse get_trace_artifact(Call& call);    // ?request_id=
HttpResponse put_trace(Call& call);             // POST 3.0 traces
HttpResponse put_spans(Call& call);             // POST /v1/traces
HttpResponse put_assessment(Call& call);        // Call::id is the trace
HttpResponse link_traces_to_run(Call& call);
HttpResponse link_prompts_to_trace(Call& call);

}  // namespace mlferry::test::fake
