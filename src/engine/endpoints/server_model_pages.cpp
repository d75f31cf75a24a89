#include <algorithm>
#include <map>

#include "async/task_group.hpp"
#include "engine/endpoints/artifact_lister.hpp"
#include "engine/endpoints/server_pages.hpp"
#include "engine/endpoints/version_lister.hpp"
#include "engine/failure.hpp"
#include "engine/id_text.hpp"

namespace mlferry::engine {

namespace {

constexpr int logged_models_a_page = 200;
constexpr std::size_t ids_a_filter = 100;
constexpr int models_a_page = 100;
class LoggedModelPages final : public Pages<LoggedModelRecord> {
 public:
  LoggedModelPages(ServerSource& source, std::string experiment_id, Known& known)
      : source_(source), experiment_id_(std::move(experiment_id)), known_(known) {
    auto const& selection = source_.context().options.selection;
    bool const wanted = selection.takes_kind(Kind::logged_model);
    if (selection.exact_ids(Kind::logged_model) != nullptr) state_ = State::exact;
    if (!wanted || !source_.capabilities().logged_models) state_ = State::done;  // they came with MLflow 3
  }

  async::Task<std::optional<std::vector<LoggedModelRecord>>> next() override {
    if (state_ == State::exact) {
      state_ = State::done;
      auto records = co_await read_exactly(*source_.context().options.selection.exact_ids(Kind::logged_model));
      co_await complete(records);
      if (!records.empty()) co_return records;
    }
    while (state_ == State::listing) {
      co_await take_over_names();
      // Those that came since, and are named by nothing that was read, are left to the next job.
      bool const has_some = co_await source_.has_logged_models();
      if (!has_some && source_.named_models(experiment_id_).empty()) {
        state_ = State::named;
        break;
      }
      auto page =
          co_await source_.client().search_logged_models({experiment_id_}, "", logged_models_a_page, token_);
      // An empty page ends the walk whatever its token says: some servers give tokens without end
      // (mlflow-rest 2.5).
      token_ = page.next_token;
      if (token_.empty() || page.items.empty()) state_ = State::named;
      std::vector<LoggedModelRecord> records;
      for (auto& model : page.items) {
        if (!source_.listed_models().insert(std::string(model.id())).second) continue;
        if (!takes(model, false)) continue;
        auto& record = records.emplace_back();
        record.model = std::move(model);
      }
      co_await complete(records);
      if (!records.empty()) co_return records;
    }
    if (state_ == State::named) {
      state_ = State::done;
      auto records = co_await read_deleted();
      co_await complete(records);
      if (!records.empty()) co_return records;
    }
    co_return std::nullopt;
  }

 private:
  enum class State { exact, listing, named, done };

  // Those that a listing gives are alive; the others of them are asked for by id.
  async::Task<std::vector<LoggedModelRecord>> read_exactly(const std::set<std::string>& ids) {
    std::vector<std::vector<std::string>> groups;
    for (auto const& id : ids) {
      auto literal = mlflow::filter_literal(id);
      if (!literal) continue;  // asked for alone below
      if (groups.empty() || groups.back().size() == ids_a_filter) groups.emplace_back();
      groups.back().push_back(std::move(*literal));
    }
    std::map<std::string, mlflow::LoggedModel> alive;
    for (auto const& group : groups) {
      std::string list;
      for (auto const& id : group) list += (list.empty() ? "" : ",") + id;
      auto const filter = group.size() == 1 ? "model_id = " + list : "model_id IN (" + list + ")";
      co_await list_alive(filter, ids, alive);
    }
    std::vector<LoggedModelRecord> records;
    for (auto const& id : ids) {
      auto const found = alive.find(id);
      std::optional<mlflow::LoggedModel> model;
      bool const deleted = found == alive.end();
      if (deleted) {
        model = co_await source_.client().get_logged_model(id);
      } else {
        model = std::move(found->second);
      }
      if (!model || model->experiment_id() != experiment_id_) continue;
      source_.listed_models().insert(id);
      if (!takes(*model, deleted)) continue;
      auto& record = records.emplace_back();
      record.model = std::move(*model);
      record.deleted = deleted;
    }
    co_return records;
  }

  async::Task<> list_alive(std::string filter, const std::set<std::string>& ids,
                           std::map<std::string, mlflow::LoggedModel>& alive) {
    std::string token;
    do {
      auto page = co_await source_.client().search_logged_models({experiment_id_}, filter, logged_models_a_page, token);
      token = page.items.empty() ? std::string() : page.next_token;
      for (auto& model : page.items) {
        std::string const id(model.id());
        if (ids.contains(id)) alive.emplace(id, std::move(model));
      }
    } while (!token.empty());
  }

