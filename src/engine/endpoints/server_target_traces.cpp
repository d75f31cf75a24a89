// Traces: spans first, then the info, so that times and state stay as they are (mlflow-rest 7.3). Their ids
// are kept, so both writes can be repeated, and no marker is needed.

#include "engine/endpoints/assessments.hpp"
#include "engine/endpoints/files_of.hpp"
#include "engine/endpoints/server_target.hpp"
#include "engine/failure.hpp"
#include "engine/trace_ids.hpp"
#include "protocol/mlflow/otlp.hpp"

namespace mlferry::engine {

namespace {

constexpr int traces_a_page = 500;
constexpr int experiments_at_a_time = 200;
constexpr const char* spans_location_tag = "mlflow.trace.spansLocation";
constexpr const char* artifact_location_tag = "mlflow.artifactLocation";
constexpr const char* source_run_key = "mlflow.sourceRun";
constexpr const char* model_id_key = "mlflow.modelId";
constexpr const char* assessment_run_key = "mlflow.assessment.sourceRunId";

// A file of spans is text, and is read into memory to be changed.
constexpr std::size_t most_spans_bytes = 256u << 20;

// Opens the files of a trace that has another id here than in its source.
class RenamedTrace final : public FilesOf {
 public:
  RenamedTrace(Source& source, FileOwner owner, Replacements ids)
      : FilesOf(source, std::move(owner)), ids_(std::move(ids)) {}
  async::Task<std::unique_ptr<async::ByteReader>> open_file(FileOwner, FileEntry file) override {
    auto reader = co_await open_there(file);
    if (file.path != trace_file) co_return reader;
    auto const text = co_await async::read_all(*reader, most_spans_bytes, "file " + file.path);
    co_return std::make_unique<async::MemoryReader>(replace_all(text, ids_));
  }

