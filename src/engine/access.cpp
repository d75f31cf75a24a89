#include "engine/access.hpp"

namespace mlferry::engine {

namespace json = boost::json;

namespace {

constexpr const char* users = "/api/2.0/mlflow/users/";

// The answer of users/current; nullopt when the server has no such call. An empty one where the call fails: another one
// tells then.
async::Task<std::optional<json::object>> ask_current(mlflow::Client& client) {
  try {
    co_return co_await client.call(http::Method::get, users + std::string("current"), {},
                                   http::RequestClass::read);
  } catch (const mlflow::ApiError& error) {
    if (error.status() == 401) throw;
  }
  co_return json::object{};
}

// The permission on what nothing is granted on; a grant for all experiments counts, too.
async::Task<std::string> ask_default(mlflow::Client& client, std::string login) {
  try {
    auto const answer = co_await client.call(
        http::Method::get,
        "/api/3.0/mlflow/users/permissions/get?resource_type=experiment&resource_id=%2A&username=" +
            http::percent_encode(login),
        {}, http::RequestClass::read);
    if (answer) co_return std::string(mlflow::get_string(*answer, "permission"));
  } catch (const mlflow::ApiError& error) {
    if (error.status() == 401) throw;
  }
  co_return std::string();
}

// Older servers do not say who is calling. Nobody has an empty name: an administrator hears that there
// is no such user, any other login that it may not ask.
async::Task<Access> ask_for_nobody(mlflow::Client& client) {
  Access access;
  try {
    auto const answer = co_await client.call(http::Method::get, users + std::string("get?username="), {},
                                             http::RequestClass::read);
    access.logins = answer.has_value();
  } catch (const mlflow::ApiError& error) {
    if (error.status() == 401) throw;
    access.logins = true;
    access.admin = error.status() == 404;
  }
  co_return access;
}

}  // namespace

async::Task<Access> find_access(mlflow::Client& client, const mlflow::Capabilities& capabilities) {
  auto const current = co_await ask_current(client);
  if (!current && capabilities.says_who_calls) co_return Access{};
  auto const* user = current ? mlflow::get_object(*current, "user") : nullptr;
  if (user == nullptr) co_return co_await ask_for_nobody(client);
  Access access;
  access.logins = true;
  access.login = mlflow::get_string(*user, "username");
  access.admin = mlflow::get_bool(*user, "is_admin");
  if (!access.admin) access.default_permission = co_await ask_default(client, access.login);
  co_return access;
}

std::string hidden_from(const Access& access, const std::string& url) {
  if (!access.logins || access.admin) return {};
  auto const& permission = access.default_permission;
  bool const reads = !permission.empty() && permission != "NO_PERMISSIONS" && permission != "DENY";
  return url + " hides from " + named_login(access) +
         ", which is no administrator, its users, roles and grants, and every object " +
         (reads ? "that grants deny to it"
                : "that it was not granted" +
                      (permission.empty() ? std::string() : " (default permission " + permission + ")")) +
         ". How many those are cannot be known: run as an administrator to have them";
}

std::string named_login(const Access& access) {
  return access.login.empty() ? "the login" : "the login '" + access.login + "'";
}

std::optional<std::string> workspace_of(const mlflow::Client& client,
                                        const mlflow::Capabilities& capabilities) {
  if (!capabilities.workspaces) return std::nullopt;
  auto const named = client.http().header("X-MLFLOW-WORKSPACE");
  return named.empty() ? "default" : named;
}

}  // namespace mlferry::engine
