#include "cli/server_options.hpp"
#include "protocol/mlflow/answer.hpp"

#include <CLI/CLI.hpp>

#include <cstdlib>

namespace mlferry::cli {

namespace {

bool is_true(const std::optional<std::string>& text) {
  return text && (*text == "true" || *text == "1" || *text == "True" || *text == "TRUE");
}

// scheme://host[:port]
std::string origin_of(const std::string& url) {
  auto const start = url.find("://");
  if (start == std::string::npos) return {};
  return url.substr(0, url.find('/', start + 3));
}

void set_credentials(http::ClientOptions& out, const Environment& environment, const std::string& prefix) {
  auto const token = environment(prefix + "TOKEN");
  auto const user = environment(prefix + "USERNAME");
  auto const password = environment(prefix + "PASSWORD");
  // MLflow's client prefers the user's name to the token when both are set.
  if (user && !user->empty()) {
    out.authorization = http::basic_authorization(*user, password.value_or(""));
  } else if (token && !token->empty()) {
    out.authorization = "Bearer " + *token;
  }
}

std::string first_of(const Environment& environment, std::initializer_list<const char*> names) {
  for (auto const* name : names) {
    auto const value = environment(name);
    if (value && !value->empty()) return *value;
  }
  return {};
}

}  // namespace

void add_server_options(CLI::App& app, ServerOptions& options, Side side, bool only_server) {
  bool const source = side == Side::source;
  std::string const prefix = source ? "--src-" : "--dst-";
  std::string const variable = source ? "MLFERRY_SRC_" : "MLFERRY_DST_";
  auto const what = source ? std::string("source") : std::string("destination");
  app.add_option(
         prefix + "mlflow-uri", options.uri,
         "URI of the " + what + " tracking server" + (only_server ? " (default: MLFLOW_TRACKING_URI)" : ""))
      ->envname(variable + "MLFLOW_URI");
  if (source) {
    app.add_option("--src-name", options.name,
                   "Name of the source in the copies' marker tags (default: its URI)")
        ->envname(variable + "NAME");
  }
  app.add_option(prefix + "ca-file", options.ca_file,
                 "PEM file of the CA that signs the " + what + "'s certificate")
      ->envname(variable + "CA_FILE");
  app.add_option(prefix + "client-cert", options.client_cert, "PEM file with client certificate and key")
      ->envname(variable + "CLIENT_CERT");
  app.add_flag(prefix + "insecure", options.insecure, "Accept any certificate from the " + what)
      ->envname(variable + "INSECURE");
  app.add_flag(prefix + "local-artifacts", options.local_artifacts,
               "Artifact folders that the " + what +
                   " names (file:) are this machine's, also when the server is not")
      ->envname(variable + "LOCAL_ARTIFACTS");
}

Environment process_environment() {
  return [](const std::string& name) -> std::optional<std::string> {
    auto const* value = std::getenv(name.c_str());
    if (value == nullptr) return std::nullopt;
    return std::string(value);
  };
}

http::ClientOptions client_options(const ServerOptions& server, Side side, bool only_server,
                                   const GlobalOptions& global, const Environment& environment) {
  bool const source = side == Side::source;
  auto const tracking_uri = environment("MLFLOW_TRACKING_URI").value_or("");
  auto uri = server.uri;
  if (uri.empty() && only_server) uri = tracking_uri;
  if (uri.empty()) {
    throw UsageError(std::string("no ") + (source ? "source" : "destination") + " server: give " +
                     (source ? "--src-mlflow-uri" : "--dst-mlflow-uri") +
                     (only_server ? " or set MLFLOW_TRACKING_URI" : ""));
  }
  if (!uri.starts_with("http://") && !uri.starts_with("https://")) {
    throw UsageError("'" + http::split_credentials(uri).url +
                     "' is not an http or https URI: mlferry talks to tracking servers" +
                     (uri.starts_with("databricks") ? "; Databricks comes later" : ""));
  }
  http::ClientOptions out;
  auto split = http::split_credentials(uri);
  while (split.url.ends_with('/')) split.url.pop_back();
  out.base_url = split.url;
  if (!split.user.empty()) {
    out.authorization = http::basic_authorization(split.user, split.password);
  } else {
    set_credentials(out, environment, source ? "MLFERRY_SRC_" : "MLFERRY_DST_");
    auto const meant =
        only_server || origin_of(http::split_credentials(tracking_uri).url) == origin_of(out.base_url);
    if (out.authorization.empty() && meant) set_credentials(out, environment, "MLFLOW_TRACKING_");
  }
  out.tls.ca_file =
      server.ca_file.empty() ? environment("MLFLOW_TRACKING_SERVER_CERT_PATH").value_or("") : server.ca_file;
  out.tls.client_cert_file = server.client_cert.empty()
                                 ? environment("MLFLOW_TRACKING_CLIENT_CERT_PATH").value_or("")
                                 : server.client_cert;
  out.tls.insecure = server.insecure || is_true(environment("MLFLOW_TRACKING_INSECURE_TLS"));
  out.proxy.http_proxy =
      first_of(environment, {"http_proxy"});  // upper case is not trusted: CGI sets it from a request header
  out.proxy.https_proxy = first_of(environment, {"https_proxy", "HTTPS_PROXY"});
  out.proxy.no_proxy = first_of(environment, {"no_proxy", "NO_PROXY"});
  out.retry.attempts = global.retries;
  out.overloaded = mlflow::says_overloaded;
  out.idle_timeout = std::chrono::milliseconds(static_cast<std::int64_t>(global.timeout_seconds * 1000));
  out.connect_timeout = std::min(out.connect_timeout, out.idle_timeout);
  out.user_agent = "mlferry/" MLFERRY_VERSION;
  return out;
}

std::string workspace_from_environment(Side side, const Environment& environment) {
  return first_of(environment, {side == Side::source ? "MLFERRY_SRC_WORKSPACE" : "MLFERRY_DST_WORKSPACE",
                                "MLFLOW_WORKSPACE"});
}

bool is_this_machine(const std::string& url) {
  auto const origin = origin_of(url);
  auto host = origin.substr(origin.find("://") + 3);
  if (host.starts_with('[')) return host.starts_with("[::1]");
  host = host.substr(0, host.find(':'));
  // An address, not a name that begins like one.
  bool const address = host.find_first_not_of("0123456789.") == std::string::npos;
  return host == "localhost" || (address && host.starts_with("127."));
}

}  // namespace mlferry::cli
