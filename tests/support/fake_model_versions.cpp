#include <algorithm>
#include <cctype>
#include <charconv>

#include "protocol/mlflow/json.hpp"
#include "support/fake_registry.hpp"

namespace mlferry::test::fake {

ModelVersion& need_version(Call& call, RegisteredModel& model) {
  std::string const text = need_text(call, "version");
  std::int64_t number = 0;
  auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) {
    throw Failure{400, "INVALID_PARAMETER_VALUE", "Model version must be an integer"};
  }
  if (number < 1 || number > static_cast<std::int64_t>(model.versions.size()) ||
      model.versions[static_cast<std::size_t>(number - 1)].deleted) {
    throw Failure{404, "RESOURCE_DOES_NOT_EXIST",
                  "Model Version (name=" + model.name + ", version=" + text + ") not found"};
  }
  return model.versions[static_cast<std::size_t>(number - 1)];
}

json::object version_json(const RegisteredModel& model, const ModelVersion& version, bool with_aliases) {
  json::object out{{"name", model.name},
                   {"version", std::to_string(version.number)},
                   {"creation_timestamp", version.created},
                   {"last_updated_timestamp", version.updated},
                   {"current_stage", version.stage},
                   {"description", version.description},
                   {"source", version.source},
                   {"run_id", version.run_id},
                   {"status", "READY"},
                   {"run_link", version.run_link}};
  if (!version.tags.empty()) out["tags"] = tags_json(version.tags);
  if (with_aliases) {
    json::array aliases;
    for (const auto& [alias, number] : model.aliases) {
      if (number == version.number) aliases.emplace_back(json::string(alias));
    }
    if (!aliases.empty()) out["aliases"] = std::move(aliases);
  }
  return out;
}

