#include "cli/server_options.hpp"

#include <doctest/doctest.h>

#include <map>

using namespace mlferry;
using mlferry::cli::client_options;
using mlferry::cli::GlobalOptions;
using mlferry::cli::is_this_machine;
using mlferry::cli::ServerOptions;
using mlferry::cli::Side;
using mlferry::cli::UsageError;

namespace {

using Variables = std::map<std::string, std::string>;

cli::Environment environment(Variables variables) {
  return [variables = std::move(variables)](const std::string& name) -> std::optional<std::string> {
    auto const found = variables.find(name);
    if (found == variables.end()) return std::nullopt;
    return found->second;
  };
}

http::ClientOptions options_for(std::string uri, Side side, bool only_server, Variables variables) {
  ServerOptions server;
  server.uri = std::move(uri);
  return client_options(server, side, only_server, GlobalOptions(), environment(std::move(variables)));
}

std::string authorization(std::string uri, Side side, bool only_server, Variables variables) {
  return options_for(std::move(uri), side, only_server, std::move(variables)).authorization;
}

}  // namespace

TEST_SUITE("cli") {
  TEST_CASE("server options: credentials never go to another host than the one they were meant for") {
    Variables const mlflow{{"MLFLOW_TRACKING_URI", "https://mine:5000"},
                           {"MLFLOW_TRACKING_USERNAME", "user"},
                           {"MLFLOW_TRACKING_PASSWORD", "secret"}};
    auto const basic = http::basic_authorization("user", "secret");
    struct Row {
      const char* uri;
      bool only_server;
      bool sent;
    };
    for (auto const side : {Side::source, Side::destination}) {
      for (auto const& row : {
               Row{"https://mine:5000", false, true}, Row{"https://mine:5000/", false, true},
               Row{"https://mine:5000/prefix", false, true}, Row{"https://mine:5001", false, false},
               Row{"http://mine:5000", false, false},  // in the clear: not what it was meant for
               Row{"https://mine", false, false}, Row{"https://other:5000", false, false},
               Row{"https://mine.evil:5000", false, false}, Row{"https://evil/mine:5000", false, false},
               Row{"https://mine:50001", false, false}, Row{"", true, true},
               Row{"https://other:5000", true, true},  // the command's only server
           }) {
        CAPTURE(std::string(row.uri));
        CAPTURE(row.only_server);
        CHECK(authorization(row.uri, side, row.only_server, mlflow) == (row.sent ? basic : ""));
      }
    }
    auto token = Variables{{"MLFLOW_TRACKING_URI", "https://mine"}, {"MLFLOW_TRACKING_TOKEN", "t"}};
    CHECK(authorization("https://mine", Side::source, false, token) == "Bearer t");
    CHECK(authorization("https://other", Side::source, false, token).empty());
    // No MLFLOW_TRACKING_URI: meant for nobody in particular, so for no one of two.
    token.erase("MLFLOW_TRACKING_URI");
    CHECK(authorization("https://mine", Side::source, false, token).empty());
    // Credentials in MLFLOW_TRACKING_URI itself are that server's.
    Variables const inside{{"MLFLOW_TRACKING_URI", "https://u:p@mine"}};
    CHECK(authorization("https://other", Side::source, false, inside).empty());
    CHECK(authorization("", Side::source, true, inside) == http::basic_authorization("u", "p"));
  }

  TEST_CASE("server options: each side's own credentials go to that side only, and before MLflow's") {
    Variables const both{{"MLFERRY_SRC_USERNAME", "a"},
                         {"MLFERRY_SRC_PASSWORD", "1"},
                         {"MLFERRY_DST_TOKEN", "t"},
                         {"MLFLOW_TRACKING_URI", "http://s"},
                         {"MLFLOW_TRACKING_TOKEN", "x"}};
    CHECK(authorization("http://s", Side::source, false, both) == http::basic_authorization("a", "1"));
    CHECK(authorization("http://s", Side::destination, false, both) == "Bearer t");
    // Credentials in the URI go before all.
    CHECK(authorization("http://u:p@s", Side::source, false, both) == http::basic_authorization("u", "p"));
  }

  TEST_CASE("server options: user goes before token, as in MLflow; empty variables are none") {
    Variables variables{{"MLFLOW_TRACKING_USERNAME", "u"}, {"MLFLOW_TRACKING_TOKEN", "t"}};
    CHECK(authorization("http://s", Side::source, true, variables) == http::basic_authorization("u", ""));
    variables["MLFLOW_TRACKING_USERNAME"] = "";
    CHECK(authorization("http://s", Side::source, true, variables) == "Bearer t");
    variables["MLFLOW_TRACKING_TOKEN"] = "";
    CHECK(authorization("http://s", Side::source, true, variables).empty());
  }

  TEST_CASE("server options: the URI, with credentials and slashes taken off") {
    auto const url = [](std::string uri) {
      return options_for(std::move(uri), Side::source, true, {}).base_url;
    };
    CHECK(url("http://h:5000") == "http://h:5000");
    CHECK(url("https://u:p%40x@h:5000/prefix//") == "https://h:5000/prefix");
    auto const variable = options_for("", Side::source, true, {{"MLFLOW_TRACKING_URI", "http://v"}});
    CHECK(variable.base_url == "http://v");
    // With two servers the variable names neither.
    CHECK_THROWS_AS(options_for("", Side::source, false, {{"MLFLOW_TRACKING_URI", "http://v"}}), UsageError);
    CHECK_THROWS_AS(options_for("", Side::destination, true, {}), UsageError);
    for (auto const* uri : {"databricks", "databricks://profile", "./mlruns", "file:///x", "sqlite:///x",
                            "h:5000", "ftp://h"}) {
      CAPTURE(std::string(uri));
      CHECK_THROWS_AS(options_for(uri, Side::source, true, {}), UsageError);
    }
    // An error message never tells the password.
    try {
      options_for("ftp://user:secret@h", Side::source, true, {});
      FAIL("accepted");
    } catch (const UsageError& error) {
      CHECK(std::string(error.what()).find("secret") == std::string::npos);
    }
  }

  TEST_CASE("server options: MLflow's variables for TLS, proxies and workspaces") {
    auto const all = options_for("https://h", Side::destination, true,
                                 {{"MLFLOW_TRACKING_SERVER_CERT_PATH", "/ca.pem"},
                                  {"MLFLOW_TRACKING_CLIENT_CERT_PATH", "/client.pem"},
                                  {"http_proxy", "http://p1"},
                                  {"HTTPS_PROXY", "http://p2"},
                                  {"NO_PROXY", "internal"}});
    CHECK(all.tls.ca_file == "/ca.pem");
    CHECK(all.tls.client_cert_file == "/client.pem");
    CHECK_FALSE(all.tls.insecure);
    CHECK(all.proxy.http_proxy == "http://p1");
    CHECK(all.proxy.https_proxy == "http://p2");
    CHECK(all.proxy.no_proxy == "internal");

    auto const lower = options_for("https://h", Side::source, true,
                                   {{"HTTP_PROXY", "http://from-a-header"},
                                    {"https_proxy", "http://l"},
                                    {"HTTPS_PROXY", "http://u"},
                                    {"no_proxy", "l"},
                                    {"NO_PROXY", "u"}});
    CHECK(lower.proxy.http_proxy.empty());
    CHECK(lower.proxy.https_proxy == "http://l");
    CHECK(lower.proxy.no_proxy == "l");
    CHECK(lower.headers.empty());

    auto const of = [](Variables variables, Side side) {
      return cli::workspace_from_environment(side, environment(std::move(variables)));
    };
    CHECK(of({{"MLFLOW_WORKSPACE", "w"}, {"MLFERRY_SRC_WORKSPACE", "s"}}, Side::source) == "s");
    CHECK(of({{"MLFLOW_WORKSPACE", "w"}, {"MLFERRY_SRC_WORKSPACE", "s"}}, Side::destination) == "w");
    CHECK(of({}, Side::source).empty());
  }

  TEST_CASE("server options: insecure TLS only when it is asked for in so many words") {
    struct Row {
      const char* value;
      bool insecure;
    };
    for (auto const& row :
         {Row{"true", true}, Row{"True", true}, Row{"TRUE", true}, Row{"1", true}, Row{"false", false},
          Row{"0", false}, Row{"", false}, Row{"no", false}, Row{"yes", false}}) {
      CAPTURE(std::string(row.value));
      auto const options =
          options_for("https://h", Side::source, true, {{"MLFLOW_TRACKING_INSECURE_TLS", row.value}});
      CHECK(options.tls.insecure == row.insecure);
    }
  }

  TEST_CASE("server options: options go before variables, and global ones reach the client") {
    ServerOptions server;
    server.uri = "https://h";
    server.ca_file = "mine.pem";
    server.client_cert = "cert.pem";
    server.insecure = true;
    GlobalOptions global;
    global.retries = 3;
    global.timeout_seconds = 2.5;
    auto const options = client_options(
        server, Side::source, true, global,
        environment({{"MLFLOW_TRACKING_SERVER_CERT_PATH", "x"}, {"MLFLOW_TRACKING_CLIENT_CERT_PATH", "x"}}));
    CHECK(options.tls.ca_file == "mine.pem");
    CHECK(options.tls.client_cert_file == "cert.pem");
    CHECK(options.tls.insecure);
    CHECK(options.retry.attempts == 3);
    CHECK(options.idle_timeout == std::chrono::milliseconds(2500));
    CHECK(options.connect_timeout <= options.idle_timeout);
    CHECK(options.user_agent.starts_with("mlferry/"));
  }

  TEST_CASE("server options: which URLs are this machine") {
    for (auto const* url : {"http://localhost", "http://localhost:5000/x", "https://127.0.0.1:5000",
                            "http://127.1.2.3", "http://[::1]:5000"}) {
      CAPTURE(std::string(url));
      CHECK(is_this_machine(url));
    }
    for (auto const* url : {"http://host", "http://localhost.evil", "http://10.0.0.1", "http://[::2]:5000",
                            "https://h/localhost", "http://127.evil.example"}) {
      CAPTURE(std::string(url));
      CHECK_FALSE(is_this_machine(url));
    }
  }
}
