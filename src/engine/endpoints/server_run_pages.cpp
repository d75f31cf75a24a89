#include <algorithm>
#include <deque>

#include "async/task_group.hpp"
#include "engine/endpoints/artifact_lister.hpp"
#include "engine/endpoints/history_reader.hpp"
#include "engine/endpoints/page_walker.hpp"
#include "engine/endpoints/server_pages.hpp"
#include "engine/failure.hpp"
#include "protocol/digest/sha256.hpp"

namespace mlferry::engine {

namespace {

constexpr int most_runs_a_search = 1000;
constexpr std::size_t model_inputs_a_request = 10;
constexpr std::size_t runs_a_filter = 200;
constexpr std::size_t least_group = 25;
constexpr std::size_t most_group = 1000;
// Few, so that their files are on the way while those of the others are listed.
constexpr std::size_t first_group_with_files = 10;
// A group of runs is sized so that its records take about this much.
constexpr std::size_t group_target_bytes = 6u << 20;

bool is_final(std::string_view status) {
  return status == "FINISHED" || status == "FAILED" || status == "KILLED";
}

// Whether the search gave the run's outputs: those of 3.1 to 3.5 leave them out, all others show at least {}.
bool outputs_are_listed(const RunRecord& record) {
  return record.run.doc.contains("outputs");
}

// How many runs the next group may have, after one of `runs` runs that took `bytes`.
std::size_t next_group_size(std::size_t runs, std::size_t bytes, std::size_t now) {
  if (runs == 0 || bytes == 0) return now;
  auto const wanted = group_target_bytes * runs / bytes;
  return std::clamp(std::min(wanted, now * 2), least_group, most_group);
}

// For the server's search, one after the other: the window of time, and of exact ids so many at once.
std::deque<std::string> run_filters(const Selection& selection) {
  auto const window = selection.time_filter("attributes.start_time");
  auto const* ids = selection.exact_ids(Kind::run);
  if (ids == nullptr) return {window};
  std::deque<std::string> filters;
  std::size_t n = 0;
  for (auto const& id : *ids) {
    auto const literal = mlflow::filter_literal(id);
    if (!literal) continue;  // no run's id holds quotes
    if (n++ % runs_a_filter == 0) {
      if (!filters.empty()) filters.back() += ")";
      filters.push_back((window.empty() ? "" : window + " AND ") + "attributes.run_id IN (" + *literal);
    } else {
      filters.back() += "," + *literal;
    }
  }
  if (!filters.empty()) filters.back() += ")";
  return filters;
}

class RunPages final : public Pages<RunRecord> {
 public:
  RunPages(ServerSource& source, std::string experiment_id, Known& known)
      : source_(source),
        experiment_id_(std::move(experiment_id)),
        known_(known),
        filters_(run_filters(source.context().options.selection)) {}

  async::Task<std::optional<std::vector<RunRecord>>> next() override {
    if (!source_.context().options.selection.takes_kind(Kind::run) || filters_.empty()) co_return std::nullopt;
    while (waiting_.empty()) {
      if (walker_.done()) {
        if (filters_.size() <= 1) co_return std::nullopt;
        filters_.pop_front();
        walker_ = {};
      }
      co_await read_page();
    }
    bool const alone = waiting_.size() == 1 && walker_.done() && filters_.size() == 1;
    if (!folders_known_ && !alone) {  // of one run the list of folders tells no more than its own
      folders_known_ = true;
      folders_ = co_await list_owner_folders(source_.client(), source_.artifact_location(experiment_id_));
      if (!folders_ || !folders_->empty()) group_size_ = first_group_with_files;
    }
    std::vector<RunRecord> group;
    while (!waiting_.empty() && group.size() < group_size_) {
      auto& record = group.emplace_back();
      record.run = std::move(waiting_.front());
      waiting_.pop_front();
    }
    co_await complete(group);
    co_return group;
  }

 private:
  async::Task<> read_page() {
    if (!std::exchange(begun_, true) && filters_.size() == 1) {
      auto share = co_await source_.first_runs().take(experiment_id_, filters_.front());
      // One of several is no page that the next could overlap.
      if (share && (share->all || share->runs.size() > 1)) {
        take_in(std::move(share->runs), !share->all);
        co_return;
      }
    }
    std::optional<mlflow::Page<mlflow::Run>> page;
    bool too_large = false;
    try {
      page = co_await source_.client().search_runs({experiment_id_}, filters_.front(),
                                                   source_.run_view(experiment_id_), page_size_, walker_.token());
    } catch (const http::ResponseTooLarge&) {
      if (page_size_ <= 2) throw;
      too_large = true;
    }
    if (too_large) {  // very wide runs: ask for fewer at once
      page_size_ = std::max(2, page_size_ / 4);
      co_return;
    }
    take_in(std::move(page->items), !page->next_token.empty());
  }

  void take_in(std::vector<mlflow::Run> runs, bool more) {
    std::vector<std::string> ids;
    for (auto const& run : runs) ids.emplace_back(run.id());
    auto const& selection = source_.context().options.selection;
    bool const experiment_deleted = source_.is_deleted(experiment_id_);
    for (auto const i : walker_.take(ids, more)) {
      if (selection.takes_run(runs[i], experiment_deleted)) {
        waiting_.push_back(std::move(runs[i]));
      } else {
        source_.context().report.not_selected(Kind::run);
      }
    }
  }

