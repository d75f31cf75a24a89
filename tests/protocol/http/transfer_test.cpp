#include <doctest/doctest.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "async/sleep.hpp"
#include "protocol/http/client.hpp"
#include "protocol/http/resuming_reader.hpp"
#include "protocol/http/tcp_stream.hpp"
#include "support/http_client.hpp"
#include "support/http_script.hpp"
#include "support/run.hpp"

using namespace mlferry;
using namespace mlferry::http;
using namespace mlferry::test;
using namespace std::chrono_literals;
namespace asio = boost::asio;

namespace {

std::string pattern(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + (i * 7 + i / 251) % 26);
  return text;
}

async::Task<std::string> download(Client& client, Request request) {
  auto opened = co_await client.open(std::move(request));
  if (!opened.download.body) throw std::runtime_error("status " + std::to_string(opened.download.status));
  auto text = co_await async::read_all(*opened.download.body, 1 << 30, "download");
  co_return text;
}

std::optional<Fault> fault_of(asio::io_context& context, Client& client, Request request) {
  try {
    run(context, download(client, std::move(request)));
  } catch (const TransportError& error) {
    return error.fault();
  }
  return std::nullopt;
}

// A file on a server whose connections break: connection n breaks after cut[n] bytes of a body.
struct FileServer {
  std::string content;
  std::string etag;
  bool ranges = false;
  bool lengths = true;
  std::vector<std::size_t> cuts;
  std::map<int, std::string> content_at;  // from this connection on the file is another
  std::map<int, std::string> etag_at;
  std::vector<std::string> asked;  // Range and If-Range of each request

  async::Task<> serve(Peer& peer) {
    auto const request = co_await peer.read_request();
    if (content_at.contains(peer.number)) content = content_at[peer.number];
    if (etag_at.contains(peer.number)) etag = etag_at[peer.number];
    auto const range = request->header("Range");
    auto const condition = request->header("If-Range");
    asked.push_back(range + " " + condition);
    std::size_t first = 0;
    std::size_t last = content.size();
    std::string head = "HTTP/1.1 200 OK\r\n";
    if (ranges && range != "(none)" && (condition == "(none)" || condition == etag)) {
      auto const dash = range.find('-');
      first = std::stoull(range.substr(6, dash - 6));
      if (dash + 1 < range.size()) last = std::stoull(range.substr(dash + 1)) + 1;
      if (first >= content.size()) {
        co_await peer.send(
            reply(416, "", "Content-Range: bytes */" + std::to_string(content.size()) + "\r\n"));
        co_return;
      }
      head = "HTTP/1.1 206 Partial\r\nContent-Range: bytes " + std::to_string(first) + "-" +
             std::to_string(last - 1) + "/" + std::to_string(content.size()) + "\r\n";
    }
    if (!etag.empty()) head += "ETag: " + etag + "\r\n";
    auto const body = content.substr(first, last - first);
    auto const index = static_cast<std::size_t>(peer.number);
    auto const cut = index < cuts.size() ? cuts[index] : body.size() + 1;
    if (lengths) {
      co_await peer.send(head + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
                         body.substr(0, cut));
    } else {
      char size[32];
      std::snprintf(size, sizeof size, "%zx\r\n", std::min(cut, body.size()));
      co_await peer.send(head + "Transfer-Encoding: chunked\r\n\r\n" + size + body.substr(0, cut) +
                         (cut > body.size() ? "\r\n0\r\n\r\n" : "\r\n"));
    }
  }
};

}  // namespace

TEST_SUITE_BEGIN("protocol");

