#include "protocol/http/tls.hpp"

#include <doctest/doctest.h>

#include <string>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "async/sleep.hpp"
#include "async/task_group.hpp"
#include "protocol/http/client.hpp"
#include "support/http_certificates.hpp"
#include "support/http_client.hpp"
#include "support/http_script.hpp"
#include "support/run.hpp"

using namespace mlferry;
using namespace mlferry::http;
using namespace mlferry::test;
using namespace std::chrono_literals;
namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

bool mentions(const TransportError& error, const std::string& text) {
  return std::string(error.what()).find(text) != std::string::npos;
}

}  // namespace

TEST_SUITE_BEGIN("protocol");

TEST_CASE("tls: whom the client trusts") {
  asio::io_context context;
  CertificateFolder folder;
  auto const ca = folder.authority("ca");
  auto const other_ca = folder.authority("other");
  auto const good = folder.issue(ca, "server", "DNS:localhost,IP:127.0.0.1");
  std::string const big(300'000, 't');
  HttpScript server(
      context, [&](const Received& request) { return reply(200, request.body + big); },
      ServerTls{good.certificate, good.key, ""});

  auto options = quick(server.url());
  {
    Client unknown(context.get_executor(), options, nullptr);
    auto const error = error_of(context, unknown, get("/"));
    CHECK(error.fault() == Fault::tls);
    CHECK(!error.outcome_unknown());
    CHECK(mentions(error, "--ca-file"));
    CHECK(unknown.counters().connections == 0);
    CHECK(unknown.counters().retries == 0);
  }
  options.tls.ca_file = other_ca.certificate;
  {
    Client wrong(context.get_executor(), options, nullptr);
    CHECK(error_of(context, wrong, get("/")).fault() == Fault::tls);
  }
  options.tls.ca_file = ca.certificate;
  for (auto const* host : {"127.0.0.1", "localhost"}) {
    CAPTURE(host);
    options.base_url = server.url(host);
    Client client(context.get_executor(), options, nullptr);
    CHECK(run(context, client.send(get("/"))).body == big);
    for (int i = 0; i < 2; ++i) {
      CHECK(run(context, client.send(create("/c", std::string(500'000, 'u')))).body.size() == 800'000);
    }
    CHECK(client.counters().connections == 2);  // one for reads, one for writes
  }
  options.tls.ca_file = other_ca.certificate;
  options.tls.insecure = true;
  Client careless(context.get_executor(), options, nullptr);
  CHECK(run(context, careless.send(get("/"))).body == big);
}

TEST_CASE("tls: the certificate must be for the host, name or address") {
  asio::io_context context;
  CertificateFolder folder;
  auto const ca = folder.authority("ca");
  auto const names_only = folder.issue(ca, "localhost", "DNS:localhost,DNS:*.example.com");
  HttpScript server(
      context, [](const Received&) { return reply(200, "x"); },
      ServerTls{names_only.certificate, names_only.key, ""});
  auto options = quick(server.url("127.0.0.1"));
  options.tls.ca_file = ca.certificate;
  {
    Client client(context.get_executor(), options, nullptr);
    auto const error = error_of(context, client, get("/"));
    CHECK(error.fault() == Fault::tls);
    CHECK(mentions(error, "IP address mismatch"));
  }
  auto const address_only = folder.issue(ca, "address", "IP:127.0.0.1");
  HttpScript by_address(
      context, [](const Received&) { return reply(200, "x"); },
      ServerTls{address_only.certificate, address_only.key, ""});
  options.base_url = by_address.url("localhost");
  Client client(context.get_executor(), options, nullptr);
  auto const error = error_of(context, client, get("/"));
  CHECK(error.fault() == Fault::tls);
  CHECK(mentions(error, "ostname mismatch"));
}

TEST_CASE("tls: client certificates, and files that cannot be used") {
  asio::io_context context;
  CertificateFolder folder;
  auto const ca = folder.authority("ca");
  auto const own = folder.issue(ca, "server", "IP:127.0.0.1");
  auto const me = folder.issue(ca, "me", "");
  HttpScript server(
      context, [](const Received&) { return reply(200, "x"); },
      ServerTls{own.certificate, own.key, ca.certificate});
  auto options = quick(server.url());
  options.tls.ca_file = ca.certificate;
  {
    Client nobody(context.get_executor(), options, nullptr);
    CHECK(error_of(context, nobody, get("/")).fault() != Fault::connect);
  }
  options.tls.client_cert_file = me.certificate;
  options.tls.client_key_file = me.key;
  {
    Client client(context.get_executor(), options, nullptr);
    CHECK(run(context, client.send(get("/"))).body == "x");
  }
  options.tls.client_cert_file = folder.joined(me);
  options.tls.client_key_file.clear();
  {
    Client client(context.get_executor(), options, nullptr);
    CHECK(run(context, client.send(get("/"))).body == "x");
  }

  auto const refused = [&](TlsOptions tls) {
    options.tls = std::move(tls);
    try {
      Client client(context.get_executor(), options, nullptr);
    } catch (const TransportError& error) {
      return error.fault() == Fault::tls;
    }
    return false;
  };
  auto const missing = (folder.path() / "missing").string();
  CHECK(refused({missing, "", "", false}));
  CHECK(refused({me.key, "", "", false}));
  CHECK(refused({"", missing, "", false}));
  CHECK(refused({"", me.certificate, "", false}));
  CHECK(refused({"", me.certificate, own.key, false}));
  CHECK(refused({"", "", me.key, false}));
}

TEST_CASE("tls: an end without close_notify is no end") {
  asio::io_context context;
  CertificateFolder folder;
  auto const ca = folder.authority("ca");
  auto const own = folder.issue(ca, "server", "IP:127.0.0.1");
  HttpScript server(context, HttpScript::Script([](Peer& peer) -> async::Task<> {
                      auto const request = co_await peer.read_request();
                      co_await peer.send("HTTP/1.1 200 OK\r\n\r\nuntil the end");
                      if (request->line() == "GET /cut HTTP/1.1") peer.close();
                    }),
                    ServerTls{own.certificate, own.key, ""});
  auto options = quick(server.url());
  options.tls.ca_file = ca.certificate;
  Client client(context.get_executor(), options, nullptr);
  CHECK(run(context, client.send(get("/"))).body == "until the end");
  CHECK(error_of(context, client, get("/cut")).fault() == Fault::closed);
}

TEST_CASE("tls: a server that speaks something else, or nothing") {
  asio::io_context context;
  HttpScript server(context, HttpScript::Script([](Peer& peer) -> async::Task<> {
                      if (peer.number == 0) {
                        co_await peer.send("HTTP/1.1 400 Bad\r\n\r\n");
                        co_await async::sleep_for(5ms);
                      } else {
                        co_await peer.wait_closed();
                      }
                    }));
  auto options = quick("https://127.0.0.1:" + std::to_string(server.port()));
  options.connect_timeout = 50ms;
  options.retry.attempts = 1;
  Client client(context.get_executor(), options, nullptr);
  CHECK(error_of(context, client, get("/")).fault() == Fault::tls);
  CHECK(error_of(context, client, get("/")).fault() == Fault::timeout);
}

namespace {

// The proxy's half of a tunnel: bytes from one socket to the other until the end.
async::Task<> pump(tcp::socket& from, tcp::socket& to) {
  char data[16 * 1024];
  try {
    while (true) {
      auto const n = co_await from.async_read_some(asio::buffer(data), asio::use_awaitable);
      co_await asio::async_write(to, asio::buffer(data, n), asio::use_awaitable);
    }
  } catch (const boost::system::system_error&) {
    boost::system::error_code ignored;
    to.shutdown(tcp::socket::shutdown_send, ignored);
  }
}

}  // namespace

TEST_CASE("proxy: https goes through a tunnel, with credentials for the proxy only") {
  asio::io_context context;
  CertificateFolder folder;
  auto const ca = folder.authority("ca");
  auto const own = folder.issue(ca, "server", "IP:127.0.0.1");
  HttpScript server(
      context, [](const Received&) { return reply(200, "behind the proxy"); },
      ServerTls{own.certificate, own.key, ""});
  std::vector<Received> seen;
  HttpScript proxy(context, HttpScript::Script([&](Peer& peer) -> async::Task<> {
                     auto const request = co_await peer.read_head();
                     seen.push_back(*request);
                     if (request->header("Proxy-Authorization") == "(none)") {
                       co_await peer.send(reply(407, "who are you?"));
                       co_return;
                     }
                     if (seen.size() == 2) {
                       co_await peer.send(reply(502, "not now"));
                       co_return;
                     }
                     tcp::socket there(context);
                     co_await there.async_connect(
                         tcp::endpoint(asio::ip::address_v4::loopback(), server.port()), asio::use_awaitable);
                     co_await peer.send("HTTP/1.1 200 Connection established\r\n\r\n");
                     async::TaskGroup pumps(context.get_executor());
                     pumps.spawn(pump(peer.socket(), there));
                     pumps.spawn(pump(there, peer.socket()));
                     co_await pumps.join();
                   }));
  auto options = quick(server.url());
  options.authorization = "Bearer for-the-server";
  options.tls.ca_file = ca.certificate;
  options.proxy.https_proxy = proxy.url();
  {
    Client client(context.get_executor(), options, nullptr);
    auto const error = error_of(context, client, get("/"));
    CHECK(error.fault() == Fault::proxy);
    CHECK(client.counters().retries == 0);
  }
  options.proxy.https_proxy = "http://user:hunter2@127.0.0.1:" + std::to_string(proxy.port());
  {
    Client client(context.get_executor(), options, nullptr);
    CHECK(run(context, client.send(get("/"))).body == "behind the proxy");
    CHECK(run(context, client.send(get("/"))).body == "behind the proxy");
    CHECK(client.counters().connections == 1);
    CHECK(client.counters().retries == 1);
  }
  REQUIRE(seen.size() == 3);
  CHECK(seen[2].line() == "CONNECT 127.0.0.1:" + std::to_string(server.port()) + " HTTP/1.1");
  CHECK(seen[2].header("Proxy-Authorization") == basic_authorization("user", "hunter2"));
  CHECK(seen[2].header("Authorization") == "(none)");
  CHECK(server.requests()[0].header("Proxy-Authorization") == "(none)");
  CHECK(server.requests()[0].header("Authorization") == "Bearer for-the-server");

  options.proxy.no_proxy = "127.0.0.0/8";
  Client direct(context.get_executor(), options, nullptr);
  CHECK(run(context, direct.send(get("/"))).ok());
  CHECK(seen.size() == 3);
  proxy.stop_listening();
}

TEST_CASE("proxy: http uses the absolute form") {
  asio::io_context context;
  HttpScript proxy(context, [](const Received& request) {
    if (request.header("Proxy-Authorization") == "(none)") return reply(407, "");
    return reply(200, request.line() + " " + request.header("Host"));
  });
  auto options = quick("http://tracking.example:5000/p");
  options.proxy.http_proxy = "http://u:hunter2@127.0.0.1:" + std::to_string(proxy.port());
  Client client(context.get_executor(), options, nullptr);
  CHECK(run(context, client.send(get("/x"))).body ==
        "GET http://tracking.example:5000/p/x HTTP/1.1 tracking.example:5000");
  options.proxy.http_proxy = proxy.url();
  Client stranger(context.get_executor(), options, nullptr);
  CHECK(error_of(context, stranger, get("/x")).fault() == Fault::proxy);

  std::string const dead = "http://u:hunter2@127.0.0.1:1";
  options.proxy.http_proxy = dead;
  Client lost(context.get_executor(), options, nullptr);
  auto const error = error_of(context, lost, get("/x"));
  CHECK(error.fault() == Fault::connect);
  CHECK(mentions(error, "by way of proxy 127.0.0.1"));
  CHECK(!mentions(error, "hunter2"));
}

TEST_SUITE_END();
