#include "engine/transfer.hpp"

#include <deque>

#include "async/queue.hpp"
#include "async/task_group.hpp"
#include "engine/failure.hpp"
#include "engine/kind_order.hpp"
#include "engine/objects/object_kind.hpp"

namespace mlferry::engine {

namespace {

// What the pipeline needs to know of an experiment after its record is gone.
struct ExperimentHandle {
  std::string id;
  std::string name;
  std::string failure;  // why it is not in the target
};

constexpr std::size_t pages_ahead = 1;
constexpr std::size_t experiments_at_once = 4;
constexpr std::string_view stopped_text = "the first failure ends the job (--fail-fast)";

class Transfer {
 public:
  Transfer(const Context& context, Source& source, Target& target)
      : context_(context),
        source_(source),
        target_(target),
        slots_(context.executor, context.options.jobs),
        experiment_slots_(context.executor, experiments_at_once) {}

  async::Task<> run() {
    auto info = co_await source_.open();
    context_.report.opened(info.description, info.not_copied, info.notes, info.hidden);
    context_.report.selection = context_.options.selection.describe();
    context_.report.dry_run = context_.options.dry_run;
    co_await target_.begin(info);
    if (target_.takes_any_order()) {
      co_await put_beside_each_other();
    } else {
      for (auto const kind : write_order()) co_await put_all(kind);
    }
    co_await target_.finish(context_.report);
    if (context_.report.target.empty()) context_.report.target = target_.describe();
  }

 private:
  // Kinds are read one after the other; what was read of one may still be on its way when the next begins.
  async::Task<> put_beside_each_other() {
    auto body = [this](async::TaskGroup& puts) -> async::Task<> {
      for (auto const kind : write_order()) {
        co_await put_all(kind);
        if (kind == Kind::experiment) puts_ = &puts;  // whether its experiment failed is asked of every member
      }
    };
    co_await async::with_task_group(context_.executor, body);
    puts_ = nullptr;
  }

  // Where a record is written: in a group that the kind waits for (`of_kind`), or in that of the whole job.
  async::TaskGroup& puts(async::TaskGroup& of_kind) { return puts_ == nullptr ? of_kind : *puts_; }

  async::Task<> put_all(Kind kind) {
    switch (kind) {
      case Kind::workspace:  // target_.begin() has made it
        break;
      case Kind::experiment:
        co_await put_experiments();
        break;
      case Kind::run:
        co_await put_all_runs();
        break;
      case Kind::logged_model:
        co_await put_all_logged_models();
        co_await target_.put_links();
        break;
      case Kind::registered_model:
        co_await put_registered_models();
        break;
      case Kind::prompt:  // came in one walk with the models
        break;
      case Kind::trace:
        co_await put_all_traces();
        break;
      default:
        co_await put_all_objects(kind);
    }
  }

  // Counts one outcome, or the failure that was thrown instead.
  void count(Kind kind, Outcome outcome) {
    if (outcome == Outcome::unchanged) {
      context_.report.unchanged(kind);
    } else {
      context_.report.copied(kind, outcome == Outcome::created);
    }
  }

  void fail(Kind kind, std::string id, std::string name, std::exception_ptr failure) {
    if (ends_the_job(failure)) std::rethrow_exception(failure);
    if (is_not_held(failure)) {
      context_.report.skipped(kind, std::move(id), std::move(name), describe_failure(failure));
      return;
    }
    context_.report.failed(kind, std::move(id), std::move(name), describe_failure(failure));
    if (context_.options.fail_fast) throw JobEnded(std::string(stopped_text));
  }

  async::Task<> put_experiments() {
    auto pages = source_.experiments();
    auto body = [&](async::TaskGroup& tasks) -> async::Task<> {
      while (auto page = co_await pages->next()) {
        context_.report.found(Kind::experiment, page->size());
        for (auto& record : *page) {
          auto slot = co_await slots_.acquire();
          auto& handle = experiments_.emplace_back();
          handle.id = record.experiment.id();
          handle.name = record.experiment.name();
          tasks.spawn(put_experiment(std::move(record), handle, std::move(slot)));
        }
      }
    };
    co_await async::with_task_group(context_.executor, body);
  }

