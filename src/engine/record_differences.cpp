#include "engine/record_differences.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>
#include <set>

#include "engine/endpoints/markers.hpp"

namespace mlferry::engine {

namespace {

using mlflow::KeyValues;

void compare_text(Differences& out, const std::string& field, std::string_view original,
                  std::string_view copy) {
  if (original != copy) out.fields.push_back(field + ": " + in_quotes(original) + " became " + in_quotes(copy));
}

void compare_number(Differences& out, const std::string& field, std::optional<std::int64_t> original,
                    std::optional<std::int64_t> copy) {
  auto const text = [](std::optional<std::int64_t> n) {
    return n ? std::to_string(*n) : std::string("none");
  };
  if (original != copy) out.fields.push_back(field + ": " + text(original) + " became " + text(copy));
}

std::map<std::string, std::string> as_map(const KeyValues& list) {
  std::map<std::string, std::string> map;
  for (auto const& [key, value] : list) map[key] = value;
  return map;
}

void compare_maps(Differences& out, const std::string& what,
                  const std::map<std::string, std::string>& original,
                  const std::map<std::string, std::string>& copy) {
  for (auto const& [key, value] : original) {
    auto const found = copy.find(key);
    if (found == copy.end()) {
      out.fields.push_back(what + " " + in_quotes(key) + " is missing");
    } else if (found->second != value) {
      out.fields.push_back(what + " " + in_quotes(key) + ": " + in_quotes(value) + " became " +
                           in_quotes(found->second));
    }
  }
  for (auto const& [key, value] : copy) {
    if (!original.contains(key)) out.fields.push_back(what + " " + in_quotes(key) + " is not in the original");
  }
}

// Tags but for mlferry's; those in `with_ids` hold ids.
void compare_tags(Differences& out, const KeyValues& original, const KeyValues& copy,
                  const std::set<std::string>& with_ids, const std::set<std::string>& ignored) {
  auto a = as_map(without_markers(original));
  auto b = as_map(without_markers(copy));
  for (auto const& key : ignored) {
    a.erase(key);
    b.erase(key);
  }
  for (auto const& key : with_ids) {
    auto const in_a = a.find(key);
    auto const in_b = b.find(key);
    if (in_a != a.end() && in_b != b.end()) {
      out.with_ids.push_back({"tag '" + key + "'", in_a->second, in_b->second});
      a.erase(in_a);
      b.erase(in_b);
    }
  }
  compare_maps(out, "tag", a, b);
}

// Tags of models and versions; those of prompts hold ids.
void compare_prompt_tags(Differences& out, const KeyValues& original, const KeyValues& copy) {
  auto const first = out.with_ids.size();
  compare_tags(out, original, copy, {"_mlflow_experiment_ids", "mlflow.prompt.associatedRunIds"}, {});
  for (auto i = first; i < out.with_ids.size(); ++i) {
    out.with_ids[i].experiments = out.with_ids[i].field.find("_mlflow_experiment_ids") != std::string::npos;
  }
}

using PointKey = std::tuple<std::int64_t, std::int64_t, std::uint64_t>;

// Sorted, every NaN the same: the server keeps no payload. -0.0 equals 0.0: no database keeps its sign
// (mlflow-rest 2.3).
std::vector<PointKey> sorted_points(const mlflow::MetricSeries& series) {
  std::vector<PointKey> points;
  points.reserve(series.points.size());
  for (auto const& point : series.points) {
    double value = point.value;
    if (std::isnan(value)) value = std::numeric_limits<double>::quiet_NaN();
    if (value == 0) value = 0.0;
    points.emplace_back(point.timestamp, point.step, std::bit_cast<std::uint64_t>(value));
  }
  std::sort(points.begin(), points.end());
  return points;
}

void compare_histories(Differences& out, const RunRecord& original, const RunRecord& copy) {
  std::map<std::string, const mlflow::MetricSeries*> there;
  for (auto const& series : copy.history) there[series.key] = &series;
  for (auto const& series : original.history) {
    auto const found = there.find(series.key);
    if (found == there.end()) {
      out.fields.push_back("metric " + in_quotes(series.key) + " is missing");
      continue;
    }
    auto const a = sorted_points(series);
    auto const b = sorted_points(*found->second);
    if (a.size() != b.size()) {
      out.fields.push_back("metric " + in_quotes(series.key) + ": " + std::to_string(a.size()) +
                           " values became " + std::to_string(b.size()));
    } else if (a != b) {
      auto const first = std::mismatch(a.begin(), a.end(), b.begin()).first;
      out.fields.push_back("metric " + in_quotes(series.key) + ": the values differ, first at step " +
                           std::to_string(std::get<1>(*first)));
    }
    there.erase(found);
  }
  for (auto const& [key, series] : there)
    out.fields.push_back("metric " + in_quotes(key) + " is not in the original");
}

std::multiset<std::string> canonical_datasets(const json::array& inputs) {
  std::multiset<std::string> set;
  for (auto const& value : inputs) {
    auto const* input = value.if_object();
    if (input == nullptr) continue;
    json::object sorted = *input;
    if (auto const* tags = mlflow::get_array(*input, "tags")) {
      std::vector<std::string> texts;
      for (auto const& tag : *tags) texts.push_back(mlflow::to_canonical_json(tag));
      std::sort(texts.begin(), texts.end());
      json::array list;
      for (auto const& text : texts) list.emplace_back(text);
      sorted["tags"] = std::move(list);
    }
    set.insert(mlflow::to_canonical_json(sorted));
  }
  return set;
}

template <class Set>
std::string joined(const Set& set) {
  std::string text;
  for (auto const& item : set) text += item + "\n";
  return text;
}

void compare_links(Differences& out, const RunRecord& original, const RunRecord& copy) {
  auto const inputs = [](const RunRecord& record) {
    auto ids = record.run.model_input_ids();
    std::sort(ids.begin(), ids.end());
    return ids;
  };
  auto const a = inputs(original);
  auto const b = inputs(copy);
  out.with_ids.push_back({"model inputs", joined(a), joined(b), true});
  auto const outputs = [](const RunRecord& record) {
    std::set<std::string> lines;
    for (auto const& [model, step] : record.run.model_outputs())
      lines.insert(model + " at step " + std::to_string(step));
    return lines;
  };
  out.with_ids.push_back({"model outputs", joined(outputs(original)), joined(outputs(copy)), true});
}

std::multiset<std::string> metric_rows(const mlflow::LoggedModel& model) {
  std::multiset<std::string> rows;
  for (auto const& value : model.metrics()) {
    auto const* row = value.if_object();
    if (row == nullptr) continue;
    std::string text(mlflow::get_string(*row, "key"));
    text += ' ';
    mlflow::append_json_double(text, mlflow::get_double(*row, "value").value_or(0));
    for (auto const* field : {"timestamp", "step"})
      text += " " + std::to_string(mlflow::get_int(*row, field).value_or(0));
    for (auto const* field : {"dataset_name", "dataset_digest", "run_id"})
      text += " " + std::string(mlflow::get_string(*row, field));
    rows.insert(std::move(text));
  }
  return rows;
}

}  // namespace

std::string in_quotes(std::string_view text) {
  constexpr std::size_t most = 80;
  std::string out = "'";
  for (auto const c : text.substr(0, most))
    out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
  if (text.size() > most) {
    while (!out.empty() && (static_cast<unsigned char>(out.back()) & 0xC0) == 0x80) out.pop_back();
    if (!out.empty() && static_cast<unsigned char>(out.back()) >= 0xC0) out.pop_back();
    out += "… (" + std::to_string(text.size()) + " bytes)";
  }
  return out + "'";
}

Differences differences(const ExperimentRecord& original, const ExperimentRecord& copy) {
  Differences out;
  compare_text(out, "lifecycle stage", original.experiment.deleted() ? "deleted" : "active",
               copy.experiment.deleted() ? "deleted" : "active");
  compare_tags(out, original.experiment.tags(), copy.experiment.tags(), {}, {});
  return out;
}

Differences differences(const RunRecord& original, const RunRecord& copy) {
  Differences out;
  auto const& a = original.run;
  auto const& b = copy.run;
  std::set<std::string> ignored;
  if (a.name().empty()) {
    ignored.insert("mlflow.runName");  // the server names nameless runs by itself
  } else {
    compare_text(out, "name", a.name(), b.name());
  }
  compare_text(out, "status", a.status(), b.status());
  compare_text(out, "user", a.user_id(), b.user_id());
  compare_number(out, "start time", a.start_time(), b.start_time());
  compare_number(out, "end time", a.end_time(), b.end_time());
  compare_text(out, "lifecycle stage", a.deleted() ? "deleted" : "active",
               b.deleted() ? "deleted" : "active");
  compare_maps(out, "param", as_map(a.params()), as_map(b.params()));
  compare_tags(out, a.tags(), b.tags(), {"mlflow.parentRunId", "mlflow.log-model.history"}, ignored);
  compare_histories(out, original, copy);
  if (canonical_datasets(a.dataset_inputs()) != canonical_datasets(b.dataset_inputs()))
    out.fields.push_back("dataset inputs differ");
  compare_links(out, original, copy);
  return out;
}

Differences differences(const LoggedModelRecord& original, const LoggedModelRecord& copy) {
  Differences out;
  auto const& a = original.model;
  auto const& b = copy.model;
  compare_text(out, "name", a.name(), b.name());
  compare_text(out, "model type", a.model_type(), b.model_type());
  compare_text(out, "status", a.status(), b.status());
  compare_text(out, "lifecycle stage", original.deleted ? "deleted" : "active",
               copy.deleted ? "deleted" : "active");
  compare_maps(out, "param", as_map(a.params()), as_map(b.params()));
  // The server writes mlflow.modelVersions itself, from the versions.
  compare_tags(out, a.tags(), b.tags(), {}, {"mlflow.modelVersions"});
  out.with_ids.push_back({"source run", std::string(a.source_run_id()), std::string(b.source_run_id())});
  out.with_ids.push_back({"metrics", joined(metric_rows(a)), joined(metric_rows(b)), true});
  return out;
}

Differences differences(const RegisteredModelRecord& original, const RegisteredModelRecord& copy) {
  Differences out;
  if (original.kind() != copy.kind()) {
    out.fields.push_back("is a " + std::string(kind_name(copy.kind())) + " in the copy");
    return out;
  }
  compare_text(out, "description", original.model.description(), copy.model.description());
  compare_prompt_tags(out, original.model.tags(), copy.model.tags());
  auto const aliases = [](const mlflow::RegisteredModel& model) {
    std::map<std::string, std::string> map;
    for (auto const& [alias, version] : model.aliases()) map[alias] = version;
    return map;
  };
  compare_maps(out, "alias", aliases(original.model), aliases(copy.model));
  return out;
}

Differences differences(const ModelVersionRecord& original, const ModelVersionRecord& copy) {
  Differences out;
  auto const& a = original.version;
  auto const& b = copy.version;
  auto const stage = [](std::string_view text) { return text.empty() ? std::string_view("None") : text; };
  compare_text(out, "stage", stage(a.stage()), stage(b.stage()));
  compare_text(out, "description", a.description(), b.description());
  compare_text(out, "run link", a.run_link(), b.run_link());
  compare_prompt_tags(out, a.tags(), b.tags());
  auto const tags = b.tags();
  if (mlflow::find_value(tags, carrier_tag) != nullptr)
    return out;  // its files are compared, not where they are
  // Newer servers take the run of the version that the source names.
  bool const taken = a.run_id().empty() && a.source().starts_with("models:/");
  if (!taken) out.with_ids.push_back({"run", std::string(a.run_id()), std::string(b.run_id())});
  out.with_ids.push_back({"source", std::string(a.source()), std::string(b.source())});
  return out;
}

namespace {

// The members of an object as texts: strings as they are, other values as JSON.
std::map<std::string, std::string> members(const json::object* object) {
  std::map<std::string, std::string> map;
  for (auto const& [key, value] : object == nullptr ? json::object{} : *object) {
    auto const* text = value.if_string();
    map[std::string(key)] = text == nullptr ? mlflow::to_canonical_json(value) : std::string(*text);
  }
  return map;
}

void move_to_ids(Differences& out, const std::string& what, const std::string& key,
                 std::map<std::string, std::string>& a, std::map<std::string, std::string>& b) {
  auto const in_a = a.find(key);
  auto const in_b = b.find(key);
  if (in_a == a.end() || in_b == b.end()) return;
  out.with_ids.push_back({what + " '" + key + "'", in_a->second, in_b->second});
  a.erase(in_a);
  b.erase(in_b);
}

std::map<std::string, const json::object*> by_id(const json::array* assessments) {
  std::map<std::string, const json::object*> map;
  if (assessments == nullptr) return map;
  for (auto const& value : *assessments) {
    if (auto const* assessment = value.if_object()) {
      map[std::string(mlflow::get_string(*assessment, "assessment_id"))] = assessment;
    }
  }
  return map;
}

void compare_assessments(Differences& out, const json::object& original, const json::object& copy) {
  auto const there = by_id(mlflow::get_array(copy, "assessments"));
  auto const wanted = by_id(mlflow::get_array(original, "assessments"));
  for (auto const& [id, assessment] : wanted) {
    auto const found = there.find(id);
    if (found == there.end()) {
      out.fields.push_back("assessment " + in_quotes(id) + " is missing");
      continue;
    }
    auto a = members(assessment);
    auto b = members(found->second);
    auto metadata_a = members(mlflow::get_object(*assessment, "metadata"));
    auto metadata_b = members(mlflow::get_object(*found->second, "metadata"));
    a.erase("metadata");
    b.erase("metadata");
    move_to_ids(out, "assessment " + id + " metadata", "mlflow.assessment.sourceRunId", metadata_a,
                metadata_b);
    compare_maps(out, "assessment " + id + " field", a, b);
    compare_maps(out, "assessment " + id + " metadata", metadata_a, metadata_b);
  }
  for (auto const& [id, assessment] : there) {
    if (!wanted.contains(id)) out.fields.push_back("assessment " + in_quotes(id) + " is not in the original");
  }
}

std::string joined(const std::vector<std::string>& list) {
  std::string text;
  for (auto const& item : list) text += item + "\n";
  return text;
}

}  // namespace

Differences differences(const TraceRecord& original, const TraceRecord& copy) {
  Differences out;
  auto const& a = original.trace.doc;
  auto const& b = copy.trace.doc;
  auto fields_a = members(&a);
  auto fields_b = members(&b);
  for (auto const* apart : {"trace_location", "trace_metadata", "tags", "assessments"}) {
    fields_a.erase(apart);
    fields_b.erase(apart);
  }
  compare_maps(out, "field", fields_a, fields_b);
  auto metadata_a = members(mlflow::get_object(a, "trace_metadata"));
  auto metadata_b = members(mlflow::get_object(b, "trace_metadata"));
  for (auto const* key : {"mlflow.sourceRun", "mlflow.modelId"}) {
    move_to_ids(out, "metadata", key, metadata_a, metadata_b);
  }
  // The server says with it that an info has come, whatever the original had.
  metadata_a.erase("mlflow.trace.infoFinalized");
  metadata_b.erase("mlflow.trace.infoFinalized");
  compare_maps(out, "metadata", metadata_a, metadata_b);
  auto tags_a = members(mlflow::get_object(a, "tags"));
  auto tags_b = members(mlflow::get_object(b, "tags"));
  // Where it is, not what it is.
  for (auto const* key : {"mlflow.artifactLocation", "mlflow.trace.spansLocation"}) {
    tags_a.erase(key);
    tags_b.erase(key);
  }
  compare_maps(out, "tag", tags_a, tags_b);
  compare_assessments(out, a, b);
  TextWithIds runs{"linked runs", joined(original.linked_runs), joined(copy.linked_runs), true};
  out.with_ids.push_back(std::move(runs));
  if (original.linked_prompts != copy.linked_prompts) {
    out.fields.push_back("its links to prompt versions differ");
  }
  return out;
}

std::string span_difference(const json::array& original, const json::array& copy) {
  if (original.size() != copy.size()) {
    return std::to_string(original.size()) + " spans became " + std::to_string(copy.size());
  }
  auto const sorted = [](const json::array& spans) {
    std::vector<std::string> texts;
    for (auto const& span : spans) texts.push_back(mlflow::to_canonical_json(span));
    std::sort(texts.begin(), texts.end());
    return texts;
  };
  auto const a = sorted(original);
  auto const b = sorted(copy);
  auto const [in_a, in_b] = std::mismatch(a.begin(), a.end(), b.begin());
  if (in_a == a.end()) return {};
  // Where they part is more telling than the whole.
  auto const parting = std::mismatch(in_a->begin(), in_a->end(), in_b->begin(), in_b->end()).first;
  auto const at = static_cast<std::size_t>(parting - in_a->begin());
  auto const from = at > 30 ? at - 30 : 0;
  auto const part = [&](const std::string& text) {
    return in_quotes(text.substr(std::min(from, text.size()), 70));
  };
  return "a span: ..." + part(*in_a) + " became ..." + part(*in_b);
}

}  // namespace mlferry::engine
