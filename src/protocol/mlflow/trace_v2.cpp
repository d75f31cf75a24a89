#include "protocol/mlflow/trace_v2.hpp"

#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/mlflow/json.hpp"

namespace mlferry::mlflow {
namespace {

constexpr std::int64_t ms_a_day = 86'400'000;

struct Date {
  std::int64_t year;
  int month, day;
};

// Of the proleptic Gregorian calendar; Howard Hinnant's days-to-civil algorithm.
Date date_of(std::int64_t days_since_1970) {
  std::int64_t const days = days_since_1970 + 719'468;
  std::int64_t const era = (days >= 0 ? days : days - 146'096) / 146'097;
  auto const of_era = static_cast<int>(days - era * 146'097);
  int const year = (of_era - of_era / 1'460 + of_era / 36'524 - of_era / 146'096) / 365;
  int const of_year = of_era - (365 * year + year / 4 - year / 100);
  int const month = (5 * of_year + 2) / 153;
  return {year + era * 400 + (month >= 10), month < 10 ? month + 3 : month - 9,
          of_year - (153 * month + 2) / 5 + 1};
}

// ".250", or nothing: protobuf writes no fraction that is zero.
std::string fraction(std::int64_t ms) {
  if (ms == 0) return {};
  char text[8];
  std::snprintf(text, sizeof text, ".%03d", static_cast<int>(ms));
  return text;
}

// "2026-11-24T10:42:18.399Z"
std::string time_text(std::int64_t ms) {
  std::int64_t days = ms / ms_a_day;
  std::int64_t rest = ms % ms_a_day;
  if (rest < 0) {
    rest += ms_a_day;
    --days;
  }
  Date const date = date_of(days);
  auto const seconds = static_cast<int>(rest / 1000);
  char text[64];
  std::snprintf(text, sizeof text, "%04lld-%02d-%02dT%02d:%02d:%02d", static_cast<long long>(date.year),
                date.month, date.day, seconds / 3600, seconds / 60 % 60, seconds % 60);
  return text + fraction(rest % 1000) + "Z";
}

// "0.032s"
std::string duration_text(std::int64_t ms) {
  bool const negative = ms < 0;
  std::int64_t const rest = negative ? -(ms % 1000) : ms % 1000;
  std::string text = std::to_string(ms / 1000);
  if (negative && ms > -1000) text = "-0";
  return text + fraction(rest) + "s";
}

std::string state_of(std::string_view status) {
  return status == "TRACE_STATUS_UNSPECIFIED" ? "STATE_UNSPECIFIED" : std::string(status);
}

// [{key, value}] as {key: value}; nothing when it is no such list.
std::optional<json::object> map_of(const json::value& list) {
  if (!list.is_array()) return std::nullopt;
  json::object map;
  for (auto const& item : list.get_array()) {
    auto const* pair = item.if_object();
    if (pair == nullptr || !pair->contains("key")) return std::nullopt;
    auto const* value = pair->if_contains("value");
    map[get_string(*pair, "key")] = value == nullptr ? json::value("") : *value;
  }
  return map;
}

std::optional<json::value> take(json::object& info, std::string_view key) {
  auto* found = info.if_contains(key);
  if (found == nullptr || found->is_null()) return std::nullopt;
  json::value value = std::move(*found);
  info.erase(key);
  return value;
}

}  // namespace

json::object trace_info_from_v2(json::object info) {
  json::object out;
  if (auto id = take(info, "request_id")) out["trace_id"] = std::move(*id);
  if (auto id = take(info, "experiment_id")) {
    out["trace_location"] = json::object{{"type", "MLFLOW_EXPERIMENT"},
                                         {"mlflow_experiment", json::object{{"experiment_id", std::move(*id)}}}};
  }
  bool const in_progress = get_string(info, "status") == "IN_PROGRESS";
  if (auto const start = get_int(info, "timestamp_ms")) {
    out["request_time"] = time_text(*start);
    info.erase("timestamp_ms");
  }
  if (auto const ms = get_int(info, "execution_time_ms")) {
    if (*ms != 0 || !in_progress) out["execution_duration"] = duration_text(*ms);
    info.erase("execution_time_ms");
  }
  if (auto const* status = info.if_contains("status"); status != nullptr && status->is_string()) {
    out["state"] = state_of(get_string(info, "status"));
    info.erase("status");
  }
  for (auto const& [from, to] : {std::pair("request_metadata", "trace_metadata"), std::pair("tags", "tags")}) {
    auto const* list = info.if_contains(from);
    auto map = list == nullptr ? std::nullopt : map_of(*list);
    if (!map) continue;
    info.erase(from);
    out[to] = std::move(*map);
  }
  for (auto& [key, value] : info) out.insert_or_assign(key, std::move(value));
  return out;
}

}  // namespace mlferry::mlflow
