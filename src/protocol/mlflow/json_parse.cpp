#include "protocol/mlflow/json.hpp"

#include <charconv>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/value_stack.hpp>

namespace mlferry::mlflow {
namespace {

constexpr std::size_t max_depth = 100;

// `value` is what Boost made of the same text: right about the size of a number, not about its last bits.
double exact_double(std::string_view text, double value) {
  double exact = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), exact);
  if (error == std::errc() && end == text.data() + text.size()) return exact;
  // Out of range: from_chars does not say on which side.
  bool const negative = text.starts_with('-');
  double const magnitude = std::fabs(value) > 1 ? std::numeric_limits<double>::infinity() : 0.0;
  return negative ? -magnitude : magnitude;
}

// What basic_parser calls. It differs from Boost's own handler in the numbers only.
struct Handler {
  static constexpr std::size_t max_object_size = json::object::max_size();
  static constexpr std::size_t max_array_size = json::array::max_size();
  static constexpr std::size_t max_key_size = json::string::max_size();
  static constexpr std::size_t max_string_size = json::string::max_size();
  using Error = boost::system::error_code;

  explicit Handler(json::storage_ptr storage) { stack.reset(std::move(storage)); }

  bool on_document_begin(Error&) { return true; }
  bool on_document_end(Error&) { return true; }
  bool on_object_begin(Error&) { return true; }
  bool on_object_end(std::size_t count, Error&) {
    stack.push_object(count);
    return true;
  }
  bool on_array_begin(Error&) { return true; }
  bool on_array_end(std::size_t count, Error&) {
    stack.push_array(count);
    return true;
  }
  bool on_key_part(json::string_view text, std::size_t, Error&) {
    stack.push_chars(text);
    return true;
  }
  bool on_key(json::string_view text, std::size_t, Error&) {
    stack.push_key(text);
    return true;
  }
  bool on_string_part(json::string_view text, std::size_t, Error&) {
    stack.push_chars(text);
    return true;
  }
  bool on_string(json::string_view text, std::size_t, Error&) {
    stack.push_string(text);
    return true;
  }
  bool on_number_part(json::string_view text, Error&) {
    number.append(text.data(), text.size());
    return true;
  }
  bool on_int64(std::int64_t value, json::string_view text, Error&) {
    // "-0" is a negative zero that an integer cannot hold.
    if (value == 0 && whole_number(text).starts_with('-')) {
      stack.push_double(-0.0);
    } else {
      stack.push_int64(value);
    }
    number.clear();
    return true;
  }
  bool on_uint64(std::uint64_t value, json::string_view, Error&) {
    stack.push_uint64(value);
    number.clear();
    return true;
  }
  bool on_double(double value, json::string_view text, Error&) {
    stack.push_double(exact_double(whole_number(text), value));
    number.clear();
    return true;
  }
  bool on_bool(bool value, Error&) {
    stack.push_bool(value);
    return true;
  }
  bool on_null(Error&) {
    stack.push_null();
    return true;
  }
  bool on_comment_part(json::string_view, Error&) { return true; }
  bool on_comment(json::string_view, Error&) { return true; }

  // The text of the number, the parts before `last` included.
  std::string_view whole_number(json::string_view last) {
    if (number.empty()) return {last.data(), last.size()};
    number.append(last.data(), last.size());
    return number;
  }

  json::value_stack stack;
  std::string number;
};

// A copy of the text in which the bare tokens are strings.
struct Quoted {
  std::string text;
  std::vector<std::size_t> quotes;  // where quotes were inserted, as offsets in `text`

  std::size_t original_offset(std::size_t offset) const {
    std::size_t inserted = 0;
    while (inserted < quotes.size() && quotes[inserted] < offset) ++inserted;
    return offset - inserted;
  }
};

std::size_t bare_token(std::string_view rest) {
  for (std::string_view token : {"NaN", "Infinity", "-Infinity"}) {
    if (rest.starts_with(token)) return token.size();
  }
  return 0;
}

Quoted quote_bare_tokens(std::string_view text) {
  Quoted result;
  result.text.reserve(text.size() + 64);
  std::size_t copied = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char const c = text[i];
    if (in_string) {
      if (c == '\\') {
        ++i;
      } else if (c == '"') {
        in_string = false;
      }
    } else if (c == '"') {
      in_string = true;
    } else if (c == 'N' || c == 'I' || c == '-') {
      std::size_t const length = bare_token(text.substr(i));
      if (length == 0) continue;
      result.text.append(text, copied, i - copied);
      result.quotes.push_back(result.text.size());
      result.text += '"';
      result.text.append(text, i, length);
      result.quotes.push_back(result.text.size());
      result.text += '"';
      i += length - 1;
      copied = i + 1;
    }
  }
  result.text.append(text, copied);
  return result;
}

}  // namespace

json::value parse_json(std::string_view text, std::string_view what, json::storage_ptr storage) {
  // Nearly every document has neither word; a document that has one in a string only is copied for nothing.
  Quoted quoted;
  std::string_view input = text;
  if (text.find("NaN") != text.npos || text.find("Infinity") != text.npos) {
    quoted = quote_bare_tokens(text);
    input = quoted.text;
  }

  json::parse_options options;
  options.max_depth = max_depth;
  json::basic_parser<Handler> parser(options, std::move(storage));
  boost::system::error_code error;
  std::size_t const used = parser.write_some(false, input.data(), input.size(), error);
  if (!error && used < input.size()) error = json::error::extra_data;
  if (error) {
    throw JsonError(std::string(what) + ": not valid JSON at byte " +
                    std::to_string(quoted.original_offset(used)) + " (" + error.message() + ")");
  }
  return parser.handler().stack.release();
}

}  // namespace mlferry::mlflow
