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
  if (original != copy) out.fields.push_back(field + ": " + quoted(original) + " became " + quoted(copy));
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
      out.fields.push_back(what + " " + quoted(key) + " is missing");
    } else if (found->second != value) {
      out.fields.push_back(what + " " + quoted(key) + ": " + quoted(value) + " became " +
                           quoted(found->second));
    }
  }
  for (auto const& [key, value] : copy) {
    if (!original.contains(key)) out.fields.push_back(what + " " + quoted(key) + " is not in the original");
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
      out.fields.push_back("metric " + quoted(series.key) + " is missing");
      continue;
    }
    auto const a = sorted_points(series);
    auto const b = sorted_points(*found->second);
    if (a.size() != b.size()) {
      out.fields.push_back("metric " + quoted(series.key) + ": " + std::to_string(a.size()) +
                           " values became " + std::to_string(b.size()));
    } else if (a != b) {
      auto const first = std::mismatch(a.begin(), a.end(), b.begin()).first;
      out.fields.push_back("metric " + quoted(series.key) + ": the values differ, first at step " +
                           std::to_string(std::get<1>(*first)));
    }
    there.erase(found);
  }
  for (auto const& [key, series] : there)
    out.fields.push_back("metric " + quoted(key) + " is not in the original");
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

std::string quoted(std::string_view text) {
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
  compare_text(out, "description", original.model.description(), copy.model.description());
  compare_tags(out, original.model.tags(), copy.model.tags(), {}, {});
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
  compare_tags(out, a.tags(), b.tags(), {}, {});
  out.with_ids.push_back({"run", std::string(a.run_id()), std::string(b.run_id())});
  out.with_ids.push_back({"source", std::string(a.source()), std::string(b.source())});
  return out;
}

}  // namespace mlferry::engine
