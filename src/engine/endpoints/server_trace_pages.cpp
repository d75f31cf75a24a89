#include <algorithm>
#include <deque>

#include "async/task_group.hpp"
#include "engine/endpoints/artifact_lister.hpp"
#include "engine/endpoints/page_walker.hpp"
#include "engine/endpoints/server_pages.hpp"
#include "engine/failure.hpp"

namespace mlferry::engine {

namespace {

constexpr int most_traces_a_search = 500;
constexpr std::size_t most_traces_a_group = 100;
constexpr std::size_t trace_group_bytes = 6u << 20;
// How a span names a file of its trace.
constexpr std::string_view attachment_scheme = "mlflow-attachment:";

class TracePages final : public Pages<TraceRecord> {
 public:
  TracePages(ServerSource& source, std::string experiment_id, Known& known)
      : source_(source), experiment_id_(std::move(experiment_id)), known_(known) {}

  async::Task<std::optional<std::vector<TraceRecord>>> next() override {
    auto const* traced = co_await source_.traced_experiments();
    if (!traced->contains(experiment_id_)) co_return std::nullopt;
    bool const wanted = known_.holds(Kind::trace);
    if (wanted && links_ == nullptr) links_ = co_await source_.trace_links();
    auto const* exact = source_.context().options.selection.exact_ids(Kind::trace);
    bool const by_id = exact != nullptr && source_.capabilities().traces_v3;
    if (by_id && !std::exchange(exact_read_, true)) co_await read_exactly(*exact);
    while (waiting_.empty()) {
      if (by_id || walker_.done()) co_return std::nullopt;
      co_await read_page();
    }
    std::vector<TraceRecord> group;
    while (!waiting_.empty() && group.size() < group_size_) {
      group.emplace_back().trace = std::move(waiting_.front());
      waiting_.pop_front();
    }
    if (!wanted) co_return group;
    if (!std::exchange(folders_asked_, true)) folders_ = co_await list_owner_folders(source_.client(), folder_of_all());
    co_await complete(group);
    co_return group;
  }

 private:
  async::Task<> read_exactly(const std::set<std::string>& ids) {
    for (auto const& id : ids) {
      auto trace = co_await source_.client().get_trace_info(id);
      if (trace && trace->experiment_id() == experiment_id_) waiting_.push_back(std::move(*trace));
    }
  }

  // Of those whose runs decide, the server cannot tell by time.
  std::string window() const {
    auto const& selection = source_.context().options.selection;
    return selection.with_runs ? std::string() : selection.time_filter("attributes.timestamp_ms");
  }

  // Whether a run that it belongs to is moved; nothing when it belongs to none.
  std::optional<bool> run_taken(const mlflow::Trace& trace) {
    std::vector<std::string> runs;
    if (auto const run = trace.metadata("mlflow.sourceRun"); !run.empty()) runs.emplace_back(run);
    if (links_ != nullptr) {
      auto const found = links_->find(std::string(trace.id()));
      if (found != links_->end()) runs.insert(runs.end(), found->second.runs.begin(), found->second.runs.end());
    }
    if (runs.empty()) return std::nullopt;
    return std::any_of(runs.begin(), runs.end(), [this](const auto& run) { return source_.gave_run(run); });
  }

  async::Task<> read_page() {
    std::optional<mlflow::Page<mlflow::Trace>> page;
    bool too_large = false;
    try {
      page = co_await source_.search_traces({experiment_id_}, window(), page_size_, walker_.token());
    } catch (const http::ResponseTooLarge&) {
      if (page_size_ <= 2) throw;
      too_large = true;
    }
    if (too_large) {
      page_size_ = std::max(2, page_size_ / 4);
      co_return;
    }
    std::vector<std::string> ids;
    for (auto const& trace : page->items) ids.emplace_back(trace.id());
    auto const& selection = source_.context().options.selection;
    bool const experiment_deleted = source_.is_deleted(experiment_id_);
    for (auto const i : walker_.take(ids, !page->next_token.empty())) {
      if (selection.takes_trace(page->items[i], experiment_deleted, run_taken(page->items[i]))) {
        waiting_.push_back(std::move(page->items[i]));
      } else {
        source_.context().report.not_selected(Kind::trace);
      }
    }
  }

