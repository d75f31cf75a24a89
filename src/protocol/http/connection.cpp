#include "protocol/http/connection.hpp"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

#include "async/sleep.hpp"
#include "protocol/http/error.hpp"
#include "protocol/http/request_head.hpp"

namespace mlferry::http {

namespace asio = boost::asio;

namespace {

constexpr std::size_t upload_buffer_size = 256 * 1024;
// Below this the kernel takes a request whole, and there is no need to listen for an answer while writing.
constexpr std::size_t small_request = 64 * 1024;
// A server that refuses an upload closes its side; its answer may still be on the way then.
constexpr auto answer_grace = std::chrono::seconds(2);

}  // namespace

// What the two halves of an exchange tell each other.
struct Connection::Upload {
  std::string bytes;
  std::unique_ptr<async::ByteReader> body;
  std::uint64_t body_size = 0;
  std::exception_ptr source_failure;
  std::exception_ptr write_failure;
  std::exception_ptr read_failure;
  std::optional<ResponseHead> head;
};

Connection::Connection(std::unique_ptr<Stream> stream, std::size_t max_header_bytes, Counters* counters)
    : stream_(std::move(stream)),
      reader_(*stream_, max_header_bytes),
      counters_(counters),
      number_(counters->connections) {}

Connection::~Connection() {
  counters_->bytes_received += reader_.bytes_received() - counted_received_;
}

bool Connection::reusable() const {
  return keep_alive_ && request_complete_ && reader_.finished();
}

async::Task<> Connection::write_all(std::span<const std::byte> data) {
  while (!data.empty()) {
    auto const n = co_await stream_->write_some(data);
    request_begun_ = true;
    counters_->bytes_sent += n;
    data = data.subspan(n);
  }
}

async::Task<ResponseHead> Connection::exchange(Method method, std::string bytes,
                                               std::unique_ptr<async::ByteReader> body,
                                               std::uint64_t body_size) {
  ++exchanges_;
  request_begun_ = false;
  request_complete_ = false;
  keep_alive_ = false;
  stream_->start_watch();
  ResponseHead head;
  if (body || bytes.size() > small_request) {
    head = co_await exchange_both_ways(method, std::move(bytes), std::move(body), body_size);
  } else {
    head = co_await exchange_in_turn(method, std::move(bytes));
  }
  if (!request_complete_ && head.status < 300) {
    throw TransportError(
        Fault::malformed, false,
        "the server answered " + std::to_string(head.status) + " before it had the whole body");
  }
  keep_alive_ = head.keep_alive;
  if (reader_.finished()) {
    stream_->stop_watch();
  } else {
    stream_->pause_watch(true);
  }
  co_return head;
}

async::Task<ResponseHead> Connection::exchange_in_turn(Method method, std::string bytes) {
  std::exception_ptr write_failure;
  try {
    co_await write_all(async::as_bytes(bytes));
    request_complete_ = true;
  } catch (const TransportError& failure) {
    // A timed-out stream is closed; any other may still hold the answer that was sent before the server
    // closed.
    if (failure.fault() == Fault::timeout) throw;
    write_failure = std::current_exception();
  }
  try {
    auto head = co_await reader_.read_head(method == Method::head);
    co_return head;
  } catch (const TransportError&) {
    if (!write_failure) throw;
  }
  std::rethrow_exception(write_failure);
}

async::Task<> Connection::send_body(Upload& upload) {
  std::vector<std::byte> buffer(
      static_cast<std::size_t>(std::clamp<std::uint64_t>(upload.body_size, 1, upload_buffer_size)));
  std::uint64_t remaining = upload.body_size;
  do {
    auto const wanted =
        std::span(buffer).first(static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), remaining)));
    bool too_long = false;
    std::size_t n = 0;
    stream_->pause_watch(true);
    try {
      if (!wanted.empty()) n = co_await async::read_full(*upload.body, wanted);
      remaining -= n;
      if (remaining == 0) {
        // Asked before the last piece goes out, so that the server never holds a complete but cut file.
        std::byte probe{};
        auto const more = co_await upload.body->read_some(std::span(&probe, 1));
        too_long = more != 0;
      }
    } catch (...) {
      upload.source_failure = std::current_exception();
    }
    if (upload.source_failure) co_return;
    stream_->pause_watch(false);
    if (n < wanted.size() || too_long) {
      upload.source_failure = std::make_exception_ptr(
          TransportError(Fault::changed, false,
                         "the data to send is " + std::string(too_long ? "longer" : "shorter") +
                             " than the announced " + std::to_string(upload.body_size) + " bytes"));
      co_return;
    }
    // The header waits for the first piece, so that a source that cannot be read begins no request.
    auto const header = std::exchange(upload.bytes, {});
    co_await write_all(async::as_bytes(header));
    co_await write_all(std::span<const std::byte>(wanted));
  } while (remaining > 0);
}

