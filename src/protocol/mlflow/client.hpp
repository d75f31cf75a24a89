#pragma once
// MLflow's REST calls, one function each, on top of http::Client. Wire facts: docs of MLflow's REST API, and
// what was verified on running servers (see each function). Retries are the HTTP client's business.
//
// Besides ApiError and http::TransportError the calls throw std::invalid_argument, before anything is sent,
// for what the server would store as something else or answer without end: text that is not UTF-8, a batch or
// page of a wrong size, an unknown status.

#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/http/client.hpp"
#include "protocol/mlflow/objects.hpp"

namespace mlferry::mlflow {

// The server said no. what() is ours: call, HTTP status, error code and what to do. The server's own
// message rides apart, since it can hold SQL and values of other fields.
class ApiError : public std::runtime_error {
 public:
  ApiError(const std::string& text, int status, std::string code, std::string server_message)
      : std::runtime_error(text),
        status_(status),
        code_(std::move(code)),
        server_message_(std::move(server_message)) {}
  int status() const { return status_; }                                 // HTTP
  const std::string& code() const { return code_; }                      // "RESOURCE_DOES_NOT_EXIST", or ""
  const std::string& server_message() const { return server_message_; }  // at most 2000 characters
  bool not_found() const { return status_ == 404; }
  // 404 whose body is not JSON: this server has no such call (mlflow-rest 2.4).
  bool no_such_call() const { return no_such_call_; }
  void set_no_such_call() { no_such_call_ = true; }
  bool already_exists() const { return code_ == "RESOURCE_ALREADY_EXISTS"; }
  bool authentication() const { return status_ == 401 || status_ == 403; }
  bool temporary() const { return status_ == 429 || status_ == 502 || status_ == 503 || status_ == 504; }

 private:
  int status_;
  std::string code_;
  std::string server_message_;
  bool no_such_call_ = false;
};

// What a server can do, found once by probe(); everything that depends on the server asks here.
struct Capabilities {
  std::string version;         // "3.17.2"; "" when the server has no /version
  bool history_bulk = false;   // metrics/get-history-bulk
  bool graphql = false;        // /graphql with mlflowListArtifacts
  bool logged_models = false;  // logged-models/*, runs/outputs
  bool log_inputs = false;
  bool aliases = false;    // of registered models
  bool traces_v2 = false;  // 2.0 traces, on a server without the newer form
  bool traces_v3 = false;  // 3.0 traces/search
  bool otlp_json = false;  // POST /v1/traces takes JSON, and its spans can be read back unchanged
  bool prompts = false;    // prompts stand apart from registered models
  bool workspaces = false;
  bool decodes_paths_twice = false;  // '#' refused and %XX decoded again in artifact paths (mlflow-rest 8.3)
  // Files of any name come through the proxy. Before 3.13 those with names outside ASCII come by run or logged
  // model id only (mlflow-rest 8.3).
  bool proxies_any_name = false;
  bool says_who_calls = false;       // users/current, on every server with logins (since 3.14)
  bool colon_in_keys = false;        // of params and metrics; refused before
  std::size_t param_characters = 0;  // longer values are cut, or refused
  // For people: "MLflow 2.22.5", or what is known without a version.
  std::string name() const;
};

template <class T>
struct Page {
  std::vector<T> items;
  std::string next_token;  // empty: this was the last page
};

enum class View { active, deleted, all };

// Artifacts that clients read through the tracking server.
class Client {
 public:
  explicit Client(http::Client& http) : http_(http) {}

  http::Client& http() const { return http_; }

  // Three requests: /version, server-info, one experiment; seven or eight more on a server without server-info.
  // Throws ApiError (authentication, wrong prefix: no MLflow there) or TransportError. A second call asks nothing.
  async::Task<Capabilities> probe();

  // --- experiments -------------------------------------------------------------------------------------
  // order: experiment_id ascending, so that what is created meanwhile comes last. `name`, when not empty,
  // filters by exact name.
  async::Task<Page<Experiment>> search_experiments(View view, int max_results, std::string page_token);
  async::Task<std::optional<Experiment>> get_experiment_by_name(std::string name);
  async::Task<std::optional<Experiment>> get_experiment(std::string id);
  // The new id; throws ApiError with already_exists().
  async::Task<std::string> create_experiment(std::string name, std::string artifact_location, KeyValues tags);
  async::Task<> set_experiment_tag(std::string id, std::string key, std::string value);
  async::Task<> delete_experiment(std::string id);
  async::Task<> restore_experiment(std::string id);

