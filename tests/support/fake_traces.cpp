#include "support/fake_traces.hpp"

#include "protocol/mlflow/json.hpp"
#include "protocol/mlflow/otlp.hpp"
#include "support/fake_filter.hpp"

namespace mlferry::test::fake {
namespace {

std::string padded_hex(std::uint64_t n, int width) {
  char text[40];
  std::snprintf(text, sizeof text, "%0*llx", width, static_cast<unsigned long long>(n));
  return text;
}

// Base64 of 16 or 8 bytes that hold `n` at their end.
std::string id_text(std::uint64_t n, std::size_t size) {
  constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < 8; ++i) bytes[size - 1 - i] = static_cast<char>(n >> (8 * i) & 0xff);
  std::string out;
  for (std::size_t i = 0; i < size; i += 3) {
    std::uint32_t bits = 0;
    for (std::size_t k = 0; k < 3; ++k) bits = bits << 8 | (i + k < size ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    for (std::size_t k = 0; k < 4; ++k) out += i + k <= size ? digits[bits >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

json::object generated_info(std::uint64_t n) {
  return {{"trace_id", "tr-" + padded_hex(n, 32)},
          {"request_time", "2026-01-01T00:00:00.000Z"},
          {"execution_duration", "0.5s"},
          {"state", "OK"},
          {"trace_location", json::object{{"type", "MLFLOW_EXPERIMENT"},
                                          {"mlflow_experiment", json::object{{"experiment_id", "0"}}}}},
          {"trace_metadata", json::object{{"number", std::to_string(n)}}},
          {"tags", json::object{{"mlflow.traceName", "generated"}, {"mlflow.trace.spansLocation", "TRACKING_STORE"}}}};
}

json::array generated_spans(const Generated& generated, std::uint64_t n) {
  json::array spans;
  for (std::uint64_t s = 0; s < generated.trace_spans; ++s) {
    json::object span{{"trace_id", id_text(n, 16)},
                      {"span_id", id_text(s + 1, 8)},
                      {"name", "span " + std::to_string(s)},
                      {"start_time_unix_nano", 1'700'000'000'000'000'000 + static_cast<std::int64_t>(n)},
                      {"end_time_unix_nano", 1'700'000'000'500'000'000 + static_cast<std::int64_t>(n)},
                      {"status", json::object{{"code", "STATUS_CODE_OK"}, {"message", ""}}},
                      {"attributes", json::object{{"mlflow.spanInputs", "{\"question\": \"number " + std::to_string(n) + "\"}"},
                                                  {"score", "0.25"}}},
                      {"events", json::array()},
                      {"links", json::array()}};
    span["parent_span_id"] = s == 0 ? json::value() : json::value(id_text(s, 8));
    spans.push_back(std::move(span));
  }
  return spans;
}

std::optional<std::uint64_t> generated_number(const State& state, std::string_view id) {
  if (!id.starts_with("tr-0000000000000000") || id.size() != 35) return std::nullopt;
  auto const n = std::stoull(std::string(id.substr(19)), nullptr, 16);
  return n < state.generated().traces ? std::optional<std::uint64_t>(n) : std::nullopt;
}

// The text that the server keeps of an attribute.
std::string stored_text(const json::object& value);

// NaN and infinities come as texts.
json::value number(const json::value& sent) {
  return sent.is_string() ? *mlflow::get_double({{"n", sent}}, "n") : sent;
}

json::value plain(const json::object& value) {
  if (auto const* text = value.if_contains("string_value")) return *text;
  if (auto const* found = value.if_contains("double_value")) return number(*found);
  for (auto const* key : {"bool_value", "int_value"}) {
    if (auto const* found = value.if_contains(key)) return *found;
  }
  if (auto const* list = mlflow::get_object(value, "array_value")) {
    json::array out;
    auto const* values = mlflow::get_array(*list, "values");
    for (auto const& item : values == nullptr ? json::array{} : *values) out.push_back(plain(item.as_object()));
    return out;
  }
  return nullptr;
}

std::string stored_text(const json::object& value) {
  if (auto const* text = value.if_contains("string_value")) {
    std::string_view const s = text->as_string();
    if (!s.empty() && (s[0] == '"' || s[0] == '{' || s[0] == '[')) return std::string(s);
  }
  auto const text = mlflow::to_python_json({{"value", plain(value)}});
  return text.substr(9, text.size() - 10);
}

json::object attributes(const json::object& from, bool as_text) {
  json::object out;
  auto const* list = mlflow::get_array(from, "attributes");
  for (auto const& item : list == nullptr ? json::array{} : *list) {
    auto const& value = item.at("value").as_object();
    out[item.at("key").as_string()] = as_text ? json::value(stored_text(value)) : plain(value);
  }
  return out;
}

json::object stored_span(const json::object& sent) {
  json::object span;
  for (auto const* key : {"trace_id", "span_id", "name", "start_time_unix_nano", "end_time_unix_nano", "status"}) {
    if (auto const* value = sent.if_contains(key)) span[key] = *value;
  }
  auto const* parent = sent.if_contains("parent_span_id");
  span["parent_span_id"] = parent == nullptr ? json::value() : *parent;
  span["attributes"] = attributes(sent, true);
  json::array events;
  auto const* list = mlflow::get_array(sent, "events");
  for (auto const& item : list == nullptr ? json::array{} : *list) {
    auto const& event = item.as_object();
    events.push_back(json::object{{"name", event.at("name")},
                                  {"time_unix_nano", event.at("time_unix_nano")},
                                  {"attributes", attributes(event, false)}});
  }
  span["events"] = std::move(events);
  span["links"] = json::array();
  return span;
}

Trace& need_trace(Call& call, const std::string& id) {
  auto const found = call.state.traces.find(id);
  if (found == call.state.traces.end()) throw Failure{404, "RESOURCE_DOES_NOT_EXIST", "Trace with ID '" + id + "' not found."};
  return found->second;
}

bool fits_filter(const Trace* trace, std::string_view id, const std::vector<Clause>& clauses) {
  for (auto const& clause : clauses) {
    if (trace == nullptr) return false;  // generated ones have no links
    auto const& links = clause.key == "run_id" ? trace->runs : trace->prompts;
    auto const* metadata = mlflow::get_object(trace->info, "trace_metadata");
    bool const made = clause.key == "run_id" && metadata != nullptr &&
                      mlflow::get_string(*metadata, "mlflow.sourceRun") == clause.value;
    if (!made && !links.contains(clause.value)) return false;
  }
  return !id.empty();
}

json::object& member(json::object& object, std::string_view key) {
  auto& value = object[key];
  if (!value.is_object()) value.emplace_object();
  return value.get_object();
}

void set_experiment(json::object& info, const std::string& id) {
  info["trace_location"] =
      json::object{{"type", "MLFLOW_EXPERIMENT"}, {"mlflow_experiment", json::object{{"experiment_id", id}}}};
}

}  // namespace

HttpResponse search_traces(Call& call) {
  std::set<std::string> experiments;
  auto const* locations = mlflow::get_array(call.body, "locations");
  for (auto const& item : locations == nullptr ? json::array{} : *locations) {
    experiments.emplace(item.at("mlflow_experiment").at("experiment_id").as_string());
  }
  auto const clauses = parse_filter(text_or(call, "filter"));
  std::vector<const Trace*> stored;
  for (auto const& [id, trace] : call.state.traces) {
    if (experiments.contains(trace.experiment_id) && fits_filter(&trace, id, clauses)) stored.push_back(&trace);
  }
  auto const generated = experiments.contains("0") && clauses.empty() ? call.state.generated().traces : 0;
  json::object out;
  json::array traces;
  auto const max = static_cast<std::uint64_t>(int_or(call, "max_results", 100));
  fill_page(call, out, generated + stored.size(), max, [&](std::uint64_t n) {
    traces.push_back(n < generated ? generated_info(n) : stored[n - generated]->info);
  });
  if (!traces.empty()) out["traces"] = std::move(traces);
  return answer(out);
}

HttpResponse get_trace(Call& call) {
  if (auto const n = generated_number(call.state, call.id)) {
    return answer({{"trace", json::object{{"trace_info", generated_info(*n)}}}});
  }
  return answer({{"trace", json::object{{"trace_info", need_trace(call, call.id).info}}}});
}

HttpResponse get_trace_artifact(Call& call) {
  auto const id = need_text(call, "request_id");
  if (auto const n = generated_number(call.state, id)) {
    return answer({{"spans", generated_spans(call.state.generated(), *n)}});
  }
  auto const& trace = need_trace(call, id);
  if (trace.spans_forgotten) return answer({});
  auto response = answer({});
  response.body = mlflow::to_python_json({{"spans", trace.spans}});
  return response;
}

HttpResponse put_trace(Call& call) {
  auto info = call.body.at("trace").at("trace_info").as_object();
  std::string const id(mlflow::get_string(info, "trace_id"));
  std::string const experiment(info.at("trace_location").at("mlflow_experiment").at("experiment_id").as_string());
  require_active(need_experiment(call, experiment));
  auto& trace = call.state.traces[id];
  if (member(info, "tags").contains("mlflow.artifactLocation") && trace.experiment_id.empty()) {
    throw Failure{404, "RESOURCE_DOES_NOT_EXIST", "Trace with ID '" + id + "' no longer exists"};
  }
  trace.experiment_id = experiment;
  for (auto const* map : {"tags", "trace_metadata"}) {
    for (auto const& [key, value] : member(info, map)) member(trace.info, map)[key] = value;
  }
  member(trace.info, "tags")["mlflow.artifactLocation"] = "mlflow-artifacts:/" + experiment + "/traces/" + id + "/artifacts";
  member(trace.info, "trace_metadata")["mlflow.trace.infoFinalized"] = "true";
  std::map<std::string, json::value> assessments;
  for (auto const* list : {mlflow::get_array(trace.info, "assessments"), mlflow::get_array(info, "assessments")}) {
    for (auto const& item : list == nullptr ? json::array{} : *list) {
      assessments[std::string(mlflow::get_string(item.as_object(), "assessment_id"))] = item;
    }
  }
  for (auto const& [key, value] : info) {
    if (key != "tags" && key != "trace_metadata") trace.info[key] = value;
  }
  json::array merged;
  for (auto const& [key, value] : assessments) merged.push_back(value);
  trace.info["assessments"] = std::move(merged);
  return answer({{"trace", json::object{{"trace_info", trace.info}}}});
}

HttpResponse put_spans(Call& call) {
  std::string const experiment(call.request.header("x-mlflow-experiment-id"));
  if (experiment.empty()) throw Failure{422, "INVALID_PARAMETER_VALUE", "x-mlflow-experiment-id: Field required"};
  require_active(need_experiment(call, experiment));
  for (auto const& resource : call.body.at("resource_spans").as_array()) {
    for (auto const& scope : resource.at("scope_spans").as_array()) {
      for (auto const& item : scope.at("spans").as_array()) {
        auto span = stored_span(item.as_object());
        auto const id = mlflow::otlp_trace_id(json::array{span});
        if (id.empty()) throw Failure{400, "INVALID_PARAMETER_VALUE", "bad trace id"};
        auto& trace = call.state.traces[id];
        if (trace.experiment_id.empty()) {
          trace.experiment_id = experiment;
          trace.info = {{"trace_id", id}, {"state", "OK"}, {"request_time", "2026-01-01T00:00:00Z"}};
          set_experiment(trace.info, experiment);
        }
        bool known = false;
        for (auto& there : trace.spans) {
          if (there.at("span_id") != span.at("span_id")) continue;
          there = span;
          known = true;
        }
        if (!known) trace.spans.push_back(std::move(span));
      }
    }
  }
  HttpResponse response;
  response.body = "";
  return response;
}

HttpResponse put_assessment(Call& call) {
  auto& trace = need_trace(call, call.id);
  auto assessment = call.body.at("assessment").as_object();
  auto& list = trace.info["assessments"];
  if (!list.is_array()) list.emplace_array();
  std::string const id(mlflow::get_string(assessment, "assessment_id"));
  std::string const overridden(mlflow::get_string(assessment, "overrides"));
  for (auto const& item : list.get_array()) {
    if (mlflow::get_string(item.as_object(), "assessment_id") == id) throw Failure{400, "BAD_REQUEST", "UNIQUE constraint"};
  }
  for (auto& item : list.get_array()) {
    auto& there = item.as_object();
    if (mlflow::get_string(there, "assessment_id") == overridden) there["valid"] = false;
  }
  list.get_array().push_back(assessment);
  return answer({{"assessment", assessment}});
}

HttpResponse link_traces_to_run(Call& call) {
  for (auto const& id : texts(call, "trace_ids")) {
    auto const found = call.state.traces.find(id);
    if (found != call.state.traces.end()) found->second.runs.insert(need_text(call, "run_id"));
  }
  return answer({});
}

HttpResponse link_prompts_to_trace(Call& call) {
  auto& trace = need_trace(call, need_text(call, "trace_id"));
  for (auto const& item : call.body.at("prompt_versions").as_array()) {
    auto const& prompt = item.as_object();
    trace.prompts.insert(std::string(mlflow::get_string(prompt, "name")) + "/" +
                         std::string(mlflow::get_string(prompt, "version")));
  }
  return answer({});
}

}  // namespace mlferry::test::fake
