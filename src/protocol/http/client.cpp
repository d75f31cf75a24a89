#include "protocol/http/client.hpp"

#include "protocol/http/gzip.hpp"
#include "protocol/http/resuming_reader.hpp"
#include "protocol/http/session.hpp"

namespace mlferry::http {

struct Client::Impl {
  std::shared_ptr<Session> session;
};

// All waits happen on the executor of the coroutine that awaits, so the client keeps none of its own.
Client::Client(async::Executor, ClientOptions options, Admission* admission)
    : impl_(std::make_shared<Impl>(Impl{std::make_shared<Session>(std::move(options), admission)})) {}

Client::~Client() = default;

async::Task<Response> Client::send(Request request) {
  auto const session = impl_->session;
  RetryState state;
  auto answer = co_await session->run(std::move(request), state, Wanted::whole);
  Response response;
  response.status = answer.status;
  response.headers = std::move(answer.headers);
  response.body = std::move(answer.body);
  co_return response;
}

async::Task<Client::Opened> Client::open(Request request) {
  auto const session = impl_->session;
  RetryState state;
  auto answer = co_await session->run(request, state, Wanted::live);
  Opened opened;
  opened.download.status = answer.status;
  opened.download.headers = answer.headers;
  opened.error_body = std::move(answer.body);
  if (!answer.live) co_return opened;
  bool coded = false;
  try {
    coded = is_gzip_coded(answer.headers);
  } catch (const TransportError& failure) {
    session->fail(request, failure.fault(), failure.what(), state);
  }
  if (!coded) opened.download.size = answer.length;
  opened.download.body = std::make_unique<ResumingReader>(session, std::move(request), std::move(answer));
  // A coding in spite of "identity": the file is what was coded. Resuming happens below, on the coded bytes.
  if (coded) opened.download.body = std::make_unique<GzipReader>(std::move(opened.download.body), UINT64_MAX);
  co_return opened;
}

const Counters& Client::counters() const {
  return impl_->session->counters();
}
const std::string& Client::base_url() const {
  return impl_->session->base_url();
}
std::string Client::header(std::string_view name) const {
  auto const* value = find_header(impl_->session->options().headers, name);
  return value == nullptr ? std::string() : *value;
}

}  // namespace mlferry::http
