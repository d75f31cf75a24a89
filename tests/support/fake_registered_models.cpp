#include <algorithm>
#include <cctype>

#include "protocol/mlflow/json.hpp"
#include "support/fake_calls.hpp"
#include "support/fake_filter.hpp"
#include "support/fake_registry.hpp"

namespace mlferry::test::fake {

RegisteredModel& need_model(Call& call) {
  std::string const name = need_text(call, "name");
  auto found = call.state.registered_models.find(name);
  if (found == call.state.registered_models.end()) {
    throw Failure{404, "RESOURCE_DOES_NOT_EXIST", "Registered Model with name=" + name + " not found"};
  }
  return found->second;
}

bool asks_for_prompts(const std::vector<Clause>& clauses) {
  return std::any_of(clauses.begin(), clauses.end(), [](const Clause& clause) {
    return clause.entity == "tags" && clause.key == prompt_tag &&
           ((clause.op == "=" && clause.value == "true") || (clause.op == "!=" && clause.value == "false"));
  });
}

namespace {

json::object model_json(const RegisteredModel& model) {
  json::object out{{"name", model.name},
                   {"creation_timestamp", model.created},
                   {"last_updated_timestamp", model.updated},
                   {"description", model.description}};
  std::map<std::string, const ModelVersion*> latest;  // by stage
  for (const auto& version : model.versions) {
    if (!version.deleted) latest[version.stage] = &version;
  }
  json::array versions;
  for (const auto& [stage, version] : latest) versions.push_back(version_json(model, *version, false));
  if (!versions.empty()) out["latest_versions"] = std::move(versions);
  if (!model.tags.empty()) out["tags"] = tags_json(model.tags);
  json::array aliases;
  for (const auto& [alias, version] : model.aliases) {
    aliases.push_back(json::object{{"alias", alias}, {"version", std::to_string(version)}});
  }
  if (!aliases.empty()) out["aliases"] = std::move(aliases);
  return out;
}

HttpResponse create(Call& call) {
  RegisteredModel model;
  model.name = need_text(call, "name");
  if (model.name.find_first_of("/:") != model.name.npos) {
    throw Failure{400, "INVALID_PARAMETER_VALUE", "Invalid name: it contains '/' or ':'"};
  }
  if (call.state.registered_models.contains(model.name)) {
    throw Failure{400, "RESOURCE_ALREADY_EXISTS",
                  "Registered Model (name=" + model.name + ") already exists."};
  }
  model.description = text_or(call, "description");
  for (const auto& [key, value] : pairs(call.body, "tags")) {
    check_key("tag", key);
    model.tags[key] = value;  // the last one wins
  }
  model.created = model.updated = call.state.now();
  std::string const name = model.name;
  RegisteredModel& stored = call.state.registered_models[name] = std::move(model);
  return answer({{"registered_model", model_json(stored)}});
}

HttpResponse get(Call& call) {
  return answer({{"registered_model", model_json(need_model(call))}});
}

HttpResponse search(Call& call) {
  auto const max = int_or(call, "max_results", 100);
  if (max < 0 || max > 1000) throw Failure{400, "INVALID_PARAMETER_VALUE", "Invalid value for max_results"};
  json::object out;
  if (max == 0) {  // pages without rows and without end
    out["next_page_token"] = page_token(0);
    return answer(out);
  }
  auto const clauses = parse_filter(text_or(call, "filter"));
  bool const prompts = asks_for_prompts(clauses);
  std::vector<const RegisteredModel*> found;
  for (const auto& [name, model] : call.state.registered_models) {
    if (!prompts && model.tags.contains(std::string(prompt_tag))) continue;
    auto const look_up = [&](std::string_view entity, std::string_view key) -> std::optional<std::string> {
      if (entity == "attributes" && key == "name") return model.name;
      if (entity != "tags")
        throw Failure{400, "INVALID_PARAMETER_VALUE", "Invalid attribute name in the filter"};
      auto value = model.tags.find(std::string(key));
      return value == model.tags.end() ? std::nullopt : std::optional(value->second);
    };
    if (matches(clauses, look_up)) found.push_back(&model);
  }
  json::array list;
  fill_page(call, out, found.size(), static_cast<std::uint64_t>(max),
            [&](std::uint64_t n) { list.push_back(model_json(*found[n])); });
  if (!list.empty()) out["registered_models"] = std::move(list);
  return answer(out);
}

HttpResponse update(Call& call) {
  RegisteredModel& model = need_model(call);
  model.description = text_or(call, "description");  // left out: erased
  model.updated = call.state.now();
  return answer({{"registered_model", model_json(model)}});
}

HttpResponse set_tag(Call& call) {
  RegisteredModel& model = need_model(call);
  std::string const key = need_text(call, "key");
  check_key("tag", key);
  model.tags[key] = text_or(call, "value");
  return answer({});
}

HttpResponse remove(Call& call) {
  need_model(call);
  call.state.registered_models.erase(need_text(call, "name"));
  return answer({});
}

void check_alias(std::string_view alias) {
  auto const refuse = [] { throw Failure{400, "INVALID_PARAMETER_VALUE", "Invalid alias name"}; };
  std::string low;
  for (char c : alias) {
    auto const u = static_cast<unsigned char>(c);
    if (std::isalnum(u) == 0 && c != '_' && c != '-') refuse();
    low += static_cast<char>(std::tolower(u));
  }
  bool const like_version =
      low.size() > 1 && low[0] == 'v' && low.find_first_not_of("0123456789", 1) == low.npos;
  if (low.size() > 255 || low == "latest" || like_version) refuse();
}

HttpResponse set_alias(Call& call) {
  RegisteredModel& model = need_model(call);
  std::string const alias = need_text(call, "alias");
  check_alias(alias);
  model.aliases[alias] = need_version(call, model).number;
  return answer({});
}

HttpResponse get_alias(Call& call) {
  RegisteredModel& model = need_model(call);
  auto found = model.aliases.find(need_text(call, "alias"));
  if (found == model.aliases.end()) {
    throw Failure{400, "INVALID_PARAMETER_VALUE", "Registered model alias not found."};
  }
  auto const& version = model.versions[static_cast<std::size_t>(found->second - 1)];
  return answer({{"model_version", version_json(model, version, true)}});
}

HttpResponse delete_alias(Call& call) {
  need_model(call).aliases.erase(need_text(call, "alias"));
  return answer({});
}

}  // namespace

const std::vector<Route> registered_model_routes = {
    {"POST", "registered-models/create", create},        {"GET", "registered-models/get", get},
    {"GET", "registered-models/search", search},         {"PATCH", "registered-models/update", update},
    {"POST", "registered-models/set-tag", set_tag},      {"DELETE", "registered-models/delete", remove},
    {"POST", "registered-models/alias", set_alias},      {"GET", "registered-models/alias", get_alias},
    {"DELETE", "registered-models/alias", delete_alias},
};

}  // namespace mlferry::test::fake
