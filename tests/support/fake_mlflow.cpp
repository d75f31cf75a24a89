#include "support/fake_mlflow.hpp"

#include <algorithm>
#include <list>
#include <stdexcept>
#include <utility>
#include <vector>

#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/address_v4.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/system/system_error.hpp>

#include "async/sleep.hpp"
#include "protocol/mlflow/json.hpp"
#include "protocol/mlflow/otlp.hpp"
#include "support/fake_router.hpp"

namespace mlferry::test {

namespace asio = boost::asio;
using asio::ip::tcp;
using fake::HttpRequest;
using fake::HttpResponse;

bool LoggedRequest::is_write() const {
  return fake::changes_state(method, path);
}

struct FakeMlflow::Impl {
  Impl(asio::io_context& io, FakeOptions given)
      : context(io),
        options(std::move(given)),
        state(options.generated),
        router(state, options.faults),
        dice(options.faults.seed),
        acceptor(io, tcp::endpoint(asio::ip::address_v4::loopback(), options.port)),
        port(acceptor.local_endpoint().port()) {}

  std::uint64_t begin(const HttpRequest& request, Fault fault) {
    if (fault != Fault::none) ++faults_injected;
    if (fake::changes_state(request.method, request.path)) ++writes;
    in_flight_peak = std::max(in_flight_peak, ++in_flight);
    if (options.keep_log) {
      log.push_back({requests, request.method, request.target, request.path, {}, fault, 0});
    }
    return requests;
  }
  // The log may have been cleared meanwhile.
  LoggedRequest* logged(std::uint64_t number) {
    auto found =
        std::lower_bound(log.begin(), log.end(), number,
                         [](const LoggedRequest& entry, std::uint64_t n) { return entry.number < n; });
    return found != log.end() && found->number == number ? &*found : nullptr;
  }

  Counts counts() const;
  boost::json::object statistics() const;

  asio::io_context& context;
  FakeOptions options;
  fake::State state;
  fake::Router router;
  FaultDice dice;
  tcp::acceptor acceptor;
  std::uint16_t port;
  std::list<tcp::socket*> open;  // the sockets that live in the connections' coroutines
  bool closed = false;

  std::vector<LoggedRequest> log;
  std::uint64_t requests = 0;
  std::uint64_t writes = 0;
  std::uint64_t faults_injected = 0;
  std::uint64_t connections = 0;
  std::size_t in_flight = 0;
  std::size_t in_flight_peak = 0;
  std::vector<std::string> protocol_errors;
};

Counts FakeMlflow::Impl::counts() const {
  Counts counts;
  const Generated& generated = state.generated();
  for (const auto& [number, experiment] : state.experiments) {
    if (number != 0) ++(experiment.deleted ? counts.deleted_experiments : counts.experiments);
    (experiment.deleted ? counts.deleted_runs : counts.runs) += experiment.generated;
    if (experiment.deleted) continue;
    counts.params += experiment.generated * generated.params;
    counts.run_tags += experiment.generated * (generated.tags + 1);
    counts.metric_points += experiment.generated * generated.metrics * generated.points;
    counts.files += experiment.generated * generated.files;
    counts.file_bytes += experiment.generated * generated.files * generated.file_size;
  }
  for (const auto& [id, run] : state.runs) {
    ++(run.deleted ? counts.deleted_runs : counts.runs);
    if (run.deleted) continue;
    counts.params += run.params.size();
    counts.run_tags += run.tags.size();
    for (const auto& [key, points] : run.metrics) counts.metric_points += points.size();
  }
  for (const auto& [id, model] : state.logged_models) {
    ++(model.deleted ? counts.deleted_logged_models : counts.logged_models);
  }
  for (const auto& [name, model] : state.registered_models) {
    ++counts.registered_models;
    counts.aliases += model.aliases.size();
    for (const auto& version : model.versions) {
      ++(version.deleted ? counts.deleted_model_versions : counts.model_versions);
    }
  }
  counts.traces = generated.traces + state.traces.size();
  counts.spans = generated.traces * generated.trace_spans;
  for (const auto& [id, trace] : state.traces) counts.spans += trace.spans.size();
  for (const auto& [path, bytes] : state.files) {
    ++counts.files;
    counts.file_bytes += bytes.size();
  }
  counts.unparsable_bodies = state.unparsable_bodies;
  return counts;
}

boost::json::object FakeMlflow::Impl::statistics() const {
  Counts const c = counts();
  return {{"experiments", c.experiments},
          {"deleted_experiments", c.deleted_experiments},
          {"runs", c.runs},
          {"deleted_runs", c.deleted_runs},
          {"params", c.params},
          {"run_tags", c.run_tags},
          {"metric_points", c.metric_points},
          {"logged_models", c.logged_models},
          {"deleted_logged_models", c.deleted_logged_models},
          {"registered_models", c.registered_models},
          {"model_versions", c.model_versions},
          {"deleted_model_versions", c.deleted_model_versions},
          {"aliases", c.aliases},
          {"traces", c.traces},
          {"spans", c.spans},
          {"files", c.files},
          {"file_bytes", c.file_bytes},
          {"unparsable_bodies", c.unparsable_bodies},
          {"requests", requests},
          {"write_requests", writes},
          {"faults_injected", faults_injected},
          {"connections", connections},
          {"in_flight_peak", in_flight_peak},
          {"protocol_errors", protocol_errors.size()}};
}

// The connection's coroutines share the state: the FakeMlflow may be gone before they notice.
struct FakeConnection {
  using Impl = std::shared_ptr<FakeMlflow::Impl>;

