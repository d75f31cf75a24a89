#include "engine/endpoints/tree_documents.hpp"

#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <map>

namespace mlferry::engine {

namespace {

struct Clock {
  int year;
  unsigned month, day;
  std::int64_t hour, minute, second;
};

Clock clock_of(std::int64_t seconds) {
  auto const days = seconds >= 0 ? seconds / 86400 : -((86399 - seconds) / 86400);
  auto const rest = seconds - days * 86400;
  std::chrono::year_month_day const date{std::chrono::sys_days{std::chrono::days{days}}};
  return {static_cast<int>(date.year()),
          static_cast<unsigned>(date.month()),
          static_cast<unsigned>(date.day()),
          rest / 3600,
          rest / 60 % 60,
          rest % 60};
}

std::string clock_text(std::int64_t seconds, char between) {
  auto const now = clock_of(seconds);
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%04d-%02u-%02u%c%02d:%02d:%02d", now.year, now.month, now.day,
                between, static_cast<int>(now.hour), static_cast<int>(now.minute),
                static_cast<int>(now.second));
  return text.data();
}

std::optional<int> digits(std::string_view text, std::size_t at, std::size_t count) {
  if (at + count > text.size()) return std::nullopt;
  int number = 0;
  auto const* end = text.data() + at + count;
  auto const [stop, error] = std::from_chars(text.data() + at, end, number);
  if (error != std::errc() || stop != end || number < 0) return std::nullopt;
  return number;
}

}  // namespace

json::value time_companion(std::optional<std::int64_t> ms) {
  if (!ms) return nullptr;
  auto seconds = *ms / 1000;
  auto rest = *ms % 1000;
  if (rest < 0) {
    rest += 1000;
    --seconds;
  }
  if (rest > 500 || (rest == 500 && seconds % 2 != 0)) ++seconds;
  constexpr std::int64_t last_second = 253402300799;  // of the year 9999
  if (seconds == 0 || seconds < -62135596800 || seconds > last_second) return nullptr;
  return json::value(clock_text(seconds, ' '));
}

std::string rfc3339(std::int64_t ms) {
  auto seconds = ms / 1000;
  auto rest = ms % 1000;
  if (rest < 0) {
    rest += 1000;
    --seconds;
  }
  auto text = clock_text(seconds, 'T');
  if (rest != 0) {
    auto const fraction = std::to_string(1000 + rest);
    text += "." + fraction.substr(1);
  }
  return text + "Z";
}

std::optional<std::int64_t> parse_rfc3339(std::string_view text) {
  if (text.size() < 20 || text[4] != '-' || text[7] != '-' || text[13] != ':' || text[16] != ':')
    return std::nullopt;
  auto const year = digits(text, 0, 4), month = digits(text, 5, 2), day = digits(text, 8, 2),
             hour = digits(text, 11, 2), minute = digits(text, 14, 2), second = digits(text, 17, 2);
  if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
  std::chrono::year_month_day const date{std::chrono::year{*year},
                                         std::chrono::month{static_cast<unsigned>(*month)},
                                         std::chrono::day{static_cast<unsigned>(*day)}};
  if (!date.ok()) return std::nullopt;
  std::int64_t const days = std::chrono::sys_days{date}.time_since_epoch().count();
  std::int64_t ms = (((days * 24 + *hour) * 60 + *minute) * 60 + *second) * 1000;
  std::size_t i = 19;
  if (text[i] == '.') {
    int unit = 100;
    for (++i; i < text.size() && text[i] >= '0' && text[i] <= '9'; ++i, unit /= 10)
      ms += (text[i] - '0') * unit;
  }
  if (text.substr(i) == "Z") return ms;
  auto const hours = digits(text, i + 1, 2), minutes = digits(text, i + 4, 2);
  if (text.size() != i + 6 || (text[i] != '+' && text[i] != '-') || !hours || !minutes) return std::nullopt;
  auto const offset = (*hours * 60 + *minutes) * 60'000;
  return text[i] == '+' ? ms - offset : ms + offset;
}

json::value field_or_null(const json::object& doc, std::string_view key) {
  auto const* value = doc.if_contains(key);
  return value == nullptr ? json::value() : *value;
}

void take_fields(const json::object& from, json::object& to, std::initializer_list<std::string_view> keys) {
  for (auto const key : keys) {
    if (auto const* value = from.if_contains(key)) to[key] = *value;
  }
}

json::object tag_object(const json::object& doc, std::string_view field, bool sorted) {
  json::object out;
  auto const tags = mlflow::key_values(doc, field);
  if (!sorted) {
    for (auto const& tag : tags) out[tag.key] = tag.value;
    return out;
  }
  // Bytes of UTF-8 are in the order of code points.
  std::map<std::string_view, std::string_view> in_order;
  for (auto const& tag : tags) in_order[tag.key] = tag.value;
  for (auto const& [key, value] : in_order) out[key] = value;
  return out;
}

