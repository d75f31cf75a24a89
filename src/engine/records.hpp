#pragma once
// What travels from a Source to a Target: one record an object, whole but for the bytes of its files.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "async/semaphore.hpp"
#include "engine/kinds.hpp"
#include "protocol/mlflow/objects.hpp"

namespace mlferry::engine {

namespace json = boost::json;

struct FileEntry {
  std::string path;  // from the owner's artifact root
  std::optional<std::uint64_t> size;
  std::string sha256;  // hex; known only where the source keeps it
};

// A part of an object that the source cannot give, and why: reported, and kept in archives.
struct Gap {
  std::string path;
  std::string reason;
};

// What every record shares.
struct RecordBase {
  // Of the listing that the record was made from: equal fingerprints, unchanged object.
  std::string fingerprint;
  // The target has this object with this fingerprint already, so the source did not read the rest.
  bool unchanged = false;
  // Reading failed: the object is to be reported as failed with this cause.
  std::string read_error;
  std::vector<FileEntry> files;
  std::vector<Gap> gaps;
  // Pays for the record's memory as long as any record of its page lives.
  std::shared_ptr<async::Permit> memory;
};

struct ExperimentRecord : RecordBase {
  mlflow::Experiment experiment;
};

struct RunRecord : RecordBase {
  mlflow::Run run;                            // with model inputs
  std::vector<mlflow::MetricSeries> history;  // of every key of data.metrics, in that order
  // Takes the place of a run that the source does not give: made only where no copy of that run is.
  bool stands_in = false;
};

struct LoggedModelRecord : RecordBase {
  mlflow::LoggedModel model;
  bool deleted = false;
};

// Its files are its run's or logged model's; it brings `files` of its own only when that is not among what is
// moved.
struct ModelVersionRecord : RecordBase {
  mlflow::ModelVersion version;
  std::string files_uri;  // where those lie, when its source names a run or logged model instead of a place
  bool files_are_copies = false;  // its run or logged model brings them too: they are for looking at
  std::string source_model = {};  // what its model is called in the source, when it gets another name
};

// A registered model or a prompt, which is one with a tag.
struct RegisteredModelRecord : RecordBase {
  Kind kind() const { return model.is_prompt() ? Kind::prompt : Kind::registered_model; }
  Kind version_kind() const { return model.is_prompt() ? Kind::prompt_version : Kind::model_version; }

  // What it is called in the source: its id there, and so in the marker tags of copies.
  std::string source_name() const { return renamed_from.empty() ? std::string(model.name()) : renamed_from; }

  mlflow::RegisteredModel model;
  std::vector<ModelVersionRecord> versions;  // in number order
  std::size_t versions_left_out = 0;         // by the selection
  std::string renamed_from = {};
};

// A trace with its assessments.
struct TraceRecord : RecordBase {
  mlflow::Trace trace;
  // As get-trace-artifact gives them, of a trace whose spans are in the server's database. Else they are the
  // file "traces.json".
  json::array spans;
  std::vector<std::string> linked_runs;                             // besides the one in its metadata
  std::vector<std::pair<std::string, std::string>> linked_prompts;  // (name, version)
};
inline constexpr const char* trace_file = "traces.json";

// An object of a kind that is whole in one document (engine/objects).
struct ObjectRecord : RecordBase {
  Kind kind = Kind::scorer;
  std::string id;      // in the source, unique within the kind
  std::string parent;  // id of its experiment, or ""
  std::string name;
  json::object doc;
};

// Whose files: enough to open them at the source.
struct FileOwner {
  Kind kind = Kind::run;
  std::string id;
  std::string artifact_uri;
  bool deleted = false;
};

inline FileOwner owner_of(const RunRecord& record) {
  return {Kind::run, std::string(record.run.id()), std::string(record.run.artifact_uri()),
          record.run.deleted()};
}
inline FileOwner owner_of(const LoggedModelRecord& record) {
  return {Kind::logged_model, std::string(record.model.id()), std::string(record.model.artifact_uri()),
          record.deleted};
}

inline std::string version_id(std::string_view name, std::int64_t number) {
  return std::string(name) + "/" + std::to_string(number);
}
// Of the version in the source.
inline std::string source_id_of(const ModelVersionRecord& record) {
  return version_id(record.source_model.empty() ? record.version.name() : std::string_view(record.source_model),
                    record.version.number());
}
inline FileOwner owner_of(const ModelVersionRecord& record) {
  return {Kind::model_version, source_id_of(record),
          record.files_uri.empty() ? std::string(record.version.source()) : record.files_uri, false};
}
inline FileOwner owner_of(const TraceRecord& record) {
  return {Kind::trace, std::string(record.trace.id()), std::string(record.trace.artifact_uri()), false};
}

// Archive form (docs/records.md). A run is
// {"run": <MLflow's document>, "history": {key: [[value, timestamp, step], …]}}; the other kinds are their
// documents under their kind's name. Reading throws mlflow::JsonError when a field has another shape.
json::object to_archive(const ExperimentRecord& record);
json::object to_archive(const RunRecord& record);
json::object to_archive(const LoggedModelRecord& record);
json::object to_archive(const RegisteredModelRecord& record);
json::object to_archive(const ModelVersionRecord& record);
json::object to_archive(const TraceRecord& record);
json::object to_archive(const ObjectRecord& record);
void from_archive(const json::object& object, ExperimentRecord& record);
void from_archive(const json::object& object, RunRecord& record);
void from_archive(const json::object& object, LoggedModelRecord& record);
void from_archive(const json::object& object, RegisteredModelRecord& record);
void from_archive(const json::object& object, ModelVersionRecord& record);
void from_archive(const json::object& object, TraceRecord& record);
void from_archive(const json::object& object, ObjectRecord& record);

// Roughly how much memory a record holds.
std::size_t footprint(const RunRecord& record);

}  // namespace mlferry::engine
