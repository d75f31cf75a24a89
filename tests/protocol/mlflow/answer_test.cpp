#include "protocol/mlflow/answer.hpp"

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "protocol/mlflow/limits.hpp"
#include "protocol/mlflow/utf8.hpp"
#include "protocol/mlflow/version.hpp"

using namespace mlferry::mlflow;
namespace http = mlferry::http;

namespace {

constexpr std::string_view html_404 = "<!doctype html>\n<title>404 Not Found</title>";

std::string refusal(auto call) {
  try {
    call();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_SUITE("protocol") {
  TEST_CASE("answer: a database that is out of connections, or locked, means too much at once") {
    CHECK(says_overloaded(400, R"({"message": "BAD_REQUEST: (sqlalchemy.exc.TimeoutError) QueuePool limit of size 5 overflow 10 reached"})"));
    CHECK(says_overloaded(500, R"({"message": "(sqlite3.OperationalError) database is locked"})"));
    CHECK(!says_overloaded(400, R"({"message": "the name is empty"})"));
    CHECK(!says_overloaded(404, "QueuePool limit of size"));
  }

  TEST_CASE("answers: names of calls hold no query") {
    CHECK(call_name(http::Method::post, "/api/2.0/mlflow/runs/create") == "POST runs/create");
    CHECK(call_name(http::Method::get, "/api/2.0/mlflow/registered-models/get?name=secret") ==
          "GET registered-models/get");
    CHECK(call_name(http::Method::get, "/ajax-api/2.0/mlflow/metrics/get-history-bulk?run_id=1") ==
          "GET metrics/get-history-bulk");
    CHECK(call_name(http::Method::patch, "/api/3.0/mlflow/traces/x/tags") == "PATCH traces/x/tags");
    CHECK(call_name(http::Method::put, "/api/2.0/mlflow-artifacts/artifacts/1/a") ==
          "PUT mlflow-artifacts/artifacts/1/a");
    CHECK(call_name(http::Method::del, "/graphql") == "DELETE /graphql");
    CHECK(call_name(http::Method::head, "/health?x") == "HEAD /health");
  }

  TEST_CASE("answers: what a status and a body become") {
    struct Case {
      int status;
      std::string body;
      std::string text;
      std::string code;
      bool no_such_call, authentication, temporary;
    };
    std::string const login =
        "log in with MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN";
    for (const auto& expected : std::vector<Case>{
             {400, R"({"error_code":"INVALID_PARAMETER_VALUE","message":"m"})",
              "POST x: 400 INVALID_PARAMETER_VALUE", "INVALID_PARAMETER_VALUE", false, false, false},
             {400, R"({"error_code":"RESOURCE_ALREADY_EXISTS"})", "POST x: 400 RESOURCE_ALREADY_EXISTS",
              "RESOURCE_ALREADY_EXISTS", false, false, false},
             {404, R"({"error_code":"RESOURCE_DOES_NOT_EXIST"})", "POST x: 404 RESOURCE_DOES_NOT_EXIST",
              "RESOURCE_DOES_NOT_EXIST", false, false, false},
             {404, std::string(html_404), "POST x: 404 (this server has no such call)", "", true, false,
              false},
             {404, "", "POST x: 404 (this server has no such call)", "", true, false, false},
             {404, R"({"detail":"Not Found"})", "POST x: 404 (this server has no such call)", "", true, false,
              false},
             {404, R"({"error_code":"ENDPOINT_NOT_FOUND","message":"No API found"})",
              "POST x: 404 ENDPOINT_NOT_FOUND (this server has no such call)", "ENDPOINT_NOT_FOUND", true,
              false, false},
             {401, "You are not authenticated.", "POST x: 401 (" + login + ")", "", false, true, false},
             {403, "Permission denied",
              "POST x: 403 (this user may not do that: log in as another one with MLFLOW_TRACKING_USERNAME "
              "and "
              "MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN)",
              "", false, true, false},
             {403, "Invalid Host header - possible DNS rebinding attack detected",
              "POST x: 403 (the server refuses this host name: it must be started with --allowed-hosts, or "
              "addressed "
              "by another name)",
              "", false, true, false},
             {429, R"({"error_code":"REQUEST_LIMIT_EXCEEDED"})",
              "POST x: 429 REQUEST_LIMIT_EXCEEDED (the server asks for fewer requests: lower --jobs)",
              "REQUEST_LIMIT_EXCEEDED", false, false, true},
             {503, "busy", "POST x: 503 (the server is overloaded or not running)", "", false, false, true},
             {500, "<html>", "POST x: 500", "", false, false, false},
             {500, R"({"error_code":"FEATURE_DISABLED"})",
              "POST x: 500 FEATURE_DISABLED (the server runs without this feature; workspaces need "
              "--enable-workspaces)",
              "FEATURE_DISABLED", false, false, false},
             {413, "", "POST x: 413 (the server, or a proxy before it, takes no body of this size)", "",
              false, false, false},
             {302, "", "POST x: 302 (the server sends the client elsewhere: use the final URL)", "", false,
              false, false},
             // A code is ours to print only when it looks like one.
             {400, R"({"error_code":"<script>","message":7})", "POST x: 400", "", false, false, false},
             {400, R"({"error_code":"INVALID","message)", "POST x: 400", "", false, false, false},
         }) {
      CAPTURE(expected.body);
      ApiError const error = api_error("POST x", expected.status, expected.body);
      CHECK(std::string(error.what()) == expected.text);
      CHECK(error.status() == expected.status);
      CHECK(error.code() == expected.code);
      CHECK(error.no_such_call() == expected.no_such_call);
      CHECK(error.authentication() == expected.authentication);
      CHECK(error.temporary() == expected.temporary);
      CHECK(error.not_found() == (expected.status == 404));
      CHECK(error.already_exists() == (expected.code == "RESOURCE_ALREADY_EXISTS"));
    }
  }

  TEST_CASE("answers: the server's message rides apart, cut and readable") {
    std::string const body = R"({"error_code":"BAD_REQUEST","message":"[parameters: ('s3cret')]\u0007)" +
                             std::string(5000, 'x') + "\"}";
    ApiError const error = api_error("POST x", 400, body);
    CHECK(error.server_message().starts_with("[parameters: ('s3cret')]?xxx"));
    CHECK(error.server_message().size() == 2000);
    CHECK(std::string(error.what()).find("s3cret") == std::string::npos);
    CHECK(api_error("POST x", 500, "caf\xe9 \xe2\x98\x83").server_message() == "caf? \xe2\x98\x83");
  }

  TEST_CASE("answers: a failed statement's field values are not repeated") {
    ApiError const error = api_error(
        "POST x", 400,
        R"({"error_code":"BAD_REQUEST","message":"UNIQUE constraint failed: tags.key [SQL: INSERT INTO tags VALUES (?)] [parameters: ('s3cret')]"})");
    CHECK(error.server_message() == "UNIQUE constraint failed: tags.key");
    CHECK(std::string(error.what()).find("s3cret") == std::string::npos);
  }

  TEST_CASE("answers: 200 must bring an object") {
    CHECK(answer_object("GET x", 200, R"({"a":1})").at("a").as_int64() == 1);
    CHECK(answer_object("POST x", 201, "{}").empty());
    for (std::string_view body : {"", "[]", "3", "<html>log in</html>", "{\"a\":"}) {
      CAPTURE(body);
      CHECK_THROWS_AS(answer_object("GET x", 200, body), ApiError);
    }
    try {
      answer_object("GET x", 200, "<html>log in</html>");
      FAIL("it must throw");
    } catch (const ApiError& error) {
      CHECK(std::string(error.what()).find("a log-in page") != std::string::npos);
      CHECK(error.status() == 200);
    }
    CHECK_THROWS_AS(answer_object("GET x", 304, "{}"), ApiError);
  }

  TEST_CASE("answers: a missing object and a missing call differ") {
    CHECK(!answer_or_missing("GET x", 404, R"({"error_code":"RESOURCE_DOES_NOT_EXIST"})"));
    CHECK(answer_or_missing("GET x", 200, "{}").has_value());
    CHECK_THROWS_AS(answer_or_missing("GET x", 404, html_404), ApiError);
    CHECK_THROWS_AS(answer_or_missing("GET x", 400, "{}"), ApiError);
  }

  TEST_CASE("answers: pages") {
    auto const page_of = [](std::string_view text, std::string_view asked) {
      return answer_page<Run>("POST x", parse_json(text, "x").as_object(), "runs", asked);
    };
    auto const page = page_of(R"({"runs":[{"info":{"run_id":"a"}},{}],"next_page_token":"t2"})", "t1");
    CHECK(page.items.size() == 2);
    CHECK(page.items[0].id() == "a");
    CHECK(page.next_token == "t2");
    CHECK(page_of("{}", "").items.empty());
    CHECK(page_of("{\"next_page_token\":\"\"}", "").next_token.empty());
    CHECK_THROWS_AS(page_of(R"({"next_page_token":"t"})", "t"), ApiError);
    CHECK_THROWS_AS(page_of(R"({"runs":[1]})", ""), ApiError);
    CHECK_THROWS_AS(page_of(R"({"runs":{}})", ""), ApiError);
    CHECK_THROWS_AS(take_object("GET x", {}, "run"), ApiError);
  }

  TEST_CASE("answers: the first call says when no MLflow is there") {
    auto const text = [](int status, std::string_view body) {
      return std::string(not_mlflow(api_error("POST experiments/search", status, body)).what());
    };
    CHECK(text(404, html_404).starts_with("no MLflow server answers at this URL"));
    CHECK(text(405, "").starts_with("no MLflow server answers at this URL"));
    CHECK(text(302, "").starts_with("no MLflow server answers at this URL"));
    CHECK(text(401, "").starts_with("POST experiments/search: 401"));
    CHECK(text(500, "").starts_with("POST experiments/search: 500"));
    CHECK(not_mlflow(api_error("POST x", 404, html_404)).no_such_call());
  }

  TEST_CASE("limits: refused before sending") {
    CHECK(refusal([] { require_page_size("c", 1); }) == "");
    CHECK(refusal([] { require_page_size("c", 0); }) == "c: a page of 0 results; not sent");
    CHECK(refusal([] { require_page_size("c", -1); }) != "");
    CHECK(refusal([] { require_batch_size("c", 800, 100, 100); }) == "");
    CHECK(refusal([] { require_batch_size("c", 801, 100, 100); }) ==
          "c: 1001 items, more than the 1000 of one request; not sent");
    CHECK(refusal([] { require_batch_size("c", 0, 101, 0); }) != "");
    CHECK(refusal([] { require_batch_size("c", 0, 0, 101); }) != "");
    CHECK(refusal([] { require_run_status("c", "KILLED"); }) == "");
    CHECK(refusal([] { require_run_status("c", "killed"); }) ==
          "c: a run has no status \"killed\"; not sent");
    CHECK(refusal([] { require_logged_model_status("c", "LOGGED_MODEL_READY"); }) == "");
    CHECK(refusal([] { require_logged_model_status("c", "READY"); }) != "");
    CHECK(refusal([] { require_id("c", "model id", ""); }) == "c: no model id; not sent");
  }

  TEST_CASE("utf-8: valid or not") {
    for (std::string_view text : {"", "ascii only, long enough for blocks", "é", "日本", "\xf0\x9f\x98\x80",
                                  "\xed\x9f\xbf", "\xee\x80\x80", "\xf4\x8f\xbf\xbf", "12345678\xc3\xa9"}) {
      CAPTURE(text);
      CHECK(is_utf8(text));
      CHECK(readable(text, 1000) == text);
    }
    CHECK(is_utf8(std::string_view("\0", 1)));
    for (std::string_view text : {"\x80", "\xc0\x80", "\xc1\xbf", "\xc3", "\xc3(", "\xe0\x80\x80",
                                  "\xed\xa0\x80", "\xe2\x82", "\xf0\x80\x80\x80", "\xf4\x90\x80\x80",
                                  "\xf5\x80\x80\x80", "\xff", "12345678\xff", "1234567\xff"}) {
      CAPTURE(text);
      CHECK(!is_utf8(text));
      CHECK(is_utf8(readable(text, 1000)));
    }
    CHECK(readable("aé", 2) == "a");
    CHECK(readable("a\x01\nb\x7f", 10) == "a?\nb?");
  }

  TEST_CASE("versions") {
    CHECK(parse_version("3.17.2") == Version{3, 17, 2});
    CHECK(parse_version("2.9") == Version{2, 9, 0});
    CHECK(parse_version("2.22.1rc1") == Version{2, 22, 1});
    CHECK(parse_version("3.0.0.dev0") == Version{3, 0, 0});
    CHECK(parse_version("3.5rc1") == Version{3, 5, 0});
    CHECK(Version{2, 10, 2} > Version{2, 9, 2});
    for (std::string_view text : {"", "3", "v3.1", "<html>", "3.", ".1", "99999999999.1.1"}) {
      CAPTURE(text);
      CHECK(!parse_version(text));
    }
  }
}