  async::Task<> put_experiment(ExperimentRecord record, ExperimentHandle& handle, async::Permit) {
    std::exception_ptr failure;
    try {
      count(Kind::experiment, co_await target_.put_experiment(std::move(record)));
    } catch (...) {
      failure = std::current_exception();
    }
    if (!failure) co_return;
    handle.failure = describe_failure(failure);
    fail(Kind::experiment, handle.id, handle.name, failure);
  }

  // Walks the pages of each experiment, a few experiments at once. `Make` gives the pages, `Put` takes a
  // record.
  template <class Record, class Make, class Put>
  async::Task<> for_each_experiment(Kind kind, Make make, Put put) {
    auto body = [&](async::TaskGroup& tasks) -> async::Task<> {
      for (auto& handle : experiments_) {
        auto slot = co_await experiment_slots_.acquire();
        tasks.spawn(walk<Record>(kind, handle, make, put, std::move(slot)));
      }
    };
    co_await async::with_task_group(context_.executor, body);
  }

  template <class Record, class Make, class Put>
  async::Task<> walk(Kind kind, ExperimentHandle& handle, Make make, Put put, async::Permit) {
    auto pages = make(handle.id);
    async::Queue<std::vector<Record>> ahead(context_.executor, pages_ahead);
    std::exception_ptr failure;
    auto next = [&ahead, &failure]() -> async::Task<std::optional<std::vector<Record>>> {
      try {
        co_return co_await ahead.pop();
      } catch (...) {
        failure = std::current_exception();
      }
      if (ends_the_job(failure)) std::rethrow_exception(failure);
      co_return std::nullopt;  // the records that came before are finished all the same
    };
    auto body = [&](async::TaskGroup& tasks) -> async::Task<> {
      tasks.spawn(read_ahead(*pages, ahead));
      while (auto page = co_await next()) {
        context_.report.found(kind, page->size());
        for (auto& record : *page) {
          if (!handle.failure.empty()) {
            context_.report.skipped(kind, put.id(record), put.name(record),
                                    "its experiment was not copied: " + handle.failure);
            continue;
          }
          auto slot = co_await slots_.acquire();
          puts(tasks).spawn(put_one(kind, std::move(record), put, std::move(slot)));
        }
      }
    };
    try {
      co_await async::with_task_group(context_.executor, body);
    } catch (...) {
      failure = std::current_exception();
    }
    if (!failure) co_return;
    if (ends_the_job(failure)) std::rethrow_exception(failure);
    // The listing broke: what it did not give is unknown, and must not pass as complete.
    context_.report.failed_after(Kind::experiment, handle.id, handle.name,
                                 "the list of its " + std::string(kind_label(kind)) +
                                     " could not be read to the end: " + describe_failure(failure));
    if (context_.options.fail_fast) throw JobEnded(std::string(stopped_text));
  }

  template <class Record>
  async::Task<> read_ahead(Pages<Record>& pages, async::Queue<std::vector<Record>>& ahead) {
    std::exception_ptr failure;
    try {
      while (auto page = co_await pages.next()) co_await ahead.push(std::move(*page));
    } catch (...) {
      failure = std::current_exception();
    }
    ahead.close(failure);
  }

  template <class Record, class Put>
  async::Task<> put_one(Kind kind, Record record, Put put, async::Permit) {
    std::string const id = put.id(record);
    std::string const name = put.name(record);
    std::exception_ptr failure;
    try {
      count(kind, co_await put(std::move(record)));
    } catch (...) {
      failure = std::current_exception();
    }
    if (failure) fail(kind, id, name, failure);
  }

  struct PutRun {
    Transfer* self;
    std::string id(const RunRecord& record) const { return std::string(record.run.id()); }
    std::string name(const RunRecord& record) const { return std::string(record.run.name()); }
    async::Task<Outcome> operator()(RunRecord record) const {
      return self->target_.put_run(std::move(record), self->source_);
    }
  };
  struct PutLoggedModel {
    Transfer* self;
    std::string id(const LoggedModelRecord& record) const { return std::string(record.model.id()); }
    std::string name(const LoggedModelRecord& record) const { return std::string(record.model.name()); }
    async::Task<Outcome> operator()(LoggedModelRecord record) const {
      return self->target_.put_logged_model(std::move(record), self->source_);
    }
  };

  struct PutObject {
    Transfer* self;
    std::string id(const ObjectRecord& record) const { return record.id; }
    std::string name(const ObjectRecord& record) const { return record.name; }
    async::Task<Outcome> operator()(ObjectRecord record) const {
      return self->target_.put_object(std::move(record));
    }
  };

