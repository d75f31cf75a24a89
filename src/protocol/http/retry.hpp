#pragma once
// Decides what follows an attempt: pure functions of what happened, tested as tables. This is the only place
// of the program that repeats requests.

#include <chrono>
#include <optional>
#include <string_view>

#include "protocol/http/client.hpp"
#include "protocol/http/error.hpp"
#include "protocol/http/message.hpp"

namespace mlferry::http {

// How an attempt ended: with an answer (status), or with a fault.
struct Attempt {
  Method method = Method::get;
  Repeat repeat = Repeat::safe;
  int number = 1;  // attempts made so far, this one included
  int status = 0;
  bool json = false;  // the answer's body is JSON
  std::optional<std::chrono::nanoseconds> retry_after;
  std::optional<Fault> fault;
  bool nothing_sent = false;            // the connection took no byte of the request
  bool stale = false;                   // a connection used before, and no byte of an answer
  std::chrono::nanoseconds elapsed{0};  // since the first attempt began
  double random = 0;                    // in [0, 1)
  bool budget_empty = false;
};

enum class Next {
  hand_out,         // the answer, or the fault, goes to the caller as it is
  repeat,           // after `wait`
  outcome_unknown,  // must not be repeated: the caller has to look first
};

struct Verdict {
  Next next = Next::hand_out;
  std::chrono::nanoseconds wait{0};
  bool spend = false;                                 // takes a token of the budget, and counts as an attempt
  bool fresh_connection = false;                      // the idle ones are likely dead as well
  std::optional<std::chrono::nanoseconds> hold_back;  // for the whole class; also when nothing is repeated
};

// The backoff after 429 and 503 starts at ten times base_delay: a server that says "not now" seldom means
// milliseconds. To a Retry-After up to a tenth (at most a second) is added, so that waiters do not return as
// one.
Verdict decide(const RetryOptions& options, const Attempt& attempt);

// Whether the outcome of a request that broke like this is open: it may have been carried out.
bool outcome_open(const Attempt& attempt);

// Seconds (fractions too) or an HTTP date; nothing when it is neither. Never negative, at most a year.
std::optional<std::chrono::nanoseconds> parse_retry_after(std::string_view text,
                                                          std::chrono::system_clock::time_point now);

// "Sun, 06 Nov 1994 08:49:37 GMT".
std::optional<std::chrono::system_clock::time_point> parse_http_date(std::string_view text);

// Tokens shared by all requests of a client: see RetryOptions.
class RetryBudget {
 public:
  explicit RetryBudget(const RetryOptions& options)
      : tokens_(options.budget), full_(options.budget), refill_(options.refill) {}
  bool empty() const { return tokens_ < 1; }
  void spend() { tokens_ = tokens_ < 1 ? 0 : tokens_ - 1; }
  void succeeded_at_once() { tokens_ = tokens_ + refill_ > full_ ? full_ : tokens_ + refill_; }

 private:
  double tokens_;
  double full_;
  double refill_;
};

}  // namespace mlferry::http
