#include "protocol/mlflow/client.hpp"

#include <exception>
#include <unordered_set>
#include <utility>

#include "protocol/http/error.hpp"
#include "protocol/mlflow/body.hpp"
#include "protocol/mlflow/call.hpp"
#include "protocol/mlflow/limits.hpp"
#include "protocol/mlflow/views.hpp"

namespace mlferry::mlflow {
namespace {

async::Task<> post_run_id(http::Client& http, std::string call, std::string run_id) {
  std::string body = Body("POST " + call).text("run_id", run_id).take();
  co_await ask(http, post_call(api2_target(call), std::move(body)));
}

std::string metrics_json(std::string_view call, std::span<const Client::BatchMetric> metrics) {
  std::string out = "[";
  for (const auto& metric : metrics) {
    require_utf8(call, "a metric's key", metric.key);
    if (out.size() > 1) out += ',';
    out += "{\"key\":";
    append_json_string(out, metric.key);
    out += ",\"value\":";
    append_json_double(out, metric.point.value);
    out += ",\"timestamp\":";
    out += std::to_string(metric.point.timestamp);
    out += ",\"step\":";
    out += std::to_string(metric.point.step);
    auto const optional_text = [&](std::string_view name, std::string_view value) {
      if (value.empty()) return;
      require_utf8(call, name, value);
      out += ",\"";
      out += name;
      out += "\":";
      append_json_string(out, value);
    };
    optional_text("model_id", metric.model_id);
    optional_text("dataset_name", metric.dataset_name);
    optional_text("dataset_digest", metric.dataset_digest);
    out += '}';
  }
  out += ']';
  return out;
}

}  // namespace

async::Task<Page<Run>> Client::search_runs(std::vector<std::string> experiment_ids, std::string filter,
                                           View view, int max_results, std::string page_token) {
  constexpr std::string_view name = "POST runs/search";
  require_page_size(name, max_results);
  if (experiment_ids.empty()) co_return Page<Run>{};  // what the server answers, too
  // Ties of the start time come in the order of run_id, so that pages neither overlap nor leave gaps.
  std::string body = Body(name)
                         .texts("experiment_ids", experiment_ids)
                         .text_unless_empty("filter", filter)
                         .text("run_view_type", view_name(view))
                         .integer("max_results", max_results)
                         .json("order_by", R"(["attributes.start_time ASC"])")
                         .text_unless_empty("page_token", page_token)
                         .take();
  json::object answer =
      co_await ask(http_, post_call(api2_target("runs/search"), std::move(body), http::RequestClass::search));
  co_return answer_page<Run>(name, std::move(answer), "runs", page_token);
}

async::Task<std::optional<Run>> Client::get_run(std::string run_id) {
  constexpr std::string_view name = "GET runs/get";
  std::string query = Query(name).text("run_id", run_id).take();
  std::optional<json::object> answer = co_await ask_maybe(http_, get_call(api2_target("runs/get") + query));
  if (!answer) co_return std::nullopt;
  co_return Run{take_object(name, std::move(*answer), "run")};
}

async::Task<Run> Client::create_run(NewRun run) {
  constexpr std::string_view name = "POST runs/create";
  std::string body = Body(name)
                         .text("experiment_id", run.experiment_id)
                         .integer("start_time", run.start_time)
                         .text_unless_empty("user_id", run.user_id)
                         .text_unless_empty("run_name", run.run_name)
                         .pairs("tags", run.tags)
                         .take();
  Call call = post_call(api2_target("runs/create"), std::move(body));
  call.repeat = http::Repeat::unclear;
  json::object answer = co_await ask(http_, std::move(call));
  Run created{take_object(name, std::move(answer), "run")};
  if (created.id().empty()) throw incomplete_answer(name, "run_id");
  co_return created;
}

async::Task<> Client::log_batch(std::string run_id, std::span<const BatchMetric> metrics,
                                std::span<const KeyValue> params, std::span<const KeyValue> tags) {
  constexpr std::string_view name = "POST runs/log-batch";
  require_batch_size(name, metrics.size(), params.size(), tags.size());
  if (metrics.empty() && params.empty() && tags.empty()) co_return;
  Body body(name);
  body.text("run_id", run_id);
  if (!metrics.empty()) body.json("metrics", metrics_json(name, metrics));
  body.pairs("params", params).pairs("tags", tags);
  co_await ask(http_, post_call(api2_target("runs/log-batch"), body.take()));
}

async::Task<> Client::update_run(std::string run_id, std::string status,
                                 std::optional<std::int64_t> end_time) {
  constexpr std::string_view name = "POST runs/update";
  if (status.empty() && !end_time) co_return;
  if (!status.empty()) require_run_status(name, status);
  Body body(name);
  body.text("run_id", run_id).text_unless_empty("status", status);
  if (end_time) body.integer("end_time", *end_time);
  co_await ask(http_, post_call(api2_target("runs/update"), body.take()));
}

async::Task<> Client::set_run_tag(std::string run_id, std::string key, std::string value) {
  std::string body =
      Body("POST runs/set-tag").text("run_id", run_id).text("key", key).text("value", value).take();
  co_await ask(http_, post_call(api2_target("runs/set-tag"), std::move(body)));
}

async::Task<> Client::delete_run(std::string run_id) {
  co_await post_run_id(http_, "runs/delete", std::move(run_id));
}

async::Task<> Client::restore_run(std::string run_id) {
  co_await post_run_id(http_, "runs/restore", std::move(run_id));
}

async::Task<> Client::log_inputs(std::string run_id, json::array dataset_inputs,
                                 std::vector<std::string> model_ids) {
  constexpr std::string_view name = "POST runs/log-inputs";
  if (dataset_inputs.empty() && model_ids.empty()) co_return;
  Body body(name);
  body.text("run_id", run_id);
  if (!dataset_inputs.empty()) body.json("datasets", to_json(json::value(std::move(dataset_inputs))));
  if (!model_ids.empty()) {
    json::array models;
    for (const auto& id : model_ids) models.push_back(json::object{{"model_id", id}});
    body.json("models", to_json(json::value(std::move(models))));
  }
  co_await ask(http_, post_call(api2_target("runs/log-inputs"), body.take()));
}

async::Task<> Client::log_outputs(std::string run_id,
                                  std::vector<std::pair<std::string, std::int64_t>> models) {
  constexpr std::string_view name = "POST runs/outputs";
  constexpr int attempts = 6;
  for (int attempt = 1; !models.empty(); ++attempt) {
    json::array list;
    for (const auto& [id, step] : models) list.push_back(json::object{{"model_id", id}, {"step", step}});
    std::string body =
        Body(name).text("run_id", run_id).json("models", to_json(json::value(std::move(list)))).take();
    Call call = post_call(api2_target("runs/outputs"), std::move(body));
    call.repeat = http::Repeat::unclear;
    std::exception_ptr failure;
    try {
      co_await ask(http_, std::move(call));
      co_return;
    } catch (const http::TransportError& error) {
      if (!error.outcome_unknown()) throw;
      failure = std::current_exception();
    }
    // A pair that is there already would fail the whole request: send what is missing only.
    std::optional<Run> const run = co_await get_run(run_id);
    if (!run) std::rethrow_exception(failure);
    std::unordered_set<std::string> present;
    for (auto& [id, step] : run->model_outputs()) present.insert(id);
    std::erase_if(models, [&](const auto& model) { return present.contains(model.first); });
    if (!models.empty() && attempt == attempts) std::rethrow_exception(failure);
  }
}

}  // namespace mlferry::mlflow
