#include "protocol/http/url.hpp"

#include <doctest/doctest.h>

#include "protocol/http/client.hpp"
#include "protocol/http/error.hpp"
#include "protocol/http/proxy.hpp"
#include "protocol/http/request_head.hpp"

using namespace mlferry::http;

namespace {

Fault fault_of(auto action) {
  try {
    action();
  } catch (const TransportError& error) {
    return error.fault();
  }
  FAIL("nothing was thrown");
  return Fault::closed;
}

}  // namespace

TEST_SUITE_BEGIN("protocol");

TEST_CASE("url: base URLs that can be used") {
  struct Row {
    const char* text;
    bool tls;
    const char* host;
    int port;
    const char* prefix;
    const char* normal;
  };
  Row const rows[] = {
      {"http://localhost", false, "localhost", 80, "", "http://localhost"},
      {"http://Host.Example/", false, "host.example", 80, "", "http://host.example"},
      {"https://h:8443/a/b/", true, "h", 8443, "/a/b", "https://h:8443/a/b"},
      {"HTTPS://h:443", true, "h", 443, "", "https://h"},
      {"http://[::1]:5000/x", false, "::1", 5000, "/x", "http://[::1]:5000/x"},
      {"http://127.0.0.1:80//", false, "127.0.0.1", 80, "", "http://127.0.0.1"},
  };
  for (auto const& row : rows) {
    CAPTURE(row.text);
    auto const url = parse_base_url(row.text);
    CHECK(url.origin.tls == row.tls);
    CHECK(url.origin.host == row.host);
    CHECK(url.origin.port == row.port);
    CHECK(url.prefix == row.prefix);
    CHECK(url.text == row.normal);
  }
}

TEST_CASE("url: base URLs that cannot be used, and no message shows a password") {
  for (auto const* text :
       {"", "localhost:5000", "ftp://h/", "http://", "http:///x", "http://h:0", "http://h:70000",
        "http://h/?q=1", "http://h/#f", "http://user:hunter2@h/", "http://h /", "http://user:hunter2@h /",
        "http://h\r\nX: y", "http://a%0d%0ab/", "http://a%40b/"}) {
    CAPTURE(text);
    try {
      parse_base_url(text);
      FAIL("accepted");
    } catch (const TransportError& error) {
      CHECK(error.fault() == Fault::bad_url);
      CHECK(std::string(error.what()).find("hunter2") == std::string::npos);
    }
  }
}

TEST_CASE("url: percent coding") {
  CHECK(percent_encode("aZ09-._~") == "aZ09-._~");
  CHECK(percent_encode("a/b c+%\n\xc3\xa4") == "a%2Fb%20c%2B%25%0A%C3%A4");
  CHECK(percent_encode_path("a/b c?") == "a/b%20c%3F");
  CHECK(percent_encode("") == "");
}

