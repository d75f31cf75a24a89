// Guardrails of the gateway, and the endpoints that they guard. Their names are not unique, and no call
// changes one: it is what it is made of. Which endpoints have it is told by the endpoints.

#include <array>
#include <map>

#include "engine/objects/gateway.hpp"

namespace mlferry::engine {

namespace {

constexpr std::array<std::string_view, 5> plain{"name", "stage", "action", "scorer", "action_endpoint_id"};

using Orders = std::map<std::string, json::value>;  // endpoint -> order, null for none

Orders orders_of(const json::object& doc) {
  Orders orders;
  auto const* list = mlflow::get_array(doc, "endpoints");
  for (auto const& item : list == nullptr ? json::array{} : *list) {
    if (auto const* one = item.if_object()) {
      auto const order = mlflow::get_int(*one, "execution_order");
      orders[gateway::text_of(*one, "endpoint_id")] = order ? json::value(*order) : json::value();
    }
  }
  return orders;
}

json::array as_array(const Orders& orders) {
  json::array list;
  for (auto const& [endpoint, order] : orders) {
    json::object one{{"endpoint_id", endpoint}};
    if (!order.is_null()) one["execution_order"] = order;
    list.push_back(std::move(one));
  }
  return list;
}

// Guardrail -> order.
async::Task<Orders> read_orders(mlflow::Client& client, std::string endpoint) {
  auto const configs = co_await gateway::read_all(
      client, "guardrails/list-for-endpoint?endpoint_id=" + http::percent_encode(endpoint), "configs");
  Orders orders;
  for (auto const& config : configs) {
    auto const order = mlflow::get_int(config, "execution_order");
    orders[gateway::text_of(config, "guardrail_id")] = order ? json::value(*order) : json::value();
  }
  co_return orders;
}

class GatewayGuardrailKind final : public ObjectKind {
 public:
  Kind kind() const override { return Kind::gateway_guardrail; }

  async::Task<std::optional<std::vector<ObjectRecord>>> list(const ServerView& server) const override {
    auto records = co_await gateway::list_records(
        server.client, {kind(), "guardrails/list", "guardrails", "guardrail_id", "name"});
    if (!records || records->empty()) co_return records;
    std::map<std::string, std::string> endpoint_ids;  // by name
    std::map<std::string, Orders> orders;             // by guardrail
    for (auto const& endpoint : co_await gateway::read_all(server.client, "endpoints/list", "endpoints")) {
      auto const id = gateway::text_of(endpoint, "endpoint_id");
      endpoint_ids[gateway::text_of(endpoint, "name")] = id;
      for (auto const& [guardrail, order] : co_await read_orders(server.client, id))
        orders[guardrail][id] = order;
    }
    for (auto& record : *records) {
      auto const* scorer = mlflow::get_object(record.doc, "scorer");
      if (scorer != nullptr) {
        json::object of{
            {"experiment_id", std::to_string(mlflow::get_int(*scorer, "experiment_id").value_or(-1))},
            {"name", gateway::text_of(*scorer, "scorer_name")},
            {"version", mlflow::get_int(*scorer, "scorer_version").value_or(0)}};
        record.doc["scorer"] = std::move(of);
      }
      // Requests take the endpoint's id in this field, answers give its name.
      auto const action = endpoint_ids.find(gateway::text_of(record.doc, "action_endpoint_id"));
      if (action != endpoint_ids.end()) record.doc["action_endpoint_id"] = action->second;
      record.doc["endpoints"] = as_array(orders[record.id]);
    }
    co_return records;
  }

  bool listing_shows_changes() const override { return true; }

  // Only of endpoints that it names: those of a listed guardrail are all there are.
  async::Task<> complete(const ServerView& server, ObjectRecord& record) const override {
    Orders now;
    for (auto const& [endpoint, order] : orders_of(record.doc)) {
      auto const there = co_await read_orders(server.client, endpoint);
      auto const found = there.find(record.id);
      if (found != there.end()) now[endpoint] = found->second;
    }
    record.doc["endpoints"] = as_array(now);
  }

