#include <algorithm>
#include <deque>

#include "async/task_group.hpp"
#include "engine/endpoints/server_pages.hpp"
#include "engine/failure.hpp"
#include "engine/objects/object_kind.hpp"

namespace mlferry::engine {

namespace {

constexpr std::size_t group_size = 20;

class ObjectPages final : public Pages<ObjectRecord> {
 public:
  ObjectPages(ServerSource& source, Kind kind, Known& known)
      : source_(source), kind_(object_kind(kind)), known_(known) {}

  async::Task<std::optional<std::vector<ObjectRecord>>> next() override {
    if (!listed_) co_await list();
    while (!waiting_.empty()) {
      auto group = co_await next_group();
      if (!group.empty()) co_return group;
    }
    co_return std::nullopt;
  }

 private:
  async::Task<std::vector<ObjectRecord>> next_group() {
    std::vector<ObjectRecord> group;
    while (!waiting_.empty() && group.size() < group_size) {
      group.push_back(std::move(waiting_.front()));
      waiting_.pop_front();
    }
    auto body = [&](async::TaskGroup& tasks) -> async::Task<> {
      for (auto& record : group) tasks.spawn(complete_or_say_why(record));
      co_return;
    };
    co_await async::with_task_group(source_.context().executor, body);
    std::erase_if(group, [this](const ObjectRecord& record) { return is_left_out(record); });
    co_return group;
  }

  // Datasets name several experiments, which only the complete document tells.
  bool is_left_out(const ObjectRecord& record) {
    auto const* experiments = mlflow::get_array(record.doc, "experiment_ids");
    if (record.kind != Kind::evaluation_dataset || experiments == nullptr) return false;
    bool const with_one = std::any_of(experiments->begin(), experiments->end(), [&](const json::value& id) {
      return id.is_string() && source_.gave_experiment(std::string(id.get_string()));
    });
    if (source_.context().options.selection.takes_shared(record.kind, record.id, record.name, with_one)) return false;
    source_.context().report.not_selected(record.kind);
    return true;
  }

  async::Task<ServerView> view() {
    auto const* traced = co_await source_.traced_experiments();
    auto const& active = source_.active_experiments();
    ServerView view{source_.client(), {active.begin(), active.end()}};
    for (auto const& id : active) {
      if (!traced->contains(id)) view.untraced.insert(id);
    }
    view.queueless = &source_.queueless_experiments();
    // A copy that is verified lists its source twice.
    view.note = [&notes = source_.context().report.notes](std::string text) {
      if (std::find(notes.begin(), notes.end(), text) == notes.end()) notes.push_back(std::move(text));
    };
    view.workspace = workspace_of(source_.client(), source_.capabilities());
    co_return view;
  }

  async::Task<> list() {
    listed_ = true;
    auto const& selection = source_.context().options.selection;
    if (!selection.takes_kind(kind_.kind())) co_return;
    // What the list would hold for another login would pass as the whole of it; open() has told.
    if (kind_.of_logins() && !(source_.access().logins && source_.access().admin)) co_return;
    auto records = co_await kind_.list(co_await view());
    if (!records) co_return;
    for (auto& record : *records) {
      bool const with_parent = record.parent.empty() || source_.gave_experiment(record.parent) || selection.everything();
      if (with_parent && selection.takes(record.kind, record.id, record.name)) {
        waiting_.push_back(std::move(record));
      } else {
        source_.context().report.not_selected(record.kind);
      }
    }
  }

  async::Task<> complete_or_say_why(ObjectRecord& record) {
    auto const failure = co_await attempt(complete(record));
    if (failure) record.read_error = *failure;
  }

  async::Task<> complete(ObjectRecord& record) {
    if (kind_.listing_shows_changes()) {
      record.fingerprint = fingerprint_of(record.doc, record);
      record.unchanged = co_await is_known(record);
      if (record.unchanged) co_return;
    }
    co_await kind_.complete(co_await view(), record);
    if (kind_.listing_shows_changes()) co_return;
    record.fingerprint = fingerprint_of(record.doc, record);
    record.unchanged = co_await is_known(record);
  }

  async::Task<bool> is_known(const ObjectRecord& record) {
    if (source_.context().options.full) co_return false;
    co_return co_await known_.unchanged(record.kind, "", record.id, record.fingerprint);
  }

  ServerSource& source_;
  const ObjectKind& kind_;
  Known& known_;
  std::deque<ObjectRecord> waiting_;
  bool listed_ = false;
};

}  // namespace

std::unique_ptr<Pages<ObjectRecord>> make_object_pages(ServerSource& source, Kind kind, Known& known) {
  return std::make_unique<ObjectPages>(source, kind, known);
}

}  // namespace mlferry::engine