 private:
  Replacements ids_;
};

json::object& object_in(json::object& object, std::string_view key) {
  auto& value = object[key];
  if (!value.is_object()) value.emplace_object();
  return value.get_object();
}

}  // namespace

async::Task<> ServerTarget::see_traces(Container& container) {
  if (!has_traces_) co_return;
  std::string token;
  do {
    auto page = co_await client_.search_traces({container.id}, "", traces_a_page, token);
    std::vector<std::pair<LedgerKey, LedgerEntry>> seen;
    for (auto const& trace : page.items) {
      seen.push_back({{Kind::trace, std::string(trace.id()), container.id},
                      {std::string(trace.id()), false, "", true, false, ""}});
    }
    co_await ledger_->put_all(std::move(seen));
    token = page.items.empty() ? std::string() : page.next_token;
  } while (!token.empty());
}

async::Task<json::array> ServerTarget::assessments_of(std::string trace_id) {
  auto const trace = co_await client_.get_trace_info(trace_id);
  auto const* list = trace ? mlflow::get_array(trace->doc, "assessments") : nullptr;
  co_return list == nullptr ? json::array() : *list;
}

// It cannot be repeated: after an answer that was lost it is looked for.
async::Task<> ServerTarget::put_assessment(std::string trace_id, json::object assessment) {
  std::string const id(mlflow::get_string(assessment, "assessment_id"));
  std::exception_ptr refused;
  try {
    co_await client_.put_assessment(trace_id, std::move(assessment));
  } catch (const mlflow::ApiError& error) {
    if (error.status() != 400 && error.status() != 500) throw;
    refused = std::current_exception();
  }
  if (!refused) co_return;
  auto const existing = co_await assessments_of(trace_id);
  for (auto const& item : existing) {
    auto const* there = item.if_object();
    if (there != nullptr && mlflow::get_string(*there, "assessment_id") == id) co_return;
  }
  std::rethrow_exception(refused);
}

// A trace of that id anywhere would be overwritten by ours without a word.
async::Task<> ServerTarget::look_for_traces() {
  if (!capabilities_.traces_v3) co_return;
  std::string token;
  do {
    auto page = co_await client_.search_experiments(mlflow::View::all, experiments_at_a_time, token);
    std::vector<std::string> ids;
    for (auto const& experiment : page.items) ids.emplace_back(experiment.id());
    auto const traces = co_await client_.search_traces(ids, "", 1, "");
    has_traces_ = has_traces_ || !traces.items.empty();
    token = page.items.empty() || has_traces_ ? std::string() : page.next_token;
  } while (!token.empty());
}

async::Task<> ServerTarget::refuse_foreign_trace(std::string id, const Container& container) {
  if (!has_traces_) co_return;
  auto const existing = co_await client_.get_trace_info(id);
  if (!existing || existing->experiment_id() == container.id) co_return;
  throw std::runtime_error("the destination has a trace of this id in another experiment (" +
                           existing->experiment_id() + ")");
}

async::Task<bool> ServerTarget::is_taken(std::string id, const Container& container) {
  if (!has_traces_ || container.id.empty()) co_return false;
  auto const known = co_await ledger_->find({Kind::trace, id, container.id});
  if (known && known->seen) co_return false;
  auto const existing = co_await client_.get_trace_info(id);
  co_return existing && existing->experiment_id() != container.id;
}

// The id of the run's copy; without one the old id, which is reported.
async::Task<std::string> ServerTarget::copied_run(std::string source_run, std::string_view trace_id,
                                                  const char* what, bool& settled) {
  auto const place = co_await find_place(Kind::run, source_run);
  if (place) co_return place->id;
  if (may_come(source_run)) settled = false;
  context_.report.loss(Kind::trace, std::string(trace_id), "",
                       std::string(what) + " " + source_run + " was not copied; the trace keeps the old id");
  co_return source_run;
}

// The runs that assessments name.
async::Task<json::array> ServerTarget::map_assessments(const TraceRecord& record, bool& settled) {
  json::array mapped;
  auto const* list = mlflow::get_array(record.trace.doc, "assessments");
  for (auto const& item : list == nullptr ? json::array{} : *list) {
    auto assessment = item;
    if (auto* object = assessment.if_object()) {
      auto const* metadata = mlflow::get_object(*object, "metadata");
      std::string const run(metadata == nullptr ? std::string_view()
                                                : mlflow::get_string(*metadata, assessment_run_key));
      if (!run.empty()) {
        object_in(*object, "metadata")[assessment_run_key] =
            co_await copied_run(run, record.trace.id(), "the run of one of its assessments", settled);
      }
    }
    mapped.push_back(std::move(assessment));
  }
  co_return mapped;
}

async::Task<json::object> ServerTarget::map_trace(const TraceRecord& record, const Container& container,
                                                  bool& settled) {
  auto info = record.trace.doc;
  info["trace_location"] = json::object{{"type", "MLFLOW_EXPERIMENT"},
                                        {"mlflow_experiment", json::object{{"experiment_id", container.id}}}};
  // The server gives it a place of its own, and refuses a trace that brings one.
  object_in(info, "tags").erase(artifact_location_tag);
  std::string const run(record.trace.metadata(source_run_key));
  if (!run.empty()) {
    object_in(info, "trace_metadata")[source_run_key] =
        co_await copied_run(run, record.trace.id(), "its run", settled);
  }
  std::string const model(record.trace.metadata(model_id_key));
  if (!model.empty()) {
    auto const place = co_await find_place(Kind::logged_model, model);
    if (place) object_in(info, "trace_metadata")[model_id_key] = place->id;
  }
  co_return info;
}

// Spans that must go into an artifact take the place of a file of that name.
void ServerTarget::leave_out_trace_file(TraceRecord& record) {
  auto const gone = std::erase_if(record.files, [](const FileEntry& file) { return file.path == trace_file; });
  if (gone == 0) return;
  context_.report.loss(Kind::trace, std::string(record.trace.id()), std::string(record.trace.tag("mlflow.traceName")),
                       std::string("its file ") + trace_file +
                           " is left out: the destination can keep its spans in a file of that name only");
}

// True when every file is in the destination. `as_spans`: the spans went to the database.
async::Task<bool> ServerTarget::put_trace_files(const TraceRecord& record, Place place, std::string name,
                                                Source& source, bool as_spans, bool is_new) {
  bool all_there = true;
  if (!as_spans && !record.spans.empty()) {
    co_await put_text(place, trace_file, mlflow::to_python_json(json::object{{"spans", record.spans}}));
  }
  if (!record.files.empty() || !record.gaps.empty()) {
    all_there =
        co_await put_files(Kind::trace, owner_of(record), place, record, std::move(name), source, is_new);
  }
  co_return all_there;
}

async::Task<> ServerTarget::put_trace_links(const TraceRecord& record, bool& settled) {
  std::string const id(record.trace.id());
  for (auto const& run : record.linked_runs) {
    auto const place = co_await find_place(Kind::run, run);
    if (place) {
      co_await client_.link_traces_to_run({id}, place->id);
    } else {
      if (may_come(run)) settled = false;
      context_.report.loss(Kind::trace, id, "",
                           "linked run " + run + " was not copied; the link is left out");
    }
  }
  if (!record.linked_prompts.empty()) co_await client_.link_prompts_to_trace(id, record.linked_prompts);
}

async::Task<Outcome> ServerTarget::put_trace(TraceRecord record, Source& source) {
  std::string const id(record.trace.id());
  std::string const name(record.trace.tag("mlflow.traceName"));
  auto& container = container_of(record.trace.experiment_id());
  if (record.unchanged) {
    report_unchanged_files(record, Kind::trace, id, name);
    co_return Outcome::unchanged;
  }
  // The older form's call makes an id of its own, which everything that names the trace would miss.
  if (!capabilities_.traces_v3) {
    throw NotHeld("the destination (" + capabilities_.name() +
                  ") cannot keep a trace under its id: MLflow 3.2 and later can, so upgrade it and run again");
  }
  if (!record.read_error.empty()) throw std::runtime_error(record.read_error);
  bool const taken = options_.new_trace_ids && !context_.options.dry_run && co_await is_taken(id, container);
  if (!taken) co_return co_await put_trace_as(std::move(record), source);
  auto const other = other_trace_id(source_server_, container.id, id);
  auto const copy = co_await ledger_->find({Kind::trace, other, container.id});
  if (copy && copy->seen && copy->done && copy->fingerprint == record.fingerprint && !context_.options.full) {
    report_unchanged_files(record, Kind::trace, id, name);
    co_return Outcome::unchanged;
  }
  context_.report.loss(Kind::trace, id, name,
                       "another experiment of the destination has a trace of this id: the copy's id is " + other);
  RenamedTrace renamed(source, owner_of(record), trace_id_replacements(id, other));
  for (auto& file : record.files) {
    if (file.path != trace_file) continue;
    file.sha256.clear();
    if (id.size() != other.size()) file.size.reset();  // of the text with the new id nobody knows it yet
  }
  give_trace_id(record, other);
  co_return co_await put_trace_as(std::move(record), renamed);
}

// Under the id that it has.
async::Task<Outcome> ServerTarget::put_trace_as(TraceRecord record, Source& source) {
  std::string const id(record.trace.id());
  std::string const name(record.trace.tag("mlflow.traceName"));
  auto& container = container_of(record.trace.experiment_id());
  LedgerKey const key{Kind::trace, id, container.id};
  auto const known = co_await ledger_->find(key);
  bool const there = known && known->seen;
  auto const outcome = there ? Outcome::updated : Outcome::created;
  if (context_.options.dry_run) {
    context_.report.found(Kind::artifact, record.files.size());
    for (std::size_t i = 0; i < record.files.size(); ++i) context_.report.copied(Kind::artifact, !there);
    report_gaps(record, id, name);
    co_return outcome;
  }
  if (!there) {
    co_await refuse_foreign_trace(id, container);
    co_await ledger_->forget_lost(key, id);
  }
  co_await ensure_writable(container);
  bool settled = true;  // every id in it names what it will always name
  auto info = co_await map_trace(record, container, settled);
  auto const wanted = co_await map_assessments(record, settled);
  json::array existing;
  if (there && !wanted.empty()) existing = co_await assessments_of(id);
  auto plan = plan_assessments(wanted, existing);
  info["assessments"] = std::move(plan.with_info);
  // Spans in the database get their trace's id from the ids within them; a trace of another id keeps it only
  // when they are in an artifact (mlflow-rest 7.3).
  bool const as_spans =
      capabilities_.otlp_json && !record.spans.empty() && mlflow::otlp_trace_id(record.spans) == id;
  if (as_spans) {
    std::vector<const json::array*> const traces{&record.spans};
    co_await client_.put_spans(container.id, mlflow::otlp_body(traces));
  } else if (!record.spans.empty()) {
    object_in(info, "tags").erase(spans_location_tag);
    leave_out_trace_file(record);
  }
  auto const stored = co_await client_.put_trace_info(std::move(info));
  Place const place{id, std::string(record.trace.artifact_uri()), std::string(stored.artifact_uri())};
  bool const all_there = co_await put_trace_files(record, place, name, source, as_spans, !there);
  for (auto const& assessment : plan.remove) co_await client_.delete_assessment(id, assessment);
  for (auto& assessment : plan.afterwards) co_await put_assessment(id, std::move(assessment));
  co_await put_trace_links(record, settled);
  co_await ledger_->put(key, {id, all_there && settled, record.fingerprint, true, false, ""});
  co_return outcome;
}

}  // namespace mlferry::engine
