#include "support/fake_calls.hpp"

#include <algorithm>
#include <charconv>

#include "protocol/mlflow/json.hpp"

namespace mlferry::test::fake {

namespace {

constexpr std::string_view base64_alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::string to_base64(std::string_view text) {
  std::string out;
  std::uint32_t bits = 0;
  int count = 0;
  for (char c : text) {
    bits = (bits << 8) | static_cast<unsigned char>(c);
    for (count += 8; count >= 6;) {
      count -= 6;
      out += base64_alphabet[(bits >> count) & 63];
    }
  }
  if (count > 0) out += base64_alphabet[(bits << (6 - count)) & 63];
  while (out.size() % 4 != 0) out += '=';
  return out;
}

std::string from_base64(std::string_view text) {
  std::string out;
  std::uint32_t bits = 0;
  int count = 0;
  for (char c : text) {
    if (c == '=') break;
    auto const digit = base64_alphabet.find(c);
    if (digit == base64_alphabet.npos) throw Failure{400, "INVALID_PARAMETER_VALUE", "Invalid page token"};
    bits = (bits << 6) | static_cast<std::uint32_t>(digit);
    count += 6;
    if (count >= 8) {
      count -= 8;
      out += static_cast<char>(bits >> count);
    }
  }
  return out;
}

bool is_get(const Call& call) {
  return call.request.method == "GET";
}

}  // namespace

HttpResponse answer(const json::object& object) {
  HttpResponse response;
  response.body = mlflow::to_json(object);
  return response;
}

HttpResponse failure_answer(const Failure& failure) {
  HttpResponse response;
  response.status = failure.status;
  response.body = mlflow::to_json(json::object{{"error_code", failure.code}, {"message", failure.message}});
  return response;
}

HttpResponse html_answer(int status, std::string_view title) {
  HttpResponse response;
  response.status = status;
  response.content_type = "text/html; charset=utf-8";
  response.body = "<!doctype html>\n<html lang=en>\n<title>" + std::to_string(status) + " ";
  response.body += title;
  response.body += "</title>\n<h1>";
  response.body += title;
  response.body += "</h1>\n";
  return response;
}

std::string text_or(const Call& call, std::string_view key, std::string_view otherwise) {
  if (is_get(call)) {
    for (const auto& [name, value] : call.request.query) {
      if (name == key) return value;
    }
    return std::string(otherwise);
  }
  const json::value* value = call.body.if_contains(key);
  if (value == nullptr || value->is_null()) return std::string(otherwise);
  if (!value->is_string()) {
    throw Failure{
        400, "INVALID_PARAMETER_VALUE",
        "Invalid value for parameter '" + std::string(key) + "' supplied. Hint: Value was of another type"};
  }
  return std::string(value->get_string());
}

std::string need_text(const Call& call, std::string_view key) {
  std::string value = text_or(call, key);
  if (value.empty()) {
    throw Failure{400, "INVALID_PARAMETER_VALUE",
                  "Missing value for required parameter '" + std::string(key) + "'."};
  }
  return value;
}

std::int64_t int_or(const Call& call, std::string_view key, std::int64_t otherwise) {
  if (!is_get(call)) {
    const json::value* value = call.body.if_contains(key);
    if (value == nullptr || value->is_null()) return otherwise;
    if (auto const number = mlflow::get_int(call.body, key)) return *number;
  } else {
    auto const text = call.request.parameter(key);
    if (text.empty()) return otherwise;
    std::int64_t number = 0;
    auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error == std::errc() && end == text.data() + text.size()) return number;
  }
  throw Failure{400, "INVALID_PARAMETER_VALUE",
                "Invalid value for parameter '" + std::string(key) + "' supplied"};
}

std::vector<std::string> texts(const Call& call, std::string_view key) {
  std::vector<std::string> result;
  if (is_get(call)) {
    for (const auto& [name, value] : call.request.query) {
      if (name == key) result.push_back(value);
    }
  } else if (const json::array* list = mlflow::get_array(call.body, key)) {
    for (const json::value& value : *list) {
      if (!value.is_string()) break;
      result.emplace_back(value.get_string());
    }
  }
  return result;
}

