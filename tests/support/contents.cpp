#include "support/contents.hpp"

#include <algorithm>
#include <cmath>
#include <set>
#include <stdexcept>
#include <vector>

#include <boost/json/array.hpp>

#include "protocol/http/client.hpp"
#include "protocol/mlflow/json.hpp"

namespace mlferry::test {

namespace json = boost::json;

namespace {

constexpr std::string_view proxy = "mlflow-artifacts:/";

std::string text(const json::object& object, std::string_view key) {
  auto const* value = object.if_contains(key);
  if (value == nullptr) return "-";
  return value->is_string() ? std::string(value->get_string()) : mlflow::to_json(*value);
}

const json::array& list(const json::object& object, std::string_view key) {
  static const json::array none;
  auto const* value = mlflow::get_array(object, key);
  return value == nullptr ? none : *value;
}

const json::object& part(const json::object& object, std::string_view key) {
  static const json::object none;
  auto const* value = mlflow::get_object(object, key);
  return value == nullptr ? none : *value;
}

std::string tag_lines(const json::object& object, std::string_view field, const std::string& label) {
  std::set<std::string> lines;
  for (auto const& value : list(object, field)) {
    auto const key = text(value.as_object(), "key");
    if (key.starts_with("mlferry.")) continue;
    lines.insert(label + " " + key + " = " + text(value.as_object(), "value") + "\n");
  }
  std::string all;
  for (auto const& line : lines) all += line;
  return all;
}

std::string number(const json::object& row, std::string_view key) {
  auto const value = mlflow::get_double(row, key);
  if (!value) return "?";
  std::string out;
  mlflow::append_json_double(out, *value);
  return out;
}

class Reader {
 public:
  explicit Reader(FakeMlflow& server) : server_(server) {}

  ServerContents read() {
    auto const all = server_.post("experiments/search", {{"view_type", "ALL"}, {"max_results", 50000}});
    for (auto const& value : list(all, "experiments")) experiments_.push_back(value.as_object());
    for (auto const& experiment : experiments_) name_runs(experiment);
    for (auto const& experiment : experiments_) name_models(experiment);
    for (auto const& experiment : experiments_) {
      add("experiment " + text(experiment, "name"),
          "stage " + text(experiment, "lifecycle_stage") + "\n" + tag_lines(experiment, "tags", "tag"));
    }
    for (auto const& run : runs_) add_run(run);
    for (auto const& model : models_) add_model(model);
    add_registry();
    for (auto const& experiment : experiments_) add_traces(experiment);
    return std::move(contents_);
  }

 private:
  json::object get(const std::string& target) { return server_.call("GET", target); }

  void name(const json::object& info, const std::string& id, const std::string& label) {
    names_.emplace_back(text(info, "artifact_uri"), "<files of " + label + ">");
    names_.emplace_back(id, "<" + label + ">");
  }

  void name_runs(const json::object& experiment) {
    auto const found = server_.post("runs/search", {{"experiment_ids", {experiment.at("experiment_id")}},
                                                    {"run_view_type", "ALL"},
                                                    {"max_results", 50000}});
    for (auto const& value : list(found, "runs")) {
      auto const id = text(part(value.as_object(), "info"), "run_id");
      // Only this call gives the model inputs.
      auto run = get("/api/2.0/mlflow/runs/get?run_id=" + id).at("run").as_object();
      auto const label = text(experiment, "name") + "/" + text(part(run, "info"), "run_name");
      name(part(run, "info"), id, "run " + label);
      run["label"] = label;
      for (auto const& output : list(part(run, "outputs"), "model_outputs"))
        named_models_.insert(text(output.as_object(), "model_id"));
      for (auto const& input : list(part(run, "inputs"), "model_inputs"))
        named_models_.insert(text(input.as_object(), "model_id"));
      runs_.push_back(std::move(run));
    }
  }

  void name_models(const json::object& experiment) {
    json::object found;
    try {
      found = server_.post("logged-models/search",
                           {{"experiment_ids", {experiment.at("experiment_id")}}, {"max_results", 1000}});
    } catch (const std::runtime_error&) {
      return;  // a server without logged models
    }
    std::vector<json::object> models;
    std::set<std::string> alive;
    for (auto const& value : list(found, "models")) {
      models.push_back(value.as_object());
      alive.insert(text(part(value.as_object(), "info"), "model_id"));
    }
    // Deleted ones are in no listing.
    for (auto const& id : named_models_) {
      if (alive.contains(id)) continue;
      try {
        auto model = get("/api/2.0/mlflow/logged-models/" + id + "?allow_deleted=true");
        auto& doc = model.at("model").as_object();
        if (text(part(doc, "info"), "experiment_id") != text(experiment, "experiment_id")) continue;
        doc["deleted"] = true;
        models.push_back(doc);
      } catch (const std::runtime_error&) {
        // named, but never there
      }
    }
    for (auto& model : models) {
      auto const& info = part(model, "info");
      auto const label = text(experiment, "name") + "/" + text(info, "name");
      name(info, text(info, "model_id"), "logged model " + label);
      model["label"] = label;
      models_.push_back(std::move(model));
    }
  }

