#include "protocol/mlflow/artifact_path.hpp"

#include <algorithm>

#include "protocol/mlflow/client.hpp"
#include "protocol/mlflow/utf8.hpp"

namespace mlferry::mlflow {
namespace {

bool is_hex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// A path that the server takes apart as a URL and puts together again loses empty parts: a '?' with nothing
// behind it, and a ';' with nothing between it and the '?' or the end.
std::string_view lost_character(std::string_view path) {
  std::size_t const question = path.find('?');
  if (question != path.npos && question + 1 == path.size()) return "a '?' at the end of a name is dropped";
  std::string_view const before = path.substr(0, question);
  std::string_view const last = before.substr(before.rfind('/') + 1);  // npos + 1 is 0
  std::size_t const semicolon = last.find(';');
  if (semicolon != last.npos && semicolon + 1 == last.size()) return "a ';' at the end of a name is dropped";
  return "";
}

std::string part_problem(std::string_view part) {
  if (part.empty()) return "an empty name between slashes disappears";
  if (part == ".") return "the name '.' disappears";
  if (part == "..") return "the name '..' is refused";
  return "";
}

// Letters, digits, '+', '-', '.' before the first ':' are taken for the scheme of a URL.
bool has_scheme(std::string_view path) {
  std::size_t const colon = path.find(':');
  if (colon == path.npos || colon == 0 || !is_letter(path.front())) return false;
  return std::all_of(path.begin(), path.begin() + static_cast<std::ptrdiff_t>(colon), [](char c) {
    return is_letter(c) || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
  });
}

bool has_clean_parts(std::string_view path) {
  while (true) {
    std::size_t const slash = path.find('/');
    if (!part_problem(path.substr(0, slash)).empty()) return false;
    if (slash == path.npos) return true;
    path.remove_prefix(slash + 1);
  }
}

}  // namespace

std::string unservable_reason(std::string_view path) {
  if (path.empty()) return "";
  if (!is_utf8(path)) return "the name is not valid UTF-8";
  if (path.front() == '/') return "an absolute path is refused";
  for (std::size_t i = 0; i < path.size(); ++i) {
    auto const c = static_cast<unsigned char>(path[i]);
    if (c == '#') return "'#' is refused";
    if (c == '\n') return "a line feed is refused or escaped";
    if (c < 0x20 || c == 0x7F) return "a control character is dropped or escaped";
    if (c == '%' && i + 2 < path.size() && is_hex(path[i + 1]) && is_hex(path[i + 2])) {
      return "'" + std::string(path.substr(i, 3)) + "' is decoded again";
    }
  }
  // Each directory on the way has to be listed, so what holds for the end of the path holds for theirs.
  std::size_t start = 0;
  while (true) {
    std::size_t const slash = path.find('/', start);
    std::string problem = part_problem(path.substr(start, slash == path.npos ? slash : slash - start));
    if (problem.empty()) problem = lost_character(path.substr(0, slash));
    if (!problem.empty() || slash == path.npos) return problem;
    start = slash + 1;
  }
}

std::string unlistable_reason(std::string_view path) {
  std::string reason = unservable_reason(path);
  if (!reason.empty() || path.empty()) return reason;
  if (path.front() == ' ') return "a space at the beginning of the path is dropped";
  if (has_scheme(path)) return "the beginning up to ':' is taken for the scheme of a URL";
  return "";
}

Listed classify_listed(std::string_view asked, std::string_view listed) {
  if (!asked.empty()) {
    if (!listed.starts_with(asked)) return Listed::elsewhere;
    listed.remove_prefix(asked.size());
    if (listed.empty() || listed == "/") return Listed::itself;
    if (listed.front() != '/') return Listed::elsewhere;
    listed.remove_prefix(1);
  }
  return has_clean_parts(listed) ? Listed::inside : Listed::elsewhere;
}

}  // namespace mlferry::mlflow
