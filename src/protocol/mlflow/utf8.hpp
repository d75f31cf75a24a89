#pragma once
// Checks and cuts UTF-8 text. The server answers invalid UTF-8 with something else than it was sent, so that
// nothing of the kind may leave.

#include <cstddef>
#include <string>
#include <string_view>

namespace mlferry::mlflow {

// RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_utf8(std::string_view text);

// At most `limit` bytes of the text, not ending inside a character; bytes that are not UTF-8 and control
// characters other than a line feed become '?'. For text of a server that goes into a report.
std::string readable(std::string_view text, std::size_t limit);

}  // namespace mlferry::mlflow
