#include "protocol/http/session.hpp"

#include <algorithm>

#include "async/sleep.hpp"
#include "protocol/http/gzip.hpp"
#include "protocol/http/text.hpp"

namespace mlferry::http {
namespace {

// A server's keep-alive ends after 5 s as a rule; a create that meets the end has an unknown outcome, so it
// takes only connections that are surely young enough. For others a dead one costs no more than a second try.
constexpr Pool::Clock::duration max_rest_for_creates = std::chrono::seconds(1);
constexpr int max_redirects = 5;
constexpr std::size_t max_error_body = 64 * 1024;

// The whole body; with `cut` what is above the limit stays unread, else it throws ResponseTooLarge.
async::Task<std::string> read_text(async::ByteReader& reader, std::size_t limit, bool cut) {
  std::string text;
  std::size_t size = 0;
  std::size_t piece = 4 * 1024;
  while (true) {
    auto const room = std::min(piece, limit - size + (cut ? 0 : 1));
    if (room == 0) break;
    text.resize(size + room);
    auto const n = co_await reader.read_some(std::as_writable_bytes(std::span(text).subspan(size)));
    if (n == 0) break;
    size += n;
    if (size > limit) throw ResponseTooLarge("the answer is larger than " + std::to_string(limit) + " bytes");
    if (n == room) piece = std::min<std::size_t>(piece * 2, 1 << 20);
  }
  text.resize(size);
  co_return text;
}

bool looks_like_json(std::string_view body) {
  auto const first = body.find_first_not_of(" \t\r\n");
  return first != body.npos && (body[first] == '{' || body[first] == '[');
}

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

async::Task<std::unique_ptr<async::ByteReader>> open_source(const Request& request) {
  if (!request.open_body) co_return nullptr;
  std::exception_ptr failure;
  try {
    auto reader = co_await request.open_body();
    co_return reader;
  } catch (...) {
    failure = std::current_exception();
  }
  throw SourceFailure{failure};
}

void check_options(const ClientOptions& options) {
  check_headers(options.headers);
  for (auto const* value : {&options.authorization, &options.user_agent}) {
    if (!is_header_value(*value)) {
      throw TransportError(Fault::malformed, false,
                           "the credentials or the user agent hold a line end or another control character");
    }
  }
}

}  // namespace

LiveBody::LiveBody(std::shared_ptr<Session> session, ConnectionLine& line, std::unique_ptr<Connection> connection,
                   async::Permit permit)
    : session_(std::move(session)),
      line_(line),
      connection_(std::move(connection)),
      permit_(std::move(permit)) {
  if (connection_->answer_finished()) finish();
}

async::Task<std::size_t> LiveBody::read_some(std::span<std::byte> buffer) {
  if (!connection_) co_return 0;
  std::size_t n = 0;
  try {
    n = co_await connection_->read_body(buffer);
  } catch (...) {
    connection_.reset();
    permit_.release();
    throw;
  }
  if (n == 0 || connection_->answer_finished()) finish();
  co_return n;
}

void LiveBody::finish() {
  line_.put(std::move(connection_));
  connection_.reset();
  permit_.release();
}

Session::Session(ClientOptions options, Admission* admission)
    : options_(std::move(options)),
      admission_(admission),
      base_(parse_base_url(options_.base_url)),
      connector_(options_, base_.origin),
      budget_(options_.retry),
      random_(options_.random_seed != 0 ? options_.random_seed : std::random_device{}()),
      pace_{options_.between_connects},
      others_(options_.max_idle_connections, Turn::longest_rested, pace_),
      writes_(options_.max_idle_connections, Turn::first_made, pace_) {
  check_options(options_);
  head_context_.options = &options_;
  head_context_.origin = base_.origin;
  if (auto const* proxy = connector_.forwarding_proxy()) {
    head_context_.absolute_form = true;
    head_context_.proxy_authorization = proxy->authorization;
  }
}

void Session::observe(RequestClass request_class, int status, bool timed_out, Clock::time_point since) {
  if (admission_ == nullptr) return;
  Observation seen;
  seen.request_class = request_class;
  seen.status = status;
  seen.throttled = timed_out || status == 429 || status == 503;
  seen.latency = Clock::now() - since;
  if (admission_->observe(seen) == Connections::renew) {
    line_for(request_class).retire(counters_.connections);
  }
}

async::Task<std::unique_ptr<Connection>> Session::connect(const Request& request, bool fresh) {
  auto& line = line_for(request.request_class);
  if (fresh) {
    co_await line.next_new();
  } else {
    bool const cautious = request.repeat == Repeat::unclear && !only_reads(request.method);
    auto rested = co_await line.next(cautious ? max_rest_for_creates : Pool::longest_rest);
    if (rested) co_return rested;
  }
  auto stream = co_await connector_.connect();
  ++counters_.connections;
  co_return std::make_unique<Connection>(std::move(stream), options_.max_header_bytes, &counters_);
}

async::Task<Answer> Session::attempt(const Request& request, std::string target, Wanted wanted,
                                     Attempt& record, bool fresh) {
  auto bytes = request_head(head_context_, request, target, wanted == Wanted::whole);
  if (!request.open_body) bytes += request.body;
  async::Permit permit;
  if (admission_ != nullptr) permit = co_await admission_->enter(request.request_class, request.repeat);

  record.nothing_sent = true;
  auto since = Clock::now();
  std::unique_ptr<Connection> connection;
  ResponseHead head;
  try {
    connection = co_await connect(request, fresh);
    auto source = co_await open_source(request);
    ++counters_.requests;
    if (!only_reads(request.method)) ++counters_.write_requests;
    since = Clock::now();
    head =
        co_await connection->exchange(request.method, std::move(bytes), std::move(source), request.body_size);
  } catch (const TransportError& failure) {
    if (connection) {
      record.nothing_sent = !connection->request_begun();
      record.stale = connection->used_before() && !connection->answer_begun();
    }
    observe(request.request_class, 0, failure.fault() == Fault::timeout, since);
    throw;
  }
  record.nothing_sent = false;
  observe(request.request_class, head.status, false, since);
  if (head.status == 407 && head_context_.absolute_form) {
    throw TransportError(Fault::proxy, false,
                         "the proxy answered 407: it wants a user and password in its URL");
  }

  Answer answer;
  answer.status = head.status;
  answer.headers = std::move(head.headers);
  answer.length = head.length;
  auto live = std::make_unique<LiveBody>(shared_from_this(), line_for(request.request_class),
                                         std::move(connection), std::move(permit));
  bool const success = answer.status >= 200 && answer.status < 300;
  if (wanted == Wanted::live && success) {
    answer.live = std::move(live);
    co_return answer;
  }
  // Of a failure's text the beginning is enough when the answer was to be streamed.
  bool const cut = wanted == Wanted::live;
  std::size_t const limit = cut ? max_error_body : request.max_response_bytes;
  bool const no_body = request.method == Method::head || answer.status == 204 || answer.status == 304;
  bool const coded = !no_body && is_gzip_coded(answer.headers);
  if (!cut && !coded && !no_body && answer.length && *answer.length > limit) {
    throw ResponseTooLarge("the answer of " + std::to_string(*answer.length) + " bytes is larger than " +
                           std::to_string(limit) + " bytes");
  }
  std::unique_ptr<async::ByteReader> reader = std::move(live);
  if (coded) reader = std::make_unique<GzipReader>(std::move(reader), cut ? UINT64_MAX : limit);
  answer.body = co_await read_text(*reader, limit, cut);
  co_return answer;
}

Verdict Session::judge(Attempt attempt, RetryState& state, RequestClass request_class) {
  attempt.number = std::max(state.attempts, 1);
  attempt.elapsed = Clock::now() - state.started;
  attempt.random = std::uniform_real_distribution<double>(0, 1)(random_);
  attempt.budget_empty = budget_.empty();
  state.outcome_open = state.outcome_open || outcome_open(attempt);
  auto const verdict = decide(options_.retry, attempt);
  if (verdict.hold_back && admission_ != nullptr) admission_->hold_back(request_class, *verdict.hold_back);
  if (verdict.next == Next::repeat) {
    ++counters_.retries;
    if (verdict.spend) {
      budget_.spend();
    } else {
      --state.attempts;
    }
    if (verdict.fresh_connection) {
      others_.clear();
      writes_.clear();
    }
  }
  return verdict;
}

void Session::fail(const Request& request, Fault fault, const std::string& text,
                   const RetryState& state) const {
  std::string message(method_name(request.method));
  message += " " + display_url(base_.origin, base_.prefix + request.target) + ": " + text;
  if (state.attempts > 1) message += " (attempt " + std::to_string(state.attempts) + ")";
  if (fault == Fault::too_large && !state.outcome_open) throw ResponseTooLarge(message);
  throw TransportError(fault, state.outcome_open, message);
}

async::Task<Answer> Session::run(Request request, RetryState& state, Wanted wanted) {
  std::string target = base_.prefix + request.target;
  if (!is_target(request.target)) {
    fail(request, Fault::bad_url, "path and query must begin with '/' and be percent-encoded", state);
  }
  bool fresh = false;
  int redirects = 0;
  while (true) {
    ++state.attempts;
    Attempt record;
    record.method = request.method;
    record.repeat = request.repeat;
    Answer answer;
    std::exception_ptr source_failure;
    std::string text;
    try {
      answer = co_await attempt(request, target, wanted, record, fresh);
    } catch (const SourceFailure& failure) {
      source_failure = failure.cause;
    } catch (const TransportError& failure) {
      record.fault = failure.fault();
      text = failure.what();
    }
    if (source_failure) std::rethrow_exception(source_failure);

    if (!record.fault) {
      record.status = answer.status;
      record.json = looks_like_json(answer.body);
      if (answer.status >= 400 && options_.overloaded && options_.overloaded(answer.status, answer.body)) {
        record.status = 503;
        observe(request.request_class, record.status, false, Clock::now());
      }
      if (auto const* header = find_header(answer.headers, "Retry-After")) {
        record.retry_after = parse_retry_after(*header, std::chrono::system_clock::now());
      }
      auto const* location = find_header(answer.headers, "Location");
      if (is_redirect(answer.status) && (only_reads(request.method) || answer.status == 308) &&
          location != nullptr && redirects < max_redirects) {
        if (auto next = same_origin_target(base_.origin, target, *location)) {
          target = std::move(*next);
          ++redirects;
          --state.attempts;
          continue;
        }
      }
    }

    auto const verdict = judge(record, state, request.request_class);
    if (verdict.next == Next::hand_out) {
      if (record.fault) fail(request, *record.fault, text, state);
      if (state.attempts == 1) budget_.succeeded_at_once();
      co_return answer;
    }
    if (verdict.next == Next::outcome_unknown) {
      if (record.fault) fail(request, *record.fault, text, state);
      fail(request, record.status == 504 ? Fault::timeout : Fault::closed,
           "the server or a gateway before it answered " + std::to_string(record.status) +
               ", so the request may have been carried out",
           state);
    }
    fresh = verdict.fresh_connection;
    answer = Answer();
    if (verdict.wait.count() > 0) co_await async::sleep_for(verdict.wait);
  }
}

}  // namespace mlferry::http