  // Everything that the search does not give.
  async::Task<> complete(std::vector<RunRecord>& group) {
    auto permit =
        std::make_shared<async::Permit>(co_await source_.context().memory.acquire(group_target_bytes));
    bool has_logged_models = false;
    auto body = [&](async::TaskGroup& tasks) -> async::Task<> {
      tasks.spawn(list_files(group));
      has_logged_models = co_await source_.has_logged_models();
    };
    co_await async::with_task_group(source_.context().executor, body);
    auto& named = source_.named_models(experiment_id_);
    for (auto& record : group) {
      source_.remember_run(record.run.id());
      record.fingerprint = fingerprint_of(record.run.doc, record);
      for (auto const& [model, step] : record.run.model_outputs()) named.insert(model);
      if (is_final(record.run.status()) && !source_.context().options.full) {
        record.unchanged = co_await known_.unchanged(Kind::run, experiment_id_, std::string(record.run.id()),
                                                     record.fingerprint);
      }
    }
    bool const all_listed = std::all_of(group.begin(), group.end(), outputs_are_listed);
    bool const may_have_links = source_.capabilities().logged_models && !all_listed;
    if (has_logged_models || !named.empty() || may_have_links) co_await read_model_inputs(group);
    co_await read_histories(source_.context(), source_.client(), source_.capabilities(), group);
    std::size_t bytes = 0;
    for (auto& record : group) {
      bytes += footprint(record);
      record.memory = permit;
    }
    permit->shrink_to(bytes);
    group_size_ = next_group_size(group.size(), bytes, group_size_);
  }

  async::Task<> list_files(std::vector<RunRecord>& group) {
    return list_run_files(source_.context(), source_.client(), source_.capabilities(),
                          source_.artifact_location(experiment_id_), folders_, source_.options().local_artifacts, group);
  }

  async::Task<> read_model_inputs(std::vector<RunRecord>& group) {
    std::vector<RunRecord*> asked;
    for (auto& record : group) {
      if (!record.unchanged && record.read_error.empty()) asked.push_back(&record);
    }
    auto body = [&](async::TaskGroup& tasks) -> async::Task<> {
      for (std::size_t i = 0; i < asked.size(); i += model_inputs_a_request) {
        auto const end = std::min(asked.size(), i + model_inputs_a_request);
        tasks.spawn(read_some_model_inputs({asked.begin() + static_cast<std::ptrdiff_t>(i),
                                            asked.begin() + static_cast<std::ptrdiff_t>(end)}));
      }
      co_return;
    };
    co_await async::with_task_group(source_.context().executor, body);
  }

  async::Task<> read_some_model_inputs(std::vector<RunRecord*> records) {
    std::vector<std::optional<std::vector<std::string>>> answers(records.size());
    bool const inputs_suffice =
        std::all_of(records.begin(), records.end(), [](const RunRecord* record) { return outputs_are_listed(*record); });
    if (source_.capabilities().graphql && inputs_suffice) co_await attempt(ask_batch(records, answers));
    for (std::size_t i = 0; i < records.size(); ++i) {
      if (answers[i]) {
        set_inputs(*records[i], *answers[i]);
      } else {
        auto const failure = co_await attempt(ask_one(*records[i]));
        if (failure) records[i]->read_error = "model inputs: " + *failure;
      }
    }
  }

  async::Task<> ask_batch(std::vector<RunRecord*> records,
                          std::vector<std::optional<std::vector<std::string>>>& answers) {
    std::vector<std::string> ids;
    for (auto const* record : records) ids.emplace_back(record->run.id());
    auto got = co_await source_.client().model_inputs_batch(std::move(ids));
    if (got.size() == answers.size()) answers = std::move(got);
  }

  async::Task<> ask_one(RunRecord& record) {
    auto run = co_await source_.client().get_run(std::string(record.run.id()));
    if (!run) throw std::runtime_error("the run is gone: it was deleted for good while it was read");
    set_inputs(record, run->model_input_ids());
    if (outputs_are_listed(record)) co_return;
    auto const* outputs = mlflow::get_object(run->doc, "outputs");
    if (outputs != nullptr) record.run.doc["outputs"] = *outputs;
    for (auto const& [model, step] : run->model_outputs()) source_.named_models(experiment_id_).insert(model);
  }

  void set_inputs(RunRecord& record, const std::vector<std::string>& ids) {
    if (ids.empty()) return;
    json::array inputs;
    for (auto const& id : ids) {
      inputs.push_back(json::object{{"model_id", id}});
      source_.named_models(experiment_id_).insert(id);
    }
    auto& slot = record.run.doc["inputs"];
    if (!slot.is_object()) slot.emplace_object();
    slot.get_object()["model_inputs"] = std::move(inputs);
  }

  ServerSource& source_;
  std::string experiment_id_;
  Known& known_;
  bool begun_ = false;
  PageWalker walker_;
  int page_size_ = most_runs_a_search;
  std::size_t group_size_ = 200;
  std::deque<mlflow::Run> waiting_;
  std::deque<std::string> filters_;
  bool folders_known_ = false;
  KnownFolders folders_;
};

}  // namespace

std::string fingerprint_of(const json::object& doc, const RecordBase& files) {
  digest::Sha256 hash;
  hash.update(mlflow::to_canonical_json(doc));
  for (auto const& file : files.files) {
    hash.update(std::string_view("\n", 1));
    hash.update(file.path);
    hash.update(std::string_view("\0", 1));
    hash.update(file.size ? std::to_string(*file.size) : "?");
  }
  for (auto const& gap : files.gaps) {
    hash.update(std::string_view("\ngap ", 5));
    hash.update(gap.path);
  }
  return digest::to_hex(hash.finish());
}

std::unique_ptr<Pages<RunRecord>> make_run_pages(ServerSource& source, std::string experiment_id,
                                                 Known& known) {
  return std::make_unique<RunPages>(source, std::move(experiment_id), known);
}

}  // namespace mlferry::engine
