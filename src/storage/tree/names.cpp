#include "storage/tree/names.hpp"

#include "protocol/digest/sha256.hpp"

namespace mlferry::tree {

namespace {

constexpr std::size_t most_part_bytes = 255;
constexpr std::size_t most_name_bytes = 200;
constexpr std::size_t hash_digits = 16;

bool is_hex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

bool must_escape(std::string_view name, std::size_t i) {
  auto const c = static_cast<unsigned char>(name[i]);
  if (c < 0x20 || c == 0x7f || c == '/' || c == '\\') return true;
  if (c == '.') return i == 0;
  return c == '%' && i + 2 < name.size() && is_hex(name[i + 1]) && is_hex(name[i + 2]);
}

}  // namespace

bool is_plain_part(std::string_view part) {
  return !part.empty() && part.size() <= most_part_bytes && part != "." && part != ".." &&
         part.find('/') == part.npos && part.find('\0') == part.npos;
}

bool is_plain_path(std::string_view path) {
  while (true) {
    auto const slash = path.find('/');
    if (!is_plain_part(path.substr(0, slash))) return false;
    if (slash == path.npos) return true;
    path.remove_prefix(slash + 1);
  }
}

std::string safe_name(std::string_view name) {
  if (name.empty()) return "%";
  constexpr std::string_view hex = "0123456789ABCDEF";
  std::string out;
  for (std::size_t i = 0; i < name.size(); ++i) {
    if (!must_escape(name, i)) {
      out += name[i];
      continue;
    }
    auto const c = static_cast<unsigned char>(name[i]);
    out += '%';
    out += hex[c >> 4];
    out += hex[c & 15];
  }
  if (out.size() <= most_name_bytes) return out;
  auto end = most_name_bytes;
  while (end > 0 && (static_cast<unsigned char>(out[end]) & 0xC0) == 0x80) --end;  // no half character
  return out.substr(0, end) + "~" + digest::sha256_hex(name).substr(0, hash_digits);
}

}  // namespace mlferry::tree