  // Ids and artifact URIs by names.
  std::string named(std::string value) const {
    for (auto const& [from, to] : names_) {
      for (auto at = value.find(from); at != value.npos; at = value.find(from, at + to.size()))
        value.replace(at, from.size(), to);
    }
    return value;
  }

  void add(std::string key, const std::string& value) {
    while (contents_.contains(key)) key += " (again)";
    contents_[key] = named(value);
  }

  void add_run(const json::object& run) {
    auto const label = text(run, "label");
    auto const& info = part(run, "info");
    auto const& data = part(run, "data");
    std::string all;
    for (auto const* field : {"run_name", "user_id", "status", "start_time", "end_time", "lifecycle_stage"})
      all += std::string(field) + " " + text(info, field) + "\n";
    all += tag_lines(data, "params", "param") + tag_lines(data, "tags", "tag");
    for (auto const& metric : list(data, "metrics")) all += history(text(info, "run_id"), metric.as_object());
    std::set<std::string> inputs;
    for (auto const& value : list(part(run, "inputs"), "dataset_inputs")) {
      auto const& input = value.as_object();
      inputs.insert("dataset " + mlflow::to_canonical_json(part(input, "dataset")) + " " +
                    tag_lines(input, "tags", "tagged"));
    }
    for (auto const& value : list(part(run, "inputs"), "model_inputs"))
      inputs.insert("input " + named(text(value.as_object(), "model_id")));
    for (auto const& value : list(part(run, "outputs"), "model_outputs"))
      inputs.insert("output " + named(text(value.as_object(), "model_id")) + " at " +
                    text(value.as_object(), "step"));
    for (auto const& line : inputs) all += line + "\n";
    add("run " + label, all);
    add_files("run " + label, text(info, "artifact_uri"));
  }

  std::string history(const std::string& run, const json::object& last) {
    auto const key = text(last, "key");
    std::string all = "metric " + key + " last " + number(last, "value") + "\n";
    auto const rows =
        get("/api/2.0/mlflow/metrics/get-history?run_id=" + run + "&metric_key=" + http::percent_encode(key));
    for (auto const& value : list(rows, "metrics")) {
      auto const& row = value.as_object();
      all +=
          "  " + number(row, "value") + " at " + text(row, "timestamp") + " step " + text(row, "step") + "\n";
    }
    return all;
  }

  void add_model(const json::object& model) {
    auto const label = text(model, "label");
    auto const& info = part(model, "info");
    auto const& data = part(model, "data");
    std::string all = model.contains("deleted") ? "deleted\n" : "active\n";
    for (auto const* field : {"model_type", "status", "source_run_id"})
      all += std::string(field) + " " + text(info, field) + "\n";
    all += tag_lines(info, "tags", "tag") + tag_lines(data, "params", "param");
    std::set<std::string> rows;
    for (auto const& value : list(data, "metrics")) {
      auto const& row = value.as_object();
      rows.insert("metric " + text(row, "key") + " " + number(row, "value") + " at " +
                  text(row, "timestamp") + " step " + text(row, "step") + " by " +
                  named(text(row, "run_id")) + " on " + text(row, "dataset_name") + " " +
                  text(row, "dataset_digest"));
    }
    for (auto const& row : rows) all += row + "\n";
    add("logged model " + label, all);
    add_files("logged model " + label, text(info, "artifact_uri"));
  }

  void add_files(const std::string& owner, const std::string& uri) {
    if (!uri.starts_with(proxy)) throw std::runtime_error("artifacts of " + owner + " are in " + uri);
    add_folder(owner, uri.substr(proxy.size()), "");
  }

  void add_folder(const std::string& owner, const std::string& root, const std::string& below) {
    auto const folder = root + below;
    auto const listing = get("/api/2.0/mlflow-artifacts/artifacts?path=" +
                             http::percent_encode(http::percent_encode(folder)));  // the server decodes twice
    for (auto const& value : list(listing, "files")) {
      auto const path = below + "/" + text(value.as_object(), "path");
      if (mlflow::get_bool(value.as_object(), "is_dir")) {
        add_folder(owner, root, path);
      } else {
        add("file of " + owner + ":" + path, server_.file(root + path).value_or("(not there)"));
      }
    }
  }

  // Searches show prompts only when asked for them, other models only when not.
  void add_registry() {
    for (std::string const filter : {"", "&filter=tags.%60mlflow.prompt.is_prompt%60%20%3D%20%27true%27"}) {
      auto const models = get("/api/2.0/mlflow/registered-models/search?max_results=1000" + filter);
      for (auto const& value : list(models, "registered_models")) add_model_of_registry(value.as_object());
      auto const versions = get("/api/2.0/mlflow/model-versions/search?max_results=200000" + filter);
      for (auto const& value : list(versions, "model_versions")) add_version(value.as_object());
    }
  }