  static async::Task<> accept(Impl impl) {
    while (!impl->closed) {
      boost::system::error_code error;
      tcp::socket socket =
          co_await impl->acceptor.async_accept(asio::redirect_error(asio::use_awaitable, error));
      if (error) {
        if (impl->closed) co_return;
        co_await async::sleep_for(std::chrono::milliseconds(10));  // out of descriptors, for one
        continue;
      }
      ++impl->connections;
      asio::co_spawn(impl->context, serve(impl, std::move(socket)), [impl](std::exception_ptr failure) {
        try {
          if (failure) std::rethrow_exception(failure);
        } catch (const boost::system::system_error&) {  // the client went away, or we did
        } catch (const std::exception& problem) {
          impl->protocol_errors.emplace_back(problem.what());
        }
      });
    }
  }

  static async::Task<> serve(Impl impl, tcp::socket socket) {
    struct Registration {
      Impl impl;
      std::list<tcp::socket*>::iterator place;
      ~Registration() { impl->open.erase(place); }
    } registration{impl, impl->open.insert(impl->open.end(), &socket)};
    boost::system::error_code ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    fake::RequestReader reader(socket);
    bool go_on = true;
    while (go_on && !impl->closed) {
      auto request = co_await reader.read_head();
      if (!request) break;
      go_on = co_await exchange(impl, socket, reader, std::move(*request));
    }
    if (socket.is_open()) socket.shutdown(tcp::socket::shutdown_both, ignored);
  }

  // Whether the connection can be used again.
  static async::Task<bool> exchange(Impl impl, tcp::socket& socket, fake::RequestReader& reader,
                                    HttpRequest request) {
    const Faults& faults = impl->options.faults;
    if (request.path == "/__fake__/counts") {
      co_await reader.read_body(request);
      co_return co_await send(impl, socket, fake::answer(impl->statistics()), Fault::none,
                              request.keep_alive);
    }
    ++impl->requests;
    Fault const fault = impl->dice.draw(faults, impl->requests, request.method, request.path);
    auto const number = impl->begin(request, fault);
    struct InFlight {
      Impl impl;
      ~InFlight() { --impl->in_flight; }
    } in_flight{impl};

    if (fault == Fault::reset_before) {
      fake::reset(socket);
      co_return false;
    }
    co_await reader.read_body(request);
    if (auto* entry = impl->logged(number); entry != nullptr && impl->options.keep_bodies) {
      entry->body = request.body;
    }
    if (faults.latency.count() > 0) co_await async::sleep_for(faults.latency);

    HttpResponse response = refusal(faults, fault);
    if (response.status == 200) response = impl->router.carry_out(request, fault == Fault::duplicate_rows);
    if (auto* entry = impl->logged(number)) entry->status = response.status;
    bool const keep_alive = request.keep_alive && !faults.close_each;
    co_return co_await send(impl, socket, std::move(response), fault, keep_alive);
  }

  // An answer other than 200 when the fault keeps the request from being carried out.
  static HttpResponse refusal(const Faults& faults, Fault fault) {
    HttpResponse response;
    switch (fault) {
      case Fault::throttle:
      case Fault::throttle_retry_after:
        response = fake::failure_answer({429, "REQUEST_LIMIT_EXCEEDED", "Too many requests"});
        if (fault == Fault::throttle_retry_after) {
          response.headers.emplace_back("retry-after", std::to_string(faults.retry_after_seconds));
        }
        return response;
      case Fault::error_500:
        return fake::html_answer(500, "Internal Server Error");
      case Fault::unavailable_503:
        response.status = 503;
        response.content_type = "text/plain";
        response.body = "Service Unavailable";
        return response;
      default:
        return response;
    }
  }

