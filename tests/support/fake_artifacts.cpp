#include <algorithm>
#include <charconv>

#include "protocol/mlflow/json.hpp"
#include "support/fake_calls.hpp"

namespace mlferry::test::fake {
namespace {

constexpr std::string_view scheme = "mlflow-artifacts:/";

[[noreturn]] void refuse_path() {
  throw Failure{400, "INVALID_PARAMETER_VALUE", "Invalid path"};
}

// From the path as decoded once to the name in the store, with the habits of 3.17 (mlflow-rest 8.3).
std::string store_path(std::string_view decoded) {
  if (decoded.find('#') != decoded.npos) refuse_path();
  std::string text = percent_decode(decoded, false);
  if (text.starts_with('/')) refuse_path();
  while (text.ends_with('?')) text.pop_back();
  std::erase(text, '\t');
  std::string result;
  std::string_view rest = text;
  while (!rest.empty()) {
    auto const slash = std::min(rest.find('/'), rest.size());
    auto const part = rest.substr(0, slash);
    rest.remove_prefix(std::min(slash + 1, rest.size()));
    if (part == "..") refuse_path();
    if (part.empty()) continue;
    if (part == ".") throw Failure{500, "INTERNAL_ERROR", "a path that is not in its normal form"};
    if (part.size() > 255) throw Failure{500, "INTERNAL_ERROR", "File name too long"};
    if (!result.empty()) result += '/';
    result += part;
  }
  return result;
}

std::string join(const std::string& folder, const std::string& name) {
  if (folder.empty() || name.empty()) return folder + name;
  return folder + "/" + name;
}

// The store's folder of a run, or of a logged model.
std::string run_folder(Call& call, const std::string& run_id) {
  const Run* run = call.state.read_run(run_id);
  if (run == nullptr) throw Failure{404, "RESOURCE_DOES_NOT_EXIST", "Run with id=" + run_id + " not found"};
  return run->artifact_uri().substr(scheme.size());
}

std::string model_folder(Call& call) {
  auto found = call.state.logged_models.find(call.id);
  if (found == call.state.logged_models.end() || found->second.deleted) {
    throw Failure{404, "RESOURCE_DOES_NOT_EXIST", "Logged model with ID '" + call.id + "' not found."};
  }
  return found->second.artifact_uri().substr(scheme.size());
}

// `shown` is put before the names.
json::array listing(State& state, const std::string& folder, const std::string& shown) {
  json::array list;
  for (const auto& [name, entry] : state.list_folder(folder)) {
    json::object file{{"path", join(shown, name)}, {"is_dir", entry.is_dir}};
    if (!entry.is_dir) file["file_size"] = entry.size;
    list.push_back(std::move(file));
  }
  return list;
}

HttpResponse list_answer(Call& call, const std::string& folder, const std::string& asked) {
  std::string const path = store_path(asked);
  json::object out{{"root_uri", std::string(scheme) + folder}};
  json::array list = listing(call.state, join(folder, path), path);
  if (!list.empty()) out["files"] = std::move(list);
  return answer(out);
}

HttpResponse list_run(Call& call) {
  std::string const folder = run_folder(call, need_text(call, "run_id"));
  return list_answer(call, folder, text_or(call, "path"));
}

HttpResponse list_model(Call& call) {
  return list_answer(call, model_folder(call), text_or(call, "artifact_directory_path"));
}

std::string etag(std::string_view bytes) {
  std::uint64_t hash = 0xcbf29ce484222325u;  // FNV-1a
  for (unsigned char c : bytes) hash = (hash ^ c) * 0x100000001b3u;
  return "\"" + std::to_string(bytes.size()) + "-" + std::to_string(hash) + "\"";
}

// "bytes=a-b", "bytes=a-" -> [first, last]; nothing for other forms.
std::optional<std::pair<std::size_t, std::size_t>> parse_range(std::string_view text, std::size_t size) {
  if (!text.starts_with("bytes=")) return std::nullopt;
  text.remove_prefix(6);
  std::size_t first = 0;
  std::size_t last = size - 1;
  auto const* const end = text.data() + text.size();
  auto [mark, error] = std::from_chars(text.data(), end, first);
  if (error != std::errc() || mark == end || *mark != '-') return std::nullopt;
  if (mark + 1 != end) {
    auto const [tail, wrong] = std::from_chars(mark + 1, end, last);
    if (wrong != std::errc() || tail != end || last < first) return std::nullopt;
  }
  return std::pair(first, last);
}

HttpResponse file_answer(Call& call, const std::string& path) {
  auto bytes = call.state.read_file(path);
  if (!bytes) {
    if (path.empty() || !call.state.list_folder(path).empty()) {
      throw Failure{400, "INVALID_PARAMETER_VALUE", "The path is a directory"};
    }
    throw Failure{404, "RESOURCE_DOES_NOT_EXIST", "No such artifact: " + path};
  }
  HttpResponse response;
  response.content_type = "application/octet-stream";
  std::string const tag = etag(*bytes);
  response.headers = {{"accept-ranges", "bytes"}, {"etag", tag}};
  auto const if_range = call.request.header("if-range");
  auto const range = parse_range(call.request.header("range"), bytes->size());
  if (range && (if_range.empty() || if_range == tag)) {
    auto const [first, asked_last] = *range;
    if (first >= bytes->size()) {
      response.status = 416;
      response.headers.emplace_back("content-range", "bytes */" + std::to_string(bytes->size()));
      return response;
    }
    auto const last = std::min(asked_last, bytes->size() - 1);
    response.status = 206;
    response.headers.emplace_back(
        "content-range",
        "bytes " + std::to_string(first) + "-" + std::to_string(last) + "/" + std::to_string(bytes->size()));
    response.body = bytes->substr(first, last - first + 1);
    return response;
  }
  response.body = std::move(*bytes);
  return response;
}

HttpResponse get_model_file(Call& call) {
  return file_answer(call, join(model_folder(call), store_path(need_text(call, "artifact_file_path"))));
}

// --- /graphql: aliases of mlflowListArtifacts -----------------------------------------------------------

struct Field {
  std::string alias;
  std::string run_id;
  std::string path;
};

class QueryScanner {
 public:
  QueryScanner(std::string_view text, const json::object* variables) : rest_(text), variables_(variables) {}