json::array tag_list(const json::object& tree, std::string_view field) {
  json::array out;
  auto const* value = tree.if_contains(field);
  if (value == nullptr || value->is_null()) return out;
  auto const fail = [&] {
    throw mlflow::JsonError("'" + std::string(field) + "' is neither an object nor a list of texts");
  };
  if (auto const* object = value->if_object()) {
    for (auto const& [key, text] : *object) {
      if (!text.is_string()) fail();
      out.push_back(json::object{{"key", key}, {"value", text}});
    }
  } else if (auto const* list = value->if_array()) {
    for (auto const& item : *list) {
      auto const* tag = item.if_object();
      if (tag == nullptr || !field_or_null(*tag, "key").is_string() ||
          !field_or_null(*tag, "value").is_string())
        fail();
      out.push_back(json::object{{"key", tag->at("key")}, {"value", tag->at("value")}});
    }
  } else {
    fail();
  }
  return out;
}

json::object tree_experiment(const json::object& doc) {
  json::object out;
  take_fields(doc, out, {"experiment_id", "name", "artifact_location", "lifecycle_stage"});
  out["tags"] = tag_object(doc, "tags", true);
  for (auto const key : {"creation_time", "last_update_time"}) out[key] = field_or_null(doc, key);
  take_fields(doc, out, {"workspace", "trace_location"});
  out["_creation_time"] = time_companion(mlflow::get_int(doc, "creation_time"));
  out["_last_update_time"] = time_companion(mlflow::get_int(doc, "last_update_time"));
  return out;
}

json::object tree_plain_experiment(const json::object& doc) {
  auto out = doc;
  out["_last_update_time"] = time_companion(mlflow::get_int(doc, "last_update_time"));
  out["_creation_time"] = time_companion(mlflow::get_int(doc, "creation_time"));
  return out;
}

json::object experiment_from_tree(const json::object& experiment) {
  json::object doc;
  take_fields(experiment, doc, {"experiment_id", "name", "artifact_location", "lifecycle_stage"});
  for (auto const key : {"creation_time", "last_update_time"}) {
    if (auto const time = mlflow::get_int(experiment, key)) doc[key] = *time;
  }
  auto tags = tag_list(experiment, "tags");
  if (!tags.empty()) doc["tags"] = std::move(tags);
  return doc;
}

json::object tree_dataset(const json::object& doc) {
  json::object out;
  for (auto const key : {"name", "digest", "source", "source_type", "dataset_id"})
    out[key] = field_or_null(doc, key);
  // Tags travel as JSON text; the package has them as an object.
  auto const tags = mlflow::get_string(doc, "tags");
  auto const parsed = tags.empty() ? json::value() : mlflow::parse_json(tags, "tags of a dataset");
  out["tags"] = parsed;
  for (auto const key :
       {"schema", "profile", "created_time", "last_update_time", "created_by", "last_updated_by"})
    out[key] = field_or_null(doc, key);
  auto const list = [&doc](std::string_view key) {
    auto const* value = mlflow::get_array(doc, key);
    return value == nullptr ? json::array() : *value;
  };
  out["experiment_ids"] = list("experiment_ids");
  out["records"] = list("records");
  return out;
}

json::object dataset_from_tree(const json::object& dataset) {
  json::object doc;
  take_fields(dataset, doc, {"name", "digest", "source_type", "dataset_id", "created_by", "last_updated_by"});
  // Some exports have objects where the server has JSON text.
  for (auto const key : {"source", "schema", "profile", "tags"}) {
    auto const value = field_or_null(dataset, key);
    if (value.is_string()) {
      doc[key] = value;
    } else if (!value.is_null()) {
      doc[key] = mlflow::to_json(value);
    }
  }
  auto const created = mlflow::get_int(dataset, "created_time");
  auto const time = created ? created : mlflow::get_int(dataset, "create_time");
  if (time) doc["created_time"] = *time;
  take_fields(dataset, doc, {"last_update_time"});
  json::array experiments;
  if (auto const* ids = mlflow::get_array(dataset, "experiment_ids")) experiments = *ids;
  doc["experiment_ids"] = std::move(experiments);
  auto const records = field_or_null(dataset, "records");
  if (!records.is_array() && !records.is_null()) throw mlflow::JsonError("'records' is no list");
  json::array list;
  for (auto const& item : records.is_null() ? json::array() : records.get_array()) {
    auto const* object = item.if_object();
    if (object == nullptr || mlflow::get_object(*object, "inputs") == nullptr)
      throw mlflow::JsonError("one of 'records' is no object with 'inputs'");
    auto record = *object;
    if (auto const* targets = record.if_contains("targets");
        targets != nullptr && !record.contains("expectations")) {
      json::value const kept = *targets;
      record["expectations"] = kept;
    }
    list.push_back(std::move(record));
  }
  doc["records"] = std::move(list);
  return doc;
}

}  // namespace mlferry::engine
