#pragma once
// What several kinds do alike with their listings and with the experiment that their objects belong to.

#include <string_view>
#include <vector>

#include "engine/objects/object_kind.hpp"

namespace mlferry::engine {

// Fields of a listed document; "" for none.
struct RecordFields {
  std::string_view id, parent, name;
};

std::vector<ObjectRecord> to_records(Kind kind, std::vector<json::object> docs, RecordFields fields);

// The document with the id of its experiment's copy in "experiment_id"; a failure where there is none.
async::Task<MappedObject> map_experiment(const ObjectRecord& record, IdMap& ids);

}  // namespace mlferry::engine
