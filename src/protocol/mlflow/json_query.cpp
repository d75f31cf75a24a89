#include "protocol/mlflow/json_query.hpp"

#include "protocol/http/client.hpp"
#include "protocol/mlflow/utf8.hpp"

namespace mlferry::mlflow {

namespace {

std::string scalar_text(std::string_view key, const json::value& value) {
  if (value.is_string()) return std::string(value.get_string());
  if (value.is_object() || value.is_array())
    throw std::invalid_argument("'" + std::string(key) +
                                "' is nested: a query holds texts, numbers and lists of them");
  std::string text;
  append_json(text, value);
  return text;
}

void add(std::string& query, std::string_view key, const json::value& value) {
  if (value.is_null()) return;
  auto const text = scalar_text(key, value);
  if (!is_utf8(key) || !is_utf8(text))
    throw std::invalid_argument("'" + std::string(key) + "' is not valid UTF-8");
  if (!query.empty()) query += '&';
  query += http::percent_encode(key) + "=" + http::percent_encode(text);
}

}  // namespace

std::string to_query(const json::object& parameters) {
  std::string query;
  for (auto const& [key, value] : parameters) {
    if (auto const* list = value.if_array()) {
      for (auto const& item : *list) add(query, key, item);
    } else {
      add(query, key, value);
    }
  }
  return query;
}

}  // namespace mlferry::mlflow
