#include "protocol/mlflow/body.hpp"

#include <stdexcept>
#include <utility>

#include "protocol/http/client.hpp"
#include "protocol/mlflow/utf8.hpp"

namespace mlferry::mlflow {

void require_utf8(std::string_view call, std::string_view what, std::string_view text) {
  if (is_utf8(text)) return;
  throw std::invalid_argument(std::string(call) + ": " + std::string(what) +
                              " is not valid UTF-8, and the server would store something else; not sent");
}

void Body::begin(std::string_view key) {
  if (text_.size() > 1) text_ += ',';
  append_json_string(text_, key);
  text_ += ':';
}

Body& Body::text(std::string_view key, std::string_view value) {
  require_utf8(call_, key, value);
  begin(key);
  append_json_string(text_, value);
  return *this;
}

Body& Body::text_unless_empty(std::string_view key, std::string_view value) {
  return value.empty() ? *this : text(key, value);
}

Body& Body::integer(std::string_view key, std::int64_t value) {
  begin(key);
  text_ += std::to_string(value);
  return *this;
}

Body& Body::flag(std::string_view key, bool value) {
  begin(key);
  text_ += value ? "true" : "false";
  return *this;
}

Body& Body::texts(std::string_view key, const std::vector<std::string>& values) {
  begin(key);
  char separator = '[';
  for (const auto& value : values) {
    require_utf8(call_, key, value);
    text_ += separator;
    separator = ',';
    append_json_string(text_, value);
  }
  if (values.empty()) text_ += '[';
  text_ += ']';
  return *this;
}

Body& Body::pairs(std::string_view key, std::span<const KeyValue> pairs) {
  if (pairs.empty()) return *this;
  begin(key);
  char separator = '[';
  for (const auto& pair : pairs) {
    require_utf8(call_, "a key in " + std::string(key), pair.key);
    if (!is_utf8(pair.value)) {
      require_utf8(call_, "the value of \"" + pair.key + "\" in " + std::string(key), pair.value);
    }
    text_ += separator;
    separator = ',';
    text_ += "{\"key\":";
    append_json_string(text_, pair.key);
    text_ += ",\"value\":";
    append_json_string(text_, pair.value);
    text_ += '}';
  }
  text_ += ']';
  return *this;
}

Body& Body::json(std::string_view key, std::string_view text) {
  require_utf8(call_, key, text);
  begin(key);
  text_ += text;
  return *this;
}

std::string Body::take() {
  text_ += '}';
  return std::move(text_);
}

Query& Query::text(std::string_view key, std::string_view value) {
  require_utf8(call_, key, value);
  text_ += text_.empty() ? '?' : '&';
  text_ += key;
  text_ += '=';
  text_ += http::percent_encode(value);
  return *this;
}

Query& Query::text_unless_empty(std::string_view key, std::string_view value) {
  return value.empty() ? *this : text(key, value);
}

Query& Query::integer(std::string_view key, std::int64_t value) {
  return text(key, std::to_string(value));
}

}  // namespace mlferry::mlflow
