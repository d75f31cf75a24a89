#pragma once
// JSON text as Python's json.dumps(…, indent=2) writes it, written piece by piece, and the places of values
// in such a text, so that a large one need not become a document as a whole.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/mlflow/json.hpp"

namespace mlferry::tree {

namespace json = boost::json;

// ASCII only (\uXXXX, lower case, pairs above U+FFFF), two spaces a level, "key": value, [] and {} for what
// is empty, Python's spelling of doubles with bare NaN, Infinity and -Infinity. Bytes that are no UTF-8
// become
// \ufffd.
class JsonWriter {
 public:
  // Called with pieces of the text, in order; what it throws comes out of the call that wrote.
  using Sink = std::function<void(std::string_view)>;
  explicit JsonWriter(Sink sink) : sink_(std::move(sink)) {}

  void begin_object();
  void end_object();
  void begin_array();
  void end_array();
  void key(std::string_view key);
  void value(const json::value& value);
  void value(const json::object& object);
  void value(const json::array& array);
  void string(std::string_view text);
  void number(std::int64_t value);
  void number(double value);
  void member(std::string_view name, const json::value& of) {
    key(name);
    value(of);
  }
  // The line feed at the end; hands over what is left.
  void finish();

 private:
  void begin_value();
  void end_container(char bracket);
  void new_line();
  void flush_when_full();

  Sink sink_;
  std::string buffer_;
  std::vector<bool> filled_;  // of the open containers: whether something is in it
  bool after_key_ = false;
};

std::string to_tree_text(const json::object& object);

// Where a value stands in a text.
struct TextRange {
  std::size_t begin = 0;
  std::size_t end = 0;
};

// The value of the last member `key` of the object in `range`; nothing when there is none, or no object
// there. `key` must need no escapes.
std::optional<TextRange> find_member(std::string_view text, TextRange range, std::string_view key);

// Calls `take(key, value)` for each member of the object in `range`; the key is JSON text with its quotes.
// False when that is no object, or its brackets do not match.
bool each_member(std::string_view text, TextRange range,
                 const std::function<void(std::string_view, TextRange)>& take);
// The same for the elements of an array.
bool each_element(std::string_view text, TextRange range, const std::function<void(TextRange)>& take);

}  // namespace mlferry::tree
