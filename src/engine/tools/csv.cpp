#include "engine/tools/csv.hpp"

namespace mlferry::engine {

namespace {

constexpr int end_of_file = std::char_traits<char>::eof();

class Reader {
 public:
  Reader(std::istream& in, const std::function<void(const CsvRow&, std::size_t)>& take)
      : in_(*in.rdbuf()), take_(take) {}

  void read() {
    for (unsigned char const mark : {0xEF, 0xBB, 0xBF}) {
      if (in_.sgetc() != mark) break;
      in_.sbumpc();
    }
    while (in_.sgetc() != end_of_file) row();
  }

 private:
  void row() {
    CsvRow row;
    first_line_ = line_;
    bytes_ = 0;
    bool anything = false;
    while (true) {
      std::string field;
      bool const was_quoted = read_field(field);
      anything = anything || was_quoted || field.find_first_not_of(" \t") != field.npos;
      row.push_back(std::move(field));
      if (row.size() > most_csv_fields) fail("more than " + std::to_string(most_csv_fields) + " fields");
      int const c = in_.sbumpc();
      if (c == ',') continue;
      if (c == '\r' && in_.sgetc() == '\n') in_.sbumpc();
      if (c != end_of_file) ++line_;
      break;
    }
    if (row.size() > 1 || anything) take_(row, first_line_);
  }

  // Up to the comma or the line's end, which stay. Whether it had quotes.
  bool read_field(std::string& field) {
    bool quoted = false, inside = false;
    if (in_.sgetc() == '"') {
      in_.sbumpc();
      quoted = inside = true;
    }
    while (true) {
      int const c = in_.sgetc();
      if (c == end_of_file) {
        if (inside) fail("a quote that never ends");
        return quoted;
      }
      if (!inside && (c == ',' || c == '\n' || c == '\r')) return quoted;
      in_.sbumpc();
      if (c == '\n') ++line_;
      if (quoted && c == '"') {
        if (inside && in_.sgetc() == '"') {
          in_.sbumpc();
          field += '"';
        } else {
          inside = !inside;
        }
        continue;
      }
      field += static_cast<char>(c);
      if (++bytes_ > most_csv_row_bytes) fail("more than 64 MiB in one row");
    }
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw BadCsv("line " + std::to_string(first_line_) + ": " + what);
  }

  std::streambuf& in_;
  const std::function<void(const CsvRow&, std::size_t)>& take_;
  std::size_t line_ = 1, first_line_ = 1, bytes_ = 0;
};

}  // namespace

void read_csv(std::istream& in, const std::function<void(const CsvRow&, std::size_t)>& take) {
  Reader(in, take).read();
}

std::string csv_field(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == text.npos) return std::string(text);
  std::string out = "\"";
  for (char const c : text) out += c == '"' ? "\"\"" : std::string(1, c);
  return out + "\"";
}

}  // namespace mlferry::engine
