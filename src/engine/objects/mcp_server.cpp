// MCP servers with versions, aliases, tags and access endpoints (mlflow-rest 10.6). Answers say null for what
// is absent, and show the newest version's description and icons where the server has none of its own: so
// these are written last, and only where they differ then.

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "engine/objects/object_kind.hpp"
#include "protocol/http/error.hpp"

namespace mlferry::engine {

namespace {

constexpr const char* path = "/api/3.0/mlflow/mcp-servers";
constexpr std::array<std::string_view, 2> own_texts{"description", "display_name"};
constexpr std::array<std::string_view, 4> target_fields{"server_alias", "server_version", "transport_type",
                                                        "url"};
constexpr int most_lost_answers = 3;

using Texts = std::map<std::string, std::string>;

std::string target_of(std::string_view name, std::string_view rest = {}) {
  return path + ("/" + http::percent_encode_path(name)) + std::string(rest);
}

std::string target_of_version(std::string_view name, std::string_view version, std::string_view rest = {}) {
  return target_of(name, "/versions/" + http::percent_encode(version)) + std::string(rest);
}

Texts tags_of(const json::object& doc) {
  Texts tags;
  auto const* object = mlflow::get_object(doc, "tags");
  if (object == nullptr) return tags;
  for (auto const& [key, value] : *object) {
    if (auto const* text = value.if_string()) tags[std::string(key)] = *text;
  }
  return tags;
}

std::vector<const json::object*> objects_in(const json::object& doc, std::string_view key) {
  std::vector<const json::object*> found;
  auto const* list = mlflow::get_array(doc, key);
  if (list == nullptr) return found;
  for (auto const& item : *list) {
    if (auto const* object = item.if_object()) found.push_back(object);
  }
  return found;
}

Texts aliases_of(const json::object& doc) {
  Texts aliases;
  for (auto const* item : objects_in(doc, "aliases"))
    aliases[std::string(mlflow::get_string(*item, "alias"))] = mlflow::get_string(*item, "version");
  return aliases;
}

json::object object_of(const Texts& texts) {
  json::object out;
  for (auto const& [key, value] : texts) out[key] = value;
  return out;
}

// What the server itself has, not its newest version.
json::array own_icons(const json::object& doc) {
  json::array icons;
  for (auto const* item : objects_in(doc, "icons")) {
    if (mlflow::get_string(*item, "source") == "version") continue;
    auto icon = *item;
    icon.erase("source");
    icons.push_back(std::move(icon));
  }
  return icons;
}

json::array plain_tools(const json::object& version) {
  json::array tools;
  for (auto const* item : objects_in(version, "tools")) {
    json::object tool;
    for (auto const& [key, value] : *item) {
      if (!value.is_null()) tool[key] = value;
    }
    tools.push_back(std::move(tool));
  }
  return tools;
}

json::value field_of(const json::object& doc, std::string_view key) {
  auto const* value = doc.if_contains(key);
  return value == nullptr ? json::value() : *value;
}

// A version without what no call can set.
json::object plain_version(const json::object& version) {
  json::object out{{"server_json", field_of(version, "server_json")},
                   {"status", mlflow::get_string(version, "status")},
                   {"tags", object_of(tags_of(version))}};
  if (auto const source = mlflow::get_string(version, "source"); !source.empty()) out["source"] = source;
  if (auto tools = plain_tools(version); !tools.empty()) out["tools"] = std::move(tools);
  auto const* options = mlflow::get_object(version, "connect_options");
  if (options != nullptr && !options->empty()) out["connect_options"] = *options;
  return out;
}

using Versions = std::map<std::string, const json::object*>;

Versions versions_of(const json::object& doc) {
  Versions versions;
  for (auto const* version : objects_in(doc, "versions"))
    versions[std::string(mlflow::get_string(*version, "version"))] = version;
  return versions;
}

// The texts of the endpoints' targets, with the endpoints' ids; two may be equal.
using Endpoints = std::multimap<std::string, std::string>;

Endpoints endpoints_of(const json::object& doc) {
  Endpoints endpoints;
  for (auto const* item : objects_in(doc, "access_endpoints")) {
    endpoints.emplace(mlflow::to_canonical_json(json::value(only_fields(*item, target_fields))),
                      std::string(mlflow::get_string(*item, "id")));
  }
  return endpoints;
}

// The statuses on the way, the last one included; every step is one that the server allows.
std::vector<std::string> way_between(std::string_view from, std::string_view to) {
  if (from == to) return {};
  if (from != "active" && to != "active") return {"active", std::string(to)};
  return {std::string(to)};
}

async::Task<json::object> read_server(mlflow::Client& client, std::string name) {
  auto answer = co_await client.call(http::Method::get, target_of(name), {}, http::RequestClass::read);
  if (!answer) throw std::runtime_error("it cannot be read");
  auto* endpoints = answer->if_contains("access_endpoints");
  if (endpoints != nullptr && endpoints->is_array()) {
    for (auto& endpoint : endpoints->get_array()) {
      if (endpoint.is_object()) endpoint.get_object().erase("resolved_version");
    }
  }
  auto versions = co_await list_all(client, http::Method::get, target_of(name, "/versions?max_results=1000"),
                                    {}, "mcp_server_versions");
  if (!versions) throw std::runtime_error("the server has no list of an MCP server's versions");
  // Of two builds of one version the newer one is the later one: they are made again in this order.
  std::multimap<std::int64_t, json::object> by_age;
  for (auto it = versions->rbegin(); it != versions->rend(); ++it) {
    auto const time = mlflow::get_int(*it, "creation_timestamp").value_or(0);
    by_age.emplace(time, std::move(*it));
  }
  json::array list;
  for (auto& [time, version] : by_age) list.push_back(std::move(version));
  (*answer)["versions"] = std::move(list);
  co_return std::move(*answer);
}

class McpServerKind final : public ObjectKind {
 public:
  Kind kind() const override { return Kind::mcp_server; }

