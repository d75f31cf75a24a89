#pragma once
// An MLflow tracking server as a source, read with the fewest requests that its REST API allows.

#include <array>
#include <memory>
#include <set>
#include <string>
#include <unordered_set>

#include "engine/access.hpp"
#include "engine/context.hpp"
#include "engine/endpoints/first_runs.hpp"
#include "engine/endpoints/source.hpp"
#include "engine/endpoints/trace_links.hpp"
#include "protocol/mlflow/client.hpp"

namespace mlferry::engine {

struct ServerSourceOptions {
  std::string identity;          // "" : the base URL
  bool local_artifacts = false;  // artifact folders that the server names may be read on this machine
  bool census = true;            // count what is not copied
  json::object workspace = {};   // the document of the client's workspace
};

class ServerSource final : public Source {
 public:
  ServerSource(const Context& context, mlflow::Client& client, ServerSourceOptions options);

  async::Task<SourceInfo> open() override;
  std::unique_ptr<Pages<ExperimentRecord>> experiments() override;
  std::unique_ptr<Pages<RunRecord>> runs(std::string experiment_id, Known& known) override;
  std::unique_ptr<Pages<LoggedModelRecord>> logged_models(std::string experiment_id, Known& known) override;
  std::unique_ptr<Pages<RegisteredModelRecord>> registered_models(Known& known) override;
  std::unique_ptr<Pages<TraceRecord>> traces(std::string experiment_id, Known& known) override;
  std::unique_ptr<Pages<ObjectRecord>> objects(Kind kind, Known& known) override;
  async::Task<std::unique_ptr<async::ByteReader>> open_file(FileOwner owner, FileEntry file) override;

  // Shared by the pages below.
  const Context& context() const { return context_; }
  mlflow::Client& client() { return client_; }
  const mlflow::Capabilities& capabilities() const { return capabilities_; }
  const Access& access() const { return access_; }
  const ServerSourceOptions& options() const { return options_; }
  // Of the experiments that open() listed.
  FirstRuns& first_runs() { return first_runs_; }
  // Which runs of the experiment the selection may take.
  mlflow::View run_view(const std::string& experiment_id) const;
  // Active ones: deleted ones are in no listing. Asked once, by the first who wants to know; a server that does not
  // answer may have some.
  async::Task<bool> has_logged_models();
  // The experiments that may have traces; all others certainly have none. Asked once, as above.
  async::Task<const std::unordered_set<std::string>*> traced_experiments();
  // By whichever call the server has; at most 100 experiments.
  async::Task<mlflow::Page<mlflow::Trace>> search_traces(std::vector<std::string> experiment_ids, std::string filter,
                                                         int max_results, std::string token);
  // Read once, by the first who asks.
  async::Task<const TraceLinks*> trace_links();
  // Logged models that runs name; the deleted ones among them are found in no listing.
  std::set<std::string>& named_models(const std::string& experiment_id) {
    return named_models_[experiment_id];
  }
  // By any run that the pages gave.
  bool is_named(const std::string& model) const;
  std::set<std::string>& listed_models() { return listed_models_; }
  // Of the listed ones: the selection leaves them out.
  std::set<std::string>& left_out_models() { return left_out_models_; }
  // Runs that the pages gave: what lies in their folders is moved with them.
  void remember_run(std::string_view id);
  bool gave_run(std::string_view id);
  // Experiments that had no review queues when somebody looked: an empty one is not asked twice.
  std::set<std::string>& queueless_experiments() { return queueless_; }
  const std::set<std::string>& active_experiments() const { return active_; }
  bool gave_experiment(const std::string& id) const { return locations_.contains(id); }
  bool is_deleted(const std::string& experiment_id) const;
  std::string artifact_location(const std::string& experiment_id) const;
  void remember(const mlflow::Experiment& experiment);

 private:
  async::Task<> list_experiments();
  async::Task<> find_logged_models();
  async::Task<> find_traces(std::vector<std::string> experiment_ids);
  async::Task<> ask_who_calls(SourceInfo& info);

  const Context& context_;
  mlflow::Client& client_;
  ServerSourceOptions options_;
  mlflow::Capabilities capabilities_;
  Access access_;
  // The list of experiments that open() read, when it was one page: for the first who asks after that.
  std::optional<std::vector<ExperimentRecord>> listed_;
  std::vector<std::string> experiment_ids_;  // that open() listed
  FirstRuns first_runs_;
  std::set<std::string> queueless_;
  async::Semaphore logged_models_turn_, traces_turn_, trace_links_turn_;
  std::optional<bool> has_logged_models_;
  std::unordered_set<std::string> traced_;
  bool traces_asked_ = false;
  std::optional<TraceLinks> trace_links_;
  std::map<std::string, std::set<std::string>> named_models_;
  std::set<std::string> listed_models_, left_out_models_;
  std::vector<std::array<unsigned char, 16>> given_runs_;
  bool given_runs_sorted_ = true;
  std::map<std::string, std::string> locations_;
  std::set<std::string> active_;  // experiments that are not deleted
};

}  // namespace mlferry::engine
