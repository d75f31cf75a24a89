#include "engine/objects/grants.hpp"

#include <algorithm>
#include <array>
#include <set>

namespace mlferry::engine {

namespace {

constexpr const char* everything = "*";

// Types whose objects the server finds by name, the same everywhere.
constexpr std::array<std::string_view, 3> named_types{"registered_model", "prompt", "mcp_server"};
// By an id of the server's own.
constexpr std::array<std::pair<std::string_view, Kind>, 3> gateway_types{
    std::pair{"gateway_secret", Kind::gateway_secret}, std::pair{"gateway_endpoint", Kind::gateway_endpoint},
    std::pair{"gateway_model_definition", Kind::gateway_model_definition}};

std::optional<Kind> gateway_kind(std::string_view type) {
  for (auto const& [name, kind] : gateway_types) {
    if (name == type) return kind;
  }
  return std::nullopt;
}

// A scorer is "<experiment id>/<name, percent-encoded>".
std::string experiment_of(const GrantTarget& target) {
  return target.first == "scorer" ? target.second.substr(0, target.second.find('/')) : target.second;
}

// The same object in the destination, or "".
async::Task<std::string> map_target(GrantTarget target, IdMap& ids) {
  auto const& [type, object] = target;
  bool const by_name = std::find(named_types.begin(), named_types.end(), type) != named_types.end();
  if (object == everything || by_name) co_return object;
  std::optional<std::string> copy;
  if (type == "experiment" || type == "scorer") {
    auto const experiment = experiment_of(target);
    copy = co_await ids.find(Kind::experiment, experiment);
    if (copy) *copy += object.substr(experiment.size());
  } else if (auto const kind = gateway_kind(type)) {
    copy = co_await ids.find(*kind, object);
  }
  co_return copy.value_or("");
}

int rank(std::string_view permission) {
  constexpr std::array<std::string_view, 5> weaker_first{"NO_PERMISSIONS", "READ", "USE", "EDIT", "MANAGE"};
  auto const found = std::find(weaker_first.begin(), weaker_first.end(), permission);
  return found == weaker_first.end() ? -1 : static_cast<int>(found - weaker_first.begin());
}

// Which objects a server has, asked once each.
class Objects {
 public:
  explicit Objects(ServerView server) : server_(std::move(server)) {
    experiments_.insert(server_.experiments.begin(), server_.experiments.end());
  }

  async::Task<bool> has(GrantTarget target) {
    if (target.second == everything) co_return true;
    if (target.first == "experiment" || target.first == "scorer")
      co_return co_await has_experiment(experiment_of(target));
    auto const kind = gateway_kind(target.first);
    if (!kind) co_return true;
    auto const found = gateway_.find(*kind);
    if (found != gateway_.end()) co_return found->second.contains(target.second);
    auto const records = co_await object_kind(*kind).list(server_);
    auto& there = gateway_[*kind];
    for (auto const& record : records ? *records : std::vector<ObjectRecord>()) there.insert(record.id);
    co_return there.contains(target.second);
  }