  async::Task<MappedObject> map(const ObjectRecord& record, IdMap& ids) const override {
    MappedObject mapped{record.doc, {}, {}};
    auto const* original = mlflow::get_object(record.doc, "scorer");
    auto scorer = original == nullptr ? json::object() : *original;
    auto const name = gateway::text_of(scorer, "name");
    auto const from = gateway::text_of(scorer, "experiment_id");
    auto const experiment = co_await ids.find(Kind::experiment, from);
    auto const copy = co_await ids.find(Kind::scorer, gateway::scorer_key(from, name));
    if (!experiment || !copy) {
      mapped.failure = "its scorer '" + name + "' was not copied";
      co_return mapped;
    }
    scorer["experiment_id"] = *experiment;
    mapped.doc["scorer"] = std::move(scorer);
    if (auto const action = gateway::text_of(record.doc, "action_endpoint_id"); !action.empty()) {
      auto const endpoint = co_await ids.find(Kind::gateway_endpoint, action);
      if (!endpoint) {
        mapped.failure = "the endpoint of its action (" + action + ") was not copied";
        co_return mapped;
      }
      mapped.doc["action_endpoint_id"] = *endpoint;
    }
    Orders orders;
    for (auto const& [id, order] : orders_of(record.doc)) {
      auto const endpoint = co_await ids.find(Kind::gateway_endpoint, id);
      if (endpoint) {
        orders[*endpoint] = order;
      } else {
        mapped.losses.push_back("its endpoint " + id + " was not copied; the guardrail is not added to it");
      }
    }
    mapped.doc["endpoints"] = as_array(orders);
    co_return mapped;
  }

  std::string identity(const json::object& doc) const override {
    return mlflow::to_canonical_json(gateway::plain_fields(doc, plain));
  }

  json::object comparable(const json::object& doc) const override {
    auto out = gateway::plain_fields(doc, plain);
    for (auto const& [endpoint, order] : orders_of(doc)) out["place in endpoint " + endpoint] = order;
    return out;
  }

  async::Task<std::string> create(const ServerView& server, const json::object& wanted) const override {
    auto body = gateway::plain_fields(wanted, plain);
    auto const scorer = wanted.at("scorer").as_object();
    body.erase("scorer");
    body["scorer_id"] = co_await gateway::find_scorer(
        server.client, gateway::text_of(scorer, "experiment_id"), gateway::text_of(scorer, "name"));
    body["scorer_version"] = scorer.at("version");
    co_return co_await gateway::create_one(server.client, "guardrails/create", std::move(body), "guardrail",
                                           "guardrail_id");
  }

  async::Task<std::vector<std::string>> update(const ServerView& server, const ObjectRecord& existing,
                                               const json::object& wanted, bool ours) const override {
    auto have = orders_of(existing.doc);
    auto const want = orders_of(wanted);
    for (auto const& [endpoint, order] : want) {
      auto const there = have.find(endpoint);
      if (there != have.end() && (!ours || there->second == order)) continue;
      json::object body{{"endpoint_id", endpoint}, {"guardrail_id", existing.id}};
      if (!order.is_null()) body["execution_order"] = order;
      if (there == have.end()) {
        co_await add(server.client, std::move(body));
      } else {
        co_await gateway::send(server.client, http::Method::patch, "guardrails/update-config",
                               std::move(body));
      }
      have[endpoint] = order;
    }
    for (auto it = have.begin(); it != have.end();) {
      if (!ours || want.contains(it->first)) {
        ++it;
        continue;
      }
      co_await gateway::send(server.client, http::Method::del, "guardrails/remove-from-endpoint",
                             {{"endpoint_id", it->first}, {"guardrail_id", existing.id}});
      it = have.erase(it);
    }
    auto now = existing.doc;
    now["endpoints"] = as_array(have);
    co_return differing_fields(comparable(wanted), comparable(now));
  }

 private:
  // Sent again after an answer that was lost, so that it can be there already.
  static async::Task<> add(mlflow::Client& client, json::object body) {
    try {
      co_await gateway::send(client, http::Method::post, "guardrails/add-to-endpoint", std::move(body));
    } catch (const mlflow::ApiError& error) {
      if (!error.already_exists()) throw;
    }
  }
};

}  // namespace

std::unique_ptr<const ObjectKind> make_gateway_guardrail_kind() {
  return std::make_unique<GatewayGuardrailKind>();
}

}  // namespace mlferry::engine
