#include "protocol/mlflow/client.hpp"

#include <utility>

#include "protocol/mlflow/body.hpp"
#include "protocol/mlflow/call.hpp"
#include "protocol/mlflow/limits.hpp"
#include "protocol/mlflow/listing.hpp"

namespace mlferry::mlflow {
namespace {

constexpr std::string_view proxied = "/api/2.0/mlflow-artifacts/artifacts";

// All pages of one directory: open source MLflow gives one, Databricks several. `target` ends in a query.
async::Task<std::vector<FileInfo>> list_all(http::Client& http, std::string target, std::string owner,
                                            std::string directory) {
  json::array files;
  std::string token;
  do {
    std::string const page = target + (token.empty() ? "" : "&page_token=" + http::percent_encode(token));
    std::string const name = call_name(http::Method::get, page);
    json::object answer = co_await ask(http, get_call(page));
    if (const json::array* part = get_array(answer, "files"))
      files.insert(files.end(), part->begin(), part->end());
    std::string next(get_string(answer, "next_page_token"));
    if (!next.empty() && next == token) throw incomplete_answer(name, "another next_page_token");
    token = std::move(next);
  } while (!token.empty());
  co_return listed_files(owner, directory, &files, Spelling::rest);
}

async::Task<http::Download> open_target(http::Client& http, std::string target) {
  http::Request request;
  request.target = std::move(target);
  request.request_class = http::RequestClass::artifact;
  std::string const name = call_name(request.method, request.target);
  http::Client::Opened opened = co_await http.open(std::move(request));
  if (opened.download.body == nullptr) throw api_error(name, opened.download.status, opened.error_body);
  co_return std::move(opened.download);
}

std::string proxied_target(std::string_view call, std::string_view path) {
  require_id(call, "path", path);
  require_utf8(call, "the path", path);
  return std::string(proxied) + "/" + http::percent_encode_path(path);
}

}  // namespace

async::Task<std::vector<std::optional<std::vector<FileInfo>>>> Client::list_artifacts_batch(
    std::vector<Directory> directories) {
  require_at_most("POST /graphql", "directories", directories.size(), list_batch_limit);
  if (directories.empty()) co_return std::vector<std::optional<std::vector<FileInfo>>>{};
  std::string body = listing_query(directories);
  json::object const answer =
      co_await ask(http_, post_call("/graphql", std::move(body), http::RequestClass::read));
  co_return listing_answers(directories, answer);
}

async::Task<std::vector<FileInfo>> Client::list_artifacts(std::string run_id, std::string path) {
  std::string query =
      Query("GET artifacts/list").text("run_id", run_id).text_unless_empty("path", path).take();
  std::string target = api2_target("artifacts/list") + query;
  co_return co_await list_all(http_, std::move(target), "run " + run_id, std::move(path));
}

async::Task<std::vector<FileInfo>> Client::list_logged_model_artifacts(std::string model_id,
                                                                       std::string path) {
  require_id("GET logged-models/artifacts/directories", "model id", model_id);
  std::string query =
      Query("GET logged-models/artifacts/directories").text("artifact_directory_path", path).take();
  std::string target =
      api2_target("logged-models/") + http::percent_encode(model_id) + "/artifacts/directories" + query;
  co_return co_await list_all(http_, std::move(target), "logged model " + model_id, std::move(path));
}

async::Task<std::vector<FileInfo>> Client::list_proxied(std::string path) {
  std::string query = Query("GET mlflow-artifacts/artifacts").text_unless_empty("path", path).take();
  json::object const answer = co_await ask(http_, get_call(std::string(proxied) + query));
  co_return listed_names(path, get_array(answer, "files"));
}

async::Task<http::Download> Client::open_proxied(std::string path) {
  std::string target = proxied_target("GET mlflow-artifacts/artifacts", path);
  co_return co_await open_target(http_, std::move(target));
}

async::Task<http::Download> Client::open_run_artifact(std::string run_id, std::string path) {
  std::string query = Query("GET /get-artifact").text("path", path).text("run_id", run_id).take();
  co_return co_await open_target(http_, "/get-artifact" + query);
}

async::Task<http::Download> Client::open_logged_model_artifact(std::string model_id, std::string path) {
  require_id("GET logged-models/artifacts/files", "model id", model_id);
  std::string query = Query("GET logged-models/artifacts/files").text("artifact_file_path", path).take();
  // 404 under /api.
  std::string target =
      std::string(ajax2) + "logged-models/" + http::percent_encode(model_id) + "/artifacts/files" + query;
  co_return co_await open_target(http_, std::move(target));
}

async::Task<http::Download> Client::open_trace_data(std::string trace_id) {
  std::string query = Query("GET get-trace-artifact").text("request_id", trace_id).take();
  co_return co_await open_target(http_, std::string(ajax2) + "get-trace-artifact" + query);
}

async::Task<> Client::put_proxied(std::string path, async::OpenReader open, std::uint64_t size) {
  http::Request request;
  request.method = http::Method::put;
  request.target = proxied_target("PUT mlflow-artifacts/artifacts", path);
  request.content_type = "application/octet-stream";
  request.open_body = std::move(open);
  request.body_size = size;
  request.request_class = http::RequestClass::artifact;
  std::string const name = call_name(request.method, request.target);
  http::Response const response = co_await http_.send(std::move(request));
  if (!response.ok()) throw api_error(name, response.status, response.body);
}

}  // namespace mlferry::mlflow
