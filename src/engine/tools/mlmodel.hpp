#pragma once
// The MLmodel file of a model: reading its signature, and writing another one into the text so that
// everything else of it stays as it is, comments and order included. Pure. The text may be anybody's:
// nesting, size and repeated aliases are bounded.

#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/mlflow/json.hpp"

namespace mlferry::engine {

namespace json = boost::json;

// The text is no MLmodel file: says what is wrong with it, and the line where that is known.
class BadMlmodel : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A larger file of that name is not one.
inline constexpr std::size_t most_mlmodel_bytes = 4u << 20;

// Whether an artifact of this path is one.
inline bool is_mlmodel(std::string_view path) {
  return path == "MLmodel" || path.ends_with("/MLmodel");
}

// A YAML document as JSON. Plain scalars are null, booleans, integers and doubles as YAML 1.2 has them;
// everything else is text. Throws BadMlmodel.
json::value yaml_to_json(std::string_view yaml);
// JSON as YAML in block style, with a line feed at the end.
std::string json_to_yaml(const json::value& value);

// "signature" with the JSON texts in it as documents; nothing when there is none. Throws BadMlmodel.
std::optional<json::object> signature_of(std::string_view mlmodel);

// Paths of files and folders, from the model's folder, that its flavors name. Throws BadMlmodel.
std::vector<std::string> files_named_in(std::string_view mlmodel);

// `inputs`, `outputs`: lists of column specifications; an absent one is null in the file. Throws BadMlmodel,
// also when the text has no form that can be edited line by line (a mapping in braces).
std::string with_signature(std::string_view mlmodel, const std::optional<json::array>& inputs,
                           const std::optional<json::array>& outputs);

}  // namespace mlferry::engine