TEST_CASE("download: streams, tells the size, gives connection and permit back") {
  asio::io_context context;
  auto const content = pattern(700'000);
  HttpScript server(context, [&](const Received& request) {
    if (request.line() == "GET /none HTTP/1.1") return reply(404, "no such file" + std::string(100'000, '.'));
    return reply(200, content, "X: y\r\n");
  });
  Gate gate(context);
  Client client(context.get_executor(), quick(server.url()), &gate);
  {
    auto opened = run(context, client.open(get("/file")));
    CHECK(opened.download.status == 200);
    CHECK(opened.download.size == content.size());
    CHECK(*find_header(opened.download.headers, "x") == "y");
    CHECK(opened.error_body.empty());
    CHECK(gate.permits.used() == 1);
    CHECK(run(context, async::read_all(*opened.download.body, 1 << 30, "x")) == content);
    CHECK(gate.permits.used() == 0);
  }
  CHECK(server.requests()[0].header("Accept-Encoding") == "identity");
  auto const missing = run(context, client.open(get("/none")));
  CHECK(missing.download.status == 404);
  CHECK(!missing.download.body);
  CHECK(missing.error_body.size() == 64 * 1024);
  CHECK(missing.error_body.starts_with("no such file"));
  CHECK(gate.permits.used() == 0);
  {
    auto dropped = run(context, client.open(get("/file")));
    CHECK(gate.permits.used() == 1);
  }
  CHECK(gate.permits.used() == 0);
  CHECK(run(context, client.send(get("/file"))).body == content);
  CHECK(client.counters().connections == 3);
}

TEST_CASE("download: goes on with Range and If-Range after each break") {
  asio::io_context context;
  FileServer file;
  file.content = pattern(100'000);
  file.etag = "\"v1\"";
  file.ranges = true;
  file.cuts = {10'000, 0, 20'000, 1, 30'000};
  HttpScript server(context, HttpScript::Script([&](Peer& peer) { return file.serve(peer); }));
  Gate gate(context);
  Client client(context.get_executor(), quick(server.url()), &gate);
  CHECK(run(context, download(client, get("/f"))) == file.content);
  CHECK(file.asked == std::vector<std::string>{"(none) (none)", "bytes=10000- \"v1\"", "bytes=10000- \"v1\"",
                                               "bytes=30000- \"v1\"", "bytes=30001- \"v1\"",
                                               "bytes=60001- \"v1\""});
  CHECK(gate.permits.used() == 0);
}

TEST_CASE("download: a part asked for by the caller is resumed within its bounds") {
  asio::io_context context;
  FileServer file;
  file.content = pattern(10'000);
  file.etag = "\"v1\"";
  file.ranges = true;
  file.cuts = {100};
  HttpScript server(context, HttpScript::Script([&](Peer& peer) { return file.serve(peer); }));
  Client client(context.get_executor(), quick(server.url()), nullptr);
  auto request = get("/f");
  request.headers = {{"Range", "bytes=1000-1999"}};
  CHECK(run(context, download(client, request)) == file.content.substr(1000, 1000));
  CHECK(file.asked[1] == "bytes=1100-1999 \"v1\"");
}

TEST_CASE("download: without ETag it starts again and checks what it had") {
  asio::io_context context;
  FileServer file;
  file.content = pattern(900'000);
  file.ranges = true;
  file.cuts = {500'000, 300'000};
  SUBCASE("with length") {}
  SUBCASE("chunked") {
    file.lengths = false;
  }
  SUBCASE("weak ETag") {
    file.etag = "W/\"v1\"";
  }
  HttpScript server(context, HttpScript::Script([&](Peer& peer) { return file.serve(peer); }));
  Client client(context.get_executor(), quick(server.url()), nullptr);
  CHECK(run(context, download(client, get("/f"))) == file.content);
  CHECK(file.asked == std::vector<std::string>(3, "(none) (none)"));
}

TEST_CASE("download: a server that ignores ranges but has an ETag") {
  asio::io_context context;
  FileServer file;
  file.content = pattern(50'000);
  file.etag = "\"v1\"";
  file.cuts = {20'000, 10'000, 30'000};
  HttpScript server(context, HttpScript::Script([&](Peer& peer) { return file.serve(peer); }));
  auto options = quick(server.url());
  options.retry.attempts = 4;
  Client client(context.get_executor(), options, nullptr);
  CHECK(run(context, download(client, get("/f"))) == file.content);
}

TEST_CASE("download: only the end was missing") {
  asio::io_context context;
  FileServer file;
  file.content = pattern(5'000);
  file.etag = "\"v1\"";
  file.ranges = true;
  file.lengths = false;
  file.cuts = {5'000};
  HttpScript server(context, HttpScript::Script([&](Peer& peer) { return file.serve(peer); }));
  Client client(context.get_executor(), quick(server.url()), nullptr);
  CHECK(run(context, download(client, get("/f"))) == file.content);
  CHECK(file.asked.size() == 2);
}

TEST_CASE("download: a file that changed is found out") {
  asio::io_context context;
  FileServer file;
  file.content = pattern(50'000);
  file.cuts = {20'000};
  auto other = file.content;
  SUBCASE("another ETag") {
    file.etag = "\"v1\"";
    file.ranges = true;
    file.etag_at[1] = "\"v2\"";
  }
  SUBCASE("the ETag is gone") {
    file.etag = "\"v1\"";
    file.etag_at[1] = "";
  }
  SUBCASE("other bytes in what was read") {
    other[100] = '!';
  }
  SUBCASE("another size") {
    other += "!";
  }
  SUBCASE("another size, chunked") {
    other.resize(10'000);
    file.lengths = false;
  }
  SUBCASE("another size under the same ETag") {
    file.etag = "\"v1\"";
    file.ranges = true;
    other += "!";
  }
  file.content_at[1] = other;
  HttpScript server(context, HttpScript::Script([&](Peer& peer) { return file.serve(peer); }));
  Gate gate(context);
  Client client(context.get_executor(), quick(server.url()), &gate);
  CHECK(fault_of(context, client, get("/f")) == Fault::changed);
  CHECK(gate.permits.used() == 0);
}

TEST_CASE("download: a file that is gone, and a server that never sends it whole") {
  asio::io_context context;
  HttpScript gone(context, HttpScript::Script([](Peer& peer) -> async::Task<> {
                    co_await peer.read_request();
                    if (peer.number == 0)
                      co_await peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
                    if (peer.number == 1) co_await peer.send(reply(404, "gone"));
                  }));
  Client client(context.get_executor(), quick(gone.url()), nullptr);
  CHECK(fault_of(context, client, get("/f")) == Fault::changed);

  HttpScript always(context, HttpScript::Script([](Peer& peer) -> async::Task<> {
                      co_await peer.read_request();
                      co_await peer.send("HTTP/1.1 200 OK\r\nETag: \"e\"\r\nContent-Length: 10\r\n\r\nhalf");
                    }));
  Client hopeless(context.get_executor(), quick(always.url()), nullptr);
  CHECK(fault_of(context, hopeless, get("/f")) == Fault::short_body);
  CHECK(always.connections() == 3);
}

TEST_CASE("download: parse Content-Range") {
  auto const good = parse_content_range("bytes 5-9/10");
  REQUIRE(good);
  CHECK(good->first == 5);
  CHECK(good->last == 9);
  CHECK(good->total == 10u);
  CHECK(parse_content_range("bytes 5-9/*"));
  for (auto const* bad :
       {"", "bytes", "bytes 9-5/10", "bytes 5-10/10", "bytes */10", "bytes 5-9", "bytes 5-9/10x",
        "items 5-9/10", "bytes -9/10", "bytes 99999999999999999999-9/10"}) {
    CAPTURE(bad);
    CHECK(!parse_content_range(bad));
  }
}

TEST_CASE("download: a slow reader does not lose its connection") {
  asio::io_context context;
  auto const content = pattern(8'000'000);
  HttpScript server(context, [&](const Received&) { return reply(200, content); });
  auto options = quick(server.url());
  options.idle_timeout = 30ms;
  Client client(context.get_executor(), options, nullptr);
  auto opened = run(context, client.open(get("/f")));
  run(context, async::sleep_for(100ms));
  CHECK(run(context, async::read_all(*opened.download.body, 1 << 30, "x")) == content);
  CHECK(client.counters().connections == 1);
}

TEST_CASE("download: a wait for promised bytes never includes the last segment") {
  for (std::size_t promised : {1u, 2u, 1000u, 65'483u, 65'536u, 65'537u, 100'000u, 262'144u, 262'145u, 327'680u, 327'681u,
                               5'000'000u}) {
    CAPTURE(promised);
    auto const wait = bytes_to_wait_for(promised);
    CHECK(wait >= 1);
    CHECK(wait <= 256 * 1024);
    CHECK((wait == 1 || wait + 65'483 <= promised));  // the segment of a loopback, the largest there is
  }
  CHECK(bytes_to_wait_for(5'000'000) == 256 * 1024);  // or it would wake for each segment
  CHECK(bytes_to_wait_for(200'000) > 100'000);
}

TEST_CASE("download: a body that trickles is no stalled one, and an end within it is seen at once") {
  asio::io_context context;
  auto const content = pattern(400'000);
  HttpScript server(context, HttpScript::Script([&](Peer& peer) -> async::Task<> {
                      auto const request = co_await peer.read_request();
                      auto const answer = reply(200, content);
                      // Three idle limits long, and never enough for a wait for a good part of the promised bytes.
                      auto const first = answer.size() / 2;
                      co_await peer.send(answer.substr(0, first));
                      for (auto i = first; i < first + 30; ++i) {
                        co_await async::sleep_for(10ms);
                        if (request->line().find("/cut") != std::string::npos && i == first + 5) co_return;
                        co_await peer.send(answer.substr(i, 1));
                      }
                      co_await peer.send(answer.substr(first + 30));
                    }));
  auto options = quick(server.url());
  options.idle_timeout = 100ms;
  options.retry.attempts = 1;
  Client client(context.get_executor(), options, nullptr);
  auto const read = [&](const char* path) {
    auto opened = run(context, client.open(get(path)));
    std::string text(content.size(), '\0');  // in one piece, so that a wait may be for much of it
    text.resize(run(context, async::read_full(*opened.download.body, std::as_writable_bytes(std::span(text)))));
    return text;
  };
  CHECK(read("/whole") == content);
  CHECK(client.counters().connections == 1);
  auto const begun = std::chrono::steady_clock::now();
  CHECK_THROWS_AS(read("/cut"), TransportError);
  CHECK(std::chrono::steady_clock::now() - begun < 5s);
}

namespace {

Request upload(std::string content, int& opened, std::optional<std::uint64_t> announced = {}) {
  Request request;
  request.method = Method::put;
  request.target = "/f";
  request.request_class = RequestClass::artifact;
  request.body_size = announced.value_or(content.size());
  request.open_body = [content = std::move(content),
                       &opened]() -> async::Task<std::unique_ptr<async::ByteReader>> {
    ++opened;
    co_return std::make_unique<async::MemoryReader>(content);
  };
  return request;
}

}  // namespace

TEST_CASE("upload: a streamed body arrives, and is opened again for each attempt") {
  asio::io_context context;
  auto const content = pattern(1'000'000);
  std::vector<bool> whole;
  HttpScript server(context, HttpScript::Script([&](Peer& peer) -> async::Task<> {
                      if (peer.number == 0) {  // breaks in the middle
                        co_await peer.read_head();
                        co_return;
                      }
                      auto const request = co_await peer.read_request();
                      whole.push_back(request && request->body == content);
                      co_await peer.send(peer.number == 1 ? reply(503, "") : reply(200, "ok"));
                    }));
  Gate gate(context);
  Client client(context.get_executor(), quick(server.url()), &gate);
  int opened = 0;
  CHECK(run(context, client.send(upload(content, opened))).body == "ok");
  CHECK(opened == 3);
  CHECK(whole == std::vector<bool>{true, true});
  CHECK(client.counters().write_requests == 3);
  CHECK(gate.permits.used() == 0);

  int empty = 0;
  CHECK(run(context, client.send(upload("", empty))).ok() == true);
}

TEST_CASE("upload: a refusal that comes before the body is read at once") {
  asio::io_context context;
  auto const content = pattern(20'000'000);
  HttpScript server(context, HttpScript::Script([](Peer& peer) -> async::Task<> {
                      co_await peer.read_head();
                      if (peer.number == 0) {
                        co_await peer.send(reply(413, "too large"));
                        co_await async::sleep_for(50ms);  // neither reads nor closes
                      } else {
                        co_await peer.send(reply(401, "who?", "Connection: close\r\n"));
                      }
                    }));
  Client client(context.get_executor(), quick(server.url()), nullptr);
  int opened = 0;
  auto const refused = run(context, client.send(upload(content, opened)));
  CHECK(refused.status == 413);
  CHECK(refused.body == "too large");
  auto big = create("/c", content);
  CHECK(run(context, client.send(big)).status == 401);
  CHECK(client.counters().connections == 2);
  CHECK(client.counters().retries == 0);
}

TEST_CASE("upload: success before the body was sent is not believed") {
  asio::io_context context;
  HttpScript server(context, HttpScript::Script([](Peer& peer) -> async::Task<> {
                      co_await peer.read_head();
                      co_await peer.send(reply(200, "{}"));
                      co_await async::sleep_for(20ms);
                    }));
  Client client(context.get_executor(), quick(server.url()), nullptr);
  int opened = 0;
  CHECK(error_of(context, client, upload(pattern(20'000'000), opened)).fault() == Fault::malformed);
  CHECK(opened == 1);
}

TEST_CASE("upload: a source that breaks, ends early or goes on is the caller's, and never arrives whole") {
  asio::io_context context;
  int whole = 0;
  HttpScript server(context, HttpScript::Script([&](Peer& peer) -> async::Task<> {
                      auto const request = co_await peer.read_request();
                      if (request) ++whole;
                    }));
  Gate gate(context);
  Client client(context.get_executor(), quick(server.url()), &gate);
  int opened = 0;
  auto const content = pattern(600'000);
  CHECK(error_of(context, client, upload(content, opened, 600'001)).fault() == Fault::changed);
  CHECK(error_of(context, client, upload(content, opened, 599'999)).fault() == Fault::changed);
  CHECK(error_of(context, client, upload(content, opened, 0)).fault() == Fault::changed);
  CHECK(opened == 3);

  struct Broken final : async::ByteReader {
    async::Task<std::size_t> read_some(std::span<std::byte>) override {
      co_await async::sleep_for(1ms);
      throw std::runtime_error("disk on fire");
    }
  };
  auto broken = upload(content, opened);
  broken.open_body = []() -> async::Task<std::unique_ptr<async::ByteReader>> {
    co_return std::make_unique<Broken>();
  };
  CHECK_THROWS_WITH(run(context, client.send(broken)), "disk on fire");
  // A fault of another server's client passes through as it is, and is not repeated.
  broken.open_body = []() -> async::Task<std::unique_ptr<async::ByteReader>> {
    throw TransportError(Fault::closed, false, "the source is gone");
    co_return nullptr;
  };
  CHECK_THROWS_WITH(run(context, client.send(broken)), "the source is gone");
  CHECK(client.counters().retries == 0);
  run(context, async::sleep_for(5ms));
  CHECK(whole == 0);
  CHECK(gate.permits.used() == 0);
}

TEST_CASE("upload: waiting for a slow source is not the server's silence") {
  asio::io_context context;
  HttpScript server(context, [](const Received& request) { return reply(200, request.body); });
  auto options = quick(server.url());
  options.idle_timeout = 30ms;
  Client client(context.get_executor(), options, nullptr);
  struct Slow final : async::ByteReader {
    bool sent = false;
    async::Task<std::size_t> read_some(std::span<std::byte> buffer) override {
      co_await async::sleep_for(90ms);
      if (sent) co_return 0;
      sent = true;
      buffer[0] = std::byte('s');
      co_return 1;
    }
  };
  int opened = 0;
  auto request = upload("s", opened);
  request.open_body = []() -> async::Task<std::unique_ptr<async::ByteReader>> {
    co_return std::make_unique<Slow>();
  };
  CHECK(run(context, client.send(request)).body == "s");
}

TEST_CASE("upload: a server that closes while the source is waited for is tried again") {
  asio::io_context context;
  HttpScript server(context, HttpScript::Script([](Peer& peer) -> async::Task<> {
                      if (peer.number == 0) {
                        co_await peer.read_request();
                        co_await peer.send(reply(200, "first"));
                        co_await async::sleep_for(20ms);  // the end of its keep-alive
                        co_return;
                      }
                      auto const request = co_await peer.read_request();
                      co_await peer.send(reply(200, request ? request->body : "nothing"));
                    }));
  Client client(context.get_executor(), quick(server.url()), nullptr);
  CHECK(run(context, client.send(get("/"))).body == "first");
  struct Slow final : async::ByteReader {
    bool sent = false;
    async::Task<std::size_t> read_some(std::span<std::byte> buffer) override {
      co_await async::sleep_for(50ms);
      if (std::exchange(sent, true)) co_return 0;
      buffer[0] = std::byte('s');
      co_return 1;
    }
  };
  int opened = 0;
  auto request = upload("s", opened);
  request.open_body = [&opened]() -> async::Task<std::unique_ptr<async::ByteReader>> {
    ++opened;
    co_return std::make_unique<Slow>();
  };
  CHECK(run(context, client.send(request)).body == "s");
  CHECK(opened == 2);
  CHECK(client.counters().connections == 2);
}

TEST_SUITE_END();
