#include "protocol/http/retry.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace mlferry::http;
using namespace std::chrono_literals;
using std::chrono::nanoseconds;

namespace {

Attempt answered(Method method, Repeat repeat, int status, bool json = false) {
  Attempt attempt;
  attempt.method = method;
  attempt.repeat = repeat;
  attempt.status = status;
  attempt.json = json;
  return attempt;
}

Attempt broke(Method method, Repeat repeat, Fault fault, bool nothing_sent = false, bool stale = false) {
  Attempt attempt;
  attempt.method = method;
  attempt.repeat = repeat;
  attempt.fault = fault;
  attempt.nothing_sent = nothing_sent;
  attempt.stale = stale;
  return attempt;
}

}  // namespace

TEST_SUITE_BEGIN("protocol");

TEST_CASE("retry: what follows an answer") {
  auto const safe = Repeat::safe;
  auto const unclear = Repeat::unclear;
  auto const out = Next::hand_out;
  auto const again = Next::repeat;
  auto const unknown = Next::outcome_unknown;
  struct Row {
    int status;
    bool json;
    Next read, safe_write, create;
  };
  Row const rows[] = {
      {200, true, out, out, out},          {201, false, out, out, out},
      {302, false, out, out, out},         {400, true, out, out, out},
      {401, false, out, out, out},         {403, false, out, out, out},
      {404, true, out, out, out},          {408, false, out, out, out},
      {409, true, out, out, out},          {413, false, out, out, out},
      {429, true, again, again, again},    {429, false, again, again, again},
      {500, true, out, out, out},          {500, false, again, again, unknown},
      {501, false, out, out, out},         {502, false, again, again, unknown},
      {502, true, again, again, unknown},  {503, false, again, again, unknown},
      {504, false, again, again, unknown}, {505, false, out, out, out},
  };
  RetryOptions const options;
  for (auto const& row : rows) {
    CAPTURE(row.status);
    CAPTURE(row.json);
    CHECK(decide(options, answered(Method::get, safe, row.status, row.json)).next == row.read);
    CHECK(decide(options, answered(Method::get, unclear, row.status, row.json)).next == row.read);
    CHECK(decide(options, answered(Method::post, safe, row.status, row.json)).next == row.safe_write);
    CHECK(decide(options, answered(Method::post, unclear, row.status, row.json)).next == row.create);
  }
  // A date to come back says that nothing was done.
  auto told = answered(Method::post, unclear, 503);
  told.retry_after = 1s;
  CHECK(decide(options, told).next == again);
}

TEST_CASE("retry: what follows a fault") {
  auto const out = Next::hand_out;
  auto const again = Next::repeat;
  auto const unknown = Next::outcome_unknown;
  struct Row {
    Fault fault;
    bool nothing_sent;
    Next read, safe_write, create;
  };
  Row const rows[] = {
      {Fault::bad_url, true, out, out, out},
      {Fault::resolve, true, again, again, again},
      {Fault::connect, true, again, again, again},
      {Fault::proxy, true, out, out, out},
      {Fault::tls, true, out, out, out},
      {Fault::timeout, true, again, again, again},
      {Fault::timeout, false, again, again, unknown},
      {Fault::closed, true, again, again, again},
      {Fault::closed, false, again, again, unknown},
      {Fault::malformed, true, out, out, out},
      {Fault::malformed, false, out, out, unknown},
      {Fault::too_large, false, out, out, unknown},
      {Fault::short_body, false, again, again, unknown},
      {Fault::changed, false, out, out, out},
  };
  RetryOptions const options;
  for (auto const& row : rows) {
    CAPTURE(static_cast<int>(row.fault));
    CAPTURE(row.nothing_sent);
    CHECK(decide(options, broke(Method::head, Repeat::safe, row.fault, row.nothing_sent)).next == row.read);
    CHECK(decide(options, broke(Method::put, Repeat::safe, row.fault, row.nothing_sent)).next ==
          row.safe_write);
    CHECK(decide(options, broke(Method::post, Repeat::unclear, row.fault, row.nothing_sent)).next ==
          row.create);
  }
}

TEST_CASE("retry: a dead idle connection costs no attempt and no pause") {
  RetryOptions options;
  options.attempts = 1;
  auto const verdict = decide(options, broke(Method::get, Repeat::safe, Fault::closed, false, true));
  CHECK(verdict.next == Next::repeat);
  CHECK(verdict.wait == 0ns);
  CHECK(!verdict.spend);
  CHECK(verdict.fresh_connection);
  // A time-out is no dead connection, and a create may have been carried out.
  CHECK(decide(options, broke(Method::get, Repeat::safe, Fault::timeout, false, true)).next ==
        Next::hand_out);
  CHECK(decide(options, broke(Method::post, Repeat::unclear, Fault::closed, false, true)).next ==
        Next::outcome_unknown);
  CHECK(decide(options, broke(Method::post, Repeat::unclear, Fault::closed, true, true)).next ==
        Next::repeat);
}

