#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <set>

#include "protocol/mlflow/json.hpp"
#include "support/fake_calls.hpp"
#include "support/fake_filter.hpp"

namespace mlferry::test::fake {
namespace {

const std::set<std::string, std::less<>> statuses = {"RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"};

// The value with the highest (step, timestamp, value).
Point last_point(const std::vector<Point>& points) {
  return *std::max_element(points.begin(), points.end(), [](const Point& a, const Point& b) {
    auto const rank = [](const Point& p) {
      return std::tuple(p.step, p.timestamp, std::isnan(p.value) ? 0.0 : p.value);
    };
    return rank(a) < rank(b);
  });
}

json::array dataset_inputs_json(State& state, const Run& run) {
  json::array list;
  Experiment* experiment = state.find_experiment(run.experiment_id);
  for (const auto& input : run.datasets) {
    json::object entry;
    entry["dataset"] = experiment->datasets.at({input.name, input.digest});
    if (!input.tags.empty()) entry["tags"] = tags_json(input.tags);
    list.push_back(std::move(entry));
  }
  return list;
}

HttpResponse create(Call& call) {
  Experiment& experiment = need_experiment(call, text_or(call, "experiment_id", "0"));
  require_active(experiment);
  if (experiment.generated > 0) {
    throw Failure{400, "INVALID_PARAMETER_VALUE", "a generated experiment takes no other runs"};
  }
  Run run;
  std::vector<std::pair<std::string, std::string>> const tags = pairs(call.body, "tags");
  std::set<std::string> keys;
  for (const auto& [key, value] : tags) {
    if (!keys.insert(key).second) throw Failure{400, "BAD_REQUEST", "UNIQUE constraint failed: tags.key"};
    if (key == "mlflow.runName") run.name = value;
  }
  std::string const name = text_or(call, "run_name");
  if (!name.empty() && !run.name.empty() && name != run.name) {
    throw Failure{400, "INVALID_PARAMETER_VALUE",
                  "Both 'run_name' argument and 'mlflow.runName' tag are specified"};
  }
  if (!name.empty()) run.name = name;
  run.id = call.state.new_id();
  if (run.name.empty()) run.name = "nameless-" + run.id.substr(0, 6);
  run.experiment_id = experiment.id;
  run.user_id = text_or(call, "user_id");
  run.start_time = int_or(call, "start_time", 0);
  Run& stored = call.state.runs[run.id] = std::move(run);
  for (const auto& [key, value] : tags) call.state.set_run_tag(stored, key, value);
  call.state.set_run_tag(stored, "mlflow.runName", std::string(stored.name));
  experiment.run_ids.push_back(stored.id);
  return answer({{"run", run_json(call.state, stored, true)}});
}

HttpResponse get(Call& call) {
  std::string const id = need_text(call, "run_id");
  const Run* run = call.state.read_run(id);
  if (run == nullptr) throw Failure{404, "RESOURCE_DOES_NOT_EXIST", "Run with id=" + id + " not found"};
  return answer({{"run", run_json(call.state, *run, true)}});
}

bool run_matches(const std::vector<Clause>& clauses, const Run& run) {
  auto const look_up = [&](std::string_view entity, std::string_view key) -> std::optional<std::string> {
    if (entity == "attributes") {
      if (key == "run_id") return run.id;
      if (key == "run_name") return run.name;
      if (key == "status") return run.status;
      if (key == "user_id") return run.user_id;
    }
    if (entity != "tags" && entity != "params") {
      throw Failure{400, "INVALID_PARAMETER_VALUE", "Invalid attribute key in the filter"};
    }
    const Tags& where = entity == "tags" ? run.tags : run.params;
    auto found = where.find(std::string(key));
    return found == where.end() ? std::nullopt : std::optional(found->second);
  };
  return matches(clauses, look_up);
}

// The wanted value of the indexed tag, when the filter asks for one.
const std::string* indexed_value(const std::vector<Clause>& clauses) {
  for (const auto& clause : clauses) {
    if (clause.entity == "tags" && clause.key == State::source_tag && clause.op == "=") return &clause.value;
  }
  return nullptr;
}

HttpResponse search(Call& call) {
  auto const max = int_or(call, "max_results", 1000);
  if (max < 1 || max > 50000) throw Failure{400, "INVALID_PARAMETER_VALUE", "Invalid value for max_results"};
  std::string const view = text_or(call, "run_view_type", "ACTIVE_ONLY");
  auto const clauses = parse_filter(text_or(call, "filter"));
  auto const order = texts(call, "order_by");
  bool const ascending = order == std::vector<std::string>{"attributes.start_time ASC"};
  if (!order.empty() && !ascending) {
    throw Failure{400, "INVALID_PARAMETER_VALUE",
                  "the fake server orders runs by attributes.start_time ASC only"};
  }
  auto const visible = [&](const Run& run) { return view != (run.deleted ? "ACTIVE_ONLY" : "DELETED_ONLY"); };

  std::vector<Experiment*> experiments;
  for (const auto& id : texts(call, "experiment_ids")) {
    Experiment* experiment = call.state.find_experiment(id);
    bool const known = std::find(experiments.begin(), experiments.end(), experiment) != experiments.end();
    if (experiment != nullptr && !known) experiments.push_back(experiment);
  }

  json::object out;
  json::array list;
  auto const add = [&](const Run& run) { list.push_back(run_json(call.state, run, false)); };
  // One experiment in ascending order without a filter, none of its runs left out: the offset is the
  // position, and a page costs what it holds. That is how a million runs are listed.
  bool const positional = experiments.size() == 1 && ascending && clauses.empty() &&
                          (view == "ALL" || experiments[0]->run_ids.empty()) &&
                          (view == "ALL" || (view == "DELETED_ONLY") == experiments[0]->deleted);
  if (positional) {
    fill_page(call, out, call.state.run_count(*experiments[0]), static_cast<std::uint64_t>(max),
              [&](std::uint64_t n) { add(*call.state.run_at(*experiments[0], n)); });
  } else {
    std::vector<std::pair<std::int64_t, std::string>> found;  // (start_time, id)
    auto const consider = [&](const Run& run) {
      if (visible(run) && run_matches(clauses, run)) found.emplace_back(run.start_time, run.id);
    };
    if (const std::string* value = indexed_value(clauses)) {
      auto const [first, last] = call.state.runs_by_source.equal_range(*value);
      for (auto it = first; it != last; ++it) {
        const Run& run = call.state.runs.at(it->second);
        bool const wanted = std::any_of(experiments.begin(), experiments.end(),
                                        [&](Experiment* e) { return e->id == run.experiment_id; });
        if (wanted) consider(run);
      }
    } else {
      for (Experiment* experiment : experiments) {
        auto const count = call.state.run_count(*experiment);
        for (std::uint64_t n = 0; n < count; ++n) consider(*call.state.run_at(*experiment, n));
      }
    }
    std::sort(found.begin(), found.end(), [&](const auto& a, const auto& b) {
      if (a.first != b.first) return ascending ? a.first < b.first : a.first > b.first;
      return a.second < b.second;
    });
    fill_page(call, out, found.size(), static_cast<std::uint64_t>(max),
              [&](std::uint64_t n) { add(*call.state.read_run(found[n].second)); });
  }
  if (!list.empty()) out["runs"] = std::move(list);
  return answer(out);
}

HttpResponse update(Call& call) {
  Run& run = need_active_run(call);
  if (auto const status = text_or(call, "status"); statuses.contains(status)) run.status = status;
  if (call.body.contains("end_time")) {
    auto const end = int_or(call, "end_time", 0);
    run.end_time = end == 0 ? std::nullopt : std::optional(end);
  }
  if (auto const name = text_or(call, "run_name"); !name.empty()) {
    call.state.set_run_tag(run, "mlflow.runName", name);
  }
  json::object run_info = run_json(call.state, run, false);
  return answer({{"run_info", run_info["info"]}});
}

HttpResponse change_stage(Call& call, bool deleted) {
  std::string const id = need_text(call, "run_id");
  Run* run = call.state.find_run(id);
  if (run == nullptr) throw Failure{404, "RESOURCE_DOES_NOT_EXIST", "Run with id=" + id + " not found"};
  run->deleted = deleted;
  return answer({});
}

HttpResponse remove(Call& call) {
  return change_stage(call, true);
}
HttpResponse restore(Call& call) {
  return change_stage(call, false);
}

HttpResponse set_tag(Call& call) {
  Run& run = need_active_run(call);
  std::string const key = need_text(call, "key");
  check_key("tag", key);
  call.state.set_run_tag(run, key, cut(text_or(call, "value"), 8000));
  return answer({});
}

HttpResponse delete_tag(Call& call) {
  Run& run = need_active_run(call);
  std::string const key = need_text(call, "key");
  if (run.tags.erase(key) == 0) {
    throw Failure{404, "RESOURCE_DOES_NOT_EXIST", "No tag with name: " + key + " in run"};
  }
  if (key == State::source_tag) {
    std::erase_if(call.state.runs_by_source, [&](const auto& entry) { return entry.second == run.id; });
  }
  return answer({});
}

HttpResponse log_inputs(Call& call) {
  Run& run = need_active_run(call);
  Experiment& experiment = need_experiment(call, run.experiment_id);
  if (const json::array* list = mlflow::get_array(call.body, "datasets")) {
    for (const json::value& element : *list) {
      const json::object* entry = element.if_object();
      const json::object* dataset = entry == nullptr ? nullptr : mlflow::get_object(*entry, "dataset");
      if (dataset == nullptr) continue;
      DatasetInput input{std::string(mlflow::get_string(*dataset, "name")),
                         std::string(mlflow::get_string(*dataset, "digest")),
                         {}};
      if (cut(input.name, 500) != input.name || cut(input.digest, 36) != input.digest) {
        throw Failure{400, "INVALID_PARAMETER_VALUE", "Dataset name or digest is too long"};
      }
      for (const auto& [key, value] : pairs(*entry, "tags")) input.tags[key] = value;
      experiment.datasets.emplace(std::pair(input.name, input.digest), *dataset);  // the first writer wins
      bool const known =
          std::any_of(run.datasets.begin(), run.datasets.end(), [&](const DatasetInput& other) {
            return other.name == input.name && other.digest == input.digest;
          });
      if (!known) run.datasets.push_back(std::move(input));
    }
  }
  if (const json::array* list = mlflow::get_array(call.body, "models")) {
    for (const json::value& element : *list) {
      std::string id(element.is_object() ? mlflow::get_string(element.get_object(), "model_id") : "");
      if (std::find(run.model_inputs.begin(), run.model_inputs.end(), id) == run.model_inputs.end()) {
        run.model_inputs.push_back(std::move(id));
      }
    }
  }
  return answer({});
}

HttpResponse log_outputs(Call& call) {
  Run& run = need_active_run(call);
  std::vector<std::pair<std::string, std::int64_t>> added;
  auto const has = [](const auto& list, const std::string& id) {
    return std::any_of(list.begin(), list.end(), [&](const auto& output) { return output.first == id; });
  };
  if (const json::array* list = mlflow::get_array(call.body, "models")) {
    for (const json::value& element : *list) {
      if (!element.is_object()) break;
      const json::object& model = element.get_object();
      std::string id(mlflow::get_string(model, "model_id"));
      if (has(run.model_outputs, id) || has(added, id)) {
        throw Failure{400, "BAD_REQUEST",
                      "UNIQUE constraint failed: inputs.source_id, inputs.destination_id"};
      }
      added.emplace_back(std::move(id), mlflow::get_int(model, "step").value_or(0));
    }
  }
  run.model_outputs.insert(run.model_outputs.end(), added.begin(), added.end());
  return answer({});
}

}  // namespace

json::object run_json(State& state, const Run& run, bool with_model_inputs) {
  json::object info{{"run_id", run.id},
                    {"run_uuid", run.id},
                    {"experiment_id", run.experiment_id},
                    {"run_name", run.name},
                    {"user_id", run.user_id},
                    {"status", run.status},
                    {"start_time", run.start_time}};
  if (run.end_time) info["end_time"] = *run.end_time;
  info["artifact_uri"] = run.artifact_uri();
  info["lifecycle_stage"] = run.deleted ? "deleted" : "active";

  json::object data;
  json::array metrics;
  for (const auto& [key, points] : run.metrics) {
    Point const last = last_point(points);
    metrics.push_back(json::object{
        {"key", key}, {"value", last.value}, {"timestamp", last.timestamp}, {"step", last.step}});
  }
  if (!metrics.empty()) data["metrics"] = std::move(metrics);
  if (!run.params.empty()) data["params"] = tags_json(run.params);
  if (!run.tags.empty()) data["tags"] = tags_json(run.tags);

  json::object inputs;
  if (!run.datasets.empty()) inputs["dataset_inputs"] = dataset_inputs_json(state, run);
  if (with_model_inputs && !run.model_inputs.empty()) {
    json::array list;
    for (const auto& id : run.model_inputs) list.push_back(json::object{{"model_id", id}});
    inputs["model_inputs"] = std::move(list);
  }
  json::object out{{"info", std::move(info)}, {"data", std::move(data)}, {"inputs", std::move(inputs)}};
  if (!with_model_inputs && !state.lists_outputs) return out;
  json::object outputs;
  json::array list;
  for (const auto& [id, step] : run.model_outputs) list.push_back(json::object{{"model_id", id}, {"step", step}});
  if (!list.empty()) outputs["model_outputs"] = std::move(list);
  out["outputs"] = std::move(outputs);
  return out;
}

const std::vector<Route> run_routes = {
    {"POST", "runs/create", create},         {"GET", "runs/get", get},
    {"POST", "runs/search", search},         {"POST", "runs/update", update},
    {"POST", "runs/delete", remove},         {"POST", "runs/restore", restore},
    {"POST", "runs/set-tag", set_tag},       {"POST", "runs/delete-tag", delete_tag},
    {"POST", "runs/log-inputs", log_inputs}, {"POST", "runs/outputs", log_outputs},
};

}  // namespace mlferry::test::fake
