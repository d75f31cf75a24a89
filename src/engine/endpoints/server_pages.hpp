#pragma once
// The page walks of a server: runs with everything that belongs to them, logged models, registered models.

#include <memory>
#include <string>

#include "engine/endpoints/server_source.hpp"

namespace mlferry::engine {

// SHA-256 of the listing: the document and the files' names and sizes.
std::string fingerprint_of(const json::object& doc, const RecordBase& files);

std::unique_ptr<Pages<RunRecord>> make_run_pages(ServerSource& source, std::string experiment_id,
                                                 Known& known);
std::unique_ptr<Pages<LoggedModelRecord>> make_logged_model_pages(ServerSource& source,
                                                                  std::string experiment_id, Known& known);
std::unique_ptr<Pages<RegisteredModelRecord>> make_registered_model_pages(ServerSource& source);
std::unique_ptr<Pages<TraceRecord>> make_trace_pages(ServerSource& source, std::string experiment_id,
                                                     Known& known);
std::unique_ptr<Pages<ObjectRecord>> make_object_pages(ServerSource& source, Kind kind, Known& known);

}  // namespace mlferry::engine