  // Deleted models are in no listing: those that the experiment's runs name, and those that were copied
  // before, are asked for by id.
  async::Task<std::vector<LoggedModelRecord>> read_deleted() {
    std::vector<LoggedModelRecord> records;
    auto ids = source_.named_models(experiment_id_);
    auto const known = co_await known_.known_logged_models(experiment_id_);
    ids.insert(known.begin(), known.end());
    for (auto const& id : ids) {
      if (source_.listed_models().contains(id)) continue;
      auto model = co_await source_.client().get_logged_model(id);
      if (!model) continue;  // named, but never there: the link is kept as it is
      // Alive and of an experiment whose models come later (or came already): its own listing has it.
      if (co_await is_alive(std::string(model->experiment_id()), id)) continue;
      // Another experiment's walk may have asked for it meanwhile.
      if (!source_.listed_models().insert(id).second) continue;
      if (!takes(*model, true)) continue;
      auto& record = records.emplace_back();
      record.model = std::move(*model);
      record.deleted = true;
    }
    co_return records;
  }

  bool takes(const mlflow::LoggedModel& model, bool deleted) {
    auto const& selection = source_.context().options.selection;
    if (selection.takes_logged_model(model, deleted, source_.is_deleted(experiment_id_), run_taken(model))) return true;
    source_.left_out_models().emplace(model.id());
    source_.context().report.not_selected(Kind::logged_model);
    return false;
  }

  // What unchanged runs name, which are not read again.
  async::Task<> take_over_names() {
    if (!source_.context().options.selection.with_runs || std::exchange(names_taken_, true)) co_return;
    auto const known = co_await known_.known_logged_models(experiment_id_);
    source_.named_models(experiment_id_).insert(known.begin(), known.end());
  }

  // Whether a run that is moved made it or names it; nothing when it is of no run.
  std::optional<bool> run_taken(const mlflow::LoggedModel& model) {
    if (source_.is_named(std::string(model.id()))) return true;
    if (model.source_run_id().empty()) return std::nullopt;
    return source_.gave_run(model.source_run_id());
  }

  async::Task<bool> is_alive(std::string experiment_id, std::string id) {
    if (experiment_id == experiment_id_)
      co_return false;  // the whole listing of this experiment has been read
    co_return co_await is_listed(std::move(experiment_id), std::move(id));
  }

  async::Task<bool> is_listed(std::string experiment_id, std::string id) {
    std::string token;
    do {
      auto page =
          co_await source_.client().search_logged_models({experiment_id}, "", logged_models_a_page, token);
      for (auto const& model : page.items) {
        if (model.id() == id) co_return true;
      }
      token = page.items.empty() ? std::string() : page.next_token;
    } while (!token.empty());
    co_return false;
  }

  async::Task<> complete(std::vector<LoggedModelRecord>& records) {
    auto body = [&](async::TaskGroup& tasks) -> async::Task<> {
      for (auto& record : records) tasks.spawn(complete_one(record));
      co_return;
    };
    co_await async::with_task_group(source_.context().executor, body);
  }

  async::Task<> complete_one(LoggedModelRecord& record) {
    co_await list_model_files(source_.context(), source_.client(), source_.capabilities(),
                              source_.options().local_artifacts, record);
    record.fingerprint = fingerprint_of(record.model.doc, record);
    if (record.model.status() != "LOGGED_MODEL_PENDING" && !source_.context().options.full) {
      record.unchanged =
          co_await known_.unchanged(Kind::logged_model, std::string(record.model.experiment_id()),
                                    std::string(record.model.id()), record.fingerprint);
    }
  }

  ServerSource& source_;
  std::string experiment_id_;
  Known& known_;
  State state_ = State::listing;
  std::string token_;
  bool names_taken_ = false;
};

// Models first, then prompts. A server before 2.21 gives its prompts in both walks.
class RegisteredModelPages final : public Pages<RegisteredModelRecord> {
 public:
  explicit RegisteredModelPages(ServerSource& source) : source_(source) {
    auto const& selection = source_.context().options.selection;
    if (!selection.takes_kind(Kind::registered_model)) state_ = State::prompts;
    if (!selection.takes_kind(Kind::prompt) && state_ == State::prompts) state_ = State::done;
  }

  async::Task<std::optional<std::vector<RegisteredModelRecord>>> next() override {
    auto const& selection = source_.context().options.selection;
    bool const prompts = selection.takes_kind(Kind::prompt);
    while (state_ != State::done) {
      auto const* exact = selection.exact_ids(state_ == State::models ? Kind::registered_model : Kind::prompt);
      auto page = exact != nullptr ? co_await read_exactly(*exact)
                                   : co_await source_.client().search_registered_models(
                                         state_ == State::models ? "" : prompt_filter, models_a_page, token_);
      token_ = page.items.empty() ? std::string() : page.next_token;
      if (token_.empty()) state_ = state_ == State::models && prompts ? State::prompts : State::done;
      std::vector<RegisteredModelRecord> records;
      for (auto& model : page.items) {
        if (!seen_.insert(std::string(model.name())).second) continue;
        auto const kind = model.is_prompt() ? Kind::prompt : Kind::registered_model;
        if (!selection.takes(kind, "", model.name())) {
          source_.context().report.not_selected(kind);
          continue;
        }
        records.emplace_back().model = std::move(model);
      }
      auto body = [&](async::TaskGroup& tasks) -> async::Task<> {
        for (auto& record : records) tasks.spawn(complete(record));
        co_return;
      };
      co_await async::with_task_group(source_.context().executor, body);
      if (!records.empty()) co_return records;
    }
    co_return std::nullopt;
  }

