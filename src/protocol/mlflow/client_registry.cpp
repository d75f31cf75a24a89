#include "protocol/mlflow/client.hpp"

#include <utility>

#include "protocol/mlflow/body.hpp"
#include "protocol/mlflow/call.hpp"
#include "protocol/mlflow/limits.hpp"

namespace mlferry::mlflow {
namespace {

async::Task<> write(http::Client& http, http::Method method, std::string path, std::string body) {
  Call call = post_call(api2_target(path), std::move(body));
  call.method = method;
  co_await ask(http, std::move(call));
}

}  // namespace

async::Task<Page<RegisteredModel>> Client::search_registered_models(std::string filter, int max_results,
                                                                    std::string page_token) {
  constexpr std::string_view name = "GET registered-models/search";
  require_page_size(name, max_results);
  // The default order is by name, in the collation of the server's database.
  std::string query = Query(name)
                          .text_unless_empty("filter", filter)
                          .integer("max_results", max_results)
                          .text_unless_empty("page_token", page_token)
                          .take();
  json::object answer = co_await ask(
      http_, get_call(api2_target("registered-models/search") + query, http::RequestClass::search));
  co_return answer_page<RegisteredModel>(name, std::move(answer), "registered_models", page_token);
}

async::Task<std::optional<RegisteredModel>> Client::get_registered_model(std::string name) {
  constexpr std::string_view call = "GET registered-models/get";
  std::string query = Query(call).text("name", name).take();
  std::optional<json::object> answer =
      co_await ask_maybe(http_, get_call(api2_target("registered-models/get") + query));
  if (!answer) co_return std::nullopt;
  co_return RegisteredModel{take_object(call, std::move(*answer), "registered_model")};
}

async::Task<> Client::create_registered_model(std::string name, std::string description, KeyValues tags) {
  std::string body = Body("POST registered-models/create")
                         .text("name", name)
                         .text_unless_empty("description", description)
                         .pairs("tags", tags)
                         .take();
  co_await write(http_, http::Method::post, "registered-models/create", std::move(body));
}

async::Task<> Client::update_registered_model(std::string name, std::string description) {
  // Without `description` the server erases it: an empty one is sent, not left out.
  std::string body =
      Body("PATCH registered-models/update").text("name", name).text("description", description).take();
  co_await write(http_, http::Method::patch, "registered-models/update", std::move(body));
}

async::Task<> Client::set_registered_model_tag(std::string name, std::string key, std::string value) {
  std::string body =
      Body("POST registered-models/set-tag").text("name", name).text("key", key).text("value", value).take();
  co_await write(http_, http::Method::post, "registered-models/set-tag", std::move(body));
}

async::Task<> Client::set_alias(std::string name, std::string alias, std::string version) {
  std::string body = Body("POST registered-models/alias")
                         .text("name", name)
                         .text("alias", alias)
                         .text("version", version)
                         .take();
  co_await write(http_, http::Method::post, "registered-models/alias", std::move(body));
}

async::Task<Page<ModelVersion>> Client::search_model_versions(std::string filter, int max_results,
                                                              std::string page_token) {
  constexpr std::string_view name = "GET model-versions/search";
  require_page_size(name, max_results);
  // The default is the newest change first, which moves rows between pages.
  std::string query = Query(name)
                          .text_unless_empty("filter", filter)
                          .integer("max_results", max_results)
                          .text("order_by", "version_number ASC")
                          .text_unless_empty("page_token", page_token)
                          .take();
  json::object answer =
      co_await ask(http_, get_call(api2_target("model-versions/search") + query, http::RequestClass::search));
  co_return answer_page<ModelVersion>(name, std::move(answer), "model_versions", page_token);
}

async::Task<std::optional<ModelVersion>> Client::get_model_version(std::string name, std::int64_t number) {
  constexpr std::string_view call = "GET model-versions/get";
  std::string query = Query(call).text("name", name).integer("version", number).take();
  std::optional<json::object> answer =
      co_await ask_maybe(http_, get_call(api2_target("model-versions/get") + query));
  if (!answer) co_return std::nullopt;
  co_return ModelVersion{take_object(call, std::move(*answer), "model_version")};
}

async::Task<ModelVersion> Client::create_model_version(NewModelVersion version) {
  constexpr std::string_view name = "POST model-versions/create";
  std::string body = Body(name)
                         .text("name", version.name)
                         .text("source", version.source)
                         .text_unless_empty("run_id", version.run_id)
                         .text_unless_empty("model_id", version.model_id)
                         .text_unless_empty("run_link", version.run_link)
                         .text_unless_empty("description", version.description)
                         .pairs("tags", version.tags)
                         .take();
  Call call = post_call(api2_target("model-versions/create"), std::move(body));
  call.repeat = http::Repeat::unclear;
  json::object answer = co_await ask(http_, std::move(call));
  ModelVersion created{take_object(name, std::move(answer), "model_version")};
  if (created.number() < 1) throw incomplete_answer(name, "version");
  co_return created;
}

async::Task<> Client::transition_stage(std::string name, std::int64_t number, std::string stage) {
  // Other versions stay in the stage: two in Production are possible, and a copy may need them.
  std::string body = Body("POST model-versions/transition-stage")
                         .text("name", name)
                         .text("version", std::to_string(number))
                         .text("stage", stage)
                         .flag("archive_existing_versions", false)
                         .take();
  co_await write(http_, http::Method::post, "model-versions/transition-stage", std::move(body));
}

async::Task<> Client::update_model_version(std::string name, std::int64_t number, std::string description) {
  std::string body = Body("PATCH model-versions/update")
                         .text("name", name)
                         .text("version", std::to_string(number))
                         .text("description", description)
                         .take();
  co_await write(http_, http::Method::patch, "model-versions/update", std::move(body));
}

async::Task<> Client::set_model_version_tag(std::string name, std::int64_t number, std::string key,
                                            std::string value) {
  std::string body = Body("POST model-versions/set-tag")
                         .text("name", name)
                         .text("version", std::to_string(number))
                         .text("key", key)
                         .text("value", value)
                         .take();
  co_await write(http_, http::Method::post, "model-versions/set-tag", std::move(body));
}

async::Task<> Client::delete_registered_model(std::string name) {
  Call call = post_call(api2_target("registered-models/delete"),
                        Body("DELETE registered-models/delete").text("name", name).take());
  call.method = http::Method::del;
  co_await ask_maybe(http_, std::move(call));  // 404: it is gone already
}

async::Task<> Client::delete_model_version(std::string name, std::int64_t number) {
  constexpr std::string_view call_text = "DELETE model-versions/delete";
  std::string body = Body(call_text).text("name", name).text("version", std::to_string(number)).take();
  Call call = post_call(api2_target("model-versions/delete"), std::move(body));
  call.method = http::Method::del;
  co_await ask_maybe(http_, std::move(call));  // 404: it is gone already
}

}  // namespace mlferry::mlflow
