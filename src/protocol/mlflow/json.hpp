#pragma once
// JSON as MLflow speaks it: doubles exact both ways, bare NaN and Infinity accepted in answers.

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/storage_ptr.hpp>
#include <boost/json/value.hpp>

namespace mlferry::mlflow {

namespace json = boost::json;

class JsonError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Parses with correctly rounded doubles (Boost's own parser is off by 1-2 ulp for one number in ten). The
// bare tokens NaN, Infinity and -Infinity become the strings "NaN", "Infinity", "-Infinity", as MLflow writes
// them elsewhere (mlflow-rest 2.3). "-0" and "-0.0" stay negative zero (a double). Integers beyond 64 bits
// become doubles. Depth at most 100. Throws JsonError naming `what` and the byte offset; never echoes the
// text. A duplicate key: the last one wins, as in the server's own parser. `storage`: a monotonic resource
// makes large documents that are soon thrown away twice as fast; the default suits what is kept.
json::value parse_json(std::string_view text, std::string_view what, json::storage_ptr storage = {});
// The same, but the bare tokens become doubles, as Python's parser has it: for spans, whose events hold both NaN and
// the string "NaN".
json::value parse_python_json(std::string_view text, std::string_view what);

// Compact JSON; doubles as the shortest text that reads back to the same bits, in Python's spelling (1.0,
// 1e-07, 1e+16); NaN and infinities as the strings MLflow takes ("NaN", "Infinity", "-Infinity"). Keys in the
// value's order. UTF-8 is passed through, control characters escaped.
std::string to_json(const json::value& value);
std::string to_json(const json::object& object);
// The same with bare NaN, Infinity and -Infinity.
std::string to_python_json(const json::object& object);
void append_json(std::string& out, const json::value& value);
void append_json_string(std::string& out, std::string_view text);
void append_json_double(std::string& out, double value);

// Keys sorted at every level, doubles that are no numbers as bare tokens: equal documents, equal bytes. For
// fingerprints.
std::string to_canonical_json(const json::value& value);

// Field access that never throws: "" / nullopt / null when absent or of another type.
std::string_view get_string(const json::object& object, std::string_view key);
// Accepts numbers and decimal strings (GraphQL sends int64 as text).
std::optional<std::int64_t> get_int(const json::object& object, std::string_view key);
// Accepts numbers and MLflow's strings "NaN", "Infinity", "-Infinity".
std::optional<double> get_double(const json::object& object, std::string_view key);
bool get_bool(const json::object& object, std::string_view key);
const json::object* get_object(const json::object& object, std::string_view key);
const json::array* get_array(const json::object& object, std::string_view key);

}  // namespace mlferry::mlflow
