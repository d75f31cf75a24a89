#include "protocol/http/client.hpp"

#include <zlib.h>

#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "async/sleep.hpp"
#include "support/http_client.hpp"
#include "support/http_script.hpp"
#include "support/run.hpp"

using namespace mlferry;
using namespace mlferry::http;
using namespace mlferry::test;
using namespace std::chrono_literals;
namespace asio = boost::asio;

namespace {

std::string gzip(const std::string& text) {
  z_stream zlib{};
  REQUIRE(deflateInit2(&zlib, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string result(compressBound(text.size()) + 64, '\0');
  zlib.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  zlib.avail_in = static_cast<uInt>(text.size());
  zlib.next_out = reinterpret_cast<Bytef*>(result.data());
  zlib.avail_out = static_cast<uInt>(result.size());
  REQUIRE(deflate(&zlib, Z_FINISH) == Z_STREAM_END);
  result.resize(zlib.total_out);
  deflateEnd(&zlib);
  return result;
}

async::Task<> says_which_connection(Peer& peer) {
  while (co_await peer.read_request()) {
    co_await async::sleep_for(10ms);
    co_await peer.send(reply(200, std::to_string(peer.number)));
  }
}

}  // namespace

TEST_SUITE_BEGIN("protocol");

TEST_CASE("client: a server that sends header and body apart does not wait for a held-back ACK") {
  constexpr int requests = 12;
  asio::io_context context;
  HttpScript server(context, [](Peer& peer) -> async::Task<> {
    for (int i = 0; i < requests; ++i) {
      co_await peer.read_request();
      co_await peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
      co_await peer.send("{}");
    }
  });
  Client client(context.get_executor(), quick(server.url()), nullptr);
  auto const start = std::chrono::steady_clock::now();
  for (int i = 0; i < requests; ++i) CHECK(run(context, client.send(get("/"))).body == "{}");
  // Held back, it costs 40 ms a request.
  CHECK(std::chrono::steady_clock::now() - start < 240ms);
}

TEST_CASE("client: keep-alive reuse, prefix, headers") {
  asio::io_context context;
  HttpScript server(
      context, [](const Received& request) { return reply(200, request.line(), "X-A: 1\r\nx-a: 2\r\n"); });
  auto options = quick(server.url() + "/prefix/");
  options.authorization = "Bearer token";
  Client client(context.get_executor(), options, nullptr);
  CHECK(client.base_url() == server.url() + "/prefix");
  for (int i = 0; i < 3; ++i) {
    auto const response = run(context, client.send(get("/x?y=1")));
    CHECK(response.status == 200);
    CHECK(response.ok());
    CHECK(response.body == "GET /prefix/x?y=1 HTTP/1.1");
    CHECK(*find_header(response.headers, "X-a") == "1");
  }
  CHECK(server.connections() == 1);
  CHECK(server.requests()[0].header("Authorization") == "Bearer token");
  CHECK(server.requests()[0].header("Accept-Encoding") == "gzip");
  CHECK(server.requests()[0].header("Origin") == "(none)");
  CHECK(client.counters().requests == 3);
  CHECK(client.counters().write_requests == 0);
  CHECK(client.counters().connections == 1);
  CHECK(client.counters().retries == 0);
  CHECK(client.counters().bytes_sent == server.requests()[0].head.size() * 3);
  CHECK(client.counters().bytes_received ==
        reply(200, "GET /prefix/x?y=1 HTTP/1.1", "X-A: 1\r\nx-a: 2\r\n").size() * 3);
}

TEST_CASE("client: Connection: close, and bodies without length") {
  asio::io_context context;
  HttpScript server(context, HttpScript::Script([](Peer& peer) -> async::Task<> {
                      co_await peer.read_request();
                      if (peer.number == 0) {
                        co_await peer.send(reply(200, "one", "Connection: close\r\n"));
                        co_await peer.wait_closed();  // it is the client that closes
                      } else {
                        co_await peer.send("HTTP/1.1 200 OK\r\n\r\nuntil ");
                        co_await peer.send("the end");
                      }
                    }));
  Client client(context.get_executor(), quick(server.url()), nullptr);
  CHECK(run(context, client.send(get("/"))).body == "one");
  CHECK(run(context, client.send(get("/"))).body == "until the end");
  CHECK(run(context, client.send(get("/"))).body == "until the end");
  CHECK(client.counters().connections == 3);
}

TEST_CASE("client: chunked bodies, whole and byte by byte") {
  asio::io_context context;
  std::string const answer =
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;ext=1\r\nhello\r\n1\r\n "
      "\r\n5\r\nworld\r\n0\r\nTrailer: x\r\n\r\n";
  HttpScript server(context, HttpScript::Script([&](Peer& peer) -> async::Task<> {
                      while (true) {
                        auto const request = co_await peer.read_request();
                        if (!request) co_return;
                        if (request->line() == "GET /whole HTTP/1.1") {
                          co_await peer.send(answer);
                        } else {
                          for (char const c : answer) {
                            co_await peer.send(std::string(1, c));
                            co_await async::sleep_for(20us);
                          }
                        }
                      }
                    }));
  Client client(context.get_executor(), quick(server.url()), nullptr);
  CHECK(run(context, client.send(get("/whole"))).body == "hello world");
  CHECK(run(context, client.send(get("/drip"))).body == "hello world");
  CHECK(run(context, client.send(get("/whole"))).body == "hello world");
  CHECK(server.connections() == 1);
}

TEST_CASE("client: large bodies, and the bound on them") {
  asio::io_context context;
  std::string const big(3'000'000, 'b');
  HttpScript server(context, [&](const Received& request) {
    if (request.line() == "GET /chunked HTTP/1.1") {
      return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2DC6C0\r\n" + big + "\r\n0\r\n\r\n";
    }
    return reply(200, big);
  });
  Client client(context.get_executor(), quick(server.url()), nullptr);
  CHECK(run(context, client.send(get("/"))).body == big);
  CHECK(run(context, client.send(get("/chunked"))).body == big);
  for (auto const* target : {"/", "/chunked"}) {
    auto request = get(target);
    request.max_response_bytes = big.size();
    CHECK(run(context, client.send(request)).body.size() == big.size());
    request.max_response_bytes = big.size() - 1;
    CHECK_THROWS_AS(run(context, client.send(request)), ResponseTooLarge);
  }
  CHECK(client.counters().retries == 0);
}

TEST_CASE("client: gzip, and what hides in it") {
  asio::io_context context;
  std::string const text(200'000, 'x');
  HttpScript server(context, [&](const Received& request) {
    auto const coded = gzip(text);
    std::string const header = "Content-Encoding: gzip\r\n";
    auto const line = request.line();
    if (line.starts_with("GET /twice")) return reply(200, gzip("one ") + gzip("two"), header);
    if (line.starts_with("GET /short")) return reply(200, coded.substr(0, coded.size() - 9), header);
    if (line.starts_with("GET /broken")) return reply(200, "not gzip at all", header);
    if (line.starts_with("GET /empty")) return reply(200, "", header);
    if (line.starts_with("GET /other")) return reply(200, "x", "Content-Encoding: br\r\n");
    return reply(200, coded, header);
  });
  Client client(context.get_executor(), quick(server.url()), nullptr);
  CHECK(run(context, client.send(get("/"))).body == text);
  CHECK(run(context, client.send(get("/twice"))).body == "one two");
  CHECK(run(context, client.send(get("/empty"))).body == "");
  CHECK(error_of(context, client, get("/short")).fault() == Fault::short_body);
  CHECK(error_of(context, client, get("/broken")).fault() == Fault::malformed);
  CHECK(error_of(context, client, get("/other")).fault() == Fault::malformed);
  auto bomb = get("/");
  bomb.max_response_bytes = 100'000;
  CHECK_THROWS_AS(run(context, client.send(bomb)), ResponseTooLarge);
}

TEST_CASE("client: HEAD, 204 and 304 have no body") {
  asio::io_context context;
  HttpScript server(context, [](const Received& request) -> std::string {
    if (request.line().starts_with("HEAD")) return "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n";
    if (request.line().starts_with("GET /304")) return "HTTP/1.1 304 X\r\nContent-Length: 7\r\n\r\n";
    return "HTTP/1.1 204 No Content\r\n\r\n";
  });
  Client client(context.get_executor(), quick(server.url()), nullptr);
  auto head = get("/");
  head.method = Method::head;
  auto const response = run(context, client.send(head));
  CHECK(*find_header(response.headers, "content-length") == "1000");
  CHECK(response.body.empty());
  CHECK(run(context, client.send(get("/"))).status == 204);
  CHECK(run(context, client.send(get("/304"))).status == 304);
  CHECK(server.connections() == 1);
}

TEST_CASE("client: interim answers are passed over, but not without end") {
  asio::io_context context;
  HttpScript server(context, [](const Received& request) -> std::string {
    if (request.line().starts_with("GET /many")) {
      std::string many;
      for (int i = 0; i < 100; ++i) many += "HTTP/1.1 102 Processing\r\n\r\n";
      return many + reply(200, "x");
    }
    if (request.line().starts_with("GET /switch")) return "HTTP/1.1 101 X\r\nUpgrade: y\r\n\r\n";
    return "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + reply(200, "real");
  });
  Client client(context.get_executor(), quick(server.url()), nullptr);
  CHECK(run(context, client.send(get("/"))).body == "real");
  CHECK(error_of(context, client, get("/many")).fault() == Fault::malformed);
  CHECK(error_of(context, client, get("/switch")).fault() == Fault::malformed);
}

TEST_CASE("client: answers that are not HTTP, and headers beyond the bound") {
  asio::io_context context;
  HttpScript server(context, [](const Received& request) -> std::string {
    auto const line = request.line();
    if (line.starts_with("GET /ssh")) return "SSH-2.0-OpenSSH\r\n\r\n";
    if (line.starts_with("GET /lengths"))
      return "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx";
    if (line.starts_with("GET /chunk")) return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n";
    if (line.starts_with("GET /endless")) {
      return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;" + std::string(100'000, 'e');
    }
    auto const size = line.starts_with("GET /huge") ? 100'000 : 50'000;
    return reply(200, "ok", "X: " + std::string(static_cast<std::size_t>(size), 'h') + "\r\n");
  });
  Client client(context.get_executor(), quick(server.url()), nullptr);
  for (auto const* target : {"/ssh", "/lengths", "/chunk", "/endless", "/huge"}) {
    CAPTURE(target);
    CHECK(error_of(context, client, get(target)).fault() == Fault::malformed);
  }
  CHECK(run(context, client.send(get("/large"))).body == "ok");
  CHECK(client.counters().retries == 0);
}

TEST_CASE("client: a pooled connection that died is replaced at once") {
  asio::io_context context;
  // The first connection closes when the second request comes: the client cannot know before.
  HttpScript server(context, HttpScript::Script([](Peer& peer) -> async::Task<> {
                      co_await peer.read_request();
                      co_await peer.send(reply(200, std::to_string(peer.number)));
                      co_await peer.read_request();
                    }));
  auto options = quick(server.url());
  options.retry.attempts = 1;
  Client client(context.get_executor(), options, nullptr);
  CHECK(run(context, client.send(get("/"))).body == "0");
  CHECK(run(context, client.send(get("/"))).body == "1");
  CHECK(client.counters().retries == 1);

  // The same with a create: it may have been carried out.
  CHECK(run(context, client.send(create("/c", "{}"))).body == "2");
  try {
    run(context, client.send(create("/c", "{}")));
    FAIL("nothing was thrown");
  } catch (const TransportError& error) {
    CHECK(error.outcome_unknown());
    CHECK(error.fault() == Fault::closed);
  }
  CHECK(server.connections() == 3);
}

TEST_CASE("client: a connection that the server closed while it rested is not used") {
  asio::io_context context;
  HttpScript server(context, HttpScript::Script([](Peer& peer) -> async::Task<> {
                      co_await peer.read_request();
                      co_await peer.send(reply(200, std::to_string(peer.number)));
                      if (peer.number == 1) co_await peer.send("unasked");
                    }));
  Client client(context.get_executor(), quick(server.url()), nullptr);
  for (auto const* body : {"0", "1", "2"}) {
    CHECK(run(context, client.send(create("/c", "{}"))).body == body);
    run(context, async::sleep_for(10ms));
  }
  CHECK(client.counters().retries == 0);
}

TEST_CASE("client: new connections are made apart, and one that came back meanwhile is taken instead") {
  asio::io_context context;
  std::vector<std::chrono::steady_clock::time_point> opened;
  auto answer_time = 200ms;
  HttpScript server(context, HttpScript::Script([&](Peer& peer) -> async::Task<> {
                      opened.push_back(std::chrono::steady_clock::now());
                      while (co_await peer.read_request()) {
                        co_await async::sleep_for(answer_time);
                        co_await peer.send(reply(200, "x"));
                      }
                    }));
  auto options = quick(server.url());
  options.between_connects = 20ms;
  auto const at_once = [&](int n) {
    Client client(context.get_executor(), options, nullptr);
    async::TaskGroup group(context.get_executor());
    auto const one = [&]() -> async::Task<> { co_await client.send(get("/")); };
    for (int i = 0; i < n; ++i) group.spawn(one());
    run(context, group.join());
    return client.counters().connections;
  };
  CHECK(at_once(4) == 4);
  REQUIRE(opened.size() == 4);
  CHECK(opened[3] - opened[0] >= 55ms);  // three times 20, and the moment in which the first was accepted
  answer_time = 0ms;
  CHECK(at_once(4) <= 2);  // when their turn comes, the first has long been answered
}

TEST_CASE("client: whoever has waited longest for a connection gets it") {
  asio::io_context context;
  std::string order;
  HttpScript server(context, [&](const Received& request) {
    order += request.line()[5];
    return reply(200, "x");
  });
  auto options = quick(server.url());
  options.between_connects = 1'000ms;  // so that all share one
  Client client(context.get_executor(), options, nullptr);
  async::TaskGroup group(context.get_executor());
  auto const one_after_the_other = [&]() -> async::Task<> {
    for (int i = 0; i < 5; ++i) co_await client.send(get("/a"));
  };
  auto const once = [&](std::string target) -> async::Task<> { co_await client.send(get(target)); };
  group.spawn(one_after_the_other());
  group.spawn(once("/b"));
  group.spawn(once("/c"));
  run(context, group.join());
  CHECK(order == "abcaaaa");
  CHECK(server.connections() == 1);
}

TEST_CASE("client: kept connections take turns, the longest rested first") {
  asio::io_context context;
  HttpScript server(context, HttpScript::Script(says_which_connection));
  auto options = quick(server.url());
  options.between_connects = 0ms;
  Client client(context.get_executor(), options, nullptr);
  async::TaskGroup group(context.get_executor());
  auto const one = [&]() -> async::Task<> { co_await client.send(get("/")); };
  for (int i = 0; i < 2; ++i) group.spawn(one());
  run(context, group.join());
  std::string order;
  for (int i = 0; i < 4; ++i) order += run(context, client.send(get("/"))).body;
  CHECK((order == "0101" || order == "1010"));
  CHECK(server.connections() == 2);
}

TEST_CASE("client: writes have connections of their own, the one that was made first is used first") {
  asio::io_context context;
  HttpScript server(context, HttpScript::Script(says_which_connection));
  auto options = quick(server.url());
  options.between_connects = 0ms;
  Gate gate(context);
  Client client(context.get_executor(), options, &gate);
  auto const write = [&] { return client.send(create("/c", "{}")); };
  async::TaskGroup group(context.get_executor());
  auto const one = [&]() -> async::Task<> { co_await write(); };
  for (int i = 0; i < 2; ++i) group.spawn(one());
  run(context, group.join());
  std::string order;
  for (int i = 0; i < 3; ++i) order += run(context, write()).body;
  CHECK((order == "000" || order == "111"));  // which one the script saw first is the system's choice
  CHECK(run(context, client.send(get("/"))).body == "2");
  CHECK(server.connections() == 3);

  SUBCASE("when the limiter wants others, those of its class end, at once or with their answer") {
    gate.advice = http::Connections::renew;
    run(context, write());  // on one of the two; the other rests
    CHECK(run(context, write()).body == "3");
    CHECK(run(context, write()).body == "3");
    CHECK(run(context, client.send(get("/"))).body == "2");
    CHECK(server.connections() == 4);
  }
}

TEST_CASE("client: a server that keeps no connection is not waited for") {
  asio::io_context context;
  HttpScript server(context, [](const Received&) { return reply(200, "x", "Connection: close\r\n"); });
  auto options = quick(server.url());
  options.between_connects = 60'000ms;
  Client client(context.get_executor(), options, nullptr);
  for (int i = 0; i < 3; ++i) CHECK(run(context, client.send(get("/"))).body == "x");
  CHECK(client.counters().connections == 3);
}

TEST_CASE("client: idle connections are bounded") {
  asio::io_context context;
  int alive = 0;
  HttpScript server(context, HttpScript::Script([&](Peer& peer) -> async::Task<> {
                      ++alive;
                      while (true) {
                        auto const request = co_await peer.read_request();
                        if (!request) break;
                        co_await async::sleep_for(10ms);
                        co_await peer.send(reply(200, "x"));
                      }
                      --alive;
                    }));
  auto options = quick(server.url());
  options.max_idle_connections = 2;
  options.between_connects = 0ms;
  Client client(context.get_executor(), options, nullptr);
  async::TaskGroup group(context.get_executor());
  auto const one = [&]() -> async::Task<> { co_await client.send(get("/")); };
  for (int i = 0; i < 5; ++i) group.spawn(one());
  run(context, group.join());
  run(context, async::sleep_for(10ms));
  CHECK(server.connections() == 5);
  CHECK(alive == 2);
}

TEST_CASE("client: every way to lose an answer, then success") {
  struct Row {
    const char* name;
    const char* bytes;
    bool reset;
  };
  Row const rows[] = {
      {"nothing", "", false},
      {"reset", "", true},
      {"half a header", "HTTP/1.1 200 OK\r\nConte", false},
      {"short", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", false},
      {"short and reset", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", true},
      {"half a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", false},
      {"no last chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", false},
      {"bad gateway", "HTTP/1.1 502 X\r\nContent-Length: 2\r\n\r\n{}", false},
      {"no time", "HTTP/1.1 504 X\r\nContent-Length: 0\r\n\r\n", false},
      {"fallen over", "HTTP/1.1 500 X\r\nContent-Length: 5\r\n\r\n<html", false},
  };
  for (auto const& row : rows) {
    CAPTURE(row.name);
    asio::io_context context;
    HttpScript server(context, HttpScript::Script([&row](Peer& peer) -> async::Task<> {
                        co_await peer.read_request();
                        if (peer.number >= 2) {
                          co_await peer.send(reply(200, "fine"));
                          co_return;
                        }
                        co_await peer.send(row.bytes);
                        if (!row.reset) co_return;
                        co_await async::sleep_for(2ms);
                        peer.reset();
                      }));
    Client client(context.get_executor(), quick(server.url()), nullptr);
    CHECK(run(context, client.send(get("/"))).body == "fine");
    CHECK(client.counters().retries == 2);

    // A create is sent once, and the caller is told.
    HttpScript again(context, HttpScript::Script([&row](Peer& peer) -> async::Task<> {
                       co_await peer.read_request();
                       co_await peer.send(row.bytes);
                       co_await async::sleep_for(2ms);
                       if (row.reset) peer.reset();
                     }));
    Client creator(context.get_executor(), quick(again.url()), nullptr);
    auto const error = error_of(context, creator, create("/c", "{}"));
    CHECK(error.outcome_unknown());
    CHECK(std::string(error.what()).find("POST " + again.url() + "/c: ") == 0);
    CHECK(again.connections() == 1);
    CHECK(creator.counters().write_requests == 1);
  }
}

TEST_CASE("client: the last answer is handed out when attempts run out") {
  asio::io_context context;
  HttpScript server(context, [](const Received&) { return reply(503, "{\"busy\": 1}"); });
  Gate gate(context);
  Client client(context.get_executor(), quick(server.url()), &gate);
  auto const response = run(context, client.send(get("/")));
  CHECK(response.status == 503);
  CHECK(response.body == "{\"busy\": 1}");
  CHECK(client.counters().requests == 3);
  REQUIRE(gate.seen.size() == 3);
  CHECK(gate.seen[2].throttled);
  CHECK(gate.held.empty());
}

TEST_CASE("client: a failure that means 'too much at once' is repeated, shrinks the limit, and leaves a create open") {
  asio::io_context context;
  int asked = 0;
  HttpScript server(context, [&](const Received&) {
    return ++asked % 2 == 1 ? reply(400, R"({"message": "QueuePool limit of size 5"})") : reply(200, "done");
  });
  Gate gate(context);
  auto options = quick(server.url());
  options.overloaded = [](int status, std::string_view body) { return status == 400 && body.find("QueuePool") != body.npos; };
  Client client(context.get_executor(), options, &gate);
  CHECK(run(context, client.send(get("/"))).body == "done");
  CHECK(std::any_of(gate.seen.begin(), gate.seen.end(), [](const Observation& seen) { return seen.throttled; }));
  CHECK_THROWS_AS(run(context, client.send(create("/c", "{}"))), TransportError);
  CHECK(asked == 3);
}

TEST_CASE("client: Retry-After holds the class back and is waited for, also by a create") {
  asio::io_context context;
  int asked = 0;
  HttpScript server(context, [&](const Received&) {
    return ++asked == 1 ? reply(429, "{}", "Retry-After: 0.05\r\n") : reply(200, "done");
  });
  Gate gate(context);
  Client client(context.get_executor(), quick(server.url()), &gate);
  auto const begun = std::chrono::steady_clock::now();
  CHECK(run(context, client.send(create("/c", "{}"))).body == "done");
  CHECK(std::chrono::steady_clock::now() - begun >= 50ms);
  REQUIRE(gate.held.size() == 1);
  CHECK(gate.held[0].first == RequestClass::write);
  CHECK(gate.held[0].second == std::chrono::nanoseconds(50ms));
  REQUIRE(gate.seen.size() == 2);
  CHECK(gate.seen[0].status == 429);
  CHECK(gate.seen[0].throttled);
  CHECK(gate.seen[1].status == 200);
  CHECK(!gate.seen[1].throttled);
}

TEST_CASE("client: a silent server meets the idle limit, a slow one does not") {
  asio::io_context context;
  HttpScript server(context, HttpScript::Script([](Peer& peer) -> async::Task<> {
                      auto const request = co_await peer.read_request();
                      if (request->line().find("/silent") != std::string::npos)
                        co_return co_await peer.wait_closed();
                      if (request->line().starts_with("GET /half")) {
                        co_await peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
                        co_return co_await peer.wait_closed();
                      }
                      for (char const c : reply(200, "slow")) {
                        co_await async::sleep_for(8ms);
                        co_await peer.send(std::string(1, c));
                      }
                    }));
  auto options = quick(server.url());
  options.idle_timeout = 100ms;
  options.retry.attempts = 2;
  Gate gate(context);
  Client client(context.get_executor(), options, &gate);
  CHECK(run(context, client.send(get("/slow"))).body == "slow");
  CHECK(error_of(context, client, get("/silent")).fault() == Fault::timeout);
  REQUIRE(gate.seen.size() == 3);
  CHECK(gate.seen[1].status == 0);
  CHECK(gate.seen[1].throttled);
  CHECK(gate.seen[1].latency >= 100ms);
  auto const half = error_of(context, client, get("/half"));
  CHECK(half.fault() == Fault::timeout);
  CHECK(!half.outcome_unknown());
  auto const lost = error_of(context, client, create("/silent", "{}"));
  CHECK(lost.fault() == Fault::timeout);
  CHECK(lost.outcome_unknown());
  CHECK(gate.permits.used() == 0);
}

TEST_CASE("client: nobody listens, no such host") {
  asio::io_context context;
  std::string url;
  {
    HttpScript gone(context, [](const Received&) { return reply(200, ""); });
    url = gone.url();
  }
  Client refused(context.get_executor(), quick(url), nullptr);
  auto const error = error_of(context, refused, create("/c", "{}"));
  CHECK(error.fault() == Fault::connect);
  CHECK(!error.outcome_unknown());
  CHECK(refused.counters().retries == 2);
  CHECK(refused.counters().requests == 0);

  // An empty label never gets as far as a name server.
  auto options = quick("http://no..such..host");
  options.retry.attempts = 1;
  Client unknown(context.get_executor(), options, nullptr);
  CHECK(error_of(context, unknown, get("/")).fault() == Fault::resolve);
}

TEST_CASE("client: a server that does not answer the connect meets the connect limit") {
  asio::io_context context;
  // With a full queue of connections the kernel drops what else comes.
  asio::ip::tcp::acceptor acceptor(context);
  acceptor.open(asio::ip::tcp::v4());
  acceptor.bind(asio::ip::tcp::endpoint(asio::ip::address_v4::loopback(), 0));
  acceptor.listen(0);
  auto const place = acceptor.local_endpoint();
  std::vector<asio::ip::tcp::socket> queue;
  for (int i = 0; i < 4; ++i) {
    queue.emplace_back(context);
    queue.back().async_connect(place, [](boost::system::error_code) {});
  }
  run(context, async::sleep_for(10ms));
  auto options = quick("http://127.0.0.1:" + std::to_string(place.port()));
  options.connect_timeout = 50ms;
  options.retry.attempts = 1;
  Client client(context.get_executor(), options, nullptr);
  auto const begun = std::chrono::steady_clock::now();
  auto const error = error_of(context, client, create("/c", "{}"));
  CHECK(error.fault() == Fault::timeout);
  CHECK(!error.outcome_unknown());
  CHECK(std::chrono::steady_clock::now() - begun < 1s);
}

TEST_CASE("client: redirects stay with the server") {
  asio::io_context context;
  HttpScript other(context, [](const Received&) { return reply(200, "elsewhere"); });
  HttpScript server(context, [&](const Received& request) {
    auto const line = request.line();
    if (line == "GET /p//x HTTP/1.1") return reply(308, "", "Location: /p/x\r\n");
    if (line == "POST /p//x HTTP/1.1") return reply(308, "", "Location: /p/x\r\n");
    if (line == "POST /p/see HTTP/1.1") return reply(303, "", "Location: /p/x\r\n");
    if (line == "GET /p/relative HTTP/1.1") return reply(302, "moved", "Location: x\r\n");
    if (line == "GET /p/away HTTP/1.1") return reply(302, "", "Location: " + other.url() + "/\r\n");
    if (line == "GET /p/loop HTTP/1.1") return reply(301, "", "Location: loop\r\n");
    return reply(200, request.line() + " " + request.body);
  });
  auto options = quick(server.url() + "/p");
  options.authorization = "Bearer secret";
  Client client(context.get_executor(), options, nullptr);
  CHECK(run(context, client.send(get("//x"))).body == "GET /p/x HTTP/1.1 ");
  CHECK(run(context, client.send(get("/relative"))).body == "GET /p/x HTTP/1.1 ");
  CHECK(run(context, client.send(create("//x", "{1}"))).body == "POST /p/x HTTP/1.1 {1}");
  CHECK(run(context, client.send(create("/see", "{}"))).status == 303);
  CHECK(run(context, client.send(get("/away"))).status == 302);
  CHECK(other.connections() == 0);
  auto const before = client.counters().requests;
  CHECK(run(context, client.send(get("/loop"))).status == 301);
  CHECK(client.counters().requests - before == 6);
  CHECK(client.counters().retries == 0);
}

TEST_CASE("client: nothing that ends a line is ever sent") {
  asio::io_context context;
  HttpScript server(context, [](const Received&) { return reply(200, ""); });
  Client client(context.get_executor(), quick(server.url()), nullptr);
  auto request = get("/");
  request.headers = {{"X", "secret\r\nEvil: 1"}};
  auto const error = error_of(context, client, request);
  CHECK(error.fault() == Fault::malformed);
  CHECK(std::string(error.what()).find("secret") == std::string::npos);
  CHECK(error_of(context, client, get("/a\r\nEvil: 1")).fault() == Fault::bad_url);
  CHECK(error_of(context, client, get("/a b")).fault() == Fault::bad_url);
  CHECK(error_of(context, client, get("no-slash")).fault() == Fault::bad_url);
  auto options = quick(server.url());
  options.authorization = "Bearer hunter2\r\nEvil: 1";
  try {
    Client bad(context.get_executor(), options, nullptr);
    FAIL("accepted");
  } catch (const TransportError& thrown) {
    CHECK(std::string(thrown.what()).find("hunter2") == std::string::npos);
  }
  CHECK(server.connections() == 0);
}

TEST_CASE("client: an empty budget slows retries down") {
  asio::io_context context;
  HttpScript server(context, [](const Received&) { return reply(502, ""); });
  auto options = quick(server.url());
  options.retry.attempts = 4;
  options.retry.base_delay = 0ms;
  options.retry.max_delay = 40ms;
  options.retry.budget = 1;
  Client client(context.get_executor(), options, nullptr);
  auto const begun = std::chrono::steady_clock::now();
  CHECK(run(context, client.send(get("/"))).status == 502);
  CHECK(std::chrono::steady_clock::now() - begun >= 80ms);
}

TEST_SUITE_END();