  void add_model_of_registry(json::object model) {
    if (auto* tags = model.if_contains("tags")) {
      for (auto& tag : tags->as_array()) {
        if (tag.at("key") == "_mlflow_experiment_ids") tag.as_object()["value"] = named_experiments(text(tag.as_object(), "value"));
      }
    }
    std::string all = "description " + text(model, "description") + "\n" + tag_lines(model, "tags", "tag");
    std::set<std::string> aliases;
    for (auto const& alias : list(model, "aliases"))
      aliases.insert(text(alias.as_object(), "alias") + " -> " + text(alias.as_object(), "version"));
    for (auto const& alias : aliases) all += "alias " + alias + "\n";
    add("registered model " + text(model, "name"), all);
  }

  void add_version(const json::object& version) {
    std::string all;
    for (auto const* field : {"current_stage", "description", "source", "run_id", "run_link"})
      all += std::string(field) + " " + text(version, field) + "\n";
    add("model version " + text(version, "name") + "/" + text(version, "version"),
        all + tag_lines(version, "tags", "tag"));
  }

  // ",1,2," with names for ids.
  std::string named_experiments(const std::string& ids) const {
    std::string all;
    for (auto const& experiment : experiments_) {
      if (ids.find("," + text(experiment, "experiment_id") + ",") != ids.npos) all += "," + text(experiment, "name");
    }
    return all;
  }

  std::vector<json::object> search_traces(const json::object& experiment, const std::string& filter) {
    json::object const location{{"mlflow_experiment", json::object{{"experiment_id", experiment.at("experiment_id")}}}};
    auto const found = server_.call("POST", "/api/3.0/mlflow/traces/search",
                                    {{"locations", json::array{location}}, {"filter", filter}, {"max_results", 500}});
    std::vector<json::object> traces;
    for (auto const& value : list(found, "traces")) traces.push_back(value.as_object());
    return traces;
  }

  void add_traces(const json::object& experiment) {
    std::map<std::string, std::string> links;  // by trace
    auto const traces = search_traces(experiment, "");
    if (traces.empty()) return;
    for (auto const& run : runs_) {
      auto const id = text(part(run, "info"), "run_id");
      for (auto const& trace : search_traces(experiment, "attributes.run_id = '" + id + "'"))
        links[text(trace, "trace_id")] += "linked with " + id + "\n";
    }
    for (auto const& trace : search_traces(experiment, "prompt = 'ask/3'"))
      links[text(trace, "trace_id")] += "linked with the prompt\n";
    for (auto info : traces) {
      auto const id = text(info, "trace_id");
      auto const where = text(part(info, "tags"), "mlflow.artifactLocation");
      info.erase("trace_location");
      info["tags"].as_object().erase("mlflow.artifactLocation");
      auto const spans = get("/ajax-api/3.0/mlflow/get-trace-artifact?request_id=" + id);
      add("trace " + id, "of " + text(experiment, "name") + "\n" + mlflow::to_canonical_json(info) + "\n" + links[id] +
                             mlflow::to_canonical_json(spans));
      add_files("trace " + id, where);
    }
  }

  FakeMlflow& server_;
  std::vector<json::object> experiments_, runs_, models_;
  std::set<std::string> named_models_;
  std::vector<std::pair<std::string, std::string>> names_;
  ServerContents contents_;
};

}  // namespace

ServerContents contents(FakeMlflow& server) {
  return Reader(server).read();
}

std::string difference(const ServerContents& original, const ServerContents& copy) {
  std::string all;
  std::size_t lines = 0;
  auto const say = [&](const std::string& line) {
    if (++lines <= 10) all += line + "\n";
  };
  for (auto const& [key, value] : original) {
    auto const found = copy.find(key);
    if (found == copy.end()) {
      say("missing: " + key);
    } else if (found->second != value) {
      say("differs: " + key + ": " + value.substr(0, 1000) + " became " + found->second.substr(0, 1000));
    }
  }
  for (auto const& [key, value] : copy) {
    if (!original.contains(key)) say("too much: " + key);
  }
  return all;
}

ServerSnapshot snapshot(FakeMlflow& server) {
  return {contents(server), server.counts()};
}

std::string difference(const ServerSnapshot& original, const ServerSnapshot& copy) {
  auto all = difference(original.contents, copy.contents);
  auto const& a = original.counts;
  auto const& b = copy.counts;
  auto const count = [&](const char* what, std::uint64_t of_original, std::uint64_t of_copy) {
    if (of_original == of_copy) return;
    all +=
        std::string(what) + ": " + std::to_string(of_original) + " became " + std::to_string(of_copy) + "\n";
  };
  count("deleted experiments", a.deleted_experiments, b.deleted_experiments);
  count("deleted runs", a.deleted_runs, b.deleted_runs);
  count("logged models", a.logged_models, b.logged_models);
  count("deleted logged models", a.deleted_logged_models, b.deleted_logged_models);
  count("deleted model versions", a.deleted_model_versions, b.deleted_model_versions);
  count("files", a.files, b.files);
  count("bodies that are not JSON", 0, b.unparsable_bodies);
  return all;
}

std::string difference(FakeMlflow& original, FakeMlflow& copy) {
  return difference(snapshot(original), snapshot(copy));
}

}  // namespace mlferry::test
