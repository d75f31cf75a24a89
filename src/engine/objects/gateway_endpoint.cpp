// Endpoints of the gateway with their models, tags and bindings. Registering a scorer that calls an endpoint
// binds the two, so endpoints are written before scorers, and bindings that are still missing at the very
// end.

#include <array>
#include <map>

#include "engine/objects/gateway.hpp"
#include "protocol/http/error.hpp"

namespace mlferry::engine {

namespace {

constexpr std::array<std::string_view, 6> plain{"name",           "routing_strategy", "fallback_config",
                                                "usage_tracking", "experiment_id",    "created_by"};
constexpr std::array<std::string_view, 4> model_fields{"model_definition_id", "linkage_type", "weight",
                                                       "fallback_order"};

// In an order of its own: the server gives them in any.
json::array models_of(const json::object& doc) {
  std::map<std::string, json::object> sorted;
  auto const* list = mlflow::get_array(doc, "model_mappings");
  for (auto const& item : list == nullptr ? json::array{} : *list) {
    if (auto const* mapping = item.if_object()) {
      auto model = only_fields(*mapping, model_fields);
      sorted[mlflow::to_canonical_json(model)] = model;
    }
  }
  json::array models;
  for (auto& [text, model] : sorted) models.push_back(std::move(model));
  return models;
}

// Fallbacks in their order: the server also keeps them as a list.
json::array models_to_send(const json::object& doc) {
  std::multimap<std::int64_t, json::value> ordered;
  for (auto const& model : models_of(doc))
    ordered.emplace(mlflow::get_int(model.get_object(), "fallback_order").value_or(0), model);
  json::array models;
  for (auto const& [order, model] : ordered) models.push_back(model);
  return models;
}

json::object tags_of(const json::object& doc) {
  json::object tags;
  auto const* list = mlflow::get_array(doc, "tags");
  for (auto const& item : list == nullptr ? json::array{} : *list) {
    if (auto const* tag = item.if_object())
      tags[mlflow::get_string(*tag, "key")] = mlflow::get_string(*tag, "value");
  }
  return tags;
}

// Scorers that use the endpoint, "experiment/name" -> the binding.
using Bindings = std::map<std::string, json::object>;
Bindings bindings_of(const json::object& doc) {
  Bindings bindings;
  auto const* list = mlflow::get_array(doc, "bindings");
  for (auto const& item : list == nullptr ? json::array{} : *list) {
    if (auto const* binding = item.if_object()) {
      bindings[gateway::scorer_key(mlflow::get_string(*binding, "experiment_id"),
                                   mlflow::get_string(*binding, "scorer_name"))] = *binding;
    }
  }
  return bindings;
}

std::string query(std::string_view id) {
  return "?endpoint_id=" + http::percent_encode(id);
}

// By experiment and name, since ids of scorers are each server's own. A binding of a scorer that is gone has
// neither.
async::Task<json::array> read_bindings(mlflow::Client& client, std::string id) {
  auto const found = co_await gateway::read_all(client, "endpoints/bindings/list" + query(id), "bindings");
  json::array bindings;
  if (found.empty()) co_return bindings;
  auto const scorers =
      co_await list_all(client, http::Method::get, "/api/3.0/mlflow/scorers/list", {}, "scorers");
  std::map<std::string, const json::object*, std::less<>> by_id;
  if (scorers) {
    for (auto const& scorer : *scorers) by_id[gateway::text_of(scorer, "scorer_id")] = &scorer;
  }
  for (auto const& item : found) {
    json::object binding{{"created_by", gateway::text_of(item, "created_by")},
                         {"resource_id", gateway::text_of(item, "resource_id")}};
    auto const scorer = by_id.find(gateway::text_of(item, "resource_id"));
    if (scorer != by_id.end()) {
      binding["experiment_id"] =
          std::to_string(mlflow::get_int(*scorer->second, "experiment_id").value_or(-1));
      binding["scorer_name"] = gateway::text_of(*scorer->second, "scorer_name");
    }
    bindings.push_back(std::move(binding));
  }
  co_return bindings;
}

class GatewayEndpointKind final : public ObjectKind {
 public:
  Kind kind() const override { return Kind::gateway_endpoint; }

