// Review queues with their items (mlflow-rest 10.3). A queue's questions are fixed while it has items. The
// default label schema, which every experiment has its own of, is "default" in these documents.

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "engine/objects/object_records.hpp"

namespace mlferry::engine {

namespace {

constexpr const char* path = "/api/3.0/mlflow/review-queues/";
constexpr const char* default_schema = "default";
constexpr const char* pending = "PENDING";
constexpr std::size_t items_a_request = 100;
constexpr std::size_t most_users = 10;    // the server's limit
constexpr std::size_t ids_in_a_loss = 3;  // that are named

std::set<std::string> texts(const json::object& doc, std::string_view key) {
  std::set<std::string> found;
  auto const* list = mlflow::get_array(doc, key);
  if (list == nullptr) return found;
  for (auto const& item : *list) {
    if (auto const* text = item.if_string()) found.emplace(*text);
  }
  return found;
}

json::array array_of(const std::set<std::string>& values) {
  return json::array(values.begin(), values.end());
}

std::set<std::string> with_all(std::set<std::string> values, const std::set<std::string>& more) {
  values.insert(more.begin(), more.end());
  return values;
}

struct ItemState {
  std::string status, completed_by;
  bool operator==(const ItemState&) const = default;
};
using Items = std::map<std::string, ItemState>;  // by trace

Items items_of(const json::object& doc) {
  Items items;
  auto const* list = mlflow::get_array(doc, "items");
  if (list == nullptr) return items;
  for (auto const& value : *list) {
    auto const* item = value.if_object();
    if (item == nullptr) continue;
    items[std::string(mlflow::get_string(*item, "item_id"))] = {
        std::string(mlflow::get_string(*item, "status")),
        std::string(mlflow::get_string(*item, "completed_by"))};
  }
  return items;
}

bool is_user_queue(const json::object& doc) {
  return mlflow::get_string(doc, "queue_type") == "USER";
}

struct Schemas {
  std::set<std::string> ids;
  std::string default_id;
};

// Makes the default one where it is missing: only asked of experiments that have queues, or get some.
async::Task<Schemas> read_schemas(mlflow::Client& client, std::string experiment) {
  auto const found = co_await list_all(
      client, http::Method::get,
      "/api/3.0/mlflow/label-schemas/list?max_results=1000&experiment_id=" + http::percent_encode(experiment),
      {}, "label_schemas");
  Schemas schemas;
  if (!found) co_return schemas;
  for (auto const& doc : *found) {
    std::string const id(mlflow::get_string(doc, "schema_id"));
    auto const* is_default = doc.if_contains("is_default");
    if (is_default != nullptr && *is_default == json::value(true)) schemas.default_id = id;
    schemas.ids.insert(id);
  }
  co_return schemas;
}

async::Task<std::optional<std::vector<json::object>>> read_queues(mlflow::Client& client,
                                                                  std::string experiment) {
  auto queues =
      co_await list_all(client, http::Method::get,
                        path + ("list?max_results=1000&experiment_id=" + http::percent_encode(experiment)),
                        {}, "review_queues");
  if (!queues) co_return std::nullopt;
  std::optional<Schemas> schemas;
  for (auto& queue : *queues) {
    auto const named = texts(queue, "schema_ids");
    if (named.empty()) continue;
    if (!schemas) schemas = co_await read_schemas(client, experiment);
    // Deleted ones stay in the list, and ask nothing.
    std::set<std::string> there;
    for (auto const& id : named) {
      if (id == schemas->default_id) {
        there.insert(default_schema);
      } else if (schemas->ids.contains(id)) {
        there.insert(id);
      }
    }
    queue["schema_ids"] = array_of(there);
  }
  co_return queues;
}

async::Task<std::set<std::string>> real_ids(mlflow::Client& client, std::string experiment,
                                            std::set<std::string> schemas) {
  if (schemas.erase(default_schema) == 0) co_return schemas;
  auto const there = co_await read_schemas(client, experiment);
  if (!there.default_id.empty()) schemas.insert(there.default_id);
  co_return schemas;
}

class ReviewQueueKind final : public ObjectKind {
 public:
  Kind kind() const override { return Kind::review_queue; }

  async::Task<std::optional<std::vector<ObjectRecord>>> list(const ServerView& server) const override {
    auto list_one = [&](std::string experiment) -> async::Task<std::optional<std::vector<json::object>>> {
      if (server.queueless != nullptr && server.queueless->contains(experiment)) co_return std::vector<json::object>();
      co_return co_await read_queues(server.client, std::move(experiment));
    };
    auto found = co_await list_by_experiment(server.experiments, list_one);
    if (!found) co_return std::nullopt;
    co_return to_records(kind(), std::move(*found), {"queue_id", "experiment_id", "name"});
  }

