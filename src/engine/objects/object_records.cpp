#include "engine/objects/object_records.hpp"

namespace mlferry::engine {

std::vector<ObjectRecord> to_records(Kind kind, std::vector<json::object> docs, RecordFields fields) {
  std::vector<ObjectRecord> records;
  records.reserve(docs.size());
  for (auto& doc : docs) {
    auto& record = records.emplace_back();
    record.kind = kind;
    record.id = mlflow::get_string(doc, fields.id);
    if (!fields.parent.empty()) record.parent = mlflow::get_string(doc, fields.parent);
    record.name = mlflow::get_string(doc, fields.name);
    record.doc = std::move(doc);
  }
  return records;
}

async::Task<MappedObject> map_experiment(const ObjectRecord& record, IdMap& ids) {
  MappedObject mapped{record.doc, {}, {}};
  auto const experiment = co_await ids.find(Kind::experiment, record.parent);
  if (experiment) {
    mapped.doc["experiment_id"] = *experiment;
  } else {
    mapped.failure = "its experiment (" + record.parent + ") was not copied";
  }
  co_return mapped;
}

}  // namespace mlferry::engine
