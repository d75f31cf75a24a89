// Scorers with their versions (mlflow-rest 10.2). The server numbers versions itself, so gaps are filled with
// placeholders that are deleted when a later version is there: a deleted last number would be used again.

#include <algorithm>
#include <map>

#include "engine/failure.hpp"
#include "engine/objects/object_records.hpp"
#include "protocol/http/error.hpp"

namespace mlferry::engine {

namespace {

constexpr const char* path = "/api/3.0/mlflow/scorers/";
constexpr const char* placeholder = R"({"mlferry": "placeholder of a version that the original lacks"})";
constexpr std::int64_t most_versions = 10'000;
constexpr int most_lost_answers = 3;

using Versions = std::map<std::int64_t, std::string>;  // number -> text

Versions versions_of(const json::object& doc) {
  Versions versions;
  auto const* list = mlflow::get_array(doc, "versions");
  if (list == nullptr) return versions;
  for (auto const& item : *list) {
    auto const* version = item.if_object();
    if (version == nullptr) continue;
    versions[mlflow::get_int(*version, "version").value_or(0)] =
        mlflow::get_string(*version, "serialized_scorer");
  }
  return versions;
}

std::string query(std::string_view experiment, std::string_view name) {
  return "experiment_id=" + http::percent_encode(experiment) + "&name=" + http::percent_encode(name);
}

// The texts as they were registered: the lists give them re-formatted.
async::Task<Versions> read_versions(mlflow::Client& client, std::string experiment, std::string name) {
  auto const where = query(experiment, name);
  auto const listed =
      co_await list_all(client, http::Method::get, path + ("versions?" + where), {}, "scorers");
  if (!listed) throw std::runtime_error("the server has no list of a scorer's versions");
  Versions versions;
  for (auto const& item : *listed) {
    auto const number = mlflow::get_int(item, "scorer_version").value_or(0);
    auto const answer = co_await client.call(http::Method::get,
                                             path + ("get?" + where + "&version=" + std::to_string(number)),
                                             {}, http::RequestClass::read);
    auto const* scorer = answer ? mlflow::get_object(*answer, "scorer") : nullptr;
    if (scorer == nullptr) throw std::runtime_error("version " + std::to_string(number) + " cannot be read");
    versions[number] = mlflow::get_string(*scorer, "serialized_scorer");
  }
  co_return versions;
}

// How often the server itself runs the scorer on new traces: {sample_rate, filter_string}; empty: never. Servers before
// 3.9 have no such call.
async::Task<json::object> read_online_config(mlflow::Client& client, std::string scorer_id) {
  auto const answer =
      co_await client.call(http::Method::get, path + ("online-configs?scorer_ids=" + http::percent_encode(scorer_id)), {},
                           http::RequestClass::read);
  auto const* configs = answer ? mlflow::get_array(*answer, "configs") : nullptr;
  if (configs == nullptr || configs->empty() || !configs->front().is_object()) co_return json::object();
  auto const& config = configs->front().get_object();
  json::object out;
  for (auto const* field : {"sample_rate", "filter_string"}) {
    if (config.contains(field)) out[field] = config.at(field);
  }
  co_return out;
}

json::object online_config_of(const json::object& doc) {
  auto const* config = mlflow::get_object(doc, "online_config");
  if (config == nullptr) return {};
  auto const* rate = config->if_contains("sample_rate");
  bool const off = rate == nullptr || !rate->is_number() || rate->to_number<double>() == 0;
  return off ? json::object() : *config;
}

async::Task<> put_online_config(mlflow::Client& client, json::object wanted) {
  auto const config = online_config_of(wanted);
  json::object body{{"experiment_id", wanted.at("experiment_id")}, {"name", wanted.at("name")}, {"sample_rate", 0.0}};
  for (auto const& [field, value] : config) body[field] = value;
  co_await client.change(http::Method::put, path + std::string("online-config"), std::move(body), http::Repeat::safe);
}

async::Task<> register_version(mlflow::Client& client, std::string experiment, std::string name,
                               std::string text) {
  json::object body{{"experiment_id", experiment}, {"name", name}, {"serialized_scorer", text}};
  co_await client.change(http::Method::post, path + std::string("register"), std::move(body),
                         http::Repeat::unclear);
}

// After an answer that was lost the versions are read again before anything is sent.
async::Task<Versions> register_up_to(mlflow::Client& client, std::string experiment, std::string name,
                                     Versions have, Versions wanted) {
  auto const last = wanted.empty() ? 0 : wanted.rbegin()->first;
  if (last > most_versions)
    throw std::runtime_error("more than " + std::to_string(most_versions) + " versions");
  int lost = 0;
  for (auto next = have.empty() ? 1 : have.rbegin()->first + 1; next <= last;
       next = have.empty() ? 1 : have.rbegin()->first + 1) {
    auto const found = wanted.find(next);
    std::string const text = found == wanted.end() ? placeholder : found->second;
    bool answered = true;
    try {
      co_await register_version(client, experiment, name, text);
    } catch (const http::TransportError& error) {
      if (!error.outcome_unknown() || ++lost > most_lost_answers) throw;
      answered = false;
    }
    if (answered) {
      have[next] = text;
    } else {
      have = co_await read_versions(client, experiment, name);
    }
  }
  co_return have;
}

class ScorerKind final : public ObjectKind {
 public:
  Kind kind() const override { return Kind::scorer; }