  async::Task<> complete(const ServerView& server, ObjectRecord& record) const override {
    auto const id = http::percent_encode(record.id);
    auto const answer = co_await server.client.call(http::Method::get, path + ("get?queue_id=" + id), {},
                                                    http::RequestClass::read);
    auto const* queue = answer ? mlflow::get_object(*answer, "review_queue") : nullptr;
    if (queue == nullptr) throw std::runtime_error("it cannot be read");
    for (auto const field : {"name", "users", "created_by"}) {
      record.doc.erase(field);
      if (auto const* value = queue->if_contains(field)) record.doc[field] = *value;
    }
    auto found = co_await list_all(server.client, http::Method::get,
                                   path + ("items/list?max_results=1000&queue_id=" + id), {}, "items");
    if (!found) throw std::runtime_error("the server has no list of a queue's items");
    json::array items;
    for (auto& item : *found) items.push_back(std::move(item));
    record.doc["items"] = std::move(items);
  }

  async::Task<MappedObject> map(const ObjectRecord& record, IdMap& ids) const override {
    auto mapped = co_await map_experiment(record, ids);
    if (!mapped.failure.empty()) co_return mapped;
    json::array schemas;
    for (auto const& id : texts(record.doc, "schema_ids")) {
      auto const copy = id == default_schema ? std::optional(id) : co_await ids.find(Kind::label_schema, id);
      if (copy) {
        schemas.emplace_back(*copy);
      } else {
        mapped.losses.push_back("its label schema " + id + " was not copied; the queue does not ask it");
      }
    }
    mapped.doc["schema_ids"] = std::move(schemas);
    json::array items;
    std::vector<std::string> lost;
    auto const* list = mlflow::get_array(record.doc, "items");
    for (auto const& item : list == nullptr ? json::array{} : *list) {
      auto const* object = item.if_object();
      std::string const id(object == nullptr ? std::string_view() : mlflow::get_string(*object, "item_id"));
      if (co_await ids.find(Kind::trace, id)) {
        items.push_back(item);
      } else {
        lost.push_back(id);
      }
    }
    mapped.doc["items"] = std::move(items);
    if (lost.empty()) co_return mapped;
    std::string text = "its items lack " + std::to_string(lost.size()) + " traces that were not copied: ";
    for (std::size_t i = 0; i < std::min(lost.size(), ids_in_a_loss); ++i) {
      text += (i == 0 ? "" : ", ") + lost[i];
    }
    mapped.losses.push_back(text + (lost.size() > ids_in_a_loss ? ", …" : ""));
    co_return mapped;
  }

  // The server ignores the case of names.
  std::string identity(const json::object& doc) const override {
    std::string name(mlflow::get_string(doc, "name"));
    for (auto& c : name) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return std::string(mlflow::get_string(doc, "experiment_id")) + "/" + name;
  }

  json::object comparable(const json::object& doc) const override {
    json::object out{{"name", mlflow::get_string(doc, "name")},
                     {"queue_type", mlflow::get_string(doc, "queue_type")},
                     {"created_by", mlflow::get_string(doc, "created_by")},
                     {"users", array_of(texts(doc, "users"))},
                     {"schema_ids", array_of(texts(doc, "schema_ids"))}};
    for (auto const& [id, item] : items_of(doc)) {
      out["item " + id] = {{"status", item.status}, {"completed_by", item.completed_by}};
    }
    return out;
  }

  async::Task<std::string> create(const ServerView& server, const json::object& wanted) const override {
    std::string const experiment(mlflow::get_string(wanted, "experiment_id"));
    json::object body{{"experiment_id", experiment}};
    json::object answer;
    if (is_user_queue(wanted)) {
      body["user"] = mlflow::get_string(wanted, "name");
      answer = co_await server.client.change(http::Method::post, path + std::string("get-or-create-user"),
                                             std::move(body), http::Repeat::safe);
    } else {
      auto const schemas = co_await real_ids(server.client, experiment, texts(wanted, "schema_ids"));
      body["name"] = mlflow::get_string(wanted, "name");
      body["queue_type"] = "CUSTOM";
      body["users"] = array_of(texts(wanted, "users"));
      body["schema_ids"] = array_of(schemas);
      answer = co_await server.client.change(http::Method::post, path + std::string("create"),
                                             std::move(body), http::Repeat::unclear);
    }
    auto const* queue = mlflow::get_object(answer, "review_queue");
    co_return std::string(queue == nullptr ? std::string_view() : mlflow::get_string(*queue, "queue_id"));
  }

  async::Task<std::vector<std::string>> update(const ServerView& server, const ObjectRecord& existing,
                                               const json::object& wanted, bool ours) const override {
    auto now = existing;
    // Of another type: nothing of it can be compared.
    if (is_user_queue(wanted) == is_user_queue(existing.doc)) {
      if (!is_user_queue(wanted)) {
        co_await put_schemas(server.client, now, wanted, ours);
        co_await put_fields(server.client, now, wanted, ours);
      }
      co_await put_items(server.client, now, wanted, ours);
      co_await complete(server, now);
    }
    co_return differing_fields(comparable(wanted), comparable(now.doc));
  }

