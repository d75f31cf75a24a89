#include <doctest/doctest.h>

#include <functional>
#include <string>

#include <boost/asio/io_context.hpp>

#include "async/sleep.hpp"
#include "async/task_group.hpp"
#include "protocol/http/client.hpp"
#include "support/cancelled_run.hpp"
#include "support/http_certificates.hpp"
#include "support/http_client.hpp"
#include "support/http_script.hpp"
#include "support/run.hpp"

using namespace mlferry;
using namespace mlferry::http;
using namespace mlferry::test;
using namespace std::chrono_literals;
namespace asio = boost::asio;

namespace {

async::Task<> send_one(Client& client, Request request, int& good) {
  auto const response = co_await client.send(std::move(request));
  if (response.status == 200) ++good;
}

async::Task<> download_one(Client& client, Request request, int& good) {
  auto opened = co_await client.open(std::move(request));
  auto const text = co_await async::read_all(*opened.download.body, 1 << 30, "x");
  if (text.size() == 100'000) ++good;
}

// Cancels the work after 0, 1, 2 ... steps of the loop until it ends by itself, and checks after each that
// the permit is back and the client still works.
void cancel_everywhere(asio::io_context& context, Client& client, Gate& gate,
                       const std::function<async::Task<>(int&)>& work) {
  int good = 0;
  int cancelled = 0;
  std::size_t steps = 0;
  for (;; ++steps) {
    REQUIRE(steps < 3000);
    auto const ending = run_cancelled_after(context, steps, work(good));
    CHECK(gate.permits.used() == 0);
    CHECK(gate.permits.waiting() == 0);
    if (ending == Ending::by_itself) break;
    if (ending == Ending::cancelled) ++cancelled;
    if (steps % 5 == 0) CHECK(run(context, client.send(get("/after"))).status == 200);
  }
  CHECK(cancelled > 5);
  CHECK(good >= 1);
  CHECK(run(context, client.send(get("/after"))).status == 200);
}

std::string answer(const Received& request) {
  if (request.line().find("/close") != std::string::npos) return reply(200, "x", "Connection: close\r\n");
  if (request.line().find("/file") != std::string::npos) {
    return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n186A0\r\n" + std::string(100'000, 'f') +
           "\r\n0\r\n\r\n";
  }
  return reply(200, "x");
}

}  // namespace

TEST_SUITE_BEGIN("protocol");

TEST_CASE("cancel: a request, at every step, on new and on kept connections") {
  asio::io_context context;
  HttpScript server(context, answer);
  Gate gate(context);
  auto options = quick(server.url("localhost"));  // so that the address look-up is one of the waits
  Client client(context.get_executor(), options, &gate);
  SUBCASE("kept") {
    cancel_everywhere(context, client, gate, [&](int& good) { return send_one(client, get("/"), good); });
  }
  SUBCASE("closed by the server") {
    cancel_everywhere(context, client, gate,
                      [&](int& good) { return send_one(client, get("/close"), good); });
  }
  SUBCASE("download") {
    cancel_everywhere(context, client, gate,
                      [&](int& good) { return download_one(client, get("/file"), good); });
  }
  SUBCASE("three that wait for one connection") {
    auto sharing = options;
    sharing.between_connects = 20ms;
    Client one_connection(context.get_executor(), sharing, &gate);
    cancel_everywhere(context, one_connection, gate, [&](int& good) -> async::Task<> {
      auto body = [&](async::TaskGroup& tasks) -> async::Task<> {
        for (int i = 0; i < 3; ++i) tasks.spawn(send_one(one_connection, get("/"), good));
        co_return;
      };
      co_await async::with_task_group(context.get_executor(), body);
    });
  }
  SUBCASE("streamed upload") {
    cancel_everywhere(context, client, gate, [&](int& good) {
      Request request;
      request.method = Method::put;
      request.target = "/up";
      request.body_size = 1'000'000;
      request.open_body = []() -> async::Task<std::unique_ptr<async::ByteReader>> {
        co_return std::make_unique<async::MemoryReader>(std::string(1'000'000, 'u'));
      };
      return send_one(client, std::move(request), good);
    });
  }
}

TEST_CASE("cancel: TLS, at every step") {
  asio::io_context context;
  CertificateFolder folder;
  auto const ca = folder.authority("ca");
  auto const own = folder.issue(ca, "server", "IP:127.0.0.1");
  HttpScript server(context, answer, ServerTls{own.certificate, own.key, ""});
  Gate gate(context);
  auto options = quick(server.url());
  options.tls.ca_file = ca.certificate;
  Client client(context.get_executor(), options, &gate);
  cancel_everywhere(context, client, gate, [&](int& good) { return send_one(client, get("/close"), good); });
}

TEST_CASE("cancel: while the server is silent, while a retry waits, while the limiter is full") {
  asio::io_context context;
  HttpScript server(context, HttpScript::Script([](Peer& peer) -> async::Task<> {
                      while (true) {
                        auto const request = co_await peer.read_request();
                        if (!request) co_return;
                        auto const line = request->line();
                        if (line.find("/silent") != std::string::npos) co_return co_await peer.wait_closed();
                        if (line.find("/busy") != std::string::npos) {
                          co_await peer.send(reply(429, "", "Retry-After: 60\r\n"));
                        } else if (line.find("/half") != std::string::npos) {
                          co_await peer.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
                          co_return co_await peer.wait_closed();
                        } else {
                          co_await peer.send(reply(200, "x"));
                        }
                      }
                    }));
  Gate gate(context);
  Client client(context.get_executor(), quick(server.url()), &gate);
  auto const cancelled_after = [&](const char* target, std::chrono::milliseconds delay) {
    int good = 0;
    asio::cancellation_signal signal;
    async::TaskGroup group(context.get_executor());
    group.spawn(send_one(client, get(target), good));
    run(context, async::sleep_for(delay));
    group.cancel();
    auto const begun = std::chrono::steady_clock::now();
    try {
      run(context, group.join());
      FAIL("not cancelled");
    } catch (const boost::system::system_error& error) {
      CHECK(error.code() == asio::error::operation_aborted);
    }
    CHECK(std::chrono::steady_clock::now() - begun < 1s);
  };
  for (auto const* target : {"/silent", "/busy", "/half"}) {
    CAPTURE(target);
    cancelled_after(target, 20ms);
    CHECK(gate.permits.used() == 0);
  }
  auto held = run(context, gate.permits.acquire(4));
  cancelled_after("/", 5ms);
  CHECK(gate.permits.waiting() == 0);
  held.release();
  CHECK(run(context, client.send(get("/"))).status == 200);
}

TEST_SUITE_END();