  static async::Task<bool> send(Impl impl, tcp::socket& socket, HttpResponse response, Fault fault,
                                bool keep_alive) {
    if (fault == Fault::reset_after) {
      fake::reset(socket);
      co_return false;
    }
    std::string bytes = fake::response_head(response, keep_alive);
    auto const head_size = bytes.size();
    bytes += response.body;
    if (fault == Fault::reset_mid_body || fault == Fault::short_body) {
      // An empty body cannot be cut: the head is, instead.
      auto const sent = response.body.empty() ? head_size / 2 : head_size + response.body.size() / 2;
      co_await asio::async_write(socket, asio::buffer(bytes.data(), sent), asio::use_awaitable);
      if (fault == Fault::reset_mid_body) {
        co_await async::sleep_for(std::chrono::milliseconds(2));  // a reset overtakes what is under way
        fake::reset(socket);
      }
      co_return false;
    }
    if (fault == Fault::slow_drip) {
      const Faults& faults = impl->options.faults;
      auto const pause = faults.drip_pause;
      auto const piece = bytes.size() / std::max<std::size_t>(faults.drip_pieces, 1) + 1;
      for (std::size_t at = 0; at < bytes.size(); at += piece) {
        auto const n = std::min(piece, bytes.size() - at);
        co_await asio::async_write(socket, asio::buffer(bytes.data() + at, n), asio::use_awaitable);
        co_await async::sleep_for(pause);
      }
      co_return keep_alive;
    }
    co_await asio::async_write(socket, asio::buffer(bytes), asio::use_awaitable);
    co_return keep_alive;
  }
};

FakeMlflow::FakeMlflow(asio::io_context& context, FakeOptions options)
    : impl_(std::make_shared<Impl>(context, std::move(options))) {
  asio::co_spawn(context, FakeConnection::accept(impl_), [](std::exception_ptr failure) {
    if (failure) std::rethrow_exception(failure);  // out of context.run(): the test must not go on
  });
}

FakeMlflow::~FakeMlflow() {
  impl_->closed = true;
  boost::system::error_code ignored;
  impl_->acceptor.close(ignored);
  for (tcp::socket* socket : impl_->open) socket->close(ignored);
}

std::uint16_t FakeMlflow::port() const {
  return impl_->port;
}
std::string FakeMlflow::url() const {
  return "http://127.0.0.1:" + std::to_string(impl_->port);
}
Faults& FakeMlflow::faults() {
  return impl_->options.faults;
}

boost::json::object FakeMlflow::call(std::string_view method, std::string_view target,
                                     const boost::json::object& body) {
  HttpRequest request;
  request.method = method;
  request.target = target;
  fake::split_target(request);
  if (method != "GET") {
    request.headers["content-type"] = "application/json";
    request.body = mlflow::to_json(body);
  }
  HttpResponse const response = impl_->router.carry_out(request, false);
  if (response.status != 200) {
    throw std::runtime_error(std::string(method) + " " + std::string(target) + ": " +
                             std::to_string(response.status) + " " + response.body);
  }
  if (response.body.empty()) return {};
  return mlflow::parse_json(response.body, "the answer").as_object();
}

boost::json::object FakeMlflow::post(std::string_view name, const boost::json::object& body) {
  return call("POST", "/api/2.0/mlflow/" + std::string(name), body);
}

void FakeMlflow::set_answer(std::string path, boost::json::object answer) {
  impl_->state.canned[std::move(path)] = std::move(answer);
}

void FakeMlflow::put_spans(const std::string& experiment_id, const boost::json::array& spans) {
  HttpRequest request;
  request.method = "POST";
  request.target = "/v1/traces";
  fake::split_target(request);
  request.headers["content-type"] = "application/json";
  request.headers["x-mlflow-experiment-id"] = experiment_id;
  std::vector<const boost::json::array*> const traces{&spans};
  request.body = mlflow::otlp_body(traces);
  auto const response = impl_->router.carry_out(request, false);
  if (response.status != 200) throw std::runtime_error("POST /v1/traces: " + response.body);
}

void FakeMlflow::forget_spans(const std::string& trace_id) {
  impl_->state.traces.at(trace_id).spans_forgotten = true;
}

void FakeMlflow::forget_run(const std::string& id) {
  auto& state = impl_->state;
  auto const run = state.runs.find(id);
  if (run == state.runs.end()) throw std::runtime_error("no run " + id);
  auto* experiment = state.find_experiment(run->second.experiment_id);
  std::erase(experiment->run_ids, id);
  experiment->sorted_run_ids.clear();
  std::erase_if(state.runs_by_source, [&](auto const& entry) { return entry.second == id; });
  state.runs.erase(run);
}

void FakeMlflow::put_file(std::string path, std::string bytes) {
  impl_->state.files[std::move(path)] = std::move(bytes);
}

std::optional<std::string> FakeMlflow::file(const std::string& path) const {
  return impl_->state.read_file(path);
}

const std::vector<LoggedRequest>& FakeMlflow::log() const {
  return impl_->log;
}

std::vector<LoggedRequest> FakeMlflow::write_requests() const {
  std::vector<LoggedRequest> result;
  std::copy_if(impl_->log.begin(), impl_->log.end(), std::back_inserter(result),
               [](const LoggedRequest& entry) { return entry.is_write(); });
  return result;
}

void FakeMlflow::clear_log() {
  impl_->log.clear();
}
std::uint64_t FakeMlflow::request_count() const {
  return impl_->requests;
}
std::uint64_t FakeMlflow::write_count() const {
  return impl_->writes;
}
std::uint64_t FakeMlflow::faults_injected() const {
  return impl_->faults_injected;
}
std::uint64_t FakeMlflow::connections() const {
  return impl_->connections;
}
std::size_t FakeMlflow::in_flight_peak() const {
  return impl_->in_flight_peak;
}
const std::vector<std::string>& FakeMlflow::protocol_errors() const {
  return impl_->protocol_errors;
}

Counts FakeMlflow::counts() const {
  return impl_->counts();
}

boost::json::object FakeMlflow::statistics() const {
  return impl_->statistics();
}

}  // namespace mlferry::test
