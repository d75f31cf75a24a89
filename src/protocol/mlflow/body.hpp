#pragma once
// Writes the JSON body or the query of one call. Both refuse text that is not UTF-8 (std::invalid_argument
// naming call and field): the server would store something else and say 200.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/mlflow/objects.hpp"

namespace mlferry::mlflow {

// Throws std::invalid_argument "<call>: <what> is not valid UTF-8" when it is not.
void require_utf8(std::string_view call, std::string_view what, std::string_view text);

// An object, member by member.
class Body {
 public:
  // `call` names the request in errors: "POST runs/create".
  explicit Body(std::string_view call) : call_(call) {}

  Body& text(std::string_view key, std::string_view value);
  // Left out when empty.
  Body& text_unless_empty(std::string_view key, std::string_view value);
  Body& integer(std::string_view key, std::int64_t value);
  Body& flag(std::string_view key, bool value);
  Body& texts(std::string_view key, const std::vector<std::string>& values);
  // [{"key":..,"value":..}]; left out when empty.
  Body& pairs(std::string_view key, std::span<const KeyValue> pairs);
  // Text that is JSON already.
  Body& json(std::string_view key, std::string_view text);
  std::string take();

 private:
  void begin(std::string_view key);

  std::string call_;
  std::string text_ = "{";
};

// "?a=b&c=d", or nothing.
class Query {
 public:
  explicit Query(std::string_view call) : call_(call) {}

  Query& text(std::string_view key, std::string_view value);
  Query& text_unless_empty(std::string_view key, std::string_view value);
  Query& integer(std::string_view key, std::int64_t value);
  std::string take() { return std::move(text_); }

 private:
  std::string call_;
  std::string text_;
};

}  // namespace mlferry::mlflow