 private:
  enum class State { models, prompts, done };

  async::Task<mlflow::Page<mlflow::RegisteredModel>> read_exactly(const std::set<std::string>& names) {
    std::vector<std::optional<mlflow::RegisteredModel>> found(names.size());
    auto body = [&](async::TaskGroup& tasks) -> async::Task<> {
      std::size_t i = 0;
      for (auto const& name : names) tasks.spawn(read_one(name, found[i++]));
      co_return;
    };
    co_await async::with_task_group(source_.context().executor, body);
    mlflow::Page<mlflow::RegisteredModel> page;
    for (auto& model : found) {
      if (model) page.items.push_back(std::move(*model));
    }
    co_return page;
  }

  async::Task<> read_one(std::string name, std::optional<mlflow::RegisteredModel>& found) {
    found = co_await source_.client().get_registered_model(std::move(name));
  }

  async::Task<> complete(RegisteredModelRecord& record) {
    auto const failure = co_await attempt(read_versions(record));
    if (failure) record.read_error = "versions: " + *failure;
    bool const copies = source_.context().options.version_files && record.kind() == Kind::registered_model;
    for (auto& version : record.versions) {
      version.files_are_copies = moves_with_its_owner(version.version);
      if (version.files_are_copies && !copies) continue;
      auto const missing = co_await attempt(find_files(version));
      if (missing) version.gaps.push_back({"", *missing});
      co_await list_version_files(source_.context(), source_.client(), source_.capabilities(),
                                  source_.options().local_artifacts, version);
    }
    for (auto& version : record.versions) version.fingerprint = fingerprint_of(version.version.doc, version);
    record.fingerprint = fingerprint_of(record.model.doc, record);
  }

  // Whether the run or logged model that its files lie in is moved itself.
  bool moves_with_its_owner(const mlflow::ModelVersion& version) {
    auto const ids = find_ids(version.source());
    auto const given = [this](const std::string& id) { return source_.gave_run(id); };
    auto const listed = [this](const std::string& id) {
      return source_.listed_models().contains(id) && !source_.left_out_models().contains(id);
    };
    return std::any_of(ids.runs.begin(), ids.runs.end(), given) ||
           std::any_of(ids.logged_models.begin(), ids.logged_models.end(), listed);
  }

  // "runs:/ID/path" and "models:/m-ID" name an owner, not a place.
  async::Task<> find_files(ModelVersionRecord& record) {
    auto const source = record.version.source();
    auto const ids = find_ids(source);
    std::string id, root;
    if (source.starts_with("runs:/") && !ids.runs.empty()) {
      id = ids.runs.front();
      auto const run = co_await source_.client().get_run(id);
      if (run) root = run->artifact_uri();
    } else if (source.starts_with("models:/") && !ids.logged_models.empty()) {
      id = ids.logged_models.front();
      auto const model = co_await source_.client().get_logged_model(id);
      if (model) root = model->artifact_uri();
    } else {
      co_return;
    }
    if (root.empty()) throw std::runtime_error("its files are gone with " + id + ", which the server does not have");
    record.files_uri = root + std::string(source.substr(source.find(id) + id.size()));
  }

  async::Task<> read_versions(RegisteredModelRecord& record) {
    auto versions = co_await list_versions(source_.client(), record.model);
    auto const chosen = source_.context().options.selection.versions_of(record.kind()).choose(versions);
    for (auto const i : chosen) record.versions.emplace_back().version = std::move(versions[i]);
    record.versions_left_out = versions.size() - chosen.size();
    source_.context().report.not_selected(record.version_kind(), record.versions_left_out);
  }

  ServerSource& source_;
  State state_ = State::models;
  std::string token_;
  std::unordered_set<std::string> seen_;
};

}  // namespace

std::unique_ptr<Pages<LoggedModelRecord>> make_logged_model_pages(ServerSource& source,
                                                                  std::string experiment_id, Known& known) {
  return std::make_unique<LoggedModelPages>(source, std::move(experiment_id), known);
}

std::unique_ptr<Pages<RegisteredModelRecord>> make_registered_model_pages(ServerSource& source) {
  return std::make_unique<RegisteredModelPages>(source);
}

}  // namespace mlferry::engine
