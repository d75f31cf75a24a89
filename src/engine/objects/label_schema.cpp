// Label schemas: the questions of reviewers (mlflow-rest 10.3). Listing an experiment's makes its default one
// where it is missing, so a source is only asked where that changes nothing, or where the server's own pages
// would do the same at the next look.

#include <array>

#include "engine/objects/object_records.hpp"

namespace mlferry::engine {

namespace {

constexpr std::array<std::string_view, 6> fields{"experiment_id", "name",           "type",
                                                 "instruction",   "enable_comment", "input"};
constexpr std::array<std::string_view, 3> changeable{"instruction", "enable_comment", "input"};
constexpr const char* path = "/api/3.0/mlflow/label-schemas/";
constexpr const char* default_name = "Feedback";

// Nullopt: the server knows no label schemas.
async::Task<std::optional<bool>> has_default(mlflow::Client& client, std::string experiment) {
  auto const target =
      path + ("get-by-name?experiment_id=" + http::percent_encode(experiment)) + "&name=" + default_name;
  try {
    auto const answer = co_await client.call(http::Method::get, target, {}, http::RequestClass::read);
    if (!answer) co_return std::nullopt;
  } catch (const mlflow::ApiError& error) {
    if (!error.not_found()) throw;
    co_return false;
  }
  co_return true;
}

async::Task<bool> has_queues(mlflow::Client& client, std::string experiment) {
  auto const answer = co_await client.call(
      http::Method::get,
      "/api/3.0/mlflow/review-queues/list?max_results=1&experiment_id=" + http::percent_encode(experiment),
      {}, http::RequestClass::search);
  auto const* queues = answer ? mlflow::get_array(*answer, "review_queues") : nullptr;
  co_return queues != nullptr && !queues->empty();
}

void note_queues(const ServerView& server, const std::string& experiment, bool queues) {
  if (server.queueless == nullptr) return;
  if (queues) {
    server.queueless->erase(experiment);
  } else {
    server.queueless->insert(experiment);
  }
}

class LabelSchemaKind final : public ObjectKind {
 public:
  Kind kind() const override { return Kind::label_schema; }

  async::Task<std::optional<std::vector<ObjectRecord>>> list(const ServerView& server) const override {
    std::size_t not_asked = 0;
    auto list_one = [&](std::string experiment) -> async::Task<std::optional<std::vector<json::object>>> {
      auto const there = co_await has_default(server.client, experiment);
      if (!there) co_return std::nullopt;
      if (!*there && server.untraced.contains(experiment)) {
        bool const queues = co_await has_queues(server.client, experiment);
        note_queues(server, experiment, queues);
        if (!queues) {
          ++not_asked;
          co_return std::vector<json::object>();
        }
      }
      co_return co_await list_all(
          server.client, http::Method::get,
          path + ("list?max_results=1000&experiment_id=" + http::percent_encode(experiment)), {},
          "label_schemas");
    };
    auto found = co_await list_by_experiment(server.experiments, list_one);
    if (!found) co_return std::nullopt;
    if (not_asked > 0 && server.note) {
      server.note(std::to_string(not_asked) + " experiments of " + server.client.http().base_url() +
                  " were not asked for label schemas: they have no traces, no review queues and no default "
                  "label schema, and asking would make that one in each of them");
    }
    std::erase_if(*found, [](const json::object& doc) {
      auto const* is_default = doc.if_contains("is_default");
      return is_default != nullptr && *is_default == json::value(true);
    });
    co_return to_records(kind(), std::move(*found), {"schema_id", "experiment_id", "name"});
  }

  async::Task<MappedObject> map(const ObjectRecord& record, IdMap& ids) const override {
    co_return co_await map_experiment(record, ids);
  }

  std::string identity(const json::object& doc) const override {
    return std::string(mlflow::get_string(doc, "experiment_id")) + "/" +
           std::string(mlflow::get_string(doc, "name"));
  }
  json::object comparable(const json::object& doc) const override { return only_fields(doc, fields); }

  async::Task<std::string> create(const ServerView& server, const json::object& wanted) const override {
    auto const answer = co_await server.client.change(http::Method::post, path + std::string("create"),
                                                      only_fields(wanted, fields), http::Repeat::unclear);
    auto const* schema = mlflow::get_object(answer, "label_schema");
    co_return std::string(schema == nullptr ? std::string_view() : mlflow::get_string(*schema, "schema_id"));
  }

  async::Task<std::vector<std::string>> update(const ServerView& server, const ObjectRecord& existing,
                                               const json::object& wanted, bool ours) const override {
    auto have = comparable(existing.doc);
    auto const want = comparable(wanted);
    json::object changes;
    for (auto const field : changeable) {
      auto const* value = want.if_contains(field);
      auto const* old = have.if_contains(field);
      if (!ours || value == nullptr || (old != nullptr && *old == *value)) continue;
      // The kind of input is fixed, and the server refuses the call as a whole.
      if (field == "input" && !same_input(*value, old)) continue;
      changes[field] = *value;
    }
    if (!changes.empty()) {
      for (auto const& [key, value] : changes) have[key] = value;
      changes["schema_id"] = existing.id;
      co_await server.client.change(http::Method::patch, path + std::string("update"), std::move(changes),
                                    http::Repeat::safe);
    }
    co_return differing_fields(want, have);
  }

 private:
  static bool same_input(const json::value& wanted, const json::value* existing) {
    auto const* a = wanted.if_object();
    auto const* b = existing == nullptr ? nullptr : existing->if_object();
    if (a == nullptr || b == nullptr || a->empty() || b->empty()) return false;
    if (a->begin()->key() != b->begin()->key()) return false;
    auto multi_select = [](const json::value& input) {
      auto const* object = input.if_object();
      auto const* value = object == nullptr ? nullptr : object->if_contains("multi_select");
      return value != nullptr && *value == json::value(true);
    };
    return multi_select(a->begin()->value()) == multi_select(b->begin()->value());
  }
};

}  // namespace

std::unique_ptr<const ObjectKind> make_label_schema_kind() {
  return std::make_unique<LabelSchemaKind>();
}

}  // namespace mlferry::engine