  // The next `alias: mlflowListArtifacts(input: {...})`, or nothing.
  std::optional<Field> next() {
    constexpr std::string_view name = "mlflowListArtifacts";
    auto const found = rest_.find(name);
    if (found == rest_.npos) return std::nullopt;
    Field field{alias_before(rest_.substr(0, found)), {}, {}};
    rest_.remove_prefix(found + name.size());
    auto const open = rest_.find('{');
    auto const close = rest_.find('}');
    if (open == rest_.npos || close == rest_.npos || close < open) return std::nullopt;
    std::string_view const input = rest_.substr(open + 1, close - open - 1);
    field.run_id = argument(input, "runId");
    field.path = argument(input, "path");
    rest_.remove_prefix(close + 1);
    return field;
  }

 private:
  static bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

  static std::string alias_before(std::string_view text) {
    while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
    if (text.empty() || text.back() != ':') return "mlflowListArtifacts";
    text.remove_suffix(1);
    while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
    std::size_t start = text.size();
    while (start > 0 && is_word(text[start - 1])) --start;
    return std::string(text.substr(start));
  }

  std::string argument(std::string_view input, std::string_view name) const {
    auto const found = input.find(name);
    if (found == input.npos) return "";
    auto value = input.substr(found + name.size());
    value.remove_prefix(std::min(value.find_first_not_of(" :"), value.size()));
    if (value.starts_with('$')) {
      value.remove_prefix(1);
      std::size_t n = 0;
      while (n < value.size() && is_word(value[n])) ++n;
      return variables_ == nullptr ? "" : std::string(mlflow::get_string(*variables_, value.substr(0, n)));
    }
    if (!value.starts_with('"')) return "";
    auto const end = value.find('"', 1);
    return std::string(value.substr(1, end - 1));
  }

