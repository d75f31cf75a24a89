#include "protocol/mlflow/client.hpp"

#include <utility>

#include "protocol/mlflow/body.hpp"
#include "protocol/mlflow/call.hpp"
#include "protocol/mlflow/limits.hpp"
#include "protocol/mlflow/views.hpp"

namespace mlferry::mlflow {

async::Task<Page<Experiment>> Client::search_experiments(View view, int max_results, std::string page_token) {
  constexpr std::string_view name = "POST experiments/search";
  require_page_size(name, max_results);
  // Numeric on SQL stores (0, 1, 2, .. 10, 11): the column is an integer. Only the order's being
  // stable matters to whoever pages.
  std::string body = Body(name)
                         .integer("max_results", max_results)
                         .text("view_type", view_name(view))
                         .json("order_by", R"(["experiment_id ASC"])")
                         .text_unless_empty("page_token", page_token)
                         .take();
  json::object answer = co_await ask(
      http_, post_call(api2_target("experiments/search"), std::move(body), http::RequestClass::search));
  co_return answer_page<Experiment>(name, std::move(answer), "experiments", page_token);
}

namespace {

async::Task<std::optional<Experiment>> find_experiment(http::Client& http, std::string target) {
  std::string const name = call_name(http::Method::get, target);
  std::optional<json::object> answer = co_await ask_maybe(http, get_call(std::move(target)));
  if (!answer) co_return std::nullopt;
  co_return Experiment{take_object(name, std::move(*answer), "experiment")};
}

// A repeat of delete or restore (the first answer was lost, say) is 404: then the state decides.
async::Task<> change_stage(http::Client& http, std::string call, std::string id, bool deleted) {
  std::string const name = "POST " + call;
  std::string body = Body(name).text("experiment_id", id).take();
  http::Response const response = co_await send_call(http, post_call(api2_target(call), std::move(body)));
  if (response.ok()) co_return;
  ApiError error = api_error(name, response.status, response.body);
  if (!error.not_found() || error.no_such_call()) throw error;
  std::string query = Query("GET experiments/get").text("experiment_id", id).take();
  auto const experiment = co_await find_experiment(http, api2_target("experiments/get") + query);
  if (!experiment || experiment->deleted() != deleted) throw error;
}

}  // namespace

async::Task<std::optional<Experiment>> Client::get_experiment_by_name(std::string name) {
  std::string query = Query("GET experiments/get-by-name").text("experiment_name", name).take();
  co_return co_await find_experiment(http_, api2_target("experiments/get-by-name") + query);
}

async::Task<std::optional<Experiment>> Client::get_experiment(std::string id) {
  std::string query = Query("GET experiments/get").text("experiment_id", id).take();
  co_return co_await find_experiment(http_, api2_target("experiments/get") + query);
}

async::Task<std::string> Client::create_experiment(std::string name, std::string artifact_location,
                                                   KeyValues tags) {
  constexpr std::string_view call = "POST experiments/create";
  std::string body = Body(call)
                         .text("name", name)
                         .text_unless_empty("artifact_location", artifact_location)
                         .pairs("tags", tags)
                         .take();
  json::object const answer =
      co_await ask(http_, post_call(api2_target("experiments/create"), std::move(body)));
  std::string id(get_string(answer, "experiment_id"));
  if (id.empty()) throw incomplete_answer(call, "experiment_id");
  co_return id;
}

async::Task<> Client::set_experiment_tag(std::string id, std::string key, std::string value) {
  constexpr std::string_view call = "POST experiments/set-experiment-tag";
  std::string body = Body(call).text("experiment_id", id).text("key", key).text("value", value).take();
  co_await ask(http_, post_call(api2_target("experiments/set-experiment-tag"), std::move(body)));
}

async::Task<> Client::delete_experiment(std::string id) {
  co_await change_stage(http_, "experiments/delete", std::move(id), true);
}

async::Task<> Client::restore_experiment(std::string id) {
  co_await change_stage(http_, "experiments/restore", std::move(id), false);
}

}  // namespace mlferry::mlflow
