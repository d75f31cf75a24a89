#include "protocol/http/retry.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "protocol/http/request_head.hpp"
#include "protocol/http/text.hpp"

namespace mlferry::http {
namespace {

using std::chrono::nanoseconds;

bool throttled(const Attempt& attempt) {
  return attempt.status == 429 || attempt.status == 503;
}

// What another attempt may cure.
bool transient(const Attempt& attempt) {
  if (attempt.fault) {
    switch (*attempt.fault) {
      case Fault::resolve:
      case Fault::connect:
      case Fault::timeout:
      case Fault::closed:
      case Fault::short_body:
        return true;
      default:
        return false;
    }
  }
  // A 500 with JSON is MLflow's considered answer; without, it is a worker or a gateway that fell over.
  return throttled(attempt) || attempt.status == 502 || attempt.status == 504 ||
         (attempt.status == 500 && !attempt.json);
}

nanoseconds backoff(const RetryOptions& options, const Attempt& attempt) {
  double const base =
      static_cast<double>(nanoseconds(options.base_delay).count()) * (throttled(attempt) ? 10 : 1);
  double const limit = static_cast<double>(nanoseconds(options.max_delay).count());
  double const most = std::min(std::ldexp(base, std::min(attempt.number - 1, 60)), limit);
  return nanoseconds(static_cast<std::int64_t>(most * attempt.random));
}

nanoseconds with_jitter(nanoseconds wait, double random) {
  auto const most = std::min<nanoseconds>(wait / 10, std::chrono::seconds(1));
  return wait + nanoseconds(static_cast<std::int64_t>(static_cast<double>(most.count()) * random));
}

std::optional<int> number(std::string_view text) {
  int value = 0;
  auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

}  // namespace

bool outcome_open(const Attempt& attempt) {
  if (only_reads(attempt.method)) return false;
  if (!attempt.fault) {
    // 429, and 503 with a date to return, were refused before anything was done. Any other transient answer
    // may come from a gateway whose server went on, or from a worker that died after its commit.
    return transient(attempt) && attempt.status != 429 && !(attempt.status == 503 && attempt.retry_after);
  }
  if (attempt.nothing_sent) return false;
  switch (*attempt.fault) {
    case Fault::timeout:
    case Fault::closed:
    case Fault::short_body:
    case Fault::malformed:
    case Fault::too_large:
      return true;
    default:
      return false;
  }
}

Verdict decide(const RetryOptions& options, const Attempt& attempt) {
  Verdict verdict;
  std::optional<nanoseconds> retry_after;
  if (!attempt.fault && throttled(attempt) && attempt.retry_after) {
    retry_after = std::clamp<nanoseconds>(*attempt.retry_after, nanoseconds(0), options.max_retry_after);
    verdict.hold_back = retry_after;
  }
  if (outcome_open(attempt) && attempt.repeat == Repeat::unclear) {
    verdict.next = Next::outcome_unknown;
    return verdict;
  }
  if (!transient(attempt)) return verdict;

  // The server closed an idle connection while the request was under way to it: nobody's failure.
  if (attempt.stale && attempt.fault == Fault::closed) {
    verdict.next = Next::repeat;
    verdict.fresh_connection = true;
    return verdict;
  }
  if (attempt.number >= options.attempts) return verdict;
  if (retry_after) {
    verdict.wait = with_jitter(*retry_after, attempt.random);
  } else {
    verdict.wait = backoff(options, attempt);
  }
  if (attempt.budget_empty) verdict.wait += options.max_delay;
  if (attempt.elapsed + verdict.wait > options.give_up_after) {
    verdict.wait = nanoseconds(0);
    return verdict;
  }
  verdict.next = Next::repeat;
  verdict.spend = true;
  return verdict;
}

std::optional<std::chrono::nanoseconds> parse_retry_after(std::string_view text,
                                                          std::chrono::system_clock::time_point now) {
  constexpr double year = 365.0 * 24 * 3600;
  text = trimmed(text);
  if (auto const date = parse_http_date(text)) {
    auto const limit = std::chrono::system_clock::duration(std::chrono::hours(365 * 24));
    return std::clamp(*date - now, std::chrono::system_clock::duration(0), limit);
  }
  if (text.empty() || text.find_first_not_of("0123456789.") != text.npos) return std::nullopt;
  double seconds = 0;
  auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (end != text.data() + text.size()) return std::nullopt;
  if (error == std::errc::result_out_of_range) seconds = year;
  if (error != std::errc() && error != std::errc::result_out_of_range) return std::nullopt;
  return nanoseconds(static_cast<std::int64_t>(std::min(seconds, year) * 1e9));
}

std::optional<std::chrono::system_clock::time_point> parse_http_date(std::string_view text) {
  constexpr std::array<std::string_view, 12> months = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  //  0         1         2
  //  01234567890123456789012345678
  //  Sun, 06 Nov 1994 08:49:37 GMT
  if (text.size() != 29 || text.substr(3, 2) != ", " || text.substr(25) != " GMT" || text[7] != ' ' ||
      text[11] != ' ' || text[16] != ' ' || text[19] != ':' || text[22] != ':') {
    return std::nullopt;
  }
  auto const month = std::find(months.begin(), months.end(), text.substr(8, 3));
  auto const day = number(text.substr(5, 2));
  auto const year = number(text.substr(12, 4));
  auto const hour = number(text.substr(17, 2));
  auto const minute = number(text.substr(20, 2));
  auto const second = number(text.substr(23, 2));
  if (month == months.end() || !day || !year || !hour || !minute || !second) return std::nullopt;
  if (*hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  std::chrono::year_month_day const date(
      std::chrono::year(*year), std::chrono::month(static_cast<unsigned>(month - months.begin()) + 1),
      std::chrono::day(static_cast<unsigned>(*day)));
  // Years a system_clock in nanoseconds can hold.
  if (!date.ok() || *year < 1970 || *year > 2200) return std::nullopt;
  return std::chrono::sys_days(date) + std::chrono::hours(*hour) + std::chrono::minutes(*minute) +
         std::chrono::seconds(*second);
}

}  // namespace mlferry::http