// Returns only when the exchange must end: its end cancels the reading half.
async::Task<> Connection::upload(Upload& upload) {
  try {
    if (upload.body) {
      co_await send_body(upload);
    } else {
      co_await write_all(async::as_bytes(upload.bytes));
    }
  } catch (const TransportError&) {
    upload.write_failure = std::current_exception();
  }
  if (upload.source_failure) co_return;
  if (upload.write_failure) {
    co_await async::sleep_for(answer_grace);
    co_return;
  }
  request_complete_ = true;
  co_await async::sleep_for(std::chrono::hours(24 * 365));  // until the answer ends the exchange
}

async::Task<> Connection::await_answer(Upload& upload, Method method) {
  try {
    upload.head = co_await reader_.read_head(method == Method::head);
  } catch (const TransportError&) {
    upload.read_failure = std::current_exception();
  }
}

async::Task<ResponseHead> Connection::exchange_both_ways(Method method, std::string bytes,
                                                         std::unique_ptr<async::ByteReader> body,
                                                         std::uint64_t body_size) {
  Upload state;
  state.bytes = std::move(bytes);
  state.body = std::move(body);
  state.body_size = body_size;
  auto const executor = co_await asio::this_coro::executor;
  auto halves = asio::experimental::make_parallel_group(
      asio::co_spawn(executor, upload(state), asio::deferred),
      asio::co_spawn(executor, await_answer(state, method), asio::deferred));
  auto [order, upload_failure, answer_failure] =
      co_await halves.async_wait(asio::experimental::wait_for_one(), asio::use_awaitable);
  co_await throw_if_cancelled();
  stream_->pause_watch(false);  // the upload may have been stopped while it waited for its source
  if (state.head) co_return std::move(*state.head);
  // Only now: a source that breaks after the server has refused the upload does not matter. And only when the
  // upload ended first: the end of the answering half cancels a read of the source, which is not its failure.
  if (state.source_failure && order[0] == 0) throw SourceFailure{state.source_failure};
  if (state.write_failure) std::rethrow_exception(state.write_failure);
  if (state.read_failure) std::rethrow_exception(state.read_failure);
  // What is no TransportError, memory that ran out say.
  if (order[0] == 0 && upload_failure) std::rethrow_exception(upload_failure);
  if (answer_failure) std::rethrow_exception(answer_failure);
  throw TransportError(Fault::closed, false, "the exchange ended without an answer");
}

// Between two calls the time is the caller's: a slow reader must not cost the connection.
async::Task<std::size_t> Connection::read_body(std::span<std::byte> buffer) {
  stream_->pause_watch(false);
  auto const n = co_await reader_.read_body(buffer);
  if (n == 0 || reader_.finished()) {
    stream_->stop_watch();
  } else {
    stream_->pause_watch(true);
  }
  counters_->bytes_received += reader_.bytes_received() - counted_received_;
  counted_received_ = reader_.bytes_received();
  co_return n;
}

}  // namespace mlferry::http
