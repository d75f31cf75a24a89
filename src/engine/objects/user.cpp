// Users of the basic-auth app with the grants that are theirs and no role's. Servers before 3.10 list no
// users; before 3.14 the grants are in each user's document and made by a call for each type of object. No
// server gives passwords out, so a new user gets one that nobody knows.

#include <sys/random.h>

#include <array>
#include <cerrno>
#include <system_error>

#include "engine/objects/grants.hpp"

namespace mlferry::engine {

namespace {

constexpr const char* api2 = "/api/2.0/mlflow/";
constexpr const char* api3 = "/api/3.0/mlflow/";

std::string text_of(const json::object& doc, std::string_view field) {
  return std::string(mlflow::get_string(doc, field));
}

// Two hex digits for each of 24 bytes of the system's random source.
std::string random_password() {
  std::array<unsigned char, 24> bytes{};
  std::size_t n = 0;
  while (n < bytes.size()) {
    auto const got = ::getrandom(bytes.data() + n, bytes.size() - n, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw std::system_error(errno, std::generic_category(), "the system gives no random bytes");
    n += static_cast<std::size_t>(got);
  }
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (auto const byte : bytes) {
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

// Where there are no workspaces, everything is in the one called default.
bool in_own_workspace(const json::object& role, const std::optional<std::string>& workspace) {
  return mlflow::get_string(role, "workspace") == workspace.value_or("default");
}

ObjectRecord record_of(const json::object& user, const Grants& grants) {
  ObjectRecord record;
  record.kind = Kind::user;
  record.id = record.name = text_of(user, "username");
  record.doc = {
      {"username", record.id}, {"is_admin", mlflow::get_bool(user, "is_admin")}, {"grants", to_json(grants)}};
  // Of the server that was asked: says that the document is whole.
  if (auto const* id = user.if_contains("id")) record.doc["id"] = *id;
  return record;
}

async::Task<json::object> get_user(mlflow::Client& client, std::string name) {
  auto const answer =
      co_await client.call(http::Method::get, api2 + ("users/get?username=" + http::percent_encode(name)), {},
                           http::RequestClass::read);
  auto const* user = answer ? mlflow::get_object(*answer, "user") : nullptr;
  if (user == nullptr) throw std::runtime_error("the server gives no document for the user");
  co_return *user;
}

// The calls before 3.14: one for each type.
struct OlderCall {
  std::string_view type, path, id;
};
constexpr std::array<OlderCall, 5> older_calls{
    OlderCall{"experiment", "/api/2.0/mlflow/experiments", "experiment_id"},
    OlderCall{"registered_model", "/api/2.0/mlflow/registered-models", "name"},
    OlderCall{"gateway_secret", "/api/3.0/mlflow/gateway/secrets", "secret_id"},
    OlderCall{"gateway_endpoint", "/api/3.0/mlflow/gateway/endpoints", "endpoint_id"},
    OlderCall{"gateway_model_definition", "/api/3.0/mlflow/gateway/model-definitions",
              "model_definition_id"}};

class UserKind final : public ObjectKind {
 public:
  Kind kind() const override { return Kind::user; }
  bool of_logins() const override { return true; }

  async::Task<std::optional<std::vector<ObjectRecord>>> list(const ServerView& server) const override {
    auto found =
        co_await list_all(server.client, http::Method::get, api2 + std::string("users/list"), {}, "users");
    if (!found) co_return std::nullopt;
    std::vector<Grants> grants;
    std::size_t elsewhere = 0;
    bool older = false;
    for (auto& user : *found) {
      // Before 3.14 the list holds names only.
      if (!user.contains("is_admin")) {
        older = true;
        user = co_await get_user(server.client, text_of(user, "username"));
      }
      grants.push_back(own_grants(user, server.workspace, elsewhere));
    }
    std::vector<Grants*> all;
    for (auto& one : grants) all.push_back(&one);
    auto const dropped = co_await drop_dangling(server, std::move(all));
    if (older && server.note) {
      server.note(
          "MLflow before 3.14 lists grants on experiments, registered models and scorers only: those of "
          "users on objects of the gateway cannot be read");
    }
    if (dropped > 0 && server.note)
      server.note(std::to_string(dropped) + " grants of users are on objects that are gone: left out");
    if (elsewhere > 0 && server.note) {
      server.note(std::to_string(elsewhere) +
                  " grants of users are in other workspaces than the one that this job moves");
    }
    std::vector<ObjectRecord> records;
    for (std::size_t i = 0; i < grants.size(); ++i) records.push_back(record_of((*found)[i], grants[i]));
    co_return records;
  }

  bool listing_shows_changes() const override { return true; }

  // Of a user that was just made the document is what was wanted.
  async::Task<> complete(const ServerView& server, ObjectRecord& record) const override {
    if (record.doc.contains("id")) co_return;
    auto user = co_await get_user(server.client, record.name);
    auto const answer = co_await server.client.call(
        http::Method::get, api3 + ("users/roles/list?username=" + http::percent_encode(record.name)), {},
        http::RequestClass::read);
    if (answer && !user.contains("experiment_permissions")) {
      if (auto const* roles = mlflow::get_array(*answer, "roles")) user["roles"] = *roles;
    }
    std::size_t elsewhere = 0;
    record = record_of(user, own_grants(user, server.workspace, elsewhere));
  }

  async::Task<MappedObject> map(const ObjectRecord& record, IdMap& ids) const override {
    MappedObject mapped{record.doc, {}, {}};
    mapped.doc.erase("id");
    mapped.doc["grants"] = to_json(co_await map_grants(grants_of(record.doc), ids, mapped.losses));
    co_return mapped;
  }

  std::string identity(const json::object& doc) const override { return text_of(doc, "username"); }

  json::object comparable(const json::object& doc) const override {
    json::object out{{"username", text_of(doc, "username")}, {"is_admin", mlflow::get_bool(doc, "is_admin")}};
    add_fields(out, grants_of(doc));
    return out;
  }

  // An administrator may do everything, whatever is granted; and whoever imports is granted MANAGE on all
  // that it makes.
  std::vector<std::string> differences(const json::object& wanted,
                                       const json::object& existing) const override {
    auto want = wanted, have = existing;
    if (mlflow::get_bool(existing, "is_admin")) {
      want.erase("grants");
      have.erase("grants");
    }
    return differing_fields(comparable(want), comparable(have));
  }

  bool follow_up_if_made() const override { return true; }
  std::string follow_up(const json::object& doc) const override {
    auto const name = text_of(doc, "username");
    return "reset the password of '" + name +
           "', unless that is done: the user was made with a random one that nobody knows. PATCH " + api2 +
           "users/update-password " +
           mlflow::to_json(json::object{{"username", name}, {"password", "(12 characters or more)"}});
  }

  async::Task<std::string> create(const ServerView& server, const json::object& wanted) const override {
    auto const name = text_of(wanted, "username");
    json::object body{{"username", name}, {"password", random_password()}};
    co_await server.client.change(http::Method::post, api2 + std::string("users/create"), std::move(body),
                                  http::Repeat::unclear);
    co_return name;
  }

  // Only gives: no grant is taken or lowered, and nobody stops being an administrator.
  async::Task<std::vector<std::string>> update(const ServerView& server, const ObjectRecord& existing,
                                               const json::object& wanted, bool ours) const override {
    auto now = existing.doc;
    auto have = grants_of(existing.doc);
    std::vector<std::string> left;
    bool const foreign_admin = !ours && mlflow::get_bool(existing.doc, "is_admin");
    for (auto const& [target, permission] : grants_of(wanted)) {
      auto const there = have.find(target);
      bool const missing = there == have.end();
      if (foreign_admin || (!missing && (!ours || !gives_more(permission, there->second)))) continue;
      auto const refusal = missing ? co_await give(server, existing.name, target, permission)
                                   : co_await change_own_role(server, existing.name, target, permission);
      if (refusal.empty()) {
        have[target] = permission;
      } else {
        left.push_back("its grant " + permission + " on " + describe(target) + " is refused: " + refusal);
      }
    }
    now["grants"] = to_json(have);
    // Last: what comes before must be done again after a break.
    if (ours && mlflow::get_bool(wanted, "is_admin") && !mlflow::get_bool(now, "is_admin")) {
      json::object body{{"username", existing.name}, {"is_admin", true}};
      co_await server.client.change(http::Method::patch, api2 + std::string("users/update-admin"),
                                    std::move(body), http::Repeat::safe);
      now["is_admin"] = true;
    }
    for (auto& text : differences(wanted, now)) left.push_back(std::move(text));
    co_return left;
  }

 private:
  static Grants own_grants(const json::object& user, const std::optional<std::string>& workspace,
                           std::size_t& elsewhere) {
    auto grants = older_grants_of(user);
    auto const* roles = mlflow::get_array(user, "roles");
    for (auto const& item : roles == nullptr ? json::array{} : *roles) {
      auto const* role = item.if_object();
      if (role == nullptr || !is_users_own_role(mlflow::get_string(*role, "name"))) continue;
      auto own = grants_of(*role, "permissions");
      if (in_own_workspace(*role, workspace)) {
        grants.merge(own);
      } else {
        elsewhere += own.size();
      }
    }
    return grants;
  }

  // The server's own words where it cannot hold such a grant, "" when it is given.
  static async::Task<std::string> give(ServerView server, std::string user, GrantTarget target,
                                       std::string permission) {
    if (target.first == "workspace") co_return co_await change_own_role(server, user, target, permission);
    json::object body{{"username", user},
                      {"resource_type", target.first},
                      {"resource_id", target.second},
                      {"permission", permission}};
    try {
      co_await server.client.change(http::Method::post, api3 + std::string("users/permissions/grant"),
                                    std::move(body), http::Repeat::safe);
      co_return std::string();
    } catch (const mlflow::ApiError& error) {
      if (error.already_exists()) co_return std::string();
      if (error.status() == 400) co_return error.server_message();
      if (!error.no_such_call()) throw;
    }
    co_return co_await give_by_older_call(server.client, std::move(user), std::move(target),
                                          std::move(permission));
  }

  static async::Task<std::string> give_by_older_call(mlflow::Client& client, std::string user,
                                                     GrantTarget target, std::string permission) {
    json::object body{{"username", user}, {"permission", permission}};
    std::string path;
    if (target.first == "scorer") {
      auto const slash = target.second.find('/');
      path = "/api/3.0/mlflow/scorers";
      body["experiment_id"] = target.second.substr(0, slash);
      body["scorer_name"] =
          slash == target.second.npos ? "" : http::percent_decode(target.second.substr(slash + 1));
    }
    for (auto const& call : older_calls) {
      if (call.type != target.first) continue;
      path = call.path;
      body[call.id] = target.second;
    }
    if (path.empty()) co_return std::string("this MLflow knows no grants on objects of that type");
    try {
      co_await client.change(http::Method::post, path + "/permissions/create", std::move(body),
                             http::Repeat::safe);
    } catch (const mlflow::ApiError& error) {
      if (error.status() != 400 && !error.no_such_call()) throw;
      if (!error.already_exists()) co_return error.server_message();
    }
    co_return std::string();
  }

  // In the role that the server keeps for the user: the only way to grant a whole workspace to one user, and
  // to change a grant without taking it first.
  static async::Task<std::string> change_own_role(ServerView server, std::string user, GrantTarget target,
                                                  std::string permission) {
    auto const answer = co_await server.client.call(
        http::Method::get, api3 + ("users/roles/list?username=" + http::percent_encode(user)), {},
        http::RequestClass::read);
    auto const* roles = answer ? mlflow::get_array(*answer, "roles") : nullptr;
    for (auto const& item : roles == nullptr ? json::array{} : *roles) {
      auto const* role = item.if_object();
      if (role == nullptr || !is_users_own_role(mlflow::get_string(*role, "name")) ||
          !in_own_workspace(*role, server.workspace))
        continue;
      co_return co_await put_grant(server.client, mlflow::get_int(*role, "id").value_or(-1),
                                   std::move(target), std::move(permission));
    }
    co_return std::string("the server keeps no grants of this user yet: give it a role instead");
  }
};

}  // namespace

std::unique_ptr<const ObjectKind> make_user_kind() {
  return std::make_unique<UserKind>();
}

}  // namespace mlferry::engine
