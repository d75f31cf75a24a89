#pragma once
// An MLflow 3.17 tracking server inside the test process, with faults on demand. It answers what a transfer
// asks (experiments, runs, histories, logged models, registry, artifacts) as the real server does, errors
// included, and 404 HTML to everything else; authentication and workspaces are not in it, nor traces whose
// spans are in artifacts.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "support/fake_faults.hpp"
#include "support/fake_state.hpp"

namespace mlferry::test {

struct FakeOptions {
  std::uint16_t port = 0;  // of 127.0.0.1; 0: a free one
  Faults faults;
  Generated generated;
  bool keep_log = true;     // off for scale tests: only the numbers are kept
  bool keep_bodies = true;  // in the log
};

struct LoggedRequest {
  std::uint64_t number = 0;  // from 1, in the order in which the heads arrived
  std::string method;
  std::string target;  // as sent
  std::string path;    // without the query
  std::string body;
  Fault fault = Fault::none;
  int status = 0;  // of the answer that was sent or would have been; 0: not carried out, or still running

  // Would it change the server? Searches and /graphql are POSTs that do not.
  bool is_write() const;
};

// Live objects, unless the name says otherwise.
struct Counts {
  std::uint64_t experiments = 0;  // without Default
  std::uint64_t deleted_experiments = 0;
  std::uint64_t runs = 0;
  std::uint64_t deleted_runs = 0;
  std::uint64_t params = 0;
  std::uint64_t run_tags = 0;
  std::uint64_t metric_points = 0;
  std::uint64_t logged_models = 0;
  std::uint64_t deleted_logged_models = 0;
  std::uint64_t registered_models = 0;
  std::uint64_t model_versions = 0;
  std::uint64_t deleted_model_versions = 0;
  std::uint64_t aliases = 0;
  std::uint64_t traces = 0;  // generated ones included
  std::uint64_t spans = 0;
  std::uint64_t files = 0;
  std::uint64_t file_bytes = 0;
  // Bodies that were not JSON, answered as the real server does: as if they were empty. A client that sends
  // one loses data without noticing.
  std::uint64_t unparsable_bodies = 0;
};

class FakeMlflow {
 public:
  // Listens at once; serves while `context` runs. `context` must outlive it. Throws system_error when the
  // port is taken.
  FakeMlflow(boost::asio::io_context& context, FakeOptions options = {});
  // Closes everything; what still waits on the context ends there by itself.
  ~FakeMlflow();
  FakeMlflow(const FakeMlflow&) = delete;
  FakeMlflow& operator=(const FakeMlflow&) = delete;

  std::uint16_t port() const;
  std::string url() const;  // http://127.0.0.1:port

  // Can be changed at any time; the next request sees it.
  Faults& faults();

  // Carries out one call at once, without socket, faults and log: for seeding and for looking. `path` as on
  // the wire ("/api/2.0/mlflow/runs/create"); `body` is sent unless it is a GET. Throws runtime_error with
  // the answer unless 200.
  boost::json::object call(std::string_view method, std::string_view target,
                           const boost::json::object& body = {});
  // Short for POST /api/2.0/mlflow/<name>.
  boost::json::object post(std::string_view name, const boost::json::object& body);
  // Files of the proxied store by path; put takes any name, as another client writing to the store could.
  void put_file(std::string path, std::string bytes);
  std::optional<std::string> file(const std::string& path) const;

  // From now on this path answers that: kinds and forms that are not in the fake.
  void set_answer(std::string path, boost::json::object answer);

  // Spans as get-trace-artifact gives them, through the call that takes them.
  void put_spans(const std::string& experiment_id, const boost::json::array& spans);
  // From now on get-trace-artifact answers an object without a list for this trace.
  void forget_spans(const std::string& trace_id);

  // Removes a run for good and leaves its files and versions, as a clean-up of the database by hand does.
  void forget_run(const std::string& id);

  const std::vector<LoggedRequest>& log() const;
  std::vector<LoggedRequest> write_requests() const;
  void clear_log();                     // the numbers go on
  std::uint64_t request_count() const;  // also without a log
  std::uint64_t write_count() const;
  std::uint64_t faults_injected() const;
  std::uint64_t connections() const;   // accepted so far
  std::size_t in_flight_peak() const;  // requests that were being answered at one time
  Counts counts() const;
  // What clients sent that is not HTTP, one sentence each.
  const std::vector<std::string>& protocol_errors() const;
  // counts(), requests, writes, connections and the like as one object. GET /__fake__/counts answers the
  // same; it has no number, no fault and no place in the log.
  boost::json::object statistics() const;

 private:
  friend struct FakeConnection;
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace mlferry::test
