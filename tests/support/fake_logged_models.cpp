#include <algorithm>
#include <set>

#include "protocol/mlflow/json.hpp"
#include "support/fake_calls.hpp"
#include "support/fake_filter.hpp"

namespace mlferry::test::fake {
namespace {

json::object model_json(const LoggedModel& model) {
  json::object info{{"model_id", model.id},
                    {"experiment_id", model.experiment_id},
                    {"name", model.name},
                    {"creation_timestamp_ms", model.created},
                    {"last_updated_timestamp_ms", model.updated},
                    {"artifact_uri", model.artifact_uri()},
                    {"status", model.status}};
  if (!model.model_type.empty()) info["model_type"] = model.model_type;
  if (!model.source_run_id.empty()) info["source_run_id"] = model.source_run_id;
  if (!model.tags.empty()) info["tags"] = tags_json(model.tags);
  json::object data;
  if (!model.params.empty()) data["params"] = tags_json(model.params);
  if (!model.metrics.empty()) {
    json::array list;
    for (const auto& metric : model.metrics) {
      json::object row{
          {"key", metric.key},         {"value", metric.point.value}, {"timestamp", metric.point.timestamp},
          {"step", metric.point.step}, {"model_id", model.id},        {"run_id", metric.run_id}};
      if (!metric.dataset_name.empty()) row["dataset_name"] = metric.dataset_name;
      if (!metric.dataset_digest.empty()) row["dataset_digest"] = metric.dataset_digest;
      list.push_back(std::move(row));
    }
    data["metrics"] = std::move(list);
  }
  return {{"info", std::move(info)}, {"data", std::move(data)}};
}

LoggedModel& need_model(Call& call, bool also_deleted) {
  auto found = call.state.logged_models.find(call.id);
  if (found == call.state.logged_models.end() || (found->second.deleted && !also_deleted)) {
    throw Failure{404, "RESOURCE_DOES_NOT_EXIST", "Logged model with ID '" + call.id + "' not found."};
  }
  return found->second;
}

void need_id_in_body(Call& call) {
  if (need_text(call, "model_id") != call.id) {
    throw Failure{400, "INVALID_PARAMETER_VALUE", "model_id differs between path and body"};
  }
}

HttpResponse create(Call& call) {
  Experiment& experiment = need_experiment(call, need_text(call, "experiment_id"));
  require_active(experiment);
  LoggedModel model;
  model.name = text_or(call, "name");
  if (call.body.contains("name") &&
      (model.name.empty() || model.name.find_first_of("/:.%\"'`") != model.name.npos)) {
    throw Failure{400, "INVALID_PARAMETER_VALUE", "Invalid model name"};
  }
  model.id = "m-" + call.state.new_id();
  if (model.name.empty()) model.name = "nameless-" + model.id.substr(2, 6);
  model.experiment_id = experiment.id;
  model.model_type = text_or(call, "model_type");
  model.source_run_id = text_or(call, "source_run_id");
  model.created = model.updated = call.state.now();
  for (const auto& [key, value] : pairs(call.body, "params")) model.params[key] = value;
  for (const auto& [key, value] : pairs(call.body, "tags")) model.tags[key] = value;
  call.state.logged_model_order.push_back(model.id);
  LoggedModel& stored = call.state.logged_models[model.id] = std::move(model);
  return answer({{"model", model_json(stored)}});
}

HttpResponse get(Call& call) {
  bool const also_deleted = call.request.parameter("allow_deleted") == "true";
  return answer({{"model", model_json(need_model(call, also_deleted))}});
}

HttpResponse set_status(Call& call) {
  static const std::set<std::string, std::less<>> known = {"LOGGED_MODEL_PENDING", "LOGGED_MODEL_READY",
                                                           "LOGGED_MODEL_UPLOAD_FAILED",
                                                           "LOGGED_MODEL_STATUS_UNSPECIFIED"};
  LoggedModel& model = need_model(call, true);
  need_id_in_body(call);
  if (auto const status = text_or(call, "status"); known.contains(status)) model.status = status;
  model.updated = call.state.now();
  return answer({{"model", model_json(model)}});
}

HttpResponse set_tags(Call& call) {
  LoggedModel& model = need_model(call, true);
  need_id_in_body(call);
  for (const auto& [key, value] : pairs(call.body, "tags")) model.tags[key] = value;
  return answer({});
}

HttpResponse add_params(Call& call) {
  LoggedModel& model = need_model(call, false);
  need_id_in_body(call);
  auto const params = pairs(call.body, "params");
  for (const auto& [key, value] : params) {
    if (model.params.contains(key)) throw Failure{400, "BAD_REQUEST", "UNIQUE constraint failed"};
  }
  for (const auto& [key, value] : params) model.params[key] = value;
  return answer({});
}

HttpResponse remove(Call& call) {
  need_model(call, true).deleted = true;
  return answer({});
}

HttpResponse search(Call& call) {
  auto max = int_or(call, "max_results", 100);
  if (max <= 0) max = 100;
  auto const clauses = parse_filter(text_or(call, "filter"));
  auto const ids = texts(call, "experiment_ids");
  bool ascending = false;
  if (const json::array* order = mlflow::get_array(call.body, "order_by")) {
    for (const json::value& element : *order) {
      const json::object* rule = element.if_object();
      if (rule == nullptr || mlflow::get_string(*rule, "field_name") != "creation_timestamp") {
        throw Failure{400, "INVALID_PARAMETER_VALUE",
                      "the fake server orders models by creation_timestamp only"};
      }
      ascending = mlflow::get_bool(*rule, "ascending");
    }
  }
  std::vector<const LoggedModel*> found;
  for (const auto& id : call.state.logged_model_order) {
    const LoggedModel& model = call.state.logged_models.at(id);
    if (model.deleted || std::find(ids.begin(), ids.end(), model.experiment_id) == ids.end()) continue;
    auto const look_up = [&](std::string_view entity, std::string_view key) -> std::optional<std::string> {
      if (entity == "attributes") {
        if (key == "name") return model.name;
        if (key == "model_id") return model.id;
        if (key == "source_run_id") return model.source_run_id;
        if (key == "status") return model.status;
      }
      if (entity != "tags" && entity != "params") {
        throw Failure{400, "INVALID_PARAMETER_VALUE", "Invalid attribute key in the filter"};
      }
      const Tags& where = entity == "tags" ? model.tags : model.params;
      auto value = where.find(std::string(key));
      return value == where.end() ? std::nullopt : std::optional(value->second);
    };
    if (matches(clauses, look_up)) found.push_back(&model);
  }
  if (!ascending) std::reverse(found.begin(), found.end());
  json::object out;
  json::array list;
  fill_page(call, out, found.size(), static_cast<std::uint64_t>(max),
            [&](std::uint64_t n) { list.push_back(model_json(*found[n])); });
  if (!list.empty()) out["models"] = std::move(list);
  return answer(out);
}

}  // namespace

const std::vector<Route> logged_model_routes = {
    {"POST", "logged-models", create},
    {"POST", "logged-models/search", search},
    {"GET", "logged-models/*", get},
    {"PATCH", "logged-models/*", set_status},
    {"DELETE", "logged-models/*", remove},
    {"PATCH", "logged-models/*/tags", set_tags},
    {"POST", "logged-models/*/params", add_params},
};

}  // namespace mlferry::test::fake