  // --- runs --------------------------------------------------------------------------------------------
  // order: start_time ascending, then run_id. Model inputs are missing from these documents.
  async::Task<Page<Run>> search_runs(std::vector<std::string> experiment_ids, std::string filter, View view,
                                     int max_results, std::string page_token);
  async::Task<std::optional<Run>> get_run(std::string run_id);
  // The model inputs of at most 10 runs by one /graphql request (aliases of mlflowGetRun), in the order of
  // the question; nullopt where the server answered with an error for that run. Implemented in
  // client_model_inputs.cpp.
  async::Task<std::vector<std::optional<std::vector<std::string>>>> model_inputs_batch(
      std::vector<std::string> run_ids);
  // At most 100 runs; at most 25000 rows, cut silently by the server at the end of the run_id order. Rows are
  // ordered by run_id, timestamp, step, value.
  async::Task<std::vector<HistoryRow>> history_bulk(std::vector<std::string> run_ids, std::string key);
  static constexpr std::size_t history_bulk_limit = 25000;
  static constexpr int history_a_page = 20'000;
  async::Task<Page<MetricPoint>> history(std::string run_id, std::string key, int max_results,
                                         std::string page_token);
  struct NewRun {
    std::string experiment_id;
    std::int64_t start_time = 0;
    std::string user_id;
    std::string run_name;
    KeyValues tags;
  };
  async::Task<Run> create_run(NewRun run);  // Repeat::unclear
  struct BatchMetric {
    std::string_view key;
    MetricPoint point;
    std::string_view model_id, dataset_name, dataset_digest;  // sent when not empty
  };
  // At most 1000 items, 100 params, 100 tags. Idempotent (mlflow-rest 4.2).
  async::Task<> log_batch(std::string run_id, std::span<const BatchMetric> metrics,
                          std::span<const KeyValue> params, std::span<const KeyValue> tags);
  // status "" leaves it; end_time absent leaves it.
  async::Task<> update_run(std::string run_id, std::string status, std::optional<std::int64_t> end_time);
  async::Task<> set_run_tag(std::string run_id, std::string key, std::string value);
  async::Task<> delete_run(std::string run_id);
  async::Task<> restore_run(std::string run_id);
  async::Task<> log_inputs(std::string run_id, json::array dataset_inputs,
                           std::vector<std::string> model_ids);
  // Not idempotent: repeating a (run, model) pair is 400 (mlflow-rest 4.4). After an answer that got lost the
  // run is read, and only what is missing is sent again.
  async::Task<> log_outputs(std::string run_id, std::vector<std::pair<std::string, std::int64_t>> models);

  // --- logged models -----------------------------------------------------------------------------------
  async::Task<Page<LoggedModel>> search_logged_models(std::vector<std::string> experiment_ids,
                                                      std::string filter, int max_results,
                                                      std::string page_token);
  // Also deleted ones (allow_deleted=true).
  async::Task<std::optional<LoggedModel>> get_logged_model(std::string id);
  struct NewLoggedModel {
    std::string experiment_id, name, model_type, source_run_id;
    KeyValues params, tags;
  };
  async::Task<LoggedModel> create_logged_model(NewLoggedModel model);  // Repeat::unclear
  async::Task<> set_logged_model_status(std::string id, std::string status);
  async::Task<> set_logged_model_tags(std::string id, KeyValues tags);
  async::Task<> delete_logged_model(std::string id);

  // --- registry ----------------------------------------------------------------------------------------
  // With `filter` the server's filter text; prompts only with their tag in it (mlflow-rest 6.4).
  async::Task<Page<RegisteredModel>> search_registered_models(std::string filter, int max_results,
                                                              std::string page_token);
  async::Task<std::optional<RegisteredModel>> get_registered_model(std::string name);
  async::Task<> create_registered_model(std::string name, std::string description, KeyValues tags);
  async::Task<> update_registered_model(std::string name, std::string description);
  // With all its versions; one that is made again begins at 1. Gone already: fine.
  async::Task<> delete_registered_model(std::string name);
  async::Task<> set_registered_model_tag(std::string name, std::string key, std::string value);
  async::Task<> set_alias(std::string name, std::string alias, std::string version);
  // Ordered by version number. A name with both kinds of quotes cannot be written in a filter: nothing is
  // returned then, use get_model_version (mlflow-rest 6.3).
  async::Task<Page<ModelVersion>> search_model_versions(std::string filter, int max_results,
                                                        std::string page_token);
  async::Task<std::optional<ModelVersion>> get_model_version(std::string name, std::int64_t number);
  struct NewModelVersion {
    std::string name, source, run_id, model_id, run_link, description;
    KeyValues tags;
  };
  async::Task<ModelVersion> create_model_version(NewModelVersion version);  // Repeat::unclear
  async::Task<> transition_stage(std::string name, std::int64_t number, std::string stage);
  async::Task<> update_model_version(std::string name, std::int64_t number, std::string description);
  async::Task<> set_model_version_tag(std::string name, std::int64_t number, std::string key,
                                      std::string value);
  async::Task<> delete_model_version(std::string name, std::int64_t number);  // gone already: fine

