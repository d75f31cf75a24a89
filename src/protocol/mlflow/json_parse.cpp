#include "protocol/mlflow/json.hpp"

#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <utility>

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
    if (bare) {
      stack.push_double(*bare);
    } else {
      stack.push_string(text);
    }
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
  std::optional<double> bare;  // what the string that comes now stands for
};

std::size_t bare_token(std::string_view rest) {
  for (std::string_view token : {"NaN", "Infinity", "-Infinity"}) {
    if (rest.starts_with(token)) return token.size();
  }
  return 0;
}

double bare_value(std::string_view token) {
  if (token == "NaN") return std::numeric_limits<double>::quiet_NaN();
  auto const infinity = std::numeric_limits<double>::infinity();
  return token.starts_with('-') ? -infinity : infinity;
}

// The first bare token that is in no string, from `from` on, where no string is open.
std::pair<std::size_t, std::size_t> next_bare_token(std::string_view text, std::size_t from) {
  bool in_string = false;
  for (std::size_t i = from; i < text.size(); ++i) {
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
      if (auto const length = bare_token(text.substr(i)); length != 0) return {i, length};
    }
  }
  return {text.size(), 0};
}

// The parser gets the text in pieces, and a string for each bare token between them.
class Parsing {
 public:
  Parsing(std::string_view what, json::storage_ptr storage) : what_(what), parser_(options(), std::move(storage)) {}

  json::value run(std::string_view text, bool bare_as_double) {
    // Nearly every document has neither word.
    bool const has_bare = text.find("NaN") != text.npos || text.find("Infinity") != text.npos;
    std::size_t done = 0;
    while (has_bare) {
      auto const [at, length] = next_bare_token(text, done);
      if (length == 0) break;
      feed(text.substr(done, at - done), done, true);
      auto const token = text.substr(at, length);
      if (bare_as_double) parser_.handler().bare = bare_value(token);
      feed_token(token, at);
      parser_.handler().bare.reset();
      done = at + length;
    }
    feed(text.substr(done), done, false);
    return parser_.handler().stack.release();
  }

 private:
  static json::parse_options options() {
    json::parse_options options;
    options.max_depth = max_depth;
    return options;
  }

  // `offset`: of the piece in the text.
  void feed(std::string_view piece, std::size_t offset, bool more) {
    boost::system::error_code error;
    auto const used = parser_.write_some(more, piece.data(), piece.size(), error);
    check(error, used == piece.size(), offset + used);
  }

  void feed_token(std::string_view token, std::size_t offset) {
    auto const piece = '"' + std::string(token) + '"';
    boost::system::error_code error;
    auto const used = parser_.write_some(true, piece.data(), piece.size(), error);
    check(error, used == piece.size(), offset);
  }

  void check(boost::system::error_code error, bool all_used, std::size_t offset) const {
    if (!error && !all_used) error = json::error::extra_data;
    if (!error) return;
    throw JsonError(std::string(what_) + ": not valid JSON at byte " + std::to_string(offset) + " (" +
                    error.message() + ")");
  }

  std::string_view what_;
  json::basic_parser<Handler> parser_;
};

}  // namespace

json::value parse_json(std::string_view text, std::string_view what, json::storage_ptr storage) {
  return Parsing(what, std::move(storage)).run(text, false);
}

json::value parse_python_json(std::string_view text, std::string_view what) {
  return Parsing(what, {}).run(text, true);
}

}  // namespace mlferry::mlflow
