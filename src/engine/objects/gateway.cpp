#include "engine/objects/gateway.hpp"

#include "engine/objects/object_records.hpp"

namespace mlferry::engine::gateway {

namespace {
constexpr const char* path = "/api/3.0/mlflow/gateway/";
}  // namespace

json::object plain_fields(const json::object& doc, std::span<const std::string_view> fields) {
  auto plain = only_fields(doc, fields);
  for (auto const field : fields) {
    auto const* value = plain.if_contains(field);
    auto const* text = value == nullptr ? nullptr : value->if_string();
    if (text != nullptr && text->empty()) plain.erase(field);
  }
  return plain;
}

std::string text_of(const json::object& doc, std::string_view field) {
  return std::string(mlflow::get_string(doc, field));
}

async::Task<std::optional<std::vector<ObjectRecord>>> list_records(mlflow::Client& client, Listing listing) {
  std::optional<std::vector<json::object>> found;
  try {
    found = co_await list_all(client, http::Method::get, std::string(path) + listing.what, {}, listing.items);
  } catch (const mlflow::ApiError& error) {
    if (error.code() != "NOT_IMPLEMENTED") throw;  // how a server answers whose gateway is switched off
  }
  if (!found) co_return std::nullopt;
  co_return to_records(listing.kind, std::move(*found), {listing.id, "", listing.name});
}

async::Task<std::vector<json::object>> read_all(mlflow::Client& client, std::string what, std::string items) {
  auto found = co_await list_all(client, http::Method::get, path + what, {}, items);
  if (!found) throw std::runtime_error("the server has no call gateway/" + what.substr(0, what.find('?')));
  co_return std::move(*found);
}

async::Task<json::object> read_one(mlflow::Client& client, std::string what, std::string field) {
  auto const answer = co_await client.call(http::Method::get, path + what, {}, http::RequestClass::read);
  auto const* object = answer ? mlflow::get_object(*answer, field) : nullptr;
  if (object == nullptr) throw std::runtime_error("the server gives no " + field + " for its id");
  co_return *object;
}

async::Task<std::string> create_one(mlflow::Client& client, std::string what, json::object body,
                                    std::string field, std::string id) {
  auto const answer =
      co_await client.change(http::Method::post, path + what, std::move(body), http::Repeat::unclear);
  auto const* object = mlflow::get_object(answer, field);
  co_return object == nullptr ? std::string() : text_of(*object, id);
}

async::Task<> send(mlflow::Client& client, http::Method method, std::string what, json::object body) {
  co_await client.change(method, path + what, std::move(body), http::Repeat::safe);
}

async::Task<std::string> find_scorer(mlflow::Client& client, std::string experiment, std::string name) {
  auto const answer =
      co_await client.call(http::Method::get,
                           "/api/3.0/mlflow/scorers/get?experiment_id=" + http::percent_encode(experiment) +
                               "&name=" + http::percent_encode(name),
                           {}, http::RequestClass::read);
  auto const* scorer = answer ? mlflow::get_object(*answer, "scorer") : nullptr;
  if (scorer == nullptr) throw std::runtime_error("scorer '" + name + "' is not there");
  co_return text_of(*scorer, "scorer_id");
}

std::string scorer_key(std::string_view experiment, std::string_view name) {
  return std::string(experiment) + "/" + std::string(name);
}

}  // namespace mlferry::engine::gateway
