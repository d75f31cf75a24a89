#pragma once
// What the fake MLflow server remembers: plain data with few rules. Generated runs exist only as a formula,
// so that a million of them cost nothing.

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

namespace mlferry::test {

// Runs that are computed when they are asked for. They are complete, finished, and cannot be changed.
struct Generated {
  std::uint64_t seed = 1;
  std::uint64_t runs = 0;         // in all, spread over the experiments in blocks
  std::uint64_t experiments = 1;  // named "generated-0" ...; made only when there are runs
  std::uint64_t metrics = 0;      // per run: m0, m1 ...
  std::uint64_t points = 0;       // per metric
  std::uint64_t params = 0;       // per run: p0, p1 ...
  std::uint64_t tags = 0;         // per run: t0, t1 ...
  std::uint64_t files = 0;        // per run: file-0.bin ...
  std::uint64_t file_size = 0;
  std::uint64_t traces = 0;  // in experiment 0
  std::uint64_t trace_spans = 2;
};

}  // namespace mlferry::test

namespace mlferry::test::fake {

namespace json = boost::json;

// The server's "no": thrown by calls, answered as MLflow does.
struct Failure {
  int status;
  std::string code;
  std::string message;
};

using Tags = std::map<std::string, std::string>;

struct Point {
  double value = 0;
  std::int64_t timestamp = 0;
  std::int64_t step = 0;
};
// timestamp, step, value; NaN is stored as 0 with a mark, and sorts like that.
bool before(const Point& a, const Point& b);
bool same(const Point& a, const Point& b);

struct DatasetInput {
  std::string name;
  std::string digest;
  Tags tags;
};

struct Run {
  std::string id;
  std::string experiment_id;
  std::string name;
  std::string user_id;
  std::string status = "RUNNING";
  std::int64_t start_time = 0;
  std::optional<std::int64_t> end_time;
  bool deleted = false;
  Tags params;
  Tags tags;
  std::map<std::string, std::vector<Point>> metrics;  // a generated run has the last points only
  std::vector<DatasetInput> datasets;
  std::vector<std::string> model_inputs;
  std::vector<std::pair<std::string, std::int64_t>> model_outputs;

  std::string artifact_uri() const { return "mlflow-artifacts:/" + experiment_id + "/" + id + "/artifacts"; }
};

struct Experiment {
  std::string id;
  std::string name;
  std::string artifact_location;
  std::int64_t created = 0;
  std::int64_t updated = 0;
  bool deleted = false;
  Tags tags;
  std::vector<std::string> run_ids;  // in the order of creation
  // The runs by start_time, run_id: made when it is asked for, emptied by a new run.
  std::vector<std::string> sorted_run_ids;
  std::map<std::pair<std::string, std::string>, json::object> datasets;  // (name, digest) -> first writer's
  std::uint64_t first_generated = 0;
  std::uint64_t generated = 0;
};

struct ModelMetric {
  std::string key;
  Point point;
  std::string run_id;
  std::string dataset_name;
  std::string dataset_digest;
};

struct LoggedModel {
  std::string id;
  std::string experiment_id;
  std::string name;
  std::string model_type;
  std::string source_run_id;
  std::string status = "LOGGED_MODEL_PENDING";
  std::int64_t created = 0;
  std::int64_t updated = 0;
  bool deleted = false;
  Tags params;
  Tags tags;
  std::vector<ModelMetric> metrics;

  std::string artifact_uri() const {
    return "mlflow-artifacts:/" + experiment_id + "/models/" + id + "/artifacts";
  }
};

struct ModelVersion {
  std::int64_t number = 0;
  std::int64_t created = 0;
  std::int64_t updated = 0;
  bool deleted = false;
  std::string source;
  std::string run_id;
  std::string run_link;
  std::string stage = "None";
  std::string description;
  Tags tags;
};

struct RegisteredModel {
  std::string name;
  std::string description;
  std::int64_t created = 0;
  std::int64_t updated = 0;
  Tags tags;
  std::map<std::string, std::int64_t> aliases;
  std::vector<ModelVersion> versions;  // versions[i].number == i + 1, deleted ones included
};

struct Trace {
  std::string experiment_id;
  json::object info;
  json::array spans;  // as get-trace-artifact gives them
  bool spans_forgotten = false;
  std::set<std::string> runs;
  std::set<std::string> prompts;  // "name/version"
};

class State {
 public:
  explicit State(Generated generated);

  // A clock that counts, so that two runs of a test see the same times.
  std::int64_t now() { return ++clock_; }
  std::string new_id();  // 32 hex digits, not in order

  Experiment& add_experiment(std::string name);
  Experiment* find_experiment(std::string_view id);
  Experiment* find_experiment_by_name(std::string_view name);

  // Also generated runs; those are valid until the next call.
  const Run* read_run(std::string_view id);
  // Stored runs only: throws Failure for a generated one.
  Run* find_run(std::string_view id);
  // The run number `n` of the experiment in the order of start_time, run_id.
  std::uint64_t run_count(const Experiment& experiment) const;
  const Run* run_at(Experiment& experiment, std::uint64_t n);
  bool is_generated(std::string_view run_id) const { return generated_index(run_id).has_value(); }

  std::uint64_t point_count(const Run& run, const std::string& key) const;
  Point point_at(const Run& run, const std::string& key, std::uint64_t n) const;

  // A file of the proxied store; generated ones are made when they are read.
  std::optional<std::string> read_file(const std::string& path);
  struct Entry {
    bool is_dir = false;
    std::uint64_t size = 0;
  };
  // Names in a folder, "" being the top of the store. Empty when there is no such folder.
  std::map<std::string, Entry> list_folder(const std::string& path);

  std::map<std::int64_t, Experiment> experiments;  // by numeric id
  std::unordered_map<std::string, Run> runs;
  std::map<std::string, LoggedModel> logged_models;
  std::vector<std::string> logged_model_order;  // by creation
  std::map<std::string, RegisteredModel> registered_models;
  std::map<std::string, Trace> traces;  // by id; without generated ones
  std::map<std::string, std::string> files;  // path below the root of the proxied store -> bytes
  // Value of the tag mlferry.source.id -> runs, because importers look runs up by it, one by one.
  std::multimap<std::string, std::string> runs_by_source;
  static constexpr std::string_view source_tag = "mlferry.source.id";
  void set_run_tag(Run& run, const std::string& key, const std::string& value);

  std::uint64_t unparsable_bodies = 0;
  std::map<std::string, json::object> canned;  // path -> what it answers, whatever is asked
  bool strict_sources = true;                  // 3.17's rules for sources of versions
  bool lists_outputs = true;
  bool refuses_known_nan = false;
  const Generated& generated() const { return generated_; }

 private:
  std::optional<std::uint64_t> generated_index(std::string_view run_id) const;
  std::string generated_id(std::uint64_t index) const;
  const Run* make_generated(std::uint64_t index);
  std::optional<std::pair<std::uint64_t, std::string>> generated_file(const std::string& path);

  Generated generated_;
  std::int64_t clock_ = 1'700'000'000'000;
  std::uint64_t next_id_ = 0;
  Run scratch_;
};

}  // namespace mlferry::test::fake
