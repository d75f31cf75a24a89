#pragma once
// The calls of the fake MLflow server, by noun: each takes a request and gives the answer. They know nothing
// about sockets and faults.

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/fake_faults.hpp"
#include "support/fake_http.hpp"
#include "support/fake_state.hpp"

namespace mlferry::test::fake {

// One request being carried out.
struct Call {
  State& state;
  const HttpRequest& request;
  json::object body;        // of a POST, PUT, PATCH or DELETE; empty for what cannot be parsed
  std::string id;           // the part of the path that the route left open
  bool repeat_row = false;  // Fault::duplicate_rows: pages after the first begin a row early
};

// Method and path ("experiments/create", below /api/2.0/mlflow/) -> handler. A '*' stands for one part of the
// path, which becomes Call::id.
struct Route {
  std::string_view method;
  std::string_view path;
  HttpResponse (*handler)(Call&);
  bool ajax_only = false;
};
extern const std::vector<Route> experiment_routes;
extern const std::vector<Route> run_routes;
extern const std::vector<Route> metric_routes;
extern const std::vector<Route> logged_model_routes;
extern const std::vector<Route> registered_model_routes;
extern const std::vector<Route> model_version_routes;
extern const std::vector<Route> artifact_routes;

HttpResponse graphql(Call& call);
HttpResponse get_run_artifact(Call& call);  // GET /get-artifact
HttpResponse proxied_list(Call& call);
HttpResponse proxied_get(Call& call);  // Call::id is the encoded path
HttpResponse proxied_put(Call& call);
HttpResponse proxied_delete(Call& call);

// --- what the handlers share ---------------------------------------------------------------------------

HttpResponse answer(const json::object& object);
HttpResponse failure_answer(const Failure& failure);
HttpResponse html_answer(int status, std::string_view title);

// Of the body, or of the query for a GET. Throw Failure for a missing or wrong value.
std::string need_text(const Call& call, std::string_view key);
std::string text_or(const Call& call, std::string_view key, std::string_view otherwise = "");
std::int64_t int_or(const Call& call, std::string_view key, std::int64_t otherwise);
std::vector<std::string> texts(const Call& call, std::string_view key);

// [{"key","value"}] as the server reads it: a value of a wrong type becomes "" and the rest is dropped.
std::vector<std::pair<std::string, std::string>> pairs(const json::object& object, std::string_view key);
json::array tags_json(const Tags& tags);

// {"offset":N} in base64, and back. Throws Failure for other text.
std::string page_token(std::uint64_t offset);
std::uint64_t page_offset(const Call& call);

// 400 unless the key is one that MLflow takes.
void check_key(std::string_view kind, std::string_view key);
// At most `limit` characters (not bytes).
std::string cut(std::string_view text, std::size_t limit);

void require_active(const Experiment& experiment);
Experiment& need_experiment(Call& call, std::string_view id);
Run& need_active_run(Call& call);
json::object run_json(State& state, const Run& run, bool with_model_inputs);
json::object version_json(const RegisteredModel& model, const ModelVersion& version, bool with_aliases);

// Fills the page `[offset, offset + max)` of `total` items, an item a call of `add(n)`, and sets
// next_page_token unless it is the last one.
template <class Add>
void fill_page(const Call& call, json::object& out, std::uint64_t total, std::uint64_t max, Add add) {
  auto offset = page_offset(call);
  // As if a row had been inserted before: the page is as long as ever and nothing is lost.
  if (call.repeat_row && offset > 0 && max > 1) --offset;
  auto const end = std::min(total, offset + max);
  for (; offset < end; ++offset) add(offset);
  if (end < total) out["next_page_token"] = page_token(end);
}

}  // namespace mlferry::test::fake