  async::Task<std::optional<std::vector<ObjectRecord>>> list(const ServerView& server) const override {
    auto found = co_await list_all(server.client, http::Method::get, path + std::string("?max_results=100"),
                                   {}, "mcp_servers");
    if (!found) co_return std::nullopt;
    std::vector<ObjectRecord> records;
    for (auto& doc : *found) {
      auto& record = records.emplace_back();
      record.kind = kind();
      record.name = mlflow::get_string(doc, "name");
      record.id = record.name;
      record.doc = std::move(doc);
    }
    co_return records;
  }

  async::Task<> complete(const ServerView& server, ObjectRecord& record) const override {
    record.doc = co_await read_server(server.client, record.name);
  }

  std::string identity(const json::object& doc) const override {
    return std::string(mlflow::get_string(doc, "name"));
  }

  json::object comparable(const json::object& doc) const override {
    json::object out{{"name", mlflow::get_string(doc, "name")},
                     {"tags", object_of(tags_of(doc))},
                     {"aliases", object_of(aliases_of(doc))}};
    for (auto const field : own_texts) {
      if (auto const* value = doc.if_contains(field); value != nullptr && !value->is_null())
        out[field] = *value;
    }
    if (auto icons = own_icons(doc); !icons.empty()) out["icons"] = std::move(icons);
    for (auto const& [number, version] : versions_of(doc)) out["version " + number] = plain_version(*version);
    json::array endpoints;
    for (auto const& [target, id] : endpoints_of(doc)) endpoints.emplace_back(target);
    out["access endpoints"] = std::move(endpoints);
    return out;
  }

  async::Task<std::string> create(const ServerView& server, const json::object& wanted) const override {
    auto const answer = co_await server.client.change(
        http::Method::post, path, {{"name", mlflow::get_string(wanted, "name")}}, http::Repeat::unclear);
    co_return std::string(mlflow::get_string(answer, "name"));
  }