TEST_CASE("retry: pauses, limits and the budget") {
  RetryOptions options;
  options.attempts = 50;
  options.base_delay = 100ms;
  options.max_delay = 20s;
  auto attempt = broke(Method::get, Repeat::safe, Fault::closed);
  attempt.random = 0.5;
  attempt.number = 1;
  CHECK(decide(options, attempt).wait == 50ms);
  attempt.number = 4;
  CHECK(decide(options, attempt).wait == 400ms);
  attempt.number = 40;
  CHECK(decide(options, attempt).wait == 10s);
  attempt.random = 0;
  CHECK(decide(options, attempt).wait == 0ns);
  CHECK(decide(options, attempt).spend);
  attempt.budget_empty = true;
  CHECK(decide(options, attempt).wait == 20s);
  attempt.number = 50;
  CHECK(decide(options, attempt).next == Next::hand_out);
  attempt.number = 2;
  attempt.elapsed = 881s;
  CHECK(decide(options, attempt).next == Next::hand_out);
  CHECK(decide(options, attempt).wait == 0ns);
  attempt.elapsed = 880s;
  CHECK(decide(options, attempt).next == Next::repeat);

  auto busy = answered(Method::get, Repeat::safe, 429);
  busy.random = 0.5;
  CHECK(decide(options, busy).wait == 500ms);
  CHECK(!decide(options, busy).hold_back);
}

TEST_CASE("retry: Retry-After holds the class, is cut and gets jitter") {
  RetryOptions options;
  options.max_retry_after = 120s;
  auto attempt = answered(Method::get, Repeat::safe, 503);
  attempt.random = 0.5;
  attempt.retry_after = 4s;
  auto verdict = decide(options, attempt);
  CHECK(verdict.next == Next::repeat);
  CHECK(verdict.hold_back == nanoseconds(4s));
  CHECK(verdict.wait == 4200ms);
  attempt.retry_after = 1h;
  verdict = decide(options, attempt);
  CHECK(verdict.hold_back == nanoseconds(120s));
  CHECK(verdict.wait == 120500ms);
  // Held back also when this request gives up.
  attempt.number = options.attempts;
  verdict = decide(options, attempt);
  CHECK(verdict.next == Next::hand_out);
  CHECK(verdict.hold_back == nanoseconds(120s));
  // Of other statuses it is none of our business.
  attempt.status = 500;
  CHECK(!decide(options, attempt).hold_back);
}

TEST_CASE("retry: the Retry-After header") {
  auto const now = *parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT");
  CHECK(std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count() == 784111777);
  auto const parsed = [&](const char* text) { return parse_retry_after(text, now).value_or(-1ns); };
  CHECK(parsed("0") == 0ns);
  CHECK(parsed(" 120 ") == 120s);
  CHECK(parsed("1.5") == 1500ms);
  CHECK(parsed("99999999999999999999999") == 365 * 24h);
  CHECK(parsed("Sun, 06 Nov 1994 08:49:47 GMT") == 10s);
  CHECK(parsed("Sun, 06 Nov 1994 08:49:00 GMT") == 0ns);
  CHECK(parsed("Sun, 06 Nov 2100 08:49:00 GMT") == 365 * 24h);
  for (auto const* bad : {"", "-1", "soon", "1e3", "1 2", ".", "1..2", "Sun, 31 Feb 1994 08:49:37 GMT",
                          "Sun, 06 Xxx 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT",
                          "Sun, 06 Nov 1994 08:49:37 CET", "Sun, 06 Nov 9994 08:49:37 GMT"}) {
    CAPTURE(bad);
    CHECK(parsed(bad) == -1ns);
  }
}

TEST_CASE("retry: budget") {
  RetryOptions options;
  options.budget = 2;
  options.refill = 0.5;
  RetryBudget budget(options);
  budget.succeeded_at_once();  // never more than full
  budget.spend();
  CHECK(!budget.empty());
  budget.spend();
  CHECK(budget.empty());
  budget.spend();  // never below nothing
  budget.succeeded_at_once();
  CHECK(budget.empty());
  budget.succeeded_at_once();
  CHECK(!budget.empty());
}

TEST_SUITE_END();
