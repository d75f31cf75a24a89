// Evaluation datasets with their records (mlflow-rest 10.1). A record is what its inputs are: sending it
// again updates it. Records and tags travel as JSON text within JSON.

#include <algorithm>
#include <array>
#include <map>

#include "engine/endpoints/markers.hpp"
#include "engine/objects/object_records.hpp"
#include "protocol/http/error.hpp"

namespace mlferry::engine {

namespace {

constexpr const char* path = "/api/3.0/mlflow/datasets/";
constexpr int records_a_page = 1000;
constexpr std::size_t most_batch_records = 500;
constexpr std::size_t most_batch_bytes = 4u << 20;
constexpr std::array<std::string_view, 5> record_fields{"inputs", "outputs", "expectations", "tags",
                                                        "source"};

json::value parsed(std::string_view text, const char* what) {
  return text.empty() ? json::value() : mlflow::parse_json(text, what);
}

json::object tag_object(const json::object& doc) {
  auto const value = parsed(mlflow::get_string(doc, "tags"), "tags of a dataset");
  return value.is_object() ? value.get_object() : json::object();
}

// A record as it is sent and compared: what is empty is as good as absent.
json::object plain_record(const json::object& record) {
  auto plain = only_fields(record, record_fields);
  for (auto const field : {"outputs", "expectations", "tags"}) {
    auto const* value = mlflow::get_object(plain, field);
    if (value != nullptr && value->empty()) plain.erase(field);
  }
  return plain;
}

std::string key_of(const json::object& record) {
  auto const* inputs = record.if_contains("inputs");
  return inputs == nullptr ? std::string() : mlflow::to_canonical_json(*inputs);
}

using Records = std::map<std::string, const json::object*>;  // by inputs

Records records_of(const json::object& doc) {
  Records records;
  auto const* list = mlflow::get_array(doc, "records");
  if (list == nullptr) return records;
  for (auto const& item : *list) {
    if (auto const* record = item.if_object()) records[key_of(*record)] = record;
  }
  return records;
}

json::array sorted_ids(const json::object& doc) {
  std::vector<std::string> ids;
  auto const* list = mlflow::get_array(doc, "experiment_ids");
  for (auto const& id : list == nullptr ? json::array{} : *list) {
    if (auto const* text = id.if_string()) ids.emplace_back(*text);
  }
  std::sort(ids.begin(), ids.end());
  return json::array(ids.begin(), ids.end());
}

async::Task<json::array> read_records(mlflow::Client& client, std::string id) {
  json::array records;
  std::string token;
  int page_size = records_a_page;
  while (true) {
    auto target = path + id + "/records?max_results=" + std::to_string(page_size);
    if (!token.empty()) target += "&page_token=" + http::percent_encode(token);
    std::optional<json::object> answer;
    bool too_large = false;
    try {
      answer = co_await client.call(http::Method::get, target, {}, http::RequestClass::read);
    } catch (const http::ResponseTooLarge&) {
      if (page_size <= 1) throw;
      too_large = true;
    }
    if (too_large) {
      page_size = std::max(1, page_size / 8);
      continue;
    }
    if (!answer) throw std::runtime_error("the server has no list of a dataset's records");
    auto page = parsed(mlflow::get_string(*answer, "records"), "records of a dataset");
    if (page.is_array()) {
      for (auto& item : page.get_array()) {
        if (!item.is_object()) throw std::runtime_error("one of its records is no object");
        records.push_back(std::move(item));
      }
    }
    std::string const next(mlflow::get_string(*answer, "next_page_token"));
    if (next.empty() || !page.is_array() || page.get_array().empty()) co_return records;
    if (next == token) throw std::runtime_error("the list of its records does not end");
    token = next;
  }
}

class EvaluationDatasetKind final : public ObjectKind {
 public:
  Kind kind() const override { return Kind::evaluation_dataset; }

  async::Task<std::optional<std::vector<ObjectRecord>>> list(const ServerView& server) const override {
    auto found = co_await list_all(server.client, http::Method::post, path + std::string("search"),
                                   {{"max_results", 1000}}, "datasets");
    if (!found) co_return std::nullopt;
    co_return to_records(kind(), std::move(*found), {"dataset_id", "", "name"});
  }

  async::Task<> complete(const ServerView& server, ObjectRecord& record) const override {
    auto const answer = co_await server.client.call(http::Method::get, path + record.id + "/experiment-ids",
                                                    {}, http::RequestClass::read);
    auto const* ids = answer ? mlflow::get_array(*answer, "experiment_ids") : nullptr;
    record.doc["experiment_ids"] = ids == nullptr ? json::array() : *ids;
    record.doc["records"] = co_await read_records(server.client, record.id);
  }

  async::Task<MappedObject> map(const ObjectRecord& record, IdMap& ids) const override {
    MappedObject mapped{record.doc, {}, {}};
    json::array experiments;
    for (auto const& id : sorted_ids(record.doc)) {
      std::string const text(id.get_string());
      auto const copy = co_await ids.find(Kind::experiment, text);
      if (copy) {
        experiments.emplace_back(*copy);
      } else {
        mapped.losses.push_back("its experiment " + text +
                                " was not copied; the dataset is not linked with it");
      }
    }
    mapped.doc["experiment_ids"] = std::move(experiments);
    co_return mapped;
  }

  std::string identity(const json::object& doc) const override {
    return std::string(mlflow::get_string(doc, "name"));
  }

