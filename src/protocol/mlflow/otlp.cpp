#include "protocol/mlflow/otlp.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <optional>
#include <vector>

namespace mlferry::mlflow {

namespace {

constexpr std::string_view base64_digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::size_t trace_id_bytes = 16;

std::optional<std::string> from_base64(std::string_view text) {
  while (text.ends_with('=')) text.remove_suffix(1);
  std::string bytes;
  std::uint32_t bits = 0;
  int count = 0;
  for (char const c : text) {
    auto const digit = base64_digits.find(c);
    if (digit == base64_digits.npos) return std::nullopt;
    bits = bits << 6 | static_cast<std::uint32_t>(digit);
    count += 6;
    if (count >= 8) {
      count -= 8;
      bytes += static_cast<char>(bits >> count & 0xff);
    }
  }
  return bytes;
}

std::string to_base64(std::string_view bytes) {
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t bits = 0;
    auto const n = std::min<std::size_t>(3, bytes.size() - i);
    for (std::size_t k = 0; k < 3; ++k) bits = bits << 8 | (k < n ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    for (std::size_t k = 0; k < 4; ++k) text += k <= n ? base64_digits[bits >> (18 - 6 * k) & 63] : '=';
  }
  return text;
}

std::optional<std::string> from_hex(std::string_view text) {
  if (text.size() % 2 != 0) return std::nullopt;
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    unsigned value = 0;
    auto const [end, error] = std::from_chars(text.data() + i, text.data() + i + 2, value, 16);
    if (error != std::errc() || end != text.data() + i + 2) return std::nullopt;
    bytes += static_cast<char>(value);
  }
  return bytes;
}

std::string to_hex(std::string_view bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (unsigned char const c : bytes) {
    text += digits[c >> 4];
    text += digits[c & 15];
  }
  return text;
}

void append_any_value(std::string& out, const json::value& value);

void append_key_values(std::string& out, const json::object& object) {
  out += '[';
  bool first = true;
  for (auto const& [key, value] : object) {
    if (!std::exchange(first, false)) out += ',';
    out += R"({"key":)";
    append_json_string(out, key);
    out += R"(,"value":)";
    append_any_value(out, value);
    out += '}';
  }
  out += ']';
}

void append_double(std::string& out, double value) {
  out += R"({"double_value":)";
  append_json_double(out, value);  // NaN and infinities as strings, which protobuf's JSON takes
  out += '}';
}

// A typed value: events, and attributes that are no text.
void append_any_value(std::string& out, const json::value& value) {
  if (auto const* text = value.if_string()) {
    out += R"({"string_value":)";
    append_json_string(out, *text);
    out += '}';
  } else if (auto const* flag = value.if_bool()) {
    out += *flag ? R"({"bool_value":true})" : R"({"bool_value":false})";
  } else if (auto const* number = value.if_int64()) {
    out += R"({"int_value":)" + std::to_string(*number) + '}';
  } else if (value.is_number()) {
    append_double(out, value.to_number<double>());
  } else if (auto const* list = value.if_array()) {
    out += R"({"array_value":{"values":[)";
    bool first = true;
    for (auto const& item : *list) {
      if (!std::exchange(first, false)) out += ',';
      append_any_value(out, item);
    }
    out += "]}}";
  } else if (auto const* object = value.if_object()) {
    out += R"({"kvlist_value":{"values":)";
    append_key_values(out, *object);
    out += "}}";
  } else {
    out += "{}";
  }
}

// An attribute: the JSON text that the server stores. What it makes of the value sent is that text again.
void append_stored_text(std::string& out, std::string_view text) {
  auto const as_string = [&] {
    out += R"({"string_value":)";
    append_json_string(out, text);
    out += '}';
  };
  if (text.empty() || text[0] == '"' || text[0] == '{' || text[0] == '[') return as_string();
  if (text == "true" || text == "false") {
    out += R"({"bool_value":)" + std::string(text) + '}';
    return;
  }
  if (text == "null") {
    out += "{}";
    return;
  }
  std::int64_t integer = 0;
  auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), integer);
  if (error == std::errc() && end == text.data() + text.size()) {
    out += R"({"int_value":)" + std::to_string(integer) + '}';
    return;
  }
  try {
    auto const value = parse_json(text, "span attribute");
    if (value.is_number()) return append_double(out, value.to_number<double>());
    if (auto const* name = value.if_string()) {  // bare NaN and infinities
      out += R"({"double_value":)";
      append_json_string(out, *name);
      out += '}';
      return;
    }
  } catch (const JsonError&) {
    // No JSON after all: the text itself.
  }
  as_string();
}

void append_attributes(std::string& out, const json::object* attributes) {
  out += '[';
  bool first = true;
  for (auto const& [key, value] : attributes == nullptr ? json::object{} : *attributes) {
    if (!std::exchange(first, false)) out += ',';
    out += R"({"key":)";
    append_json_string(out, key);
    out += R"(,"value":)";
    if (auto const* text = value.if_string()) {
      append_stored_text(out, *text);
    } else {
      append_any_value(out, value);
    }
    out += '}';
  }
  out += ']';
}

