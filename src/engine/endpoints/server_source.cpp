#include "engine/endpoints/server_source.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "async/task_group.hpp"
#include "engine/endpoints/artifact_lister.hpp"
#include "engine/endpoints/census.hpp"
#include "engine/endpoints/page_walker.hpp"
#include "engine/endpoints/server_pages.hpp"
#include "engine/endpoints/version_lister.hpp"
#include "engine/failure.hpp"
#include "engine/local_artifacts.hpp"
#include "engine/workspaces.hpp"

namespace mlferry::engine {

namespace {

constexpr int experiments_a_page = 1000;
constexpr std::size_t experiments_a_question = 100;
// Of more, walking the whole list takes fewer requests.
constexpr std::size_t most_asked_by_id = 30;

// A run id's 32 hex digits; nothing for other ids, which no artifact path is searched for.
std::optional<std::array<unsigned char, 16>> run_key(std::string_view id) {
  std::array<unsigned char, 16> key{};
  if (id.size() != 2 * key.size()) return std::nullopt;
  for (std::size_t i = 0; i < key.size(); ++i) {
    auto const [end, error] = std::from_chars(id.data() + 2 * i, id.data() + 2 * i + 2, key[i], 16);
    if (error != std::errc() || end != id.data() + 2 * i + 2) return std::nullopt;
  }
  return key;
}

// As many experiments as one request may ask for.
std::vector<std::vector<std::string>> in_parts(const std::vector<std::string>& ids) {
  std::vector<std::vector<std::string>> parts;
  for (std::size_t i = 0; i < ids.size(); i += experiments_a_question) {
    auto const end = std::min(ids.size(), i + experiments_a_question);
    parts.emplace_back(ids.begin() + static_cast<std::ptrdiff_t>(i),
                       ids.begin() + static_cast<std::ptrdiff_t>(end));
  }
  return parts;
}

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x80; });
}

class ExperimentPages final : public Pages<ExperimentRecord> {
 public:
  explicit ExperimentPages(ServerSource& source) : source_(source) {}

  async::Task<std::optional<std::vector<ExperimentRecord>>> next() override {
    auto const* exact = source_.context().options.selection.exact_ids(Kind::experiment);
    if (exact != nullptr && exact->size() <= most_asked_by_id) co_return co_await read_exactly(*exact);
    while (!walker_.done()) {
      auto page = co_await source_.client().search_experiments(mlflow::View::all, experiments_a_page,
                                                               walker_.token());
      std::vector<std::string> ids;
      for (auto const& item : page.items) ids.emplace_back(item.id());
      std::vector<ExperimentRecord> records;
      auto const& selection = source_.context().options.selection;
      for (auto const i : walker_.take(ids, !page.next_token.empty())) {
        auto const& experiment = page.items[i];
        if (!selection.takes_experiment(experiment.id(), experiment.name(), experiment.deleted())) {
          ++left_out_;
          continue;
        }
        add(std::move(page.items[i]), records);
      }
      if (!records.empty()) co_return records;
    }
    source_.context().report.set_not_selected(Kind::experiment, left_out_);
    co_return std::nullopt;
  }

 private:
  async::Task<std::optional<std::vector<ExperimentRecord>>> read_exactly(const std::set<std::string>& ids) {
    if (std::exchange(given_, true)) co_return std::nullopt;
    std::vector<ExperimentRecord> records;
    auto const& selection = source_.context().options.selection;
    for (auto const& id : ids) {
      auto experiment = co_await source_.client().get_experiment(id);
      if (!experiment || !selection.takes_experiment(id, experiment->name(), experiment->deleted())) continue;
      add(std::move(*experiment), records);
    }
    if (records.empty()) co_return std::nullopt;
    co_return records;
  }

  void add(mlflow::Experiment experiment, std::vector<ExperimentRecord>& records) {
    auto& record = records.emplace_back();
    record.experiment = std::move(experiment);
    record.fingerprint = fingerprint_of(record.experiment.doc, record);
    source_.remember(record.experiment);
  }

  ServerSource& source_;
  bool given_ = false;
  PageWalker walker_;
  std::uint64_t left_out_ = 0;
};

// What was listed a moment ago.
class ListedExperiments final : public Pages<ExperimentRecord> {
 public:
  explicit ListedExperiments(std::vector<ExperimentRecord> records) : records_(std::move(records)) {}

  async::Task<std::optional<std::vector<ExperimentRecord>>> next() override {
    if (records_.empty()) co_return std::nullopt;
    co_return std::exchange(records_, {});
  }

 private:
  std::vector<ExperimentRecord> records_;
};

}  // namespace

ServerSource::ServerSource(const Context& context, mlflow::Client& client, ServerSourceOptions options)
    : context_(context),
      client_(client),
      options_(std::move(options)),
      first_runs_(context.executor, client),
      logged_models_turn_(context.executor, 1),
      traces_turn_(context.executor, 1),
      trace_links_turn_(context.executor, 1) {}