  // Where the server puts the files of an experiment's traces, a folder each.
  std::string folder_of_all() const {
    auto location = source_.artifact_location(experiment_id_);
    while (location.ends_with('/')) location.pop_back();
    return location + "/traces";
  }

  async::Task<bool> list_files(TraceRecord& record) {
    co_return co_await list_trace_files(source_.context(), source_.client(), source_.capabilities(),
                                        source_.options().local_artifacts, record);
  }

  async::Task<> complete(std::vector<TraceRecord>& group) {
    auto permit =
        std::make_shared<async::Permit>(co_await source_.context().memory.acquire(trace_group_bytes));
    std::size_t bytes = 0;
    auto body = [&](async::TaskGroup& tasks) -> async::Task<> {
      for (auto& record : group) tasks.spawn(complete_or_say_why(record, bytes));
      co_return;
    };
    co_await async::with_task_group(source_.context().executor, body);
    for (auto& record : group) record.memory = permit;
    permit->shrink_to(bytes);
    if (bytes > 0) {
      group_size_ = std::clamp<std::size_t>(
          std::min(trace_group_bytes * group.size() / bytes, group_size_ * 2), 1, most_traces_a_group);
    }
  }

  async::Task<> complete_or_say_why(TraceRecord& record, std::size_t& bytes) {
    auto const failure = co_await attempt(complete_one(record, bytes));
    if (failure) record.read_error = "spans: " + *failure;
  }

  async::Task<> complete_one(TraceRecord& record, std::size_t& bytes) {
    std::string const id(record.trace.id());
    if (auto const found = links_->find(id); found != links_->end()) {
      record.linked_runs = found->second.runs;
      record.linked_prompts = found->second.prompts;
    }
    auto listing = record.trace.doc;
    listing["linked"] = to_archive(TraceRecord{{}, {}, {}, record.linked_runs, record.linked_prompts});
    bool const in_database = record.trace.spans_in_database();
    // A trace that came after the folders were listed may have one: without its file, one in an artifact has no spans.
    bool const may_have_files = !in_database || !surely_empty(record.trace.artifact_uri(), folder_of_all(), folders_);
    bool const listed = may_have_files && co_await list_files(record);
    record.fingerprint = fingerprint_of(listing, record);
    if (record.trace.state() != "IN_PROGRESS" && !source_.context().options.full) {
      record.unchanged = co_await known_.unchanged(Kind::trace, experiment_id_, id, record.fingerprint);
    }
    if (!in_database || record.unchanged) {
      bytes += 2048;
      co_return;
    }
    auto const text = co_await source_.client().get_trace_data(id);
    bytes += 2048 + 3 * text.size();
    auto data = mlflow::parse_python_json(text, "trace " + id);
    auto* object = data.if_object();
    auto* spans = object == nullptr ? nullptr : object->if_contains("spans");
    if (spans == nullptr || !spans->is_array()) {
      throw mlflow::JsonError("trace " + id + ": the server's answer has no list 'spans'");
    }
    record.spans = std::move(spans->get_array());
    bool const attachments = !listed && text.find(attachment_scheme) != text.npos;
    if (attachments && !co_await list_files(record)) {
      record.gaps.push_back({"", "its attachments (" + std::string(record.trace.artifact_uri()) +
                                     ") are not behind the server's proxy"});
    }
  }

  ServerSource& source_;
  std::string experiment_id_;
  Known& known_;
  PageWalker walker_;
  int page_size_ = most_traces_a_search;
  std::size_t group_size_ = 20;
  std::deque<mlflow::Trace> waiting_;
  bool exact_read_ = false;
  const TraceLinks* links_ = nullptr;
  bool folders_asked_ = false;
  KnownFolders folders_;  // of traces that have files
};

}  // namespace

std::unique_ptr<Pages<TraceRecord>> make_trace_pages(ServerSource& source, std::string experiment_id,
                                                     Known& known) {
  return std::make_unique<TracePages>(source, std::move(experiment_id), known);
}

}  // namespace mlferry::engine
