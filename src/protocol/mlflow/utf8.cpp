#include "protocol/mlflow/utf8.hpp"

#include <cstdint>
#include <cstring>

namespace mlferry::mlflow {
namespace {

// The length of the character at the front of `text`, which is not empty; 0 when it is not UTF-8.
std::size_t character_length(std::string_view text) {
  auto const byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  auto const continues = [&](std::size_t i, unsigned low = 0x80, unsigned high = 0xBF) {
    return i < text.size() && byte(i) >= low && byte(i) <= high;
  };
  unsigned const lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead < 0xC2) return 0;
  if (lead < 0xE0) return continues(1) ? 2 : 0;
  if (lead < 0xF0) {
    unsigned const low = lead == 0xE0 ? 0xA0 : 0x80;
    unsigned const high = lead == 0xED ? 0x9F : 0xBF;
    return continues(1, low, high) && continues(2) ? 3 : 0;
  }
  if (lead > 0xF4) return 0;
  unsigned const low = lead == 0xF0 ? 0x90 : 0x80;
  unsigned const high = lead == 0xF4 ? 0x8F : 0xBF;
  return continues(1, low, high) && continues(2) && continues(3) ? 4 : 0;
}

}  // namespace

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    // Eight ASCII bytes at a time: nearly all text is ASCII.
    std::uint64_t block = 0;
    while (text.size() >= sizeof(block)) {
      std::memcpy(&block, text.data(), sizeof(block));
      if ((block & 0x8080808080808080u) != 0) break;
      text.remove_prefix(sizeof(block));
    }
    if (text.empty()) break;
    std::size_t const length = character_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string readable(std::string_view text, std::size_t limit) {
  std::string out;
  while (!text.empty()) {
    std::size_t const length = character_length(text);
    auto const first = static_cast<unsigned char>(text.front());
    bool const keep = length != 0 && (first >= 0x20 || first == '\n') && first != 0x7F;
    std::size_t const taken = length == 0 ? 1 : length;
    if (out.size() + (keep ? taken : 1) > limit) break;
    if (keep) {
      out.append(text, 0, taken);
    } else {
      out += '?';
    }
    text.remove_prefix(taken);
  }
  return out;
}

}  // namespace mlferry::mlflow
