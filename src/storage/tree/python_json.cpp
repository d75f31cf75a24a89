#include "storage/tree/python_json.hpp"

#include <array>
#include <charconv>
#include <cmath>

namespace mlferry::tree {

namespace {

constexpr std::size_t flush_bytes = 64u << 10;
constexpr std::string_view white = " \t\r\n";

void append_unit(std::string& out, unsigned unit) {
  constexpr std::string_view hex = "0123456789abcdef";
  out += "\\u";
  for (int shift = 12; shift >= 0; shift -= 4) out += hex[(unit >> shift) & 15];
}

void append_code_point(std::string& out, std::uint32_t code) {
  if (code < 0x10000) return append_unit(out, code);
  code -= 0x10000;
  append_unit(out, 0xD800 + (code >> 10));
  append_unit(out, 0xDC00 + (code & 0x3FF));
}

// The character that begins at `i`, which moves behind it; U+FFFD for one byte that begins none.
std::uint32_t decode(std::string_view text, std::size_t& i) {
  constexpr std::uint32_t bad = 0xFFFD;
  auto const byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
  auto const first = byte(i);
  std::size_t const length = first >= 0xF0 && first < 0xF5   ? 4
                             : first >= 0xE0 && first < 0xF0 ? 3
                             : first >= 0xC2 && first < 0xE0 ? 2
                                                             : 0;
  if (length == 0 || i + length > text.size()) return ++i, bad;
  std::uint32_t code = first & (0x7F >> length);
  for (std::size_t k = 1; k < length; ++k) {
    if ((byte(i + k) & 0xC0) != 0x80) return ++i, bad;
    code = code << 6 | (byte(i + k) & 0x3F);
  }
  constexpr std::array<std::uint32_t, 5> least{0, 0, 0x80, 0x800, 0x10000};
  if (code < least[length] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return ++i, bad;
  i += length;
  return code;
}

void append_string(std::string& out, std::string_view text) {
  out += '"';
  for (std::size_t i = 0; i < text.size();) {
    auto const c = static_cast<unsigned char>(text[i]);
    if (c >= 0x80) {
      append_code_point(out, decode(text, i));
      continue;
    }
    ++i;
    constexpr std::string_view plain = "\"\\\b\f\n\r\t", letters = "\"\\bfnrt";
    if (auto const at = plain.find(static_cast<char>(c)); at != plain.npos) {
      out += '\\';
      out += letters[at];
    } else if (c < 0x20 || c == 0x7f) {
      append_unit(out, c);
    } else {
      out += static_cast<char>(c);
    }
  }
  out += '"';
}

std::size_t skip_white(std::string_view text, std::size_t i) {
  return std::min(text.find_first_not_of(white, i), text.size());
}

// Behind the string that begins at `i`; npos when it does not end.
std::size_t skip_string(std::string_view text, std::size_t i) {
  while ((i = text.find_first_of("\"\\", i + 1)) != text.npos) {
    if (text[i] == '"') return i + 1;
    ++i;
  }
  return text.npos;
}

// Behind the value that begins at `i`; npos when the text ends before.
std::size_t skip_value(std::string_view text, std::size_t i) {
  if (i >= text.size()) return text.npos;
  if (text[i] == '"') return skip_string(text, i);
  if (text[i] != '{' && text[i] != '[') {
    auto const end = std::min(text.find_first_of(",]} \t\r\n", i), text.size());
    return end == i ? text.npos : end;
  }
  std::size_t depth = 0;
  while (i < text.size()) {
    i = text.find_first_of("\"{}[]", i);
    if (i == text.npos) return i;
    if (text[i] == '"') {
      i = skip_string(text, i);
      if (i == text.npos) return i;
      continue;
    }
    depth += text[i] == '{' || text[i] == '[' ? 1 : -1;
    ++i;
    if (depth == 0) return i;
  }
  return text.npos;
}

// Walks what stands between two brackets; `item(i)` gives the position behind an item at `i`, or npos.
template <class Item>
bool walk(std::string_view text, TextRange range, char open, char close, Item item) {
  text = text.substr(0, range.end);
  auto i = skip_white(text, range.begin);
  if (i >= text.size() || text[i] != open) return false;
  i = skip_white(text, i + 1);
  if (i < text.size() && text[i] == close) return true;
  while (true) {
    i = item(text, i);
    if (i == text.npos) return false;
    i = skip_white(text, i);
    if (i >= text.size()) return false;
    if (text[i] == close) return true;
    if (text[i] != ',') return false;
    i = skip_white(text, i + 1);
  }
}

}  // namespace

void JsonWriter::flush_when_full() {
  if (buffer_.size() < flush_bytes) return;
  sink_(buffer_);
  buffer_.clear();
}

void JsonWriter::new_line() {
  buffer_ += '\n';
  buffer_.append(2 * filled_.size(), ' ');
}

void JsonWriter::begin_value() {
  flush_when_full();
  if (std::exchange(after_key_, false) || filled_.empty()) return;
  if (filled_.back()) buffer_ += ',';
  filled_.back() = true;
  new_line();
}

void JsonWriter::key(std::string_view key) {
  begin_value();
  append_string(buffer_, key);
  buffer_ += ": ";
  after_key_ = true;
}

void JsonWriter::begin_object() {
  begin_value();
  buffer_ += '{';
  filled_.push_back(false);
}

void JsonWriter::begin_array() {
  begin_value();
  buffer_ += '[';
  filled_.push_back(false);
}

void JsonWriter::end_container(char bracket) {
  bool const filled = filled_.back();
  filled_.pop_back();
  if (filled) new_line();
  buffer_ += bracket;
}

void JsonWriter::end_object() {
  end_container('}');
}

void JsonWriter::end_array() {
  end_container(']');
}

void JsonWriter::string(std::string_view text) {
  begin_value();
  append_string(buffer_, text);
}

void JsonWriter::number(std::int64_t value) {
  begin_value();
  buffer_ += std::to_string(value);
}

void JsonWriter::number(double value) {
  begin_value();
  if (std::isnan(value)) {
    buffer_ += "NaN";
  } else if (std::isinf(value)) {
    buffer_ += value > 0 ? "Infinity" : "-Infinity";
  } else {
    mlflow::append_json_double(buffer_, value);
  }
}

void JsonWriter::value(const json::object& object) {
  begin_object();
  for (auto const& member : object) {
    key({member.key().data(), member.key().size()});
    value(member.value());
  }
  end_object();
}

void JsonWriter::value(const json::array& array) {
  begin_array();
  for (auto const& element : array) value(element);
  end_array();
}

void JsonWriter::value(const json::value& value) {
  switch (value.kind()) {
    case json::kind::object:
      return this->value(value.get_object());
    case json::kind::array:
      return this->value(value.get_array());
    case json::kind::string:
      return string({value.get_string().data(), value.get_string().size()});
    case json::kind::int64:
      return number(value.get_int64());
    case json::kind::double_:
      return number(value.get_double());
    case json::kind::uint64:
      begin_value();
      buffer_ += std::to_string(value.get_uint64());
      return;
    case json::kind::bool_:
      begin_value();
      buffer_ += value.get_bool() ? "true" : "false";
      return;
    case json::kind::null:
      begin_value();
      buffer_ += "null";
      return;
  }
}

void JsonWriter::finish() {
  buffer_ += '\n';
  sink_(buffer_);
  buffer_.clear();
}

std::string to_tree_text(const json::object& object) {
  std::string text;
  JsonWriter writer([&text](std::string_view piece) { text += piece; });
  writer.value(object);
  writer.finish();
  return text;
}

bool each_member(std::string_view text, TextRange range,
                 const std::function<void(std::string_view, TextRange)>& take) {
  return walk(text, range, '{', '}', [&take](std::string_view text, std::size_t i) {
    if (i >= text.size() || text[i] != '"') return text.npos;
    auto const key_end = skip_string(text, i);
    if (key_end == text.npos) return key_end;
    auto const colon = skip_white(text, key_end);
    if (colon >= text.size() || text[colon] != ':') return text.npos;
    auto const begin = skip_white(text, colon + 1);
    auto const end = skip_value(text, begin);
    if (end != text.npos) take(text.substr(i, key_end - i), {begin, end});
    return end;
  });
}

bool each_element(std::string_view text, TextRange range, const std::function<void(TextRange)>& take) {
  return walk(text, range, '[', ']', [&take](std::string_view text, std::size_t i) {
    auto const end = skip_value(text, i);
    if (end != text.npos) take({i, end});
    return end;
  });
}

std::optional<TextRange> find_member(std::string_view text, TextRange range, std::string_view key) {
  std::optional<TextRange> found;
  auto const take = [&](std::string_view name, TextRange value) {
    if (name.substr(1, name.size() - 2) == key) found = value;
  };
  if (!each_member(text, range, take)) return std::nullopt;
  return found;
}

}  // namespace mlferry::tree