  async::Task<std::optional<std::vector<ObjectRecord>>> list(const ServerView& server) const override {
    co_return co_await gateway::list_records(server.client,
                                             {kind(), "endpoints/list", "endpoints", "endpoint_id", "name"});
  }

  async::Task<> complete(const ServerView& server, ObjectRecord& record) const override {
    record.doc = co_await gateway::read_one(server.client, "endpoints/get" + query(record.id), "endpoint");
    record.doc["bindings"] = co_await read_bindings(server.client, record.id);
  }

  async::Task<MappedObject> map(const ObjectRecord& record, IdMap& ids) const override {
    MappedObject mapped{record.doc, {}, {}};
    json::array models;
    for (auto const& item : models_of(record.doc)) {
      auto model = item.get_object();
      auto const id = gateway::text_of(model, "model_definition_id");
      auto const copy = co_await ids.find(Kind::gateway_model_definition, id);
      if (!copy) {
        mapped.failure = "its model definition (" + id + ") was not copied";
        co_return mapped;
      }
      model["model_definition_id"] = *copy;
      models.push_back(std::move(model));
    }
    mapped.doc["model_mappings"] = std::move(models);
    auto const experiment = gateway::text_of(record.doc, "experiment_id");
    if (!experiment.empty()) {
      auto const copy = co_await ids.find(Kind::experiment, experiment);
      if (copy) {
        mapped.doc["experiment_id"] = *copy;
      } else {
        mapped.doc.erase("experiment_id");
        mapped.losses.push_back("its experiment " + experiment + " was not copied");
      }
    }
    co_await map_bindings(record, mapped, ids);
    co_return mapped;
  }

  std::string identity(const json::object& doc) const override { return gateway::text_of(doc, "name"); }

  json::object comparable(const json::object& doc) const override {
    auto out = gateway::plain_fields(doc, plain);
    // Absent and empty, and false and absent, are the same.
    if (auto const* config = mlflow::get_object(out, "fallback_config"); config != nullptr && config->empty())
      out.erase("fallback_config");
    if (!out.contains("usage_tracking")) out["usage_tracking"] = false;
    out["models"] = models_of(doc);
    for (auto const& [key, value] : tags_of(doc)) out["tag " + std::string(key)] = value;
    for (auto const& [scorer, binding] : bindings_of(doc)) {
      if (binding.contains("scorer_name"))
        out["binding of scorer " + scorer] = mlflow::get_string(binding, "created_by");
    }
    return out;
  }

  async::Task<std::string> create(const ServerView& server, const json::object& wanted) const override {
    auto body = gateway::plain_fields(wanted, plain);
    // Not said is true.
    if (!body.contains("usage_tracking")) body["usage_tracking"] = false;
    body["model_configs"] = models_to_send(wanted);
    co_return co_await gateway::create_one(server.client, "endpoints/create", std::move(body), "endpoint",
                                           "endpoint_id");
  }

  async::Task<std::vector<std::string>> update(const ServerView& server, const ObjectRecord& existing,
                                               const json::object& wanted, bool ours) const override {
    if (ours) co_await send_changes(server.client, existing, wanted);
    auto const have = tags_of(existing.doc);
    auto const want = tags_of(wanted);
    for (auto const& [key, value] : want) {
      auto const* there = have.if_contains(key);
      if (there != nullptr && (!ours || *there == value)) continue;
      co_await gateway::send(server.client, http::Method::post, "endpoints/set-tag",
                             {{"endpoint_id", existing.id}, {"key", key}, {"value", value}});
    }
    for (auto const& [key, value] : have) {
      if (!ours || want.contains(key)) continue;
      co_await gateway::send(server.client, http::Method::del, "endpoints/delete-tag",
                             {{"endpoint_id", existing.id}, {"key", key}});
    }
    ObjectRecord now = existing;
    co_await complete(server, now);
    if (ours) now.doc["bindings"] = wanted.at("bindings");  // activate() does it
    co_return differing_fields(comparable(wanted), comparable(now.doc));
  }