TEST_CASE("url: credentials") {
  CHECK(basic_authorization("Aladdin", "open sesame") == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
  CHECK(basic_authorization("", "") == "Basic Og==");
  struct Row {
    const char* text;
    const char* url;
    const char* user;
    const char* password;
  };
  Row const rows[] = {
      {"https://u:p@h/x", "https://h/x", "u", "p"},
      {"https://h/x", "https://h/x", "", ""},
      {"https://u@h", "https://h", "u", ""},
      {"https://u%40x:p%3a%2F@h:1/", "https://h:1/", "u@x", "p:/"},
      {"https://u:a@b@h/", "https://h/", "u", "a@b"},
      {"https://h/x@y", "https://h/x@y", "", ""},
      {"https://u:100%@h", "https://h", "u", "100%"},
      {"u:p@h:3128", "h:3128", "u", "p"},
  };
  for (auto const& row : rows) {
    CAPTURE(row.text);
    auto const split = split_credentials(row.text);
    CHECK(split.url == row.url);
    CHECK(split.user == row.user);
    CHECK(split.password == row.password);
  }
}

TEST_CASE("url: where a redirect leads") {
  Origin const origin{false, "h", 5000};
  auto const leads = [&](const char* location) {
    return same_origin_target(origin, "/a/b?q", location).value_or("(elsewhere)");
  };
  CHECK(leads("/x?y=1") == "/x?y=1");
  CHECK(leads("c") == "/a/c");
  CHECK(leads("../c#part") == "/c");
  CHECK(leads("http://h:5000/z") == "/z");
  CHECK(leads("http://H:5000") == "/");
  CHECK(leads("//h:5000/z") == "/z");
  CHECK(leads("http://h/z") == "(elsewhere)");
  CHECK(leads("https://h:5000/z") == "(elsewhere)");
  CHECK(leads("http://other:5000/z") == "(elsewhere)");
  CHECK(leads("//other:5000/z") == "(elsewhere)");
  CHECK(leads("http://u:p@h:5000/z") == "(elsewhere)");
  CHECK(leads("http://h:5000@other/z") == "(elsewhere)");
  CHECK(leads("/with blank") == "(elsewhere)");
  CHECK(leads("/a\r\nX: y") == "(elsewhere)");
}

TEST_CASE("url: what messages show") {
  Origin const origin{true, "h", 443};
  CHECK(display_url(origin, "/a?run_id=1") == "https://h/a?run_id=1");
  CHECK(display_url(origin, "/a?X-Amz-Signature=abc") == "https://h/a?...");
  CHECK(display_url(origin, "/a?sv=1&sig=abc") == "https://h/a?...");
  CHECK(display_url(origin, "/" + std::string(1000, 'x')).size() == 303);
}

TEST_CASE("proxy: NO_PROXY") {
  struct Row {
    const char* list;
    const char* host;
    int port;
    bool bypassed;
  };
  Row const rows[] = {
      {"", "h", 80, false},
      {"*", "h", 80, true},
      {"h", "h", 80, true},
      {"H", "h", 80, true},
      {"h", "hh", 80, false},
      {"example.com", "a.example.com", 80, true},
      {".example.com", "a.example.com", 80, true},
      {"*.example.com", "a.example.com", 80, true},
      {".example.com", "example.com", 80, true},
      {"example.com", "badexample.com", 80, false},
      {"example.com", "example.com.evil", 80, false},
      {"a, b,c d", "d", 80, true},
      {"a, b,c d", "e", 80, false},
      {"h:8080", "h", 8080, true},
      {"h:8080", "h", 80, false},
      {"h:x", "h", 80, false},
      {"example.com", "example.com.", 80, true},
      {"127.0.0.1", "127.0.0.1", 80, true},
      {"127.0.0.1:81", "127.0.0.1", 80, false},
      {"0.0.1", "127.0.0.1", 80, false},
      {"10.0.0.0/8", "10.2.3.4", 80, true},
      {"10.0.0.0/8", "11.2.3.4", 80, false},
      {"10.0.0.0/8", "ten.example", 80, false},
      {"10.2.3.4/32", "10.2.3.4", 80, true},
      {"::1", "::1", 80, true},
      {"[::1]", "::1", 80, true},
      {"[::1]:80", "::1", 80, true},
      {"[::1]:81", "::1", 80, false},
      {"fe80::/10", "fe81::5", 80, true},
      {"fe80::/10", "10.0.0.1", 80, false},
      {",,", "h", 80, false},
      {".", "h", 80, false},
      {"[", "h", 80, false},
      {":", "h", 80, false},
      {"[:80", "h", 80, false},
  };
  for (auto const& row : rows) {
    CAPTURE(row.list);
    CAPTURE(row.host);
    CHECK(bypasses_proxy(row.list, row.host, static_cast<std::uint16_t>(row.port)) == row.bypassed);
  }
}

TEST_CASE("proxy: which one") {
  ProxyOptions options{"http://u:p%40@web:3128/", "tunnel:8080", "direct"};
  auto const web = choose_proxy(options, {false, "h", 80});
  REQUIRE(web);
  CHECK(web->host == "web");
  CHECK(web->port == 3128);
  CHECK(web->authorization == basic_authorization("u", "p@"));
  auto const tunnel = choose_proxy(options, {true, "h", 443});
  REQUIRE(tunnel);
  CHECK(tunnel->host == "tunnel");
  CHECK(tunnel->authorization.empty());
  CHECK(!choose_proxy(options, {true, "direct", 443}));
  for (auto const* bad : {"socks5://h:1", "https://h:1", "http://u:hunter2@", "http://u:hunter2@h:x"}) {
    CAPTURE(bad);
    try {
      choose_proxy({bad, "", ""}, {false, "h", 80});
      FAIL("accepted");
    } catch (const TransportError& error) {
      CHECK(error.fault() == Fault::bad_url);
      CHECK(std::string(error.what()).find("hunter2") == std::string::npos);
    }
  }
}

TEST_CASE("request head: what goes out, and what never may") {
  ClientOptions options;
  options.authorization = "Bearer t";
  options.headers = {{"X-MLFLOW-WORKSPACE", "w"}};
  HeadContext context;
  context.options = &options;
  context.origin = {false, "h", 5000};
  Request request;
  request.method = Method::post;
  request.body = "{}";
  request.content_type = "application/json";
  CHECK(request_head(context, request, "/p/x?y", true) ==
        "POST /p/x?y HTTP/1.1\r\nHost: h:5000\r\nUser-Agent: mlferry\r\nAccept: */*\r\nAccept-Encoding: "
        "gzip\r\n"
        "Authorization: Bearer t\r\nContent-Type: application/json\r\nX-MLFLOW-WORKSPACE: "
        "w\r\nContent-Length: 2\r\n\r\n");

  Request plain;
  plain.headers = {{"authorization", "other"}};
  context.absolute_form = true;
  context.proxy_authorization = "Basic cA==";
  CHECK(request_head(context, plain, "/", false) ==
        "GET http://h:5000/ HTTP/1.1\r\nHost: h:5000\r\nUser-Agent: mlferry\r\nAccept: */*\r\n"
        "Accept-Encoding: identity\r\nX-MLFLOW-WORKSPACE: w\r\nauthorization: other\r\n"
        "Proxy-Authorization: Basic cA==\r\n\r\n");
  plain.method = Method::del;
  CHECK(request_head(context, plain, "/", false).find("Content-Length: 0\r\n") != std::string::npos);

  for (auto const& header : Headers{{"X", "a\r\nY: b"},
                                    {"X", "a\nb"},
                                    {"X", std::string("a\0b", 3)},
                                    {"X\r\nY", "b"},
                                    {"", "b"},
                                    {"X Y", "b"},
                                    {"X:", "b"},
                                    {"Host", "evil"},
                                    {"content-length", "5"},
                                    {"Transfer-Encoding", "chunked"},
                                    {"Connection", "close"}}) {
    CAPTURE(header.name);
    Request bad;
    bad.headers = {header};
    CHECK(fault_of([&] { request_head(context, bad, "/", false); }) == Fault::malformed);
  }
  Request typed;
  typed.content_type = "text/plain\r\nX: y";
  CHECK(fault_of([&] { request_head(context, typed, "/", false); }) == Fault::malformed);
  for (auto const* target : {"", "x", "/a b", "/a\r\nX: y", "/\xc3\xa4", "/a#b"}) {
    CAPTURE(target);
    CHECK(fault_of([&] { request_head(context, Request{}, target, false); }) == Fault::bad_url);
  }
}

TEST_SUITE_END();