 private:
  async::Task<bool> has_experiment(std::string id) {
    if (experiments_.contains(id)) co_return true;
    // Any text can be granted on; one that is no number is a 500 of some servers.
    bool const number = !id.empty() && id.size() <= 18 &&
                        std::all_of(id.begin(), id.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (!number || gone_.contains(id)) co_return false;
    auto const found = co_await server_.client.get_experiment(id);
    (found ? experiments_ : gone_).insert(id);
    co_return found.has_value();
  }

  ServerView server_;
  std::set<std::string> experiments_, gone_;
  std::map<Kind, std::set<std::string>> gateway_;
};

}  // namespace

Grants grants_of(const json::object& doc, std::string_view field) {
  Grants grants;
  auto const* list = mlflow::get_array(doc, field);
  for (auto const& item : list == nullptr ? json::array{} : *list) {
    auto const* row = item.if_object();
    if (row == nullptr) continue;
    GrantTarget target(mlflow::get_string(*row, "resource_type"),
                       mlflow::get_string(*row, "resource_pattern"));
    if (!target.first.empty() && !target.second.empty())
      grants[std::move(target)] = mlflow::get_string(*row, "permission");
  }
  return grants;
}

Grants older_grants_of(const json::object& user) {
  struct List {
    const char *field, *type, *id;
  };
  constexpr std::array<List, 3> lists{
      List{"experiment_permissions", "experiment", "experiment_id"},
      List{"registered_model_permissions", "registered_model", "name"},
      List{"scorer_permissions", "scorer", "experiment_id"},
  };
  Grants grants;
  for (auto const& list : lists) {
    auto const* rows = mlflow::get_array(user, list.field);
    for (auto const& item : rows == nullptr ? json::array{} : *rows) {
      auto const* row = item.if_object();
      std::string id(row == nullptr ? std::string_view() : mlflow::get_string(*row, list.id));
      if (id.empty()) continue;
      if (auto const scorer = mlflow::get_string(*row, "scorer_name"); !scorer.empty())
        id += "/" + http::percent_encode(scorer);
      grants[{list.type, std::move(id)}] = mlflow::get_string(*row, "permission");
    }
  }
  return grants;
}

json::array to_json(const Grants& grants) {
  json::array rows;
  for (auto const& [target, permission] : grants) {
    rows.push_back(
        {{"resource_type", target.first}, {"resource_pattern", target.second}, {"permission", permission}});
  }
  return rows;
}

std::string describe(const GrantTarget& target) {
  std::string type = target.first;
  std::replace(type.begin(), type.end(), '_', ' ');
  return target.second == everything ? "all of type " + type : type + " " + target.second;
}

void add_fields(json::object& out, const Grants& grants) {
  for (auto const& [target, permission] : grants) out["grant on " + describe(target)] = permission;
}

async::Task<Grants> map_grants(Grants grants, IdMap& ids, std::vector<std::string>& losses) {
  Grants mapped;
  for (auto const& [target, permission] : grants) {
    auto const copy = co_await map_target(target, ids);
    if (copy.empty()) {
      losses.push_back(
          "its grant " + permission + " on " + describe(target) +
          " is left out: that object was not copied, or is of a type that mlferry does not know");
    } else {
      mapped[{target.first, copy}] = permission;
    }
  }
  co_return mapped;
}

bool gives_more(std::string_view permission, std::string_view than) {
  return rank(than) >= 0 && rank(permission) > rank(than);
}

bool is_users_own_role(std::string_view name) {
  constexpr std::string_view before = "__user_", after = "__";
  if (!name.starts_with(before) || !name.ends_with(after) || name.size() <= before.size() + after.size())
    return false;
  auto const number = name.substr(before.size(), name.size() - before.size() - after.size());
  return std::all_of(number.begin(), number.end(), [](char c) { return c >= '0' && c <= '9'; });
}

async::Task<std::string> put_grant(mlflow::Client& client, std::int64_t role, GrantTarget target,
                                   std::string permission) {
  std::string const path = "/api/3.0/mlflow/roles/permissions/";
  json::object body{{"role_id", role},
                    {"resource_type", target.first},
                    {"resource_pattern", target.second},
                    {"permission", permission}};
  try {
    co_await client.change(http::Method::post, path + "add", std::move(body), http::Repeat::safe);
    co_return std::string();
  } catch (const mlflow::ApiError& error) {
    if (error.status() != 400) throw;
    if (!error.already_exists()) co_return error.server_message();
  }
  auto const rows = co_await list_all(client, http::Method::get,
                                      path + "list?role_id=" + std::to_string(role), {}, "role_permissions");
  for (auto const& row : rows ? *rows : std::vector<json::object>()) {
    if (mlflow::get_string(row, "resource_type") != target.first ||
        mlflow::get_string(row, "resource_pattern") != target.second)
      continue;
    if (mlflow::get_string(row, "permission") == permission) co_return std::string();
    json::object change{{"role_permission_id", mlflow::get_int(row, "id").value_or(-1)},
                        {"permission", permission}};
    co_await client.change(http::Method::patch, path + "update", std::move(change), http::Repeat::safe);
    co_return std::string();
  }
  throw std::runtime_error("the server says that the role has the grant, and does not list it");
}

async::Task<std::size_t> drop_dangling(ServerView server, std::vector<Grants*> all) {
  Objects objects(std::move(server));
  std::size_t dropped = 0;
  for (auto* grants : all) {
    for (auto it = grants->begin(); it != grants->end();) {
      if (co_await objects.has(it->first)) {
        ++it;
      } else {
        it = grants->erase(it);
        ++dropped;
      }
    }
  }
  co_return dropped;
}

}  // namespace mlferry::engine
