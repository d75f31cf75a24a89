#pragma once
// Rows of a CSV file as pandas reads them: commas, fields in double quotes with "" inside, LF or CRLF, line
// feeds inside of quotes; empty lines are none.

#include <cstddef>
#include <functional>
#include <istream>
#include <stdexcept>
#include <string>
#include <vector>

namespace mlferry::engine {

// Names the line and what is wrong there.
class BadCsv : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

inline constexpr std::size_t most_csv_fields = 100'000;  // of one row
inline constexpr std::size_t most_csv_row_bytes = 64u << 20;

using CsvRow = std::vector<std::string>;
// Calls `take(row, line)` for each row, with the number of its first line. A byte order mark is dropped.
// Throws BadCsv for a quote that never ends and for rows beyond the limits.
void read_csv(std::istream& in, const std::function<void(const CsvRow&, std::size_t)>& take);

// A field as it is written: in quotes where it has to be.
std::string csv_field(std::string_view text);

}  // namespace mlferry::engine
