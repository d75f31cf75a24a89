#include "protocol/mlflow/listing.hpp"

#include <stdexcept>
#include <utility>

#include "protocol/mlflow/artifact_path.hpp"
#include "protocol/mlflow/body.hpp"
#include "protocol/mlflow/utf8.hpp"

namespace mlferry::mlflow {
namespace {

[[noreturn]] void refuse(std::string_view owner, std::string_view directory, const std::string& why) {
  throw std::runtime_error("the artifact listing of " + std::string(owner) + ", folder \"" +
                           readable(directory, 300) + "\", cannot be used: " + why);
}

FileInfo file_info(const json::object& entry, Spelling spelling) {
  bool const rest = spelling == Spelling::rest;
  FileInfo file;
  file.path = get_string(entry, "path");
  file.is_dir = get_bool(entry, rest ? "is_dir" : "isDir");
  if (file.is_dir) return file;
  std::string_view const field = rest ? "file_size" : "fileSize";
  // REST leaves a size of zero out; every store of MLflow knows its sizes.
  if (!entry.contains(field)) {
    file.size = 0;
    return file;
  }
  auto const size = get_int(entry, field);
  if (size && *size >= 0) file.size = static_cast<std::uint64_t>(*size);
  return file;
}

const json::object& entry_object(std::string_view owner, std::string_view directory,
                                 const json::value& entry) {
  const json::object* object = entry.if_object();
  if (object == nullptr || get_string(*object, "path").empty())
    refuse(owner, directory, "an entry has no path");
  return *object;
}

}  // namespace

std::vector<FileInfo> listed_files(std::string_view owner, std::string_view directory,
                                   const json::array* files, Spelling spelling) {
  std::vector<FileInfo> result;
  if (files != nullptr) {
    result.reserve(files->size());
    for (const json::value& entry : *files) {
      FileInfo file = file_info(entry_object(owner, directory, entry), spelling);
      switch (classify_listed(directory, file.path)) {
        case Listed::inside:
          result.push_back(std::move(file));
          break;
        case Listed::itself:
          break;
        case Listed::elsewhere:
          refuse(owner, directory,
                 "the server listed \"" + readable(file.path, 300) + "\", which is not in it");
      }
    }
  }
  if (result.empty()) {
    std::string const reason = unlistable_reason(directory);
    if (!reason.empty()) refuse(owner, directory, "the server may have looked elsewhere (" + reason + ")");
  }
  return result;
}

std::vector<FileInfo> listed_names(std::string_view directory, const json::array* files) {
  constexpr std::string_view owner = "the proxied store";
  std::vector<FileInfo> result;
  if (files == nullptr) return result;
  result.reserve(files->size());
  for (const json::value& entry : *files) {
    FileInfo file = file_info(entry_object(owner, directory, entry), Spelling::rest);
    if (file.path.find('/') != file.path.npos || classify_listed("", file.path) != Listed::inside) {
      refuse(owner, directory, "the server listed \"" + readable(file.path, 300) + "\", which is no name");
    }
    if (!directory.empty()) file.path = std::string(directory) + "/" + file.path;
    result.push_back(std::move(file));
  }
  return result;
}

std::string listing_query(std::span<const Client::Directory> directories) {
  constexpr std::string_view call = "POST /graphql";
  std::string declarations;
  std::string fields;
  Body variables(call);
  for (std::size_t i = 0; i < directories.size(); ++i) {
    std::string const n = std::to_string(i);
    if (i > 0) declarations += ',';
    declarations += "$r" + n + ":String,$p" + n + ":String";
    fields += "a" + n + ":mlflowListArtifacts(input:{runId:$r" + n + ",path:$p" + n +
              "}){files{path isDir fileSize}}";
    variables.text("r" + n, directories[i].run_id).text("p" + n, directories[i].path);
  }
  return Body(call)
      .text("query", "query(" + declarations + "){" + fields + "}")
      .json("variables", variables.take())
      .take();
}

std::vector<std::optional<std::vector<FileInfo>>> listing_answers(
    std::span<const Client::Directory> directories, const json::object& answer) {
  std::vector<std::optional<std::vector<FileInfo>>> results(directories.size());
  const json::object* data = get_object(answer, "data");
  if (data == nullptr) return results;  // the query as a whole failed
  for (std::size_t i = 0; i < directories.size(); ++i) {
    const json::object* alias = get_object(*data, "a" + std::to_string(i));
    const json::array* files = alias == nullptr ? nullptr : get_array(*alias, "files");
    if (files == nullptr) continue;
    try {
      results[i] =
          listed_files("run " + directories[i].run_id, directories[i].path, files, Spelling::graphql);
    } catch (const std::runtime_error&) {
      // Left without an answer: asking for this one alone gives the reason.
    }
  }
  return results;
}

}  // namespace mlferry::mlflow
