#pragma once
// Artifact listings as the server gives them, over REST and over GraphQL. Pure functions.

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/mlflow/client.hpp"

namespace mlferry::mlflow {

// The spelling of the fields: REST's is_dir and file_size, or GraphQL's isDir and fileSize (text).
enum class Spelling { rest, graphql };

// The files of one directory's listing. Throws std::runtime_error naming `owner` ("run 1f..") when an entry
// lies outside of the directory, and when a directory whose path the server may rewrite seems empty: then
// nobody knows.
std::vector<FileInfo> listed_files(std::string_view owner, std::string_view directory,
                                   const json::array* files, Spelling spelling);

// The entries of a proxied listing, which are base names, with `directory` before them.
std::vector<FileInfo> listed_names(std::string_view directory, const json::array* files);

// One query with an alias a0, a1, .. for each directory. Names travel in variables, never in the query's
// text.
std::string listing_query(std::span<const Client::Directory> directories);

// The answers in the order of the directories; nullopt where there is none, or none to be believed.
std::vector<std::optional<std::vector<FileInfo>>> listing_answers(
    std::span<const Client::Directory> directories, const json::object& answer);

}  // namespace mlferry::mlflow