  async::Task<std::optional<std::vector<ObjectRecord>>> list(const ServerView& server) const override {
    auto found =
        co_await list_all(server.client, http::Method::get, path + std::string("list"), {}, "scorers");
    if (!found) co_return std::nullopt;
    std::vector<ObjectRecord> records;
    for (auto& doc : *found) {
      auto& record = records.emplace_back();
      record.kind = kind();
      // A number in answers, a text in requests.
      record.parent = std::to_string(mlflow::get_int(doc, "experiment_id").value_or(-1));
      record.name = mlflow::get_string(doc, "scorer_name");
      record.id = record.parent + "/" + record.name;
      record.doc = {{"experiment_id", record.parent},
                    {"name", record.name},
                    {"scorer_id", mlflow::get_string(doc, "scorer_id")}};
    }
    co_return records;
  }

  async::Task<> complete(const ServerView& server, ObjectRecord& record) const override {
    std::string const experiment(mlflow::get_string(record.doc, "experiment_id"));
    auto const versions = co_await read_versions(server.client, experiment, record.name);
    json::array list;
    for (auto const& [number, text] : versions)
      list.push_back({{"version", number}, {"serialized_scorer", text}});
    record.doc["versions"] = std::move(list);
    record.doc.erase("online_config");
    std::string const id(mlflow::get_string(record.doc, "scorer_id"));
    if (id.empty()) co_return;  // one that was just made: it has none
    auto config = co_await read_online_config(server.client, id);
    if (!config.empty()) record.doc["online_config"] = std::move(config);
  }

  async::Task<MappedObject> map(const ObjectRecord& record, IdMap& ids) const override {
    auto mapped = co_await map_experiment(record, ids);
    mapped.doc.erase("scorer_id");  // the original's
    co_return mapped;
  }

  std::string identity(const json::object& doc) const override {
    return std::string(mlflow::get_string(doc, "experiment_id")) + "/" +
           std::string(mlflow::get_string(doc, "name"));
  }

  json::object comparable(const json::object& doc) const override {
    json::object out{{"name", mlflow::get_string(doc, "name")}};
    for (auto const& [number, text] : versions_of(doc)) out["version " + std::to_string(number)] = text;
    if (auto config = online_config_of(doc); !config.empty()) out["online scoring"] = std::move(config);
    return out;
  }

  async::Task<std::string> create(const ServerView& server, const json::object& wanted) const override {
    auto const versions = versions_of(wanted);
    auto const first = versions.find(1);
    co_await register_version(server.client, std::string(mlflow::get_string(wanted, "experiment_id")),
                              std::string(mlflow::get_string(wanted, "name")),
                              first == versions.end() ? placeholder : first->second);
    co_return identity(wanted);
  }

  async::Task<std::vector<std::string>> update(const ServerView& server, const ObjectRecord& existing,
                                               const json::object& wanted, bool ours) const override {
    std::string const experiment(mlflow::get_string(wanted, "experiment_id"));
    auto const want = versions_of(wanted);
    auto have =
        co_await register_up_to(server.client, experiment, existing.name, versions_of(existing.doc), want);
    auto const last = have.empty() ? 0 : have.rbegin()->first;
    for (auto it = have.begin(); it != have.end();) {
      // A later version must be there, or the number would be used again.
      if (it->second != placeholder || want.contains(it->first) || it->first == last) {
        ++it;
        continue;
      }
      json::object body{{"experiment_id", experiment}, {"name", existing.name}, {"version", it->first}};
      co_await server.client.change(http::Method::del, path + std::string("delete"), std::move(body),
                                    http::Repeat::safe);
      it = have.erase(it);
    }
    std::vector<std::string> left;
    for (auto const& [number, text] : want) {
      auto const found = have.find(number);
      if (found == have.end()) {
        left.push_back("version " + std::to_string(number) +
                       " cannot be made any more: the destination is at " + std::to_string(last));
      } else if (found->second != text) {
        left.push_back("version " + std::to_string(number) + " is another one in the destination");
      }
    }
    auto const config = online_config_of(existing.doc);
    if (online_config_of(wanted) != config) {
      if (ours || config.empty()) {
        auto const failure = co_await attempt(put_online_config(server.client, wanted));
        if (failure) left.push_back("its online scoring could not be set: " + *failure);
      } else {
        left.push_back("online scoring has other settings in the destination");
      }
    }
    for (auto const& [number, text] : have) {
      if (!want.contains(number))
        left.push_back("version " + std::to_string(number) + " is not in the original");
    }
    co_return left;
  }
};

}  // namespace

std::unique_ptr<const ObjectKind> make_scorer_kind() {
  return std::make_unique<ScorerKind>();
}

}  // namespace mlferry::engine