  // --- traces (mlflow-rest 7) ----------------------------------------------------------------------------
  // Infos with their assessments, oldest first. Works for deleted experiments.
  async::Task<Page<Trace>> search_traces(std::vector<std::string> experiment_ids, std::string filter,
                                         int max_results, std::string page_token);
  // The same traces from a server of the form before (2.14 to 3.1), each as the newer form's info
  // (trace_v2.hpp). At most 100 experiments: their ids stand in the URL.
  async::Task<Page<Trace>> search_traces_v2(std::vector<std::string> experiment_ids, int max_results,
                                            std::string page_token);
  async::Task<std::optional<Trace>> get_trace_info(std::string trace_id);
  // The text {"spans":[...]}, attributes as stored; the file's own bytes where spans are in an artifact.
  async::Task<std::string> get_trace_data(std::string trace_id);
  // `body`: otlp.hpp. Repeating it changes nothing. The experiment must be active. From 3.12 on.
  async::Task<> put_spans(std::string experiment_id, std::string body);
  // After the spans. Repeating it merges. Gives the info as the server has it now.
  async::Task<Trace> put_trace_info(json::object info);
  // One that overrides another makes that one invalid.
  async::Task<> put_assessment(std::string trace_id, json::object assessment);
  async::Task<> delete_assessment(std::string trace_id, std::string assessment_id);  // gone already: fine
  async::Task<> link_traces_to_run(std::vector<std::string> trace_ids, std::string run_id);  // at most 100
  // (name, version) each.
  async::Task<> link_prompts_to_trace(std::string trace_id,
                                      std::vector<std::pair<std::string, std::string>> prompts);

  // --- artifacts ---------------------------------------------------------------------------------------
  struct Directory {
    std::string run_id;
    std::string path;  // "" is the root
  };
  // One request for at most 10 directories through /graphql (`mlflowListArtifacts` aliases); the answers are
  // in the order of the question. nullopt where the server answered with an error for that one.
  async::Task<std::vector<std::optional<std::vector<FileInfo>>>> list_artifacts_batch(
      std::vector<Directory> directories);
  static constexpr std::size_t list_batch_limit = 10;
  // Throws std::runtime_error when the server listed something else than what was asked for, and when an
  // empty answer may mean that it did (a path that it rewrites); list_artifacts_batch gives nullopt then.
  async::Task<std::vector<FileInfo>> list_artifacts(std::string run_id, std::string path);
  async::Task<std::vector<FileInfo>> list_logged_model_artifacts(std::string model_id, std::string path);
  // Below the proxy's root; the paths returned are base names on the wire and full paths (path/name) here. A
  // path with an unservable_reason may be answered with another directory's names, and nobody can tell.
  async::Task<std::vector<FileInfo>> list_proxied(std::string path);

  // Throw ApiError unless 2xx.
  async::Task<http::Download> open_proxied(std::string path);
  async::Task<http::Download> open_run_artifact(std::string run_id, std::string path);
  async::Task<http::Download> open_logged_model_artifact(std::string model_id, std::string path);
  // The text of get_trace_data as a stream.
  async::Task<http::Download> open_trace_data(std::string trace_id);
  async::Task<> put_proxied(std::string path, async::OpenReader open, std::uint64_t size);

  // --- the newer kinds ---------------------------------------------------------------------------------
  // Their calls are few and alike, so they stand with each kind (engine/objects). An answer is a JSON object;
  // nullopt when the server has no such call.
  async::Task<std::optional<json::object>> call(http::Method method, std::string target, std::string body,
                                                http::RequestClass request_class);
  // A write. Repeat::unclear for what makes a second object when it is sent again.
  async::Task<json::object> change(http::Method method, std::string target, json::object body,
                                   http::Repeat repeat);

 private:
  http::Client& http_;
  std::optional<Capabilities> probed_;
};

// The value as a string literal of MLflow's filter language: 'x', or "x" when it holds a '; nullopt when it
// holds both quotes. logged-models/search takes the first form only: with "x" it finds nothing and says 200.
// A key is quoted with backticks there (tags.`a.b`): with "a.b" it finds nothing, too. Runs, experiments and
// versions take either.
std::optional<std::string> filter_literal(std::string_view value);

// Why this artifact path cannot be read or written under its own name through an MLflow server that
// decodes paths twice ("'#' is refused", "'%41' is decoded again"), or "" when it can (mlflow-rest 8.3). For
// the proxied calls and their listing; such a server mostly says 200 and takes another name.
std::string unservable_reason(std::string_view path);

}  // namespace mlferry::mlflow
