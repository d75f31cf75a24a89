#include "protocol/mlflow/json.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <string>
#include <vector>

namespace mlferry::mlflow {
namespace {

void append_integer(std::string& out, auto value) {
  std::array<char, 24> text;
  auto const end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
  out.append(text.data(), end);
}

struct Style {
  bool sorted = false;  // the members of every object in the order of their keys' bytes
  bool bare = false;    // NaN and infinities as Python writes them
};
constexpr Style plain_style;

void append_value(std::string& out, const json::value& value, Style style);

void append_object(std::string& out, const json::object& object, Style style) {
  out += '{';
  bool first = true;
  auto append_member = [&](const json::key_value_pair& member) {
    if (!first) out += ',';
    first = false;
    append_json_string(out, {member.key().data(), member.key().size()});
    out += ':';
    append_value(out, member.value(), style);
  };
  if (style.sorted) {
    std::vector<const json::key_value_pair*> members;
    members.reserve(object.size());
    for (const auto& member : object) members.push_back(&member);
    std::sort(members.begin(), members.end(),
              [](const auto* left, const auto* right) { return left->key() < right->key(); });
    for (const auto* member : members) append_member(*member);
  } else {
    for (const auto& member : object) append_member(member);
  }
  out += '}';
}

void append_value(std::string& out, const json::value& value, Style style) {
  switch (value.kind()) {
    case json::kind::null:
      out += "null";
      break;
    case json::kind::bool_:
      out += value.get_bool() ? "true" : "false";
      break;
    case json::kind::int64:
      append_integer(out, value.get_int64());
      break;
    case json::kind::uint64:
      append_integer(out, value.get_uint64());
      break;
    case json::kind::double_: {
      auto const from = out.size();
      append_json_double(out, value.get_double());
      if (style.bare && out[from] == '"') {
        out.erase(from, 1);
        out.pop_back();
      }
      break;
    }
    case json::kind::string:
      append_json_string(out, {value.get_string().data(), value.get_string().size()});
      break;
    case json::kind::array: {
      out += '[';
      bool first = true;
      for (const auto& element : value.get_array()) {
        if (!first) out += ',';
        first = false;
        append_value(out, element, style);
      }
      out += ']';
      break;
    }
    case json::kind::object:
      append_object(out, value.get_object(), style);
      break;
  }
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
  constexpr std::string_view hex = "0123456789abcdef";
  out += '"';
  std::size_t copied = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    auto const c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    out.append(text, copied, i - copied);
    copied = i + 1;
    out += '\\';
    switch (c) {
      case '"':
      case '\\':
        out += static_cast<char>(c);
        break;
      case '\b':
        out += 'b';
        break;
      case '\f':
        out += 'f';
        break;
      case '\n':
        out += 'n';
        break;
      case '\r':
        out += 'r';
        break;
      case '\t':
        out += 't';
        break;
      default:
        out += "u00";
        out += hex[c >> 4];
        out += hex[c & 15];
    }
  }
  out.append(text, copied);
  out += '"';
}

void append_json_double(std::string& out, double value) {
  if (std::isnan(value)) {
    out += "\"NaN\"";
    return;
  }
  if (std::isinf(value)) {
    out += value > 0 ? "\"Infinity\"" : "\"-Infinity\"";
    return;
  }
  // "d.ddde+XX", the fewest digits that read back to the same bits.
  std::array<char, 32> buffer;
  auto const end =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::scientific).ptr;
  std::string_view text(buffer.data(), static_cast<std::size_t>(end - buffer.data()));
  if (text.front() == '-') {
    out += '-';
    text.remove_prefix(1);
  }
  std::size_t const e = text.find('e');
  int exponent = 0;
  std::from_chars(text.data() + e + (text[e + 1] == '+' ? 2 : 1), text.data() + text.size(), exponent);
  // Python writes an exponent below 1e-4 and from 1e16 on.
  if (exponent < -4 || exponent >= 16) {
    out += text;
    return;
  }
  std::array<char, 24> digits;
  std::size_t count = 0;
  for (char c : text.substr(0, e)) {
    if (c != '.') digits[count++] = c;
  }
  if (exponent < 0) {
    out += "0.";
    out.append(static_cast<std::size_t>(-exponent - 1), '0');
    out.append(digits.data(), count);
    return;
  }
  auto const whole = static_cast<std::size_t>(exponent) + 1;  // digits before the point
  if (count <= whole) {
    out.append(digits.data(), count);
    out.append(whole - count, '0');
    out += ".0";
  } else {
    out.append(digits.data(), whole);
    out += '.';
    out.append(digits.data() + whole, count - whole);
  }
}

void append_json(std::string& out, const json::value& value) {
  append_value(out, value, plain_style);
}

std::string to_json(const json::value& value) {
  std::string out;
  append_value(out, value, plain_style);
  return out;
}

std::string to_json(const json::object& object) {
  std::string out;
  append_object(out, object, plain_style);
  return out;
}

std::string to_python_json(const json::object& object) {
  std::string out;
  append_object(out, object, {.bare = true});
  return out;
}

std::string to_canonical_json(const json::value& value) {
  std::string out;
  append_value(out, value, {.sorted = true, .bare = true});
  return out;
}

}  // namespace mlferry::mlflow