  json::object comparable(const json::object& doc) const override {
    auto tags = tag_object(doc);
    for (auto it = tags.begin(); it != tags.end();) {
      it = it->key().starts_with(marker_prefix) ? tags.erase(it) : it + 1;
    }
    json::object out{{"name", mlflow::get_string(doc, "name")},
                     {"tags", std::move(tags)},
                     {"experiments", sorted_ids(doc)}};
    for (auto const& [inputs, record] : records_of(doc)) {
      out["record of " + inputs] = plain_record(*record);
    }
    return out;
  }

  std::optional<mlflow::KeyValues> tags(const json::object& doc) const override {
    mlflow::KeyValues tags;
    for (auto const& [key, value] : tag_object(doc)) {
      if (auto const* text = value.if_string()) tags.push_back({std::string(key), std::string(*text)});
    }
    return tags;
  }

  void set_tags(json::object& doc, const mlflow::KeyValues& tags) const override {
    auto object = tag_object(doc);
    for (auto it = object.begin(); it != object.end();)
      it = it->value().is_string() ? object.erase(it) : it + 1;
    for (auto const& tag : tags) object[tag.key] = tag.value;
    doc["tags"] = mlflow::to_json(object);
  }

  async::Task<std::string> create(const ServerView& server, const json::object& wanted) const override {
    json::object body{{"name", mlflow::get_string(wanted, "name")},
                      {"experiment_ids", sorted_ids(wanted)},
                      {"tags", mlflow::to_json(tag_object(wanted))}};
    auto const answer = co_await server.client.change(http::Method::post, path + std::string("create"),
                                                      std::move(body), http::Repeat::unclear);
    auto const* dataset = mlflow::get_object(answer, "dataset");
    co_return std::string(dataset == nullptr ? std::string_view()
                                             : mlflow::get_string(*dataset, "dataset_id"));
  }

  async::Task<std::vector<std::string>> update(const ServerView& server, const ObjectRecord& existing,
                                               const json::object& wanted, bool ours) const override {
    auto& client = server.client;
    auto const want = comparable(wanted);
    auto have = comparable(existing.doc);
    if (ours && have.at("tags") != want.at("tags")) {
      json::object body{{"dataset_id", existing.id}, {"tags", mlflow::to_json(tag_object(wanted))}};
      co_await client.change(http::Method::patch, path + existing.id + "/tags", std::move(body),
                             http::Repeat::safe);
      for (auto const& [key, value] : want.at("tags").get_object()) have.at("tags").get_object()[key] = value;
    }
    if (have.at("experiments") != want.at("experiments") && !want.at("experiments").get_array().empty()) {
      json::object body{{"dataset_id", existing.id}, {"experiment_ids", want.at("experiments")}};
      co_await client.change(http::Method::post, path + existing.id + "/add-experiments", std::move(body),
                             http::Repeat::safe);
    }
    co_await send_records(client, existing, wanted, ours);
    ObjectRecord now = existing;
    co_await complete(server, now);
    now.doc["tags"] = mlflow::to_json(have.at("tags").get_object());
    co_return differing_fields(want, comparable(now.doc));
  }

  async::Task<> discard(const ServerView& server, std::string id) const override {
    co_await server.client.change(http::Method::del, path + id, {}, http::Repeat::safe);  // repeated: 200
  }

 private:
  // Listings give the newest first, so the last is sent first.
  async::Task<> send_records(mlflow::Client& client, const ObjectRecord& existing, const json::object& wanted,
                             bool ours) const {
    auto const have = records_of(existing.doc);
    auto const* list = mlflow::get_array(wanted, "records");
    json::array batch;
    std::size_t bytes = 0;
    for (auto i = list == nullptr ? 0 : list->size(); i > 0; --i) {
      auto const* record = (*list)[i - 1].if_object();
      if (record == nullptr) continue;
      auto plain = plain_record(*record);
      auto const there = have.find(key_of(*record));
      if (there != have.end() && plain_record(*there->second) == plain) continue;
      if (there != have.end() && !ours) continue;
      bytes += mlflow::to_json(plain).size();
      batch.push_back(std::move(plain));
      if (batch.size() >= most_batch_records || bytes >= most_batch_bytes) {
        co_await send_batch(client, existing.id, std::exchange(batch, {}));
        bytes = 0;
      }
    }
    if (!batch.empty()) co_await send_batch(client, existing.id, std::move(batch));
    if (!ours) co_return;
    json::array gone;
    auto const want = records_of(wanted);
    for (auto const& [inputs, record] : have) {
      if (!want.contains(inputs)) gone.emplace_back(mlflow::get_string(*record, "dataset_record_id"));
    }
    if (gone.empty()) co_return;
    json::object body{{"dataset_id", existing.id}, {"dataset_record_ids", std::move(gone)}};
    co_await client.change(http::Method::del, path + existing.id + "/records", std::move(body),
                           http::Repeat::safe);
  }

  async::Task<> send_batch(mlflow::Client& client, std::string id, json::array records) const {
    json::object body{{"dataset_id", id}, {"records", mlflow::to_json(json::value(std::move(records)))}};
    co_await client.change(http::Method::post, path + id + "/records", std::move(body), http::Repeat::safe);
  }
};

}  // namespace

std::unique_ptr<const ObjectKind> make_evaluation_dataset_kind() {
  return std::make_unique<EvaluationDatasetKind>();
}

}  // namespace mlferry::engine
