#include "engine/endpoints/census.hpp"

#include "engine/failure.hpp"

namespace mlferry::engine {

namespace {

constexpr const char* users = "users and their grants";
constexpr std::int64_t unknown = -1;

async::Task<> ask_for_list(mlflow::Client& client, bool& there) {
  auto const answer = co_await client.call(http::Method::get, "/api/2.0/mlflow/users/list", {}, http::RequestClass::search);
  there = answer.has_value();
}

}  // namespace

async::Task<Census> count_uncopied(mlflow::Client& client, Access access) {
  Census census;
  if (!access.logins || !access.admin) co_return census;
  bool there = false;
  auto const failure = co_await attempt(ask_for_list(client, there));
  if (failure) {
    census.counts[users] = unknown;
    census.notes.push_back(std::string(users) + " could not be counted: " + *failure);
  } else if (!there) {  // where they are listed they are moved
    census.counts[users] = unknown;
    census.notes.push_back(
        "this MLflow cannot list its users (3.10 is the first that does): they and their grants are not moved");
  }
  co_return census;
}

}  // namespace mlferry::engine