  std::string_view rest_;
  const json::object* variables_;
};

}  // namespace

HttpResponse graphql(Call& call) {
  std::string const query = text_or(call, "query");
  if (query.find("__type") != query.npos) {
    json::array fields;
    fields.push_back(json::object{{"name", "mlflowListArtifacts"}});
    return answer({{"data", json::object{{"__type", json::object{{"fields", std::move(fields)}}}}}});
  }
  std::vector<Field> fields;
  QueryScanner scanner(query, mlflow::get_object(call.body, "variables"));
  while (auto field = scanner.next()) fields.push_back(std::move(*field));
  json::array errors;
  json::object data;
  if (fields.empty()) errors.emplace_back("the fake server answers mlflowListArtifacts only");
  if (fields.size() > 10) errors.emplace_back("GraphQL queries should have at most 10 root fields");
  if (!errors.empty()) return answer({{"data", nullptr}, {"errors", std::move(errors)}});
  for (const auto& field : fields) {
    try {
      std::string const path = store_path(field.path);
      std::string const folder = run_folder(call, field.run_id);
      json::array files;
      for (json::value& value : listing(call.state, join(folder, path), path)) {
        json::object& file = value.get_object();
        json::object out{{"path", file["path"]}, {"isDir", file["is_dir"]}, {"fileSize", nullptr}};
        if (auto const size = mlflow::get_int(file, "file_size")) out["fileSize"] = std::to_string(*size);
        files.push_back(std::move(out));
      }
      data[field.alias] = json::object{{"files", std::move(files)}};
    } catch (const Failure& failure) {
      data[field.alias] = nullptr;
      errors.emplace_back(json::string(failure.message));
    }
  }
  json::object out{{"data", std::move(data)}};
  if (!errors.empty()) out["errors"] = std::move(errors);
  return answer(out);
}

HttpResponse get_run_artifact(Call& call) {
  std::string const folder = run_folder(call, need_text(call, "run_id"));
  return file_answer(call, join(folder, store_path(need_text(call, "path"))));
}

HttpResponse proxied_list(Call& call) {
  json::object out;
  json::array list = listing(call.state, store_path(text_or(call, "path")), "");
  if (!list.empty()) out["files"] = std::move(list);
  return answer(out);
}

HttpResponse proxied_get(Call& call) {
  std::string const decoded = percent_decode(call.id, false);
  if (decoded.find('\n') != decoded.npos) throw Failure{404, "RESOURCE_DOES_NOT_EXIST", "No such artifact"};
  return file_answer(call, store_path(decoded));
}

HttpResponse proxied_put(Call& call) {
  std::string const decoded = percent_decode(call.id, false);
  if (decoded.find('\n') != decoded.npos) throw Failure{404, "RESOURCE_DOES_NOT_EXIST", "No such path"};
  std::string const path = store_path(decoded);
  if (path.empty() || !call.state.list_folder(path).empty()) {
    throw Failure{500, "INTERNAL_ERROR", "a folder of that name exists"};
  }
  for (auto slash = path.find('/'); slash != path.npos; slash = path.find('/', slash + 1)) {
    if (call.state.files.contains(path.substr(0, slash))) {
      throw Failure{500, "INTERNAL_ERROR", "a file stands where a folder should be"};
    }
  }
  call.state.files[path] = call.request.body;
  HttpResponse response;
  response.body.clear();
  return response;
}

HttpResponse proxied_delete(Call& call) {
  std::string const path = store_path(percent_decode(call.id, false));
  std::erase_if(call.state.files,
                [&](const auto& file) { return file.first == path || file.first.starts_with(path + "/"); });
  return answer({});
}

const std::vector<Route> artifact_routes = {
    {"GET", "artifacts/list", list_run},
    {"GET", "logged-models/*/artifacts/directories", list_model},
    {"GET", "logged-models/*/artifacts/files", get_model_file, true},
};

}  // namespace mlferry::test::fake