// Not knowing costs requests, not data: a server that refuses now is asked for everything later.
async::Task<bool> ServerSource::has_logged_models() {
  auto const turn = co_await logged_models_turn_.acquire();
  if (!has_logged_models_ && co_await attempt(find_logged_models())) has_logged_models_ = true;
  co_return *has_logged_models_;
}

async::Task<> ServerSource::find_logged_models() {
  bool found = false;
  if (capabilities_.logged_models) {
    for (auto& part : in_parts(experiment_ids_)) {
      auto const page = co_await client_.search_logged_models(std::move(part), "", 1, "");
      found = !page.items.empty();
      if (found) break;
    }
  }
  has_logged_models_ = found;
}

async::Task<const std::unordered_set<std::string>*> ServerSource::traced_experiments() {
  auto const turn = co_await traces_turn_.acquire();
  bool const there_are_traces = capabilities_.traces_v3 || capabilities_.traces_v2;
  if (!traces_asked_ && there_are_traces && context_.options.selection.takes_kind(Kind::trace)) {
    for (auto const& part : in_parts(experiment_ids_)) {
      auto const failure = co_await attempt(find_traces(part));
      if (failure) traced_.insert(part.begin(), part.end());
    }
  }
  traces_asked_ = true;
  co_return &traced_;
}

async::Task<mlflow::Page<mlflow::Trace>> ServerSource::search_traces(std::vector<std::string> experiment_ids,
                                                                    std::string filter, int max_results,
                                                                    std::string token) {
  if (capabilities_.traces_v3)
    return client_.search_traces(std::move(experiment_ids), std::move(filter), max_results, std::move(token));
  return client_.search_traces_v2(std::move(experiment_ids), max_results, std::move(token));
}

// Halves what has some, down to single experiments: most servers have traces in few.
async::Task<> ServerSource::find_traces(std::vector<std::string> experiment_ids) {
  auto const page = co_await search_traces(experiment_ids, "", 1, "");
  if (page.items.empty()) co_return;
  if (experiment_ids.size() == 1) {
    traced_.insert(experiment_ids.front());
    co_return;
  }
  auto const middle = experiment_ids.begin() + static_cast<std::ptrdiff_t>(experiment_ids.size() / 2);
  co_await find_traces({experiment_ids.begin(), middle});
  co_await find_traces({middle, experiment_ids.end()});
}

async::Task<> ServerSource::ask_who_calls(SourceInfo& info) {
  access_ = co_await find_access(client_, capabilities_);
  if (auto const text = hidden_from(access_, client_.http().base_url()); !text.empty())
    info.hidden.push_back(text);
  info.shows_users = access_.logins && access_.admin;
  if (!options_.census) co_return;
  auto census = co_await count_uncopied(client_, access_);
  info.not_copied = std::move(census.counts);
  info.notes.insert(info.notes.end(), census.notes.begin(), census.notes.end());
}

async::Task<const TraceLinks*> ServerSource::trace_links() {
  auto const turn = co_await trace_links_turn_.acquire();
  // The older form has none but the run in its metadata.
  if (!capabilities_.traces_v3) trace_links_.emplace();
  if (!trace_links_) {
    auto const* traced = co_await traced_experiments();
    auto prompts = co_await list_prompt_versions(context_, client_);
    trace_links_ = co_await read_trace_links(context_, client_, experiment_ids_, {traced->begin(), traced->end()},
                                             std::move(prompts));
  }
  co_return &*trace_links_;
}

async::Task<SourceInfo> ServerSource::open() {
  capabilities_ = co_await client_.probe();
  SourceInfo info;
  info.identity = options_.identity.empty() ? client_.http().base_url() : options_.identity;
  info.mlflow_version = capabilities_.version;
  info.description = client_.http().base_url();
  if (!capabilities_.version.empty()) info.description += " (MLflow " + capabilities_.version + ")";
  info.workspace = options_.workspace;
  info.identity = identity_in(info.identity, std::string(mlflow::get_string(options_.workspace, "name")));
  auto const& selection = context_.options.selection;
  bool const by_id = selection.exact_ids(Kind::logged_model) != nullptr;
  bool const deleted_too = selection.lifecycle != Lifecycle::active && !by_id;
  if (deleted_too && selection.takes_kind(Kind::logged_model) && !selection.takes_kind(Kind::run)) {
    info.notes.push_back(
        "deleted logged models are found through the runs that name them, and runs are not selected");
  }
  // None needs another, and one after the other they would be most of the time of a small job. The experiments first: on
  // the connection there is, whose worker of the server has opened its database; another takes 0.1 s when it is new.
  auto body = [&](async::TaskGroup& tasks) -> async::Task<> {
    tasks.spawn(list_experiments());
    tasks.spawn(ask_who_calls(info));
    co_return;
  };
  co_await async::with_task_group(context_.executor, body);
  co_return info;
}