  async::Task<> put_all_runs() {
    auto make = [this](const std::string& id) { return source_.runs(id, target_); };
    return for_each_experiment<RunRecord>(Kind::run, make, PutRun{this});
  }

  async::Task<> put_all_logged_models() {
    auto make = [this](const std::string& id) { return source_.logged_models(id, target_); };
    return for_each_experiment<LoggedModelRecord>(Kind::logged_model, make, PutLoggedModel{this});
  }

  struct PutTrace {
    Transfer* self;
    std::string id(const TraceRecord& record) const { return std::string(record.trace.id()); }
    std::string name(const TraceRecord& record) const {
      return std::string(record.trace.tag("mlflow.traceName"));
    }
    async::Task<Outcome> operator()(TraceRecord record) const {
      return self->target_.put_trace(std::move(record), self->source_);
    }
  };

  async::Task<> put_all_traces() {
    auto make = [this](const std::string& id) { return source_.traces(id, target_); };
    return for_each_experiment<TraceRecord>(Kind::trace, make, PutTrace{this});
  }

  async::Task<> put_registered_models() {
    auto pages = source_.registered_models(target_);
    auto body = [&](async::TaskGroup& tasks) -> async::Task<> {
      while (auto page = co_await pages->next()) {
        for (auto& record : *page) {
          context_.report.found(record.kind());
          auto slot = co_await slots_.acquire();
          puts(tasks).spawn(put_registered_model(std::move(record), false, std::move(slot)));
        }
      }
    };
    co_await async::with_task_group(context_.executor, body);
    co_await put_waiting_models();
  }

  async::Task<> put_all_objects(Kind kind) {
    auto pages = source_.objects(kind, target_);
    std::exception_ptr failure;
    auto body = [&](async::TaskGroup& tasks) -> async::Task<> {
      while (auto page = co_await pages->next()) {
        context_.report.found(kind, page->size());
        for (auto& record : *page) {
          auto slot = co_await slots_.acquire();
          puts(tasks).spawn(put_one(kind, std::move(record), PutObject{this}, std::move(slot)));
        }
      }
    };
    try {
      co_await async::with_task_group(context_.executor, body);
    } catch (...) {
      failure = std::current_exception();
    }
    if (!failure) co_return;
    if (ends_the_job(failure)) std::rethrow_exception(failure);
    // What the list did not give is unknown, and must not pass as complete.
    context_.report.found(kind);
    fail(kind, "?", "",
         std::make_exception_ptr(
             std::runtime_error("the list of " + std::string(kind_label(kind)) +
                                " could not be read to the end: " + describe_failure(failure))));
  }

  // Models whose versions point into other models: again until a round brings nothing more, then for good.
  async::Task<> put_waiting_models() {
    std::size_t before = waiting_.size() + 1;
    while (!waiting_.empty()) {
      bool const last_try = waiting_.size() >= before;
      before = waiting_.size();
      for (auto& record : std::exchange(waiting_, {})) {
        co_await put_registered_model(std::move(record), last_try, async::Permit());
      }
    }
  }

  async::Task<> put_registered_model(RegisteredModelRecord record, bool last_try, async::Permit) {
    std::string const name(record.model.name());
    auto const kind = record.kind();
    std::exception_ptr failure;
    try {
      auto const outcome = co_await target_.put_registered_model(record, source_, last_try);
      if (outcome == Outcome::waits) {
        waiting_.push_back(std::move(record));
        co_return;
      }
      count(kind, outcome);
    } catch (...) {
      failure = std::current_exception();
    }
    if (failure) fail(kind, name, name, failure);
  }

  const Context& context_;
  Source& source_;
  Target& target_;
  async::Semaphore slots_;                    // objects in flight
  async::Semaphore experiment_slots_;         // experiments walked at once
  std::deque<ExperimentHandle> experiments_;  // a deque: tasks hold references
  std::vector<RegisteredModelRecord> waiting_;
  async::TaskGroup* puts_ = nullptr;  // of a target that takes any order, once experiments are there
};

}  // namespace

async::Task<> transfer(const Context& context, Source& source, Target& target) {
  Transfer job(context, source, target);
  co_await job.run();
}

}  // namespace mlferry::engine