 private:
  async::Task<> update_queue(mlflow::Client& client, std::string id, json::object changes) const {
    changes["queue_id"] = id;
    co_await client.change(http::Method::post, path + std::string("update"), std::move(changes),
                           http::Repeat::safe);
  }

  // While the queue has items its questions are fixed.
  async::Task<> put_schemas(mlflow::Client& client, ObjectRecord& existing, const json::object& wanted,
                            bool ours) const {
    auto const have = texts(existing.doc, "schema_ids");
    auto const want = texts(wanted, "schema_ids");
    auto const target = ours ? want : with_all(have, want);
    if (target == have) co_return;
    auto const items = items_of(existing.doc);
    if (!items.empty() && !ours) co_return;
    std::set<std::string> ids;
    for (auto const& [id, item] : items) ids.insert(id);
    co_await remove_items(client, existing.id, ids);
    existing.doc["items"] = json::array();
    std::string const experiment(mlflow::get_string(wanted, "experiment_id"));
    auto const real = co_await real_ids(client, experiment, target);
    co_await update_queue(client, existing.id, {{"update_schema_ids", true}, {"schema_ids", array_of(real)}});
    existing.doc["schema_ids"] = array_of(target);
  }

  async::Task<> put_fields(mlflow::Client& client, ObjectRecord& existing, const json::object& wanted,
                           bool ours) const {
    json::object changes;
    auto const have = texts(existing.doc, "users");
    auto const want = texts(wanted, "users");
    auto const target = ours ? want : with_all(have, want);
    if (target != have && target.size() <= most_users) {
      changes["update_users"] = true;
      changes["users"] = array_of(target);
    }
    auto const name = mlflow::get_string(wanted, "name");
    if (ours && name != mlflow::get_string(existing.doc, "name")) changes["name"] = name;
    if (!changes.empty()) co_await update_queue(client, existing.id, std::move(changes));
    auto const owner = mlflow::get_string(wanted, "created_by");
    if (!ours || owner.empty() || owner == mlflow::get_string(existing.doc, "created_by")) co_return;
    try {
      co_await update_queue(client, existing.id, {{"new_owner", owner}});
    } catch (const mlflow::ApiError& error) {
      if (error.status() != 403) throw;  // only those who manage the experiment may: it stays different
    }
  }

  async::Task<> put_items(mlflow::Client& client, const ObjectRecord& existing, const json::object& wanted,
                          bool ours) const {
    auto const have = items_of(existing.doc);
    auto const want = items_of(wanted);
    std::set<std::string> gone, missing;
    for (auto const& [id, item] : have) {
      if (ours && !want.contains(id)) gone.insert(id);
    }
    for (auto const& [id, item] : want) {
      if (!have.contains(id)) missing.insert(id);
    }
    co_await remove_items(client, existing.id, gone);
    co_await send_items(client, "items/add", existing.id, missing);
    for (auto const& [id, item] : want) {
      auto const found = have.find(id);
      if (found != have.end() && !ours) continue;
      co_await put_status(client, existing.id, id,
                          found == have.end() ? ItemState{pending, ""} : found->second, item);
    }
  }

  async::Task<> put_status(mlflow::Client& client, std::string queue, std::string id, ItemState have,
                           ItemState want) const {
    if (have == want) co_return;
    bool const reopened = want.status == pending;
    if (!reopened && want.completed_by.empty()) co_return;  // the server would refuse it
    // Whoever completed it is only taken together with a new status.
    if (!reopened && have.status == want.status) co_await set_status(client, queue, id, {pending, ""});
    co_await set_status(client, queue, id, {want.status, reopened ? "" : want.completed_by});
  }

  async::Task<> set_status(mlflow::Client& client, std::string queue, std::string id, ItemState state) const {
    json::object body{{"queue_id", queue}, {"item_id", id}, {"status", state.status}};
    if (!state.completed_by.empty()) body["completed_by"] = state.completed_by;
    co_await client.change(http::Method::post, path + std::string("items/set-status"), std::move(body),
                           http::Repeat::safe);
  }

  async::Task<> remove_items(mlflow::Client& client, std::string queue, std::set<std::string> ids) const {
    co_await send_items(client, "items/remove", queue, std::move(ids));
  }

  async::Task<> send_items(mlflow::Client& client, std::string call, std::string queue,
                           std::set<std::string> ids) const {
    for (auto it = ids.begin(); it != ids.end();) {
      json::array batch;
      for (; it != ids.end() && batch.size() < items_a_request; ++it) batch.emplace_back(*it);
      json::object body{{"queue_id", queue}, {"item_ids", std::move(batch)}};
      if (call == "items/add") body["item_type"] = "TRACE";
      co_await client.change(http::Method::post, path + call, std::move(body), http::Repeat::safe);
    }
  }
};

}  // namespace

std::unique_ptr<const ObjectKind> make_review_queue_kind() {
  return std::make_unique<ReviewQueueKind>();
}

}  // namespace mlferry::engine