  bool wakes_last() const override { return true; }
  async::Task<> activate(const ServerView& server, std::string id,
                         const json::object& wanted) const override {
    auto const want = bindings_of(wanted);
    if (want.empty()) co_return;
    auto have = bindings_of({{"bindings", co_await read_bindings(server.client, id)}});
    for (auto const& [scorer, binding] : want) {
      if (have.contains(scorer)) continue;
      json::object body{{"endpoint_id", id}, {"resource_type", "scorer"}};
      body["resource_id"] =
          co_await gateway::find_scorer(server.client, gateway::text_of(binding, "experiment_id"),
                                        gateway::text_of(binding, "scorer_name"));
      if (auto const by = gateway::text_of(binding, "created_by"); !by.empty()) body["created_by"] = by;
      std::exception_ptr failure;
      try {
        co_await gateway::create_one(server.client, "endpoints/bindings/create", std::move(body), "binding",
                                     "endpoint_id");
      } catch (const http::TransportError& error) {
        if (!error.outcome_unknown()) throw;
        failure = std::current_exception();
      }
      if (!failure) continue;
      have = bindings_of({{"bindings", co_await read_bindings(server.client, id)}});
      if (!have.contains(scorer)) std::rethrow_exception(failure);
    }
  }

 private:
  static async::Task<> map_bindings(const ObjectRecord& record, MappedObject& mapped, IdMap& ids) {
    json::array bindings;
    for (auto const& [scorer, original] : bindings_of(record.doc)) {
      auto binding = original;
      auto const name = gateway::text_of(binding, "scorer_name");
      auto const copy = name.empty()
                            ? std::nullopt
                            : co_await ids.find(Kind::experiment, gateway::text_of(binding, "experiment_id"));
      if (!copy) {
        mapped.losses.push_back("its binding with " +
                                (name.empty() ? "a scorer that is gone" : "scorer '" + name + "'") +
                                " is left out");
        continue;
      }
      binding["experiment_id"] = *copy;
      bindings.push_back(std::move(binding));
    }
    mapped.doc["bindings"] = std::move(bindings);
  }

  // Only what differs: a change of the models takes the fallbacks' configuration with it.
  static async::Task<> send_changes(mlflow::Client& client, const ObjectRecord& existing,
                                    const json::object& wanted) {
    auto const have = gateway::plain_fields(existing.doc, plain);
    auto const want = gateway::plain_fields(wanted, plain);
    json::object body;
    for (auto const field : {"routing_strategy", "fallback_config", "experiment_id"}) {
      auto const* value = want.if_contains(field);
      auto const* there = have.if_contains(field);
      if (value != nullptr && (there == nullptr || *there != *value)) body[field] = *value;
    }
    auto const tracking = mlflow::get_bool(want, "usage_tracking");
    if (tracking != mlflow::get_bool(have, "usage_tracking")) body["usage_tracking"] = tracking;
    if (models_of(existing.doc) != models_of(wanted)) {
      body["model_configs"] = models_to_send(wanted);
      if (want.contains("fallback_config")) body["fallback_config"] = want.at("fallback_config");
    }
    if (body.empty()) co_return;
    body["endpoint_id"] = existing.id;
    co_await gateway::send(client, http::Method::post, "endpoints/update", std::move(body));
  }
};

}  // namespace

std::unique_ptr<const ObjectKind> make_gateway_endpoint_kind() {
  return std::make_unique<GatewayEndpointKind>();
}

}  // namespace mlferry::engine
