#pragma once
// The columns of a CSV file with the types that mlflow.models.infer_signature finds for what pandas.read_csv
// makes of it. pandas reads no dates unless it is told which columns hold some, so that dates are text here,
// too.

#include <istream>
#include <string>
#include <string_view>

#include "engine/tools/csv.hpp"
#include "protocol/mlflow/json.hpp"

namespace mlferry::engine {

namespace json = boost::json;

// What all values of a column have in common.
class ColumnValues {
 public:
  void add(std::string_view text);
  // "long", "double", "boolean", "string". Throws BadCsv that says why MLflow has no type for such a column.
  std::string type() const;
  bool has_missing() const { return missing_ > 0; }

 private:
  std::size_t missing_ = 0, integers_ = 0, too_large_ = 0, doubles_ = 0, booleans_ = 0, texts_ = 0;
};

// [{"type", "name", "required"}] in the file's order. Throws BadCsv: no header, no rows, or rows that are
// longer than it.
json::array infer_columns(std::istream& csv);

}  // namespace mlferry::engine
