#include "engine/tools/csv_schema.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <map>
#include <set>

namespace mlferry::engine {

namespace {

// pandas.read_csv's words for a missing value.
constexpr std::array<std::string_view, 19> missing_words{
    "",     "#N/A", "#N/A N/A", "#NA",  "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
    "<NA>", "N/A",  "NA",       "NULL", "NaN",     "None",     "n/a",  "nan",  "null"};

bool is_missing(std::string_view text) {
  return std::find(missing_words.begin(), missing_words.end(), text) != missing_words.end();
}

std::string_view without_blanks(std::string_view text) {
  auto const blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

bool is_boolean(std::string_view text) {
  for (std::string_view const word : {"True", "TRUE", "true", "False", "FALSE", "false"}) {
    if (text == word) return true;
  }
  return false;
}

bool is_double(std::string_view text) {
  auto digits = text;
  if (!digits.empty() && (digits[0] == '+' || digits[0] == '-')) digits.remove_prefix(1);
  std::string word(digits);
  for (auto& c : word) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (word == "inf" || word == "infinity") return true;
  // No "nan", no hexadecimal digits.
  if (digits.empty() || digits.find_first_not_of("0123456789.eE+-") != digits.npos) return false;
  if (digits[0] == '+' || digits[0] == '-') return false;
  double number = 0;
  auto const [rest, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return error != std::errc::invalid_argument && rest == digits.data() + digits.size();
}

// pandas' names for columns without one, and for those that repeat one.
std::vector<std::string> column_names(const CsvRow& header) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < header.size(); ++i)
    names.push_back(header[i].empty() ? "Unnamed: " + std::to_string(i) : header[i]);
  std::set<std::string> taken(names.begin(), names.end()), seen;
  std::map<std::string, std::size_t> repeats;
  for (auto& name : names) {
    if (seen.insert(name).second) continue;
    std::string other;
    do {
      other = name + "." + std::to_string(++repeats[name]);
    } while (!taken.insert(other).second);
    name = std::move(other);
  }
  return names;
}

}  // namespace

void ColumnValues::add(std::string_view text) {
  if (is_missing(text)) {
    ++missing_;
    return;
  }
  auto const word = without_blanks(text);
  if (is_boolean(text)) {
    ++booleans_;
    return;
  }
  auto const digits = word.substr(!word.empty() && (word[0] == '+' || word[0] == '-') ? 1 : 0);
  if (digits.empty() || digits.find_first_not_of("0123456789") != digits.npos) {
    ++(is_double(word) ? doubles_ : texts_);
    return;
  }
  std::int64_t number = 0;
  auto const* begin = word.data() + (word[0] == '+' ? 1 : 0);
  auto const [rest, error] = std::from_chars(begin, word.data() + word.size(), number);
  ++(error == std::errc() ? integers_ : too_large_);
}

std::string ColumnValues::type() const {
  auto const numbers = integers_ + too_large_ + doubles_;
  if (texts_ > 0 || (booleans_ > 0 && numbers > 0)) return "string";
  if (booleans_ > 0) return "boolean";
  if (doubles_ > 0) return "double";
  if (too_large_ > 0)
    throw BadCsv(
        "holds whole numbers that 64 bits cannot, for which MLflow has no type: write them with a decimal "
        "point");
  return integers_ > 0 && missing_ == 0 ? "long" : "double";  // pandas has no missing whole numbers
}

json::array infer_columns(std::istream& csv) {
  std::vector<std::string> names;
  std::vector<ColumnValues> columns;
  std::size_t rows = 0;
  auto const take = [&](const CsvRow& row, std::size_t line) {
    if (columns.empty()) {
      names = column_names(row);
      columns.resize(names.size());
      return;
    }
    if (row.size() > columns.size()) {
      throw BadCsv("line " + std::to_string(line) + ": has " + std::to_string(row.size()) +
                   " fields, the header names " + std::to_string(columns.size()));
    }
    ++rows;
    for (std::size_t i = 0; i < columns.size(); ++i)
      columns[i].add(i < row.size() ? std::string_view(row[i]) : std::string_view());
  };
  read_csv(csv, take);
  if (columns.empty()) throw BadCsv("it is empty: the first line names the columns");
  if (rows == 0) throw BadCsv("it has no rows below the header, from which the types could be seen");
  json::array out;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    try {
      out.push_back(json::object{
          {"type", columns[i].type()}, {"name", names[i]}, {"required", !columns[i].has_missing()}});
    } catch (const BadCsv& error) {
      throw BadCsv("column '" + names[i] + "' " + error.what());
    }
  }
  return out;
}

}  // namespace mlferry::engine