async::Task<> ServerSource::list_experiments() {
  std::vector<ExperimentRecord> listed;
  std::size_t pages_read = 0;
  auto pages = experiments();
  while (auto page = co_await pages->next()) {
    for (auto const& record : *page) experiment_ids_.emplace_back(record.experiment.id());
    if (++pages_read == 1) listed = std::move(*page);
  }
  if (pages_read <= 1) listed_ = std::move(listed);
  std::vector<FirstRuns::Experiment> expected;
  for (auto const& id : experiment_ids_) expected.push_back({id, run_view(id)});
  first_runs_.expect(std::move(expected));
}

mlflow::View ServerSource::run_view(const std::string& experiment_id) const {
  auto const stage = context_.options.selection.lifecycle;
  if (stage == Lifecycle::all || is_deleted(experiment_id)) return mlflow::View::all;
  return stage == Lifecycle::active ? mlflow::View::active : mlflow::View::deleted;
}

void ServerSource::remember(const mlflow::Experiment& experiment) {
  std::string const id(experiment.id());
  locations_[id] = experiment.artifact_location();
  if (experiment.deleted()) {
    active_.erase(id);
  } else {
    active_.insert(id);
  }
}

void ServerSource::remember_run(std::string_view id) {
  if (auto const key = run_key(id)) given_runs_.push_back(*key);
  given_runs_sorted_ = false;
}

bool ServerSource::is_named(const std::string& model) const {
  return std::any_of(named_models_.begin(), named_models_.end(),
                     [&model](const auto& named) { return named.second.contains(model); });
}

bool ServerSource::gave_run(std::string_view id) {
  if (!std::exchange(given_runs_sorted_, true)) std::sort(given_runs_.begin(), given_runs_.end());
  auto const key = run_key(id);
  return key && std::binary_search(given_runs_.begin(), given_runs_.end(), *key);
}

std::string ServerSource::artifact_location(const std::string& experiment_id) const {
  auto const found = locations_.find(experiment_id);
  return found == locations_.end() ? std::string() : found->second;
}

bool ServerSource::is_deleted(const std::string& experiment_id) const {
  return gave_experiment(experiment_id) && !active_.contains(experiment_id);
}

std::unique_ptr<Pages<ExperimentRecord>> ServerSource::experiments() {
  if (listed_) return std::make_unique<ListedExperiments>(*std::exchange(listed_, std::nullopt));
  return std::make_unique<ExperimentPages>(*this);
}

std::unique_ptr<Pages<RunRecord>> ServerSource::runs(std::string experiment_id, Known& known) {
  return make_run_pages(*this, std::move(experiment_id), known);
}

std::unique_ptr<Pages<LoggedModelRecord>> ServerSource::logged_models(std::string experiment_id,
                                                                      Known& known) {
  return make_logged_model_pages(*this, std::move(experiment_id), known);
}

std::unique_ptr<Pages<TraceRecord>> ServerSource::traces(std::string experiment_id, Known& known) {
  return make_trace_pages(*this, std::move(experiment_id), known);
}

std::unique_ptr<Pages<ObjectRecord>> ServerSource::objects(Kind kind, Known& known) {
  return make_object_pages(*this, kind, known);
}

std::unique_ptr<Pages<RegisteredModelRecord>> ServerSource::registered_models(Known&) {
  return make_registered_model_pages(*this);
}

async::Task<std::unique_ptr<async::ByteReader>> ServerSource::open_file(FileOwner owner, FileEntry file) {
  if (options_.local_artifacts) {
    if (auto const folder = local_folder(owner.artifact_uri)) {
      co_return co_await open_local_file(context_.pool, *folder, file.path);
    }
  }
  http::Download download;
  auto const root = proxied_path(owner.artifact_uri);
  std::string const path = !root || root->empty() ? file.path : *root + "/" + file.path;
  bool const has_id = owner.kind == Kind::run || owner.kind == Kind::logged_model;
  if (root && !(has_id && !capabilities_.proxies_any_name && !is_ascii(path))) {
    download = co_await client_.open_proxied(path);
  } else if (owner.kind == Kind::run) {
    download = co_await client_.open_run_artifact(owner.id, file.path);
  } else if (owner.kind == Kind::trace) {
    download = co_await client_.open_trace_data(owner.id);
  } else {
    download = co_await client_.open_logged_model_artifact(owner.id, file.path);
  }
  if (download.size && file.size && *download.size != *file.size) {
    throw std::runtime_error("listed with " + std::to_string(*file.size) + " bytes, but served with " +
                             std::to_string(*download.size) + ": it changed while it was read");
  }
  co_return std::move(download.body);
}

}  // namespace mlferry::engine
