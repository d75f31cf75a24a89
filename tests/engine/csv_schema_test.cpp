#include "engine/tools/csv_schema.hpp"

#include <doctest/doctest.h>

#include <sstream>

using namespace mlferry::engine;

namespace {

std::vector<CsvRow> rows_of(const std::string& text) {
  std::istringstream in(text);
  std::vector<CsvRow> rows;
  read_csv(in, [&rows](const CsvRow& row, std::size_t) { rows.push_back(row); });
  return rows;
}

// "long" or "long?" of a file of one column, "!" for a refusal.
std::string type_of(const std::vector<std::string>& values) {
  std::string text = "a,b\n";
  for (auto const& value : values) text += csv_field(value) + ",x\n";
  std::istringstream in(text);
  try {
    auto const column = infer_columns(in).at(0).as_object();
    return std::string(column.at("type").as_string()) + (column.at("required").as_bool() ? "" : "?");
  } catch (const BadCsv&) {
    return "!";
  }
}

std::string refusal(const std::string& text) {
  std::istringstream in(text);
  try {
    infer_columns(in);
    return {};
  } catch (const BadCsv& error) {
    return error.what();
  }
}

}  // namespace

TEST_SUITE("engine") {
  TEST_CASE("csv: rows") {
    using Rows = std::vector<CsvRow>;
    CHECK(rows_of("a,b\n1,2\n") == Rows{{"a", "b"}, {"1", "2"}});
    CHECK(rows_of("a,b\r\n1,2") == Rows{{"a", "b"}, {"1", "2"}});
    CHECK(rows_of("\xEF\xBB\xBF"
                  "a\n\n \n1\n") == Rows{{"a"}, {"1"}});
    CHECK(rows_of("\"a,\"\"b\"\"\nc\",,\n") == Rows{{"a,\"b\"\nc", "", ""}});
    CHECK(rows_of("\"\"\n") == Rows{{""}});
    CHECK(rows_of("a\"b,\"c\"d\n") == Rows{{"a\"b", "cd"}});
    CHECK(rows_of("").empty());
    CHECK_THROWS_AS(rows_of("a\n\"b\n"), BadCsv);
  }

  TEST_CASE("csv: a field is quoted where it has to be") {
    CHECK(csv_field("plain") == "plain");
    CHECK(csv_field("a,b") == "\"a,b\"");
    CHECK(csv_field("a\"b") == "\"a\"\"b\"");
    CHECK(csv_field("a\nb") == "\"a\nb\"");
  }

  // The expected types are those of pandas 3.1 and MLflow 3.17; test_package_tools.py asks them again for
  // some.
  TEST_CASE("csv schema: types of columns") {
    CHECK(type_of({"1", "-2", "+3"}) == "long");
    CHECK(type_of({" 1", "2 "}) == "long");
    CHECK(type_of({"1", ""}) == "double?");
    CHECK(type_of({"1", "2.5", "1e5"}) == "double");
    CHECK(type_of({"1.", ".5", "inf", "-Infinity", "1e999"}) == "double");
    CHECK(type_of({"", "NA"}) == "double?");
    CHECK(type_of({"True", "false", "TRUE"}) == "boolean");
    CHECK(type_of({"True", ""}) == "boolean?");
    CHECK(type_of({"True", "1"}) == "string");
    CHECK(type_of({" True"}) == "string");
    CHECK(type_of({"x", "2"}) == "string");
    CHECK(type_of({"x", "null"}) == "string?");
    for (auto const* text : {"2026-01-01", "1_000", "0x10", "++1", "1.2.3", "1e", "nan1", "-", "e5"}) {
      CAPTURE(text);
      CHECK(type_of({text}) == "string");
    }
    for (auto const* missing : {"#N/A", "-nan", "<NA>", "N/A", "NaN", "None", "n/a", "nan"}) {
      CAPTURE(missing);
      CHECK(type_of({"x", missing}) == "string?");
    }
    CHECK(type_of({"9223372036854775807", "-9223372036854775808"}) == "long");
    CHECK(type_of({"9223372036854775808"}) == "!");
    CHECK(type_of({"9223372036854775808", "0.5"}) == "double");
  }

  TEST_CASE("csv schema: names of columns, and short rows") {
    std::istringstream in("a,a,,a.1\n1,2\n");
    auto const columns = infer_columns(in);
    std::string names;
    for (auto const& column : columns) names += std::string(column.at("name").as_string()) + ",";
    CHECK(names == "a,a.2,Unnamed: 2,a.1,");
    CHECK(columns.at(3).at("required").as_bool() == false);
  }

  TEST_CASE("csv schema: what has no columns is refused") {
    CHECK(refusal("").find("is empty") != std::string::npos);
    CHECK(refusal("a,b\n").find("no rows") != std::string::npos);
    CHECK(refusal("a\n1\n1,2\n").find("line 3: has 2 fields") != std::string::npos);
    CHECK(refusal("a,big\n1,9223372036854775808\n").find("column 'big'") != std::string::npos);
  }
}
