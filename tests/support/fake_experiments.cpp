#include <algorithm>

#include "protocol/mlflow/json.hpp"
#include "support/fake_calls.hpp"
#include "support/fake_filter.hpp"

namespace mlferry::test::fake {
namespace {

json::object experiment_json(const Experiment& experiment) {
  json::object out{{"experiment_id", experiment.id},
                   {"name", experiment.name},
                   {"artifact_location", experiment.artifact_location},
                   {"lifecycle_stage", experiment.deleted ? "deleted" : "active"},
                   {"last_update_time", experiment.updated},
                   {"creation_time", experiment.created}};
  if (!experiment.tags.empty()) out["tags"] = tags_json(experiment.tags);
  return out;
}

HttpResponse create(Call& call) {
  std::string const name = need_text(call, "name");
  if (cut(name, 500) != name) throw Failure{400, "INVALID_PARAMETER_VALUE", "Experiment name is too long"};
  std::string const location = text_or(call, "artifact_location");
  for (std::string_view scheme : {"http:", "https:", "ftp:", "sftp:", "hdfs:", "mlflow-artifacts://"}) {
    if (location.starts_with(scheme)) {
      throw Failure{
          400, "INVALID_PARAMETER_VALUE",
          "The location addresses a host other than the tracking server's configured artifact storage"};
    }
  }
  auto const exists = [&] {
    throw Failure{400, "RESOURCE_ALREADY_EXISTS",
                  "Experiment(name=" + name + ") already exists. Error: (SQL)"};
  };
  if (call.state.find_experiment_by_name(name) != nullptr) exists();
  Tags tags;
  for (const auto& [key, value] : pairs(call.body, "tags")) {
    check_key("tag", key);
    if (cut(value, 20000) != value) throw Failure{400, "INVALID_PARAMETER_VALUE", "Tag value is too long"};
    if (!tags.emplace(key, value).second) exists();  // misleading, as on the server
  }
  Experiment& experiment = call.state.add_experiment(name);
  if (!location.empty()) experiment.artifact_location = location;
  experiment.tags = std::move(tags);
  return answer({{"experiment_id", experiment.id}});
}

HttpResponse get(Call& call) {
  return answer({{"experiment", experiment_json(need_experiment(call, need_text(call, "experiment_id")))}});
}

HttpResponse get_by_name(Call& call) {
  std::string const name = need_text(call, "experiment_name");
  Experiment* experiment = call.state.find_experiment_by_name(name);
  if (experiment == nullptr) {
    throw Failure{404, "RESOURCE_DOES_NOT_EXIST", "Could not find experiment with name '" + name + "'"};
  }
  return answer({{"experiment", experiment_json(*experiment)}});
}

HttpResponse search(Call& call) {
  if (!call.body.contains("max_results")) {
    throw Failure{400, "INVALID_PARAMETER_VALUE", "Missing value for required parameter 'max_results'."};
  }
  auto const max = int_or(call, "max_results", 0);
  if (max < 1 || max > 50000) throw Failure{400, "INVALID_PARAMETER_VALUE", "Invalid value for max_results"};
  std::string const view = text_or(call, "view_type", "ACTIVE_ONLY");
  auto const clauses = parse_filter(text_or(call, "filter"));
  std::vector<const Experiment*> found;
  for (const auto& [number, experiment] : call.state.experiments) {
    if (view == (experiment.deleted ? "ACTIVE_ONLY" : "DELETED_ONLY")) continue;
    auto const look_up = [&](std::string_view entity, std::string_view key) -> std::optional<std::string> {
      if (entity == "attributes" && key == "name") return experiment.name;
      if (entity != "tags") throw Failure{400, "INVALID_PARAMETER_VALUE", "Invalid attribute key"};
      auto tag = experiment.tags.find(std::string(key));
      return tag == experiment.tags.end() ? std::nullopt : std::optional(tag->second);
    };
    if (matches(clauses, look_up)) found.push_back(&experiment);
  }
  auto const order = texts(call, "order_by");
  if (order.empty()) {
    std::reverse(found.begin(), found.end());  // newest first
  } else if (order != std::vector<std::string>{"experiment_id ASC"}) {
    throw Failure{400, "INVALID_PARAMETER_VALUE",
                  "the fake server orders experiments by experiment_id ASC only"};
  }
  json::object out;
  json::array list;
  fill_page(call, out, found.size(), static_cast<std::uint64_t>(max),
            [&](std::uint64_t n) { list.push_back(experiment_json(*found[n])); });
  if (!list.empty()) out["experiments"] = std::move(list);
  return answer(out);
}

HttpResponse set_tag(Call& call) {
  Experiment& experiment = need_experiment(call, need_text(call, "experiment_id"));
  require_active(experiment);
  std::string const key = need_text(call, "key");
  check_key("tag", key);
  std::string const value = text_or(call, "value");
  if (cut(value, 20000) != value) throw Failure{400, "INVALID_PARAMETER_VALUE", "Tag value is too long"};
  experiment.tags[key] = value;
  experiment.updated = call.state.now();
  return answer({});
}

HttpResponse delete_tag(Call& call) {
  Experiment& experiment = need_experiment(call, need_text(call, "experiment_id"));
  require_active(experiment);
  if (experiment.tags.erase(need_text(call, "key")) == 0) {
    throw Failure{404, "RESOURCE_DOES_NOT_EXIST", "No tag with that name on the experiment"};
  }
  return answer({});
}

HttpResponse update(Call& call) {
  Experiment& experiment = need_experiment(call, need_text(call, "experiment_id"));
  std::string const name = need_text(call, "new_name");
  if (experiment.deleted) throw Failure{500, "INVALID_STATE", "Cannot rename a deleted experiment"};
  Experiment* other = call.state.find_experiment_by_name(name);
  if (other != nullptr && other != &experiment) throw Failure{400, "BAD_REQUEST", "UNIQUE constraint failed"};
  experiment.name = name;
  experiment.updated = call.state.now();
  return answer({});
}

HttpResponse change_stage(Call& call, bool deleted) {
  Experiment& experiment = need_experiment(call, need_text(call, "experiment_id"));
  if (experiment.deleted == deleted) {
    throw Failure{404, "RESOURCE_DOES_NOT_EXIST", "No such experiment in the other state"};
  }
  experiment.deleted = deleted;
  experiment.updated = call.state.now();
  // Both ways all its runs go along, also those that had been deleted one by one.
  for (const auto& id : experiment.run_ids) call.state.runs.at(id).deleted = deleted;
  return answer({});
}

HttpResponse remove(Call& call) {
  return change_stage(call, true);
}
HttpResponse restore(Call& call) {
  return change_stage(call, false);
}

}  // namespace

const std::vector<Route> experiment_routes = {
    {"POST", "experiments/create", create},
    {"GET", "experiments/get", get},
    {"GET", "experiments/get-by-name", get_by_name},
    {"POST", "experiments/search", search},
    {"POST", "experiments/set-experiment-tag", set_tag},
    {"POST", "experiments/delete-experiment-tag", delete_tag},
    {"POST", "experiments/update", update},
    {"POST", "experiments/delete", remove},
    {"POST", "experiments/restore", restore},
};

}  // namespace mlferry::test::fake