std::vector<std::pair<std::string, std::string>> pairs(const json::object& object, std::string_view key) {
  std::vector<std::pair<std::string, std::string>> result;
  const json::array* list = mlflow::get_array(object, key);
  if (list == nullptr) return result;
  for (const json::value& element : *list) {
    const json::object* pair = element.if_object();
    if (pair == nullptr) break;
    const json::value* value = pair->if_contains("value");
    result.emplace_back(mlflow::get_string(*pair, "key"), mlflow::get_string(*pair, "value"));
    if (value != nullptr && !value->is_string()) break;
  }
  return result;
}

json::array tags_json(const Tags& tags) {
  json::array list;
  list.reserve(tags.size());
  for (const auto& [key, value] : tags) list.push_back(json::object{{"key", key}, {"value", value}});
  return list;
}

std::string page_token(std::uint64_t offset) {
  return to_base64("{\"offset\": " + std::to_string(offset) + "}");
}

std::uint64_t page_offset(const Call& call) {
  std::string const token = text_or(call, "page_token");
  if (token.empty()) return 0;
  std::string const text = from_base64(token);
  constexpr std::string_view head = "{\"offset\": ";
  std::uint64_t offset = 0;
  if (text.starts_with(head)) {
    auto const [end, error] = std::from_chars(text.data() + head.size(), text.data() + text.size(), offset);
    if (error == std::errc() && std::string_view(end, text.data() + text.size()) == "}") return offset;
  }
  throw Failure{400, "INVALID_PARAMETER_VALUE", "Invalid page token"};
}

void check_key(std::string_view kind, std::string_view key) {
  auto const refuse = [&](std::string_view why) {
    throw Failure{400, "INVALID_PARAMETER_VALUE",
                  "Invalid " + std::string(kind) + " name: " + std::string(why)};
  };
  if (key.empty()) refuse("missing");
  if (cut(key, 250) != key) refuse("longer than 250 characters");
  for (char c : key) {
    bool const word = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                      static_cast<unsigned char>(c) >= 0x80;
    if (!word && std::string_view("_-. :/").find(c) == std::string_view::npos) refuse("a character");
  }
  // As a path it must be in its normal form.
  std::string_view rest = key;
  while (true) {
    auto const slash = rest.find('/');
    auto const part = rest.substr(0, slash);
    if (part == "." || part == ".." || (part.empty() && key != "/")) refuse("not a normal path");
    if (slash == rest.npos) break;
    rest.remove_prefix(slash + 1);
  }
}

std::string cut(std::string_view text, std::size_t limit) {
  std::size_t characters = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xc0) == 0x80) continue;
    if (characters++ == limit) return std::string(text.substr(0, i));
  }
  return std::string(text);
}

void require_active(const Experiment& experiment) {
  if (!experiment.deleted) return;
  throw Failure{
      400, "INVALID_PARAMETER_VALUE",
      "The experiment " + experiment.id + " must be in the 'active' state. Current state is deleted."};
}

Experiment& need_experiment(Call& call, std::string_view id) {
  Experiment* experiment = call.state.find_experiment(id);
  if (experiment == nullptr) {
    throw Failure{404, "RESOURCE_DOES_NOT_EXIST", "No Experiment with id=" + std::string(id) + " exists"};
  }
  return *experiment;
}

Run& need_active_run(Call& call) {
  std::string const id = need_text(call, "run_id");
  Run* run = call.state.find_run(id);
  if (run == nullptr) throw Failure{404, "RESOURCE_DOES_NOT_EXIST", "Run with id=" + id + " not found"};
  if (run->deleted) {
    throw Failure{400, "INVALID_PARAMETER_VALUE",
                  "The run " + id + " must be in the 'active' state. Current state is deleted."};
  }
  return *run;
}

}  // namespace mlferry::test::fake