void append_member(std::string& out, std::string_view key, const json::object& from, std::string_view field) {
  auto const* value = from.if_contains(field);
  if (value == nullptr || value->is_null()) return;
  out += ",\"";
  out += key;
  out += "\":";
  append_json(out, *value);
}

void append_events(std::string& out, const json::array* events) {
  out += R"(,"events":[)";
  bool first = true;
  for (auto const& item : events == nullptr ? json::array{} : *events) {
    auto const* event = item.if_object();
    if (event == nullptr) throw JsonError("span: an event is no object");
    if (!std::exchange(first, false)) out += ',';
    out += R"({"name":)";
    append_json_string(out, get_string(*event, "name"));
    append_member(out, "time_unix_nano", *event, "time_unix_nano");
    out += R"(,"attributes":)";
    auto const* attributes = get_object(*event, "attributes");
    append_key_values(out, attributes == nullptr ? json::object{} : *attributes);
    out += '}';
  }
  out += ']';
}

// Ids in links are text ("tr-" and hex, hex), in OTLP bytes.
void append_links(std::string& out, const json::array* links) {
  if (links == nullptr || links->empty()) return;
  out += R"(,"links":[)";
  bool first = true;
  for (auto const& item : *links) {
    auto const* link = item.if_object();
    if (link == nullptr) throw JsonError("span: a link is no object");
    auto trace = get_string(*link, "trace_id");
    if (trace.starts_with("tr-")) trace.remove_prefix(3);
    auto const trace_bytes = from_hex(trace);
    auto const span_bytes = from_hex(get_string(*link, "span_id"));
    if (!trace_bytes || !span_bytes) throw JsonError("span: a link's ids are no hex text");
    if (!std::exchange(first, false)) out += ',';
    out += R"({"trace_id":")" + to_base64(*trace_bytes) + R"(","span_id":")" + to_base64(*span_bytes) +
           R"(","attributes":)";
    auto const* attributes = get_object(*link, "attributes");
    append_key_values(out, attributes == nullptr ? json::object{} : *attributes);
    out += '}';
  }
  out += ']';
}

void append_span(std::string& out, const json::object& span) {
  if (!span.contains("trace_id") || !span.contains("span_id")) throw JsonError("span: it has no ids");
  out += R"({"name":)";
  append_json_string(out, get_string(span, "name"));
  append_member(out, "trace_id", span, "trace_id");
  append_member(out, "span_id", span, "span_id");
  if (!get_string(span, "parent_span_id").empty()) append_member(out, "parent_span_id", span, "parent_span_id");
  append_member(out, "start_time_unix_nano", span, "start_time_unix_nano");
  append_member(out, "end_time_unix_nano", span, "end_time_unix_nano");
  append_member(out, "kind", span, "kind");
  append_member(out, "trace_state", span, "trace_state");
  append_member(out, "status", span, "status");
  out += R"(,"attributes":)";
  append_attributes(out, get_object(span, "attributes"));
  append_events(out, get_array(span, "events"));
  append_links(out, get_array(span, "links"));
  out += '}';
}

}  // namespace

std::string otlp_body(std::span<const json::array* const> traces) {
  std::string out = R"({"resource_spans":[{"scope_spans":[{"spans":[)";
  bool first = true;
  for (auto const* spans : traces) {
    for (auto const& item : *spans) {
      auto const* span = item.if_object();
      if (span == nullptr) throw JsonError("trace: a span is no object");
      if (!std::exchange(first, false)) out += ',';
      append_span(out, *span);
    }
  }
  return out + "]}]}]}";
}

std::string otlp_trace_id(const json::array& spans) {
  std::string_view id;
  for (auto const& item : spans) {
    auto const* span = item.if_object();
    auto const own = span == nullptr ? std::string_view() : get_string(*span, "trace_id");
    if (own.empty() || (!id.empty() && own != id)) return {};
    id = own;
  }
  auto const bytes = from_base64(id);
  if (!bytes || bytes->size() != trace_id_bytes) return {};
  return "tr-" + to_hex(*bytes);
}

std::string otlp_id_text(std::string_view trace_id) {
  constexpr std::string_view digits = "0123456789abcdef";
  if (!trace_id.starts_with("tr-") || trace_id.size() != 3 + 2 * trace_id_bytes) return {};
  std::string bytes;
  for (std::size_t i = 3; i < trace_id.size(); i += 2) {
    auto const high = digits.find(trace_id[i]), low = digits.find(trace_id[i + 1]);
    if (high == digits.npos || low == digits.npos) return {};
    bytes += static_cast<char>(high << 4 | low);
  }
  return to_base64(bytes);
}

}  // namespace mlferry::mlflow
