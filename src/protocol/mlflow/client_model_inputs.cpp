#include "protocol/mlflow/client.hpp"

#include <utility>

#include "protocol/mlflow/body.hpp"
#include "protocol/mlflow/call.hpp"
#include "protocol/mlflow/limits.hpp"
#include "protocol/mlflow/model_inputs.hpp"

namespace mlferry::mlflow {

std::string model_inputs_query(std::span<const std::string> run_ids) {
  constexpr std::string_view call = "POST /graphql";
  std::string declarations;
  std::string fields;
  Body variables(call);
  for (std::size_t i = 0; i < run_ids.size(); ++i) {
    std::string const n = std::to_string(i);
    if (i > 0) declarations += ',';
    declarations += "$r" + n + ":String";
    fields +=
        "a" + n + ":mlflowGetRun(input:{runId:$r" + n + "}){run{info{runId} inputs{modelInputs{modelId}}}}";
    variables.text("r" + n, run_ids[i]);
  }
  return Body(call)
      .text("query", "query(" + declarations + "){" + fields + "}")
      .json("variables", variables.take())
      .take();
}

std::vector<std::optional<std::vector<std::string>>> model_inputs_answers(
    std::span<const std::string> run_ids, const json::object& answer) {
  std::vector<std::optional<std::vector<std::string>>> results(run_ids.size());
  const json::object* data = get_object(answer, "data");
  if (data == nullptr) return results;  // the query as a whole failed
  for (std::size_t i = 0; i < run_ids.size(); ++i) {
    const json::object* alias = get_object(*data, "a" + std::to_string(i));
    const json::object* run = alias == nullptr ? nullptr : get_object(*alias, "run");
    const json::object* info = run == nullptr ? nullptr : get_object(*run, "info");
    // No word on this very run is an error, not a run without inputs.
    if (info == nullptr || get_string(*info, "runId") != run_ids[i]) continue;
    std::vector<std::string> ids;
    bool whole = true;
    const json::object* inputs = get_object(*run, "inputs");
    const json::array* models = inputs == nullptr ? nullptr : get_array(*inputs, "modelInputs");
    if (models != nullptr) {
      for (const json::value& element : *models) {
        const json::object* model = element.if_object();
        std::string id(model == nullptr ? std::string_view{} : get_string(*model, "modelId"));
        if (id.empty()) whole = false;
        ids.push_back(std::move(id));
      }
    }
    if (whole) results[i] = std::move(ids);
  }
  return results;
}

async::Task<std::vector<std::optional<std::vector<std::string>>>> Client::model_inputs_batch(
    std::vector<std::string> run_ids) {
  require_at_most("POST /graphql", "runs", run_ids.size(), list_batch_limit);
  if (run_ids.empty()) co_return std::vector<std::optional<std::vector<std::string>>>{};
  std::string body = model_inputs_query(run_ids);
  json::object const answer =
      co_await ask(http_, post_call("/graphql", std::move(body), http::RequestClass::read));
  co_return model_inputs_answers(run_ids, answer);
}

}  // namespace mlferry::mlflow