  async::Task<std::vector<std::string>> update(const ServerView& server, const ObjectRecord& existing,
                                               const json::object& wanted, bool ours) const override {
    auto& client = server.client;
    auto const& name = existing.name;
    auto const have = versions_of(existing.doc);
    for (auto const* version : objects_in(wanted, "versions")) {
      auto const found = have.find(std::string(mlflow::get_string(*version, "version")));
      if (found == have.end()) {
        co_await create_version(client, name, *version);
      } else {
        co_await update_version(client, name, *found->second, *version, ours);
      }
    }
    co_await put_tags(client, target_of(name, "/tags"), tags_of(existing.doc), tags_of(wanted), ours);
    // A version that was deleted here keeps its number, and nothing can point to it.
    auto const made = co_await read_server(client, name);
    auto const live = versions_of(made);
    auto aliases = aliases_of(wanted);
    std::erase_if(aliases, [&](auto const& item) { return !live.contains(item.second); });
    co_await put_aliases(client, name, aliases_of(existing.doc), aliases, ours);
    co_await put_endpoints(client, name, wanted, ours);
    co_await put_own_fields(client, name, wanted, ours);
    auto const now = co_await read_server(client, name);
    co_return differing_fields(comparable(wanted), comparable(now));
  }

 private:
  async::Task<> set_tag(mlflow::Client& client, std::string target, std::string key,
                        std::string value) const {
    co_await client.change(http::Method::post, target, {{"key", key}, {"value", value}}, http::Repeat::safe);
  }

  // For what another attempt, whose answer was lost, may have removed.
  async::Task<> remove(mlflow::Client& client, std::string target) const {
    try {
      co_await client.change(http::Method::del, target, {}, http::Repeat::safe);
    } catch (const mlflow::ApiError& error) {
      if (!error.not_found()) throw;
    }
  }

  async::Task<bool> is_there(mlflow::Client& client, std::string target) const {
    try {
      auto const answer = co_await client.call(http::Method::get, target, {}, http::RequestClass::read);
      co_return answer.has_value();
    } catch (const mlflow::ApiError& error) {
      if (!error.not_found()) throw;
    }
    co_return false;
  }

  async::Task<> put_tags(mlflow::Client& client, std::string target, Texts have, Texts want,
                         bool ours) const {
    for (auto const& [key, value] : want) {
      auto const found = have.find(key);
      if (found != have.end() && (found->second == value || !ours)) continue;
      co_await set_tag(client, target, key, value);
    }
    for (auto const& [key, value] : have) {
      if (ours && !want.contains(key)) co_await remove(client, target + "/" + http::percent_encode(key));
    }
  }

  async::Task<> put_aliases(mlflow::Client& client, std::string name, Texts have, Texts want,
                            bool ours) const {
    auto const target = target_of(name, "/aliases");
    for (auto const& [alias, version] : want) {
      auto const found = have.find(alias);
      if (found != have.end() && (found->second == version || !ours)) continue;
      co_await client.change(http::Method::post, target, {{"alias", alias}, {"version", version}},
                             http::Repeat::safe);
    }
    for (auto const& [alias, version] : have) {
      if (ours && !want.contains(alias)) co_await remove(client, target + "/" + http::percent_encode(alias));
    }
  }

  async::Task<> set_status(mlflow::Client& client, std::string name, std::string version, std::string from,
                           std::string to) const {
    for (auto const& status : way_between(from, to)) {
      // Not sent again: the server refuses a status that is there already.
      co_await client.change(http::Method::patch, target_of_version(name, version), {{"status", status}},
                             http::Repeat::unclear);
    }
  }

  async::Task<> create_version(mlflow::Client& client, std::string name, json::object version) const {
    std::string const number(mlflow::get_string(version, "version"));
    auto const plain = plain_version(version);
    std::string const status(mlflow::get_string(plain, "status"));
    auto body = plain;
    body.erase("tags");
    std::string const first = status == "draft" ? "draft" : "active";
    body["status"] = first;
    bool made = true;
    try {
      co_await client.change(http::Method::post, target_of(name, "/versions"), std::move(body),
                             http::Repeat::safe);
    } catch (const mlflow::ApiError& error) {
      if (!error.already_exists()) throw;
      made = false;
    }
    // By an attempt whose answer was lost; or a deleted one keeps its number.
    if (!made && !co_await is_there(client, target_of_version(name, number))) co_return;
    co_await put_tags(client, target_of_version(name, number, "/tags"), {}, tags_of(version), false);
    co_await set_status(client, name, number, first, status);
  }

