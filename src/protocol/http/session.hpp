#pragma once
// What all requests of one client share, and the loop that carries one request through attempts, redirects
// and pauses.

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>

#include "protocol/http/client.hpp"
#include "protocol/http/connection_line.hpp"
#include "protocol/http/connector.hpp"
#include "protocol/http/request_head.hpp"
#include "protocol/http/retry.hpp"

namespace mlferry::http {

class Session;

// The body of an answer as it arrives. Gives the connection back to the pool and the permit to its limiter
// when the body has ended; when it is destroyed earlier, the connection is closed.
class LiveBody final : public async::ByteReader {
 public:
  // `line`: of the session.
  LiveBody(std::shared_ptr<Session> session, ConnectionLine& line, std::unique_ptr<Connection> connection,
           async::Permit permit);
  async::Task<std::size_t> read_some(std::span<std::byte> buffer) override;

 private:
  void finish();
  std::shared_ptr<Session> session_;
  ConnectionLine& line_;
  std::unique_ptr<Connection> connection_;
  async::Permit permit_;
};

// How far the retries of one piece of work have come. A resumed download goes on with its own.
struct RetryState {
  int attempts = 0;
  std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();
  bool outcome_open = false;
};

struct Answer {
  int status = 0;
  Headers headers;
  std::optional<std::uint64_t> length;
  std::string body;                // unless it is live
  std::unique_ptr<LiveBody> live;  // of a 2xx, when asked for
};

enum class Wanted { whole, live };

class Session : public std::enable_shared_from_this<Session> {
 public:
  // As Client's constructor.
  Session(ClientOptions options, Admission* admission);

  // The last answer, or TransportError after the retries. `state` must outlive the await.
  async::Task<Answer> run(Request request, RetryState& state, Wanted wanted);

  // What follows a failed attempt; takes its token from the budget and tells the limiter.
  Verdict judge(Attempt attempt, RetryState& state, RequestClass request_class);
  // Throws the fault with the request's name before the text.
  [[noreturn]] void fail(const Request& request, Fault fault, const std::string& text,
                         const RetryState& state) const;

  const Counters& counters() const { return counters_; }
  const std::string& base_url() const { return base_.text; }
  const ClientOptions& options() const { return options_; }

 private:
  using Clock = std::chrono::steady_clock;
  // Writes have connections of their own, made while others of them work: most of the time those come to different
  // workers of the server.
  ConnectionLine& line_for(RequestClass request_class) {
    return request_class == RequestClass::write ? writes_ : others_;
  }
  async::Task<Answer> attempt(const Request& request, std::string target, Wanted wanted, Attempt& record,
                              bool fresh);
  async::Task<std::unique_ptr<Connection>> connect(const Request& request, bool fresh);
  void observe(RequestClass request_class, int status, bool timed_out, Clock::time_point since);

  ClientOptions options_;
  Admission* admission_;
  BaseUrl base_;
  Connector connector_;
  HeadContext head_context_;
  RetryBudget budget_;
  std::mt19937_64 random_;
  Counters counters_;
  ConnectPace pace_;
  ConnectionLine others_, writes_;
};

}  // namespace mlferry::http
