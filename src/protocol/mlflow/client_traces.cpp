#include <utility>

#include "protocol/http/client.hpp"
#include "protocol/mlflow/body.hpp"
#include "protocol/mlflow/call.hpp"
#include "protocol/mlflow/client.hpp"
#include "protocol/mlflow/limits.hpp"
#include "protocol/mlflow/trace_v2.hpp"

namespace mlferry::mlflow {

namespace {

// Spans hold prompts and answers of language models: one trace can be large.
constexpr std::size_t max_trace_bytes = 512u << 20;
constexpr std::size_t max_search_bytes = 256u << 20;
constexpr std::size_t max_experiments_v2 = 100;

std::string location(std::string_view experiment_id) {
  std::string text = R"({"type":"MLFLOW_EXPERIMENT","mlflow_experiment":{"experiment_id":)";
  append_json_string(text, experiment_id);
  return text + "}}";
}

}  // namespace

async::Task<Page<Trace>> Client::search_traces(std::vector<std::string> experiment_ids, std::string filter,
                                               int max_results, std::string page_token) {
  constexpr std::string_view name = "POST traces/search";
  require_page_size(name, max_results);
  if (experiment_ids.empty()) co_return Page<Trace>{};
  std::string locations = "[";
  for (auto const& id : experiment_ids) locations += (locations.size() == 1 ? "" : ",") + location(id);
  std::string body = Body(name)
                         .json("locations", locations + "]")
                         .text_unless_empty("filter", filter)
                         .integer("max_results", max_results)
                         .texts("order_by", {"timestamp_ms ASC"})
                         .text_unless_empty("page_token", page_token)
                         .take();
  Call call = post_call(std::string(api3) + "traces/search", std::move(body), http::RequestClass::search);
  call.max_response_bytes = max_search_bytes;
  json::object answer = co_await ask(http_, std::move(call));
  co_return answer_page<Trace>(name, std::move(answer), "traces", page_token);
}

async::Task<Page<Trace>> Client::search_traces_v2(std::vector<std::string> experiment_ids, int max_results,
                                                  std::string page_token) {
  constexpr std::string_view name = "GET traces";
  require_page_size(name, max_results);
  require_at_most(name, "experiments", experiment_ids.size(), max_experiments_v2);
  if (experiment_ids.empty()) co_return Page<Trace>{};
  Query query(name);
  for (auto const& id : experiment_ids) query.text("experiment_ids", id);
  query.integer("max_results", max_results).text("order_by", "timestamp_ms ASC");
  query.text_unless_empty("page_token", page_token);
  Call call = get_call(api2_target("traces") + query.take(), http::RequestClass::search);
  call.max_response_bytes = max_search_bytes;
  json::object answer = co_await ask(http_, std::move(call));
  auto page = answer_page<Trace>(name, std::move(answer), "traces", page_token);
  for (auto& trace : page.items) trace.doc = trace_info_from_v2(std::move(trace.doc));
  co_return page;
}

async::Task<std::optional<Trace>> Client::get_trace_info(std::string trace_id) {
  constexpr std::string_view name = "GET traces";
  require_id(name, "trace id", trace_id);
  auto answer = co_await ask_maybe(http_, get_call(std::string(api3) + "traces/" + http::percent_encode(trace_id)));
  if (!answer) co_return std::nullopt;
  auto const trace = take_object(name, std::move(*answer), "trace");
  auto const* info = get_object(trace, "trace_info");
  if (info == nullptr) throw incomplete_answer(name, "trace_info");
  co_return Trace{*info};
}

async::Task<std::string> Client::get_trace_data(std::string trace_id) {
  constexpr std::string_view name = "GET get-trace-artifact";
  require_id(name, "trace id", trace_id);
  Call call = get_call(std::string(ajax2) + "get-trace-artifact" + Query(name).text("request_id", trace_id).take());
  call.max_response_bytes = max_trace_bytes;
  http::Response response = co_await send_call(http_, std::move(call));
  if (!response.ok()) throw api_error(name, response.status, response.body);
  co_return std::move(response.body);
}

async::Task<> Client::put_spans(std::string experiment_id, std::string body) {
  http::Request request;
  request.method = http::Method::post;
  request.target = "/v1/traces";
  request.headers = {{"X-MLflow-Experiment-Id", experiment_id}};
  request.content_type = "application/json";
  request.body = std::move(body);
  request.request_class = http::RequestClass::write;
  http::Response const response = co_await http_.send(std::move(request));
  if (!response.ok()) throw api_error("POST /v1/traces", response.status, response.body);
}

async::Task<Trace> Client::put_trace_info(json::object info) {
  constexpr std::string_view name = "POST traces";
  std::string body = R"({"trace":{"trace_info":)";
  append_json(body, info);
  body += "}}";
  require_utf8(name, "the trace", body);
  json::object answer = co_await ask(http_, post_call(std::string(api3) + "traces", std::move(body)));
  auto const trace = take_object(name, std::move(answer), "trace");
  auto const* stored = get_object(trace, "trace_info");
  if (stored == nullptr) throw incomplete_answer(name, "trace_info");
  co_return Trace{*stored};
}

async::Task<> Client::put_assessment(std::string trace_id, json::object assessment) {
  constexpr std::string_view name = "POST traces/assessments";
  require_id(name, "trace id", trace_id);
  std::string body = R"({"assessment":)";
  append_json(body, assessment);
  body += '}';
  require_utf8(name, "the assessment", body);
  auto target = std::string(api3) + "traces/" + http::percent_encode(trace_id) + "/assessments";
  co_await ask(http_, post_call(std::move(target), std::move(body)));
}

async::Task<> Client::delete_assessment(std::string trace_id, std::string assessment_id) {
  constexpr std::string_view name = "DELETE traces/assessments";
  require_id(name, "trace id", trace_id);
  require_id(name, "assessment id", assessment_id);
  auto target = std::string(api3) + "traces/" + http::percent_encode(trace_id) + "/assessments/" +
                http::percent_encode(assessment_id);
  Call call = post_call(std::move(target),
                        Body(name).text("trace_id", trace_id).text("assessment_id", assessment_id).take());
  call.method = http::Method::del;
  co_await ask_maybe(http_, std::move(call));
}

async::Task<> Client::link_traces_to_run(std::vector<std::string> trace_ids, std::string run_id) {
  constexpr std::string_view name = "POST traces/link-to-run";
  require_at_most(name, "traces", trace_ids.size(), 100);
  std::string body = Body(name).texts("trace_ids", trace_ids).text("run_id", run_id).take();
  co_await ask(http_, post_call(api2_target("traces/link-to-run"), std::move(body)));
}

async::Task<> Client::link_prompts_to_trace(std::string trace_id,
                                            std::vector<std::pair<std::string, std::string>> prompts) {
  constexpr std::string_view name = "POST traces/link-prompts";
  std::string list = "[";
  for (auto const& [prompt, version] : prompts) {
    list += (list.size() == 1 ? "" : ",") + Body(name).text("name", prompt).text("version", version).take();
  }
  std::string body = Body(name).text("trace_id", trace_id).json("prompt_versions", list + "]").take();
  co_await ask(http_, post_call(api2_target("traces/link-prompts"), std::move(body)));
}

}  // namespace mlferry::mlflow