  // What a version serves is fixed; the rest follows where the version is ours.
  async::Task<> update_version(mlflow::Client& client, std::string name, json::object existing,
                               json::object wanted, bool ours) const {
    std::string const number(mlflow::get_string(wanted, "version"));
    auto const have = plain_version(existing);
    auto const want = plain_version(wanted);
    co_await put_tags(client, target_of_version(name, number, "/tags"), tags_of(existing), tags_of(wanted),
                      ours);
    if (!ours) co_return;
    json::object changes;
    for (auto const field : {"tools", "connect_options"}) {
      auto const value = field_of(want, field);
      if (value != field_of(have, field)) changes[field] = value;
    }
    if (!changes.empty()) {
      co_await client.change(http::Method::patch, target_of_version(name, number), std::move(changes),
                             http::Repeat::safe);
    }
    co_await set_status(client, name, number, std::string(mlflow::get_string(have, "status")),
                        std::string(mlflow::get_string(want, "status")));
  }

  static bool can_point(const json::object& server, const json::object& endpoint) {
    auto const versions = versions_of(server);
    std::string const alias(mlflow::get_string(endpoint, "server_alias"));
    if (alias == "latest") return !versions.empty();
    if (!alias.empty()) return aliases_of(server).contains(alias);
    return versions.contains(std::string(mlflow::get_string(endpoint, "server_version")));
  }

  // Nothing names an endpoint but what it says: after an answer that was lost they are read again.
  async::Task<> put_endpoints(mlflow::Client& client, std::string name, json::object wanted,
                              bool ours) const {
    int lost = 0;
    while (true) {
      auto const now = co_await read_server(client, name);
      auto left = endpoints_of(now);
      std::vector<json::object> missing;
      for (auto const* item : objects_in(wanted, "access_endpoints")) {
        auto body = only_fields(*item, target_fields);
        if (!can_point(now, body)) continue;
        auto const found = left.find(mlflow::to_canonical_json(json::value(body)));
        if (found == left.end()) {
          missing.push_back(std::move(body));
        } else {
          left.erase(found);
        }
      }
      bool answered = true;
      for (auto& body : missing) {
        try {
          co_await client.change(http::Method::post, target_of(name, "/endpoints"), std::move(body),
                                 http::Repeat::unclear);
        } catch (const http::TransportError& error) {
          if (!error.outcome_unknown() || ++lost > most_lost_answers) throw;
          answered = false;
        }
        if (!answered) break;
      }
      if (!answered) continue;
      for (auto const& [target, id] : left) {
        if (ours) co_await remove(client, target_of(name, "/endpoints/" + http::percent_encode(id)));
      }
      co_return;
    }
  }

  async::Task<> put_own_fields(mlflow::Client& client, std::string name, json::object wanted,
                               bool ours) const {
    auto const now = co_await read_server(client, name);
    json::object changes;
    for (auto const field : own_texts) {
      auto const want = field_of(wanted, field);
      auto const have = field_of(now, field);
      if (want != have && (ours || have.is_null())) changes[field] = want;
    }
    auto icons = own_icons(wanted);
    auto const have = own_icons(now);
    if (icons != have && (ours || have.empty())) {
      changes["icons"] = icons.empty() ? json::value() : json::value(std::move(icons));
    }
    if (changes.empty()) co_return;
    co_await client.change(http::Method::patch, target_of(name), std::move(changes), http::Repeat::safe);
  }
};

}  // namespace

std::unique_ptr<const ObjectKind> make_mcp_server_kind() {
  return std::make_unique<McpServerKind>();
}

}  // namespace mlferry::engine
