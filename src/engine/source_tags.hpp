#pragma once
// The tags that keep what a copy cannot be given, by the names that the package mlflow-export-import uses
// (--import-source-tags, --copy-lineage-tags; docs/package-imports.md). Pure.
//
// A field that is null is left out; lists and objects are written as JSON.

#include <string>

#include "protocol/mlflow/objects.hpp"

namespace mlferry::engine {

mlflow::KeyValues tags_of_source(const mlflow::Experiment& experiment);
mlflow::KeyValues tags_of_source(const mlflow::Run& run);
mlflow::KeyValues tags_of_source(const mlflow::RegisteredModel& model);
// `aliases`: those that name the version.
mlflow::KeyValues tags_of_source(const mlflow::ModelVersion& version, const std::vector<std::string>& aliases);

// Where a copied version comes from. `run_tags`: of its run, when it has one.
struct VersionLineage {
  std::string source_uri, destination_uri;  // of the servers, without credentials
  mlflow::KeyValues run_tags;
};
mlflow::KeyValues lineage_tags(const mlflow::ModelVersion& version, const VersionLineage& lineage);

// Tags with `more` in them; of equal names `more` wins.
mlflow::KeyValues with_tags(mlflow::KeyValues tags, const mlflow::KeyValues& more);

}  // namespace mlferry::engine