namespace {

// The server's own note on the logged model: [{"name":..,"version":..}].
void note_on_logged_model(State& state, const std::string& model_id, const std::string& name,
                          std::int64_t number) {
  auto found = state.logged_models.find(model_id);
  if (found == state.logged_models.end()) return;
  std::string& tag = found->second.tags["mlflow.modelVersions"];
  json::array list;
  if (!tag.empty()) list = mlflow::parse_json(tag, "the tag mlflow.modelVersions").as_array();
  list.push_back(json::object{{"name", name}, {"version", number}});
  tag = mlflow::to_json(json::value(std::move(list)));
}

HttpResponse create(Call& call) {
  RegisteredModel& model = need_model(call);
  ModelVersion version;
  version.source = text_or(call, "source");
  version.run_id = text_or(call, "run_id");
  version.run_link = text_or(call, "run_link");
  version.description = text_or(call, "description");
  for (const auto& [key, value] : pairs(call.body, "tags")) {
    check_key("tag", key);
    version.tags[key] = value;
  }
  std::string const model_id = text_or(call, "model_id");
  if (version.tags.contains(std::string(prompt_tag))) {
    if (version.source != "dummy-source" && version.source != "prompt-template") {
      throw Failure{400, "INVALID_PARAMETER_VALUE", "Invalid prompt source"};
    }
  } else {
    check_source(call.state, version.source, version.run_id, model_id);
  }
  // The next number counts deleted versions too: they stay in the list.
  version.number = static_cast<std::int64_t>(model.versions.size()) + 1;
  version.created = version.updated = model.updated = call.state.now();
  if (!model_id.empty()) note_on_logged_model(call.state, model_id, model.name, version.number);
  model.versions.push_back(std::move(version));
  return answer({{"model_version", version_json(model, model.versions.back(), false)}});
}

HttpResponse get(Call& call) {
  RegisteredModel& model = need_model(call);
  return answer({{"model_version", version_json(model, need_version(call, model), true)}});
}

HttpResponse search(Call& call) {
  auto const max = int_or(call, "max_results", 10000);
  if (max < 1 || max > 200000) throw Failure{400, "INVALID_PARAMETER_VALUE", "Invalid value for max_results"};
  auto const clauses = parse_filter(text_or(call, "filter"));
  bool const prompts = asks_for_prompts(clauses);
  auto const order = texts(call, "order_by");
  bool const by_number = order == std::vector<std::string>{"version_number ASC"};
  if (!order.empty() && !by_number) {
    throw Failure{400, "INVALID_PARAMETER_VALUE",
                  "the fake server orders versions by version_number ASC only"};
  }
  std::vector<std::pair<const RegisteredModel*, const ModelVersion*>> found;
  for (const auto& [name, model] : call.state.registered_models) {
    // One version with the prompt tag, even a deleted one, hides all of them.
    bool const hidden = std::any_of(
        model.versions.begin(), model.versions.end(),
        [](const ModelVersion& version) { return version.tags.contains(std::string(prompt_tag)); });
    if (hidden && !prompts) continue;
    for (const auto& version : model.versions) {
      if (version.deleted) continue;
      auto const look_up = [&](std::string_view entity, std::string_view key) -> std::optional<std::string> {
        if (entity == "attributes") {
          if (key == "name") return model.name;
          if (key == "run_id") return version.run_id;
          if (key == "source_path") return version.source;
          if (key == "version_number") return std::to_string(version.number);
        }
        if (entity != "tags")
          throw Failure{400, "INVALID_PARAMETER_VALUE", "Invalid attribute name in the filter"};
        auto value = version.tags.find(std::string(key));
        return value == version.tags.end() ? std::nullopt : std::optional(value->second);
      };
      if (matches(clauses, look_up)) found.emplace_back(&model, &version);
    }
  }
  std::sort(found.begin(), found.end(), [&](const auto& a, const auto& b) {
    auto const& [model_a, version_a] = a;
    auto const& [model_b, version_b] = b;
    if (by_number && version_a->number != version_b->number) return version_a->number < version_b->number;
    if (!by_number && version_a->updated != version_b->updated)
      return version_a->updated > version_b->updated;
    if (model_a != model_b) return model_a->name < model_b->name;
    return version_a->number > version_b->number;
  });
  json::object out;
  json::array list;
  fill_page(call, out, found.size(), static_cast<std::uint64_t>(max),
            [&](std::uint64_t n) { list.push_back(version_json(*found[n].first, *found[n].second, false)); });
  if (!list.empty()) out["model_versions"] = std::move(list);
  return answer(out);
}

HttpResponse update(Call& call) {
  RegisteredModel& model = need_model(call);
  ModelVersion& version = need_version(call, model);
  version.description = text_or(call, "description");  // left out: erased
  version.updated = model.updated = call.state.now();
  return answer({{"model_version", version_json(model, version, false)}});
}

HttpResponse transition(Call& call) {
  RegisteredModel& model = need_model(call);
  ModelVersion& version = need_version(call, model);
  std::string const asked = need_text(call, "stage");
  std::string stage;
  for (std::string_view known : {"None", "Staging", "Production", "Archived"}) {
    bool const equal = std::equal(asked.begin(), asked.end(), known.begin(), known.end(), [](char a, char b) {
      return std::tolower(static_cast<unsigned char>(a)) == std::tolower(static_cast<unsigned char>(b));
    });
    if (equal) stage = known;
  }
  if (stage.empty()) throw Failure{400, "INVALID_PARAMETER_VALUE", "Invalid Model Version stage"};
  if (mlflow::get_bool(call.body, "archive_existing_versions")) {
    for (auto& other : model.versions) {
      if (other.stage == stage && other.number != version.number) other.stage = "Archived";
    }
  }
  version.stage = stage;
  version.updated = model.updated = call.state.now();
  return answer({{"model_version", version_json(model, version, false)}});
}

HttpResponse set_tag(Call& call) {
  RegisteredModel& model = need_model(call);
  ModelVersion& version = need_version(call, model);
  std::string const key = need_text(call, "key");
  check_key("tag", key);
  version.tags[key] = text_or(call, "value");
  return answer({});
}

HttpResponse delete_tag(Call& call) {
  RegisteredModel& model = need_model(call);
  need_version(call, model).tags.erase(need_text(call, "key"));
  return answer({});
}

HttpResponse remove(Call& call) {
  RegisteredModel& model = need_model(call);
  ModelVersion& version = need_version(call, model);
  version.deleted = true;  // the row and its tags stay
  std::erase_if(model.aliases, [&](const auto& alias) { return alias.second == version.number; });
  return answer({});
}

}  // namespace

const std::vector<Route> model_version_routes = {
    {"POST", "model-versions/create", create},
    {"GET", "model-versions/get", get},
    {"GET", "model-versions/search", search},
    {"PATCH", "model-versions/update", update},
    {"POST", "model-versions/transition-stage", transition},
    {"POST", "model-versions/set-tag", set_tag},
    {"DELETE", "model-versions/delete-tag", delete_tag},
    {"DELETE", "model-versions/delete", remove},
};

}  // namespace mlferry::test::fake
