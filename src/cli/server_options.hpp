#pragma once
// How a server is named and reached: options, and the environment variables that MLflow's own client reads.

#include <functional>
#include <optional>
#include <stdexcept>
#include <string>

#include "cli/options.hpp"
#include "protocol/http/client.hpp"

namespace CLI {
class App;
}

namespace mlferry::cli {

enum class Side { source, destination };

struct ServerOptions {
  std::string uri;   // --src-mlflow-uri / --dst-mlflow-uri
  std::string name;  // --src-name: the source's name in markers
  std::string ca_file;
  std::string client_cert;
  bool insecure = false;
  bool local_artifacts = false;
};

void add_server_options(CLI::App& app, ServerOptions& options, Side side, bool only_server);

using Environment = std::function<std::optional<std::string>(const std::string&)>;
Environment process_environment();

class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// What the HTTP client needs. Credentials: in the URI; else MLFERRY_SRC_USERNAME/_PASSWORD/_TOKEN
// (MLFERRY_DST_…); else MLFLOW_TRACKING_USERNAME/_PASSWORD/_TOKEN, but those only for the server of
// MLFLOW_TRACKING_URI or the only server of the command: a password never goes to another host than the one
// it was meant for. Throws UsageError.
http::ClientOptions client_options(const ServerOptions& server, Side side, bool only_server,
                                   const GlobalOptions& global, const Environment& environment);

// How a request names its workspace (mlflow-rest 2.9).
inline constexpr const char* workspace_header = "X-MLFLOW-WORKSPACE";
// MLFERRY_SRC_WORKSPACE or MLFERRY_DST_WORKSPACE, else MLFLOW_WORKSPACE; "" when none is set.
std::string workspace_from_environment(Side side, const Environment& environment);

// Whether the URL's host is this machine, so that local artifact folders mean the same here and there.
bool is_this_machine(const std::string& url);

}  // namespace mlferry::cli
