#include "protocol/mlflow/client.hpp"

#include <utility>

#include "protocol/http/client.hpp"
#include "protocol/mlflow/body.hpp"
#include "protocol/mlflow/call.hpp"
#include "protocol/mlflow/limits.hpp"

namespace mlferry::mlflow {
namespace {

std::string model_target(std::string_view id) {
  return api2_target("logged-models/") + http::percent_encode(id);
}

Call changing_call(http::Method method, std::string target, std::string body) {
  Call call = post_call(std::move(target), std::move(body));
  call.method = method;
  return call;
}

}  // namespace

async::Task<Page<LoggedModel>> Client::search_logged_models(std::vector<std::string> experiment_ids,
                                                            std::string filter, int max_results,
                                                            std::string page_token) {
  constexpr std::string_view name = "POST logged-models/search";
  require_page_size(name, max_results);
  if (experiment_ids.empty()) co_return Page<LoggedModel>{};  // what the server answers, too
  std::string body = Body(name)
                         .texts("experiment_ids", experiment_ids)
                         .text_unless_empty("filter", filter)
                         .integer("max_results", max_results)
                         .json("order_by", R"([{"field_name":"creation_timestamp","ascending":true}])")
                         .text_unless_empty("page_token", page_token)
                         .take();
  json::object answer = co_await ask(
      http_, post_call(api2_target("logged-models/search"), std::move(body), http::RequestClass::search));
  co_return answer_page<LoggedModel>(name, std::move(answer), "models", page_token);
}

async::Task<std::optional<LoggedModel>> Client::get_logged_model(std::string id) {
  constexpr std::string_view name = "GET logged-models";
  require_id(name, "model id", id);
  std::optional<json::object> answer =
      co_await ask_maybe(http_, get_call(model_target(id) + "?allow_deleted=true"));
  if (!answer) co_return std::nullopt;
  co_return LoggedModel{take_object(name, std::move(*answer), "model")};
}

async::Task<LoggedModel> Client::create_logged_model(NewLoggedModel model) {
  constexpr std::string_view name = "POST logged-models";
  std::string body = Body(name)
                         .text("experiment_id", model.experiment_id)
                         .text_unless_empty("name", model.name)
                         .text_unless_empty("model_type", model.model_type)
                         .text_unless_empty("source_run_id", model.source_run_id)
                         .pairs("params", model.params)
                         .pairs("tags", model.tags)
                         .take();
  Call call = post_call(api2_target("logged-models"), std::move(body));
  call.repeat = http::Repeat::unclear;
  json::object answer = co_await ask(http_, std::move(call));
  LoggedModel created{take_object(name, std::move(answer), "model")};
  if (created.id().empty()) throw incomplete_answer(name, "model_id");
  co_return created;
}

async::Task<> Client::set_logged_model_status(std::string id, std::string status) {
  constexpr std::string_view name = "PATCH logged-models";
  require_id(name, "model id", id);
  require_logged_model_status(name, status);
  std::string body = Body(name).text("model_id", id).text("status", status).take();
  co_await ask(http_, changing_call(http::Method::patch, model_target(id), std::move(body)));
}

async::Task<> Client::set_logged_model_tags(std::string id, KeyValues tags) {
  constexpr std::string_view name = "PATCH logged-models/tags";
  require_id(name, "model id", id);
  if (tags.empty()) co_return;
  std::string body = Body(name).text("model_id", id).pairs("tags", tags).take();
  co_await ask(http_, changing_call(http::Method::patch, model_target(id) + "/tags", std::move(body)));
}

async::Task<> Client::delete_logged_model(std::string id) {
  constexpr std::string_view name = "DELETE logged-models";
  require_id(name, "model id", id);
  std::string body = Body(name).text("model_id", id).take();
  co_await ask(http_, changing_call(http::Method::del, model_target(id), std::move(body)));
}

}  // namespace mlferry::mlflow
