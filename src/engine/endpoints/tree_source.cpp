#include "engine/endpoints/tree_source.hpp"

#include <algorithm>

#include "engine/endpoints/tree_layout.hpp"
#include "engine/failure.hpp"
#include "protocol/digest/sha256.hpp"
#include "storage/tree/names.hpp"
#include "storage/tree/object_folder.hpp"

namespace mlferry::engine {

namespace {

// What names a server: a URL without credentials.
std::string server_of(std::string_view uri) {
  if (!uri.starts_with("http://") && !uri.starts_with("https://")) return {};
  auto const host = uri.find("://") + 3;
  auto const end = std::min(uri.find('/', host), uri.size());
  auto const at = uri.substr(host, end - host).rfind('@');
  std::string out(uri);
  if (at != uri.npos) out.erase(host, at + 1);
  while (out.ends_with('/')) out.pop_back();
  return out;
}

std::uint64_t owner_hash(Kind kind, const std::string& id) {
  return std::hash<std::string>()(std::string(kind_name(kind)) + "/" + id);
}

}  // namespace

std::optional<std::string> about_file(std::optional<std::string> failure, const std::string& name) {
  if (failure && failure->find(name) == failure->npos) failure = name + ": " + *failure;
  return failure;
}

TreeSource::TreeSource(const Context& context, std::string folder, TreeSourceOptions options)
    : context_(context), reader_(context.pool, std::move(folder)), options_(options) {}

async::Task<std::optional<json::object>> TreeSource::read_object(std::string name) {
  if (!co_await reader_.find(name)) co_return std::nullopt;
  auto const text = co_await reader_.read(name, options_.most_json_bytes);
  auto value = co_await context_.pool.run([&] { return mlflow::parse_python_json(text, name); });
  if (!value.is_object()) throw mlflow::JsonError(name + ": no JSON object");
  co_return std::move(value.get_object());
}

void TreeSource::check_own(Document& document, const std::string& name) {
  auto const* stanza = mlflow::get_object(document.file, own_stanza_name);
  if (stanza == nullptr) return;
  auto own = own_stanza_from(*stanza);
  if (own.of == document.of) {
    document.own = std::move(own);
  } else {
    context_.log(LogLevel::info, name + ": was edited since mlferry wrote it; what it says now is read");
  }
}

async::Task<TreeSource::Document> TreeSource::read_document(std::string name) {
  auto const file = co_await reader_.find(name);
  auto object = co_await read_object(name);
  if (!file || !object) throw tree::TreeError(name + ": missing");
  Document document;
  document.file = std::move(*object);
  document.changed = file->changed;
  document.of = content_hash(document.content());
  check_own(document, name);
  co_return document;
}

// Files as they lie there, and as gaps what was said to be there and is not.
async::Task<> TreeSource::add_files(RecordBase& record, std::string folder, const Document& document) {
  auto found = co_await reader_.files_below(folder);
  std::map<std::string, const FileEntry*> written;
  if (document.own) {
    record.gaps = document.own->gaps;
    for (auto const& file : document.own->files) written[file.path] = &file;
  }
  bool as_written = document.own.has_value();
  std::string files;
  for (auto& file : found.files) {
    FileEntry entry{file.path, file.size, {}};
    auto const known = written.find(file.path);
    if (known != written.end() && known->second->size == file.size && file.changed <= document.changed) {
      entry.sha256 = known->second->sha256;
    } else {
      as_written = false;
    }
    if (known != written.end()) written.erase(known);
    files += file.path + '\0' + std::to_string(file.size) + '\0' + std::to_string(file.changed) + '\n';
    record.files.push_back(std::move(entry));
  }
  for (auto const& [path, file] : written) {
    record.gaps.push_back({path, folder + "/" + path + ": missing, though it was exported"});
    as_written = false;
  }
  for (auto& [path, why] : found.problems) {
    record.gaps.push_back({path, folder + "/" + path + ": " + why});
    as_written = false;
  }
  // In the order in which the source gave them.
  if (as_written) record.files = document.own->files;
  record.fingerprint = fingerprint(record, document, as_written, files);
}

std::string TreeSource::fingerprint(const RecordBase& record, const Document& document, bool as_written,
                                    std::string_view files) const {
  if (as_written) return document.own->fingerprint;
  digest::Sha256 hash;
  hash.update(document.of);
  hash.update(files);
  for (auto const& gap : record.gaps) hash.update("\ngap " + gap.path);
  return "tree:" + digest::to_hex(hash.finish());
}

async::Task<std::vector<std::string>> TreeSource::folders_with(std::string place, std::string file) {
  std::vector<std::string> names;
  auto const listing = co_await reader_.list(place);
  if (!listing) co_return names;
  for (auto const& name : listing->folders) {
    bool there = false;
    auto look = [&]() -> async::Task<> {
      there = (co_await reader_.find(path_below(path_below(place, name), file))).has_value();
    };
    // What is there and no file (a link, say) is told when it is read.
    if (co_await attempt(look())) there = true;
    if (there) names.push_back(name);
  }
  co_return names;
}

void TreeSource::fail(Kind kind, const std::string& id, const std::string& name, std::string cause) {
  context_.report.found(kind);
  context_.report.failed(kind, id, name, std::move(cause));
  if (context_.options.fail_fast) throw JobEnded("the first failure ends the job (--fail-fast)");
}

std::uint32_t TreeSource::place_number(std::string folder) {
  if (places_.empty() || places_.back() != folder) {
    auto const found = std::find(places_.begin(), places_.end(), folder);
    if (found != places_.end()) return static_cast<std::uint32_t>(found - places_.begin());
    places_.push_back(std::move(folder));
  }
  return static_cast<std::uint32_t>(places_.size() - 1);
}

void TreeSource::remember(Kind kind, const std::string& id, const std::string& folder) {
  auto const slash = folder.rfind('/');
  auto const name = slash == folder.npos ? folder : folder.substr(slash + 1);
  if (name == tree::safe_name(id)) {
    owners_[owner_hash(kind, id)] = place_number(slash == folder.npos ? "" : folder.substr(0, slash));
  } else {
    exact_[owner_hash(kind, id)] = folder;
  }
}

std::optional<std::string> TreeSource::place_of(Kind kind, const std::string& id) const {
  auto const hash = owner_hash(kind, id);
  if (auto const exact = exact_.find(hash); exact != exact_.end()) return exact->second;
  auto const found = owners_.find(hash);
  if (found == owners_.end()) return std::nullopt;
  return path_below(places_[found->second], tree::safe_name(id));
}

async::Task<SourceInfo> TreeSource::open() {
  auto const listing = co_await reader_.list("");
  if (!listing)
    throw tree::TreeError(reader_.path() + ": no directory of mlflow-export-import or mlferry is there");
  form_ = co_await find_form(*listing);
  if (co_await reader_.find(tree::unfinished_file)) {
    throw tree::TreeError(reader_.path() + ": the export into it was not finished: run it again, it goes on");
  }
  co_await open_form();

  SourceInfo info;
  std::string uri;
  for (std::string const name :
       {"manifest.json", "models_manifest.json", "experiments/experiments.json", "experiments.json", "experiment.json",
        "models.json", "run.json", "version.json", "model.json", "logged_model.json", "trace.json", "prompt.json",
        "evaluation_dataset.json", "logged_models.json", "traces.json", "prompts_summary.json",
        "evaluation_datasets_summary.json", "prompts/prompts_summary.json",
        "evaluation_datasets/evaluation_datasets_summary.json"}) {
    if (!info.identity.empty() || !uri.empty()) break;
    auto const file = co_await read_root_file(name);
    if (!file) continue;
    if (auto const* own = mlflow::get_object(*file, own_stanza_name)) {
      if (own->contains("format")) own_stanza_from(*own);  // refuses newer formats
      ours_ = true;
      if (info.identity.empty()) info.identity = mlflow::get_string(*own, "source");
      if (auto const* uncopied = mlflow::get_object(*own, "not_copied")) {
        for (auto const& [kind, n] : *uncopied)
          info.not_copied[kind] = mlflow::get_int(*uncopied, kind).value_or(-1);
      }
    }
    auto const* system = mlflow::get_object(*file, "system");
    if (system != nullptr && info.mlflow_version.empty()) info.mlflow_version = mlflow::get_string(*system, "mlflow_version");
    if (system != nullptr && uri.empty()) uri = server_of(mlflow::get_string(*system, "mlflow_tracking_uri"));
  }
  if (info.identity.empty()) info.identity = uri;
  if (info.identity.empty()) info.identity = "directory " + reader_.path();
  info.description = "directory " + reader_.path();
  if (ours_) info.description += " (of mlferry, from " + info.identity + ")";
  co_return info;
}

async::Task<std::unique_ptr<async::ByteReader>> TreeSource::open_file(FileOwner owner, FileEntry file) {
  std::optional<std::string> folder;
  if (auto const found = version_places_.find(owner.id);
      found != version_places_.end() &&
      (owner.kind == Kind::model_version || owner.kind == Kind::prompt_version)) {
    folder = found->second;
  } else if ((folder = place_of(owner.kind, owner.id))) {
    folder = path_below(*folder, "artifacts");
  }
  if (!folder) throw tree::TreeError(owner.id + ": its files are not in the directory");
  co_return co_await reader_.open(*folder + "/" + file.path, file.size.value_or(0));
}

}  // namespace mlferry::engine
