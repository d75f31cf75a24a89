#pragma once
// Artifacts in a local folder (`file:` URIs and absolute paths) when this machine can read it, as when
// mlferry runs beside the server.

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "async/byte_stream.hpp"
#include "async/worker_pool.hpp"
#include "engine/records.hpp"

namespace mlferry::engine {

// The folder of "file:///a/b", "file:/a/b" or "/a/b" if it exists here and is a readable folder; nullopt
// otherwise.
std::optional<std::string> local_folder(std::string_view artifact_uri);

// Every regular file below it. Links that lead out of the folder become gaps.
async::Task<> list_local_files(async::WorkerPool& pool, std::string folder, RecordBase& owner);

// `path` must not leave the folder.
async::Task<std::unique_ptr<async::ByteReader>> open_local_file(async::WorkerPool& pool, std::string folder,
                                                                std::string path);

// The folder that a local artifact URI names, also when it does not exist yet; nullopt for other URIs and
// when no parent of it exists here.
std::optional<std::string> local_place(std::string_view artifact_uri);

// Writes to a temporary name and renames; makes parent folders. Cancelled: the temporary file is removed.
async::Task<> write_local_file(async::WorkerPool& pool, std::string folder, std::string path,
                               async::ByteReader& reader);

}  // namespace mlferry::engine
