#pragma once
// Who is calling, as a server with logins (MLflow's basic-auth app) sees it. Its searches leave out what the
// login may not read, without a word: only an administrator can know that an answer is whole.

#include <optional>
#include <string>

#include "async/task.hpp"
#include "protocol/mlflow/client.hpp"

namespace mlferry::engine {

struct Access {
  bool logins = false;             // the server has users, roles and grants
  bool admin = true;               // sees everything; always true where there are no logins
  std::string login;               // "" where the server does not say (before 3.14)
  std::string default_permission;  // what the login may do where nothing is granted; "": not known
};

// One or two requests; throws when the server refuses the login.
async::Task<Access> find_access(mlflow::Client& client, const mlflow::Capabilities& capabilities);

// What the server at `url` does not show to this login; "" for nothing.
std::string hidden_from(const Access& access, const std::string& url);

// "the login 'bob'"
std::string named_login(const Access& access);

// The workspace that the client's requests name, or the one that they get without; nothing where the server
// has none.
std::optional<std::string> workspace_of(const mlflow::Client& client,
                                        const mlflow::Capabilities& capabilities);

}  // namespace mlferry::engine
