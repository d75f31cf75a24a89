#include "engine/id_text.hpp"

#include <algorithm>

namespace mlferry::engine {

namespace {

bool is_hex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}
bool is_word(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

void add_once(std::vector<std::string>& list, std::string_view id) {
  if (std::find(list.begin(), list.end(), id) == list.end()) list.emplace_back(id);
}

}  // namespace

IdsInText find_ids(std::string_view text) {
  constexpr std::size_t length = 32;
  IdsInText ids;
  std::size_t i = 0;
  while (i < text.size()) {
    if (!is_hex(text[i]) || (i > 0 && is_word(text[i - 1]))) {
      ++i;
      continue;
    }
    std::size_t end = i;
    while (end < text.size() && is_hex(text[end])) ++end;
    bool const whole = end - i == length && (end == text.size() || !is_word(text[end]));
    if (whole) {
      bool const model =
          i >= 2 && text[i - 1] == '-' && text[i - 2] == 'm' && (i == 2 || !is_word(text[i - 3]));
      if (model) {
        add_once(ids.logged_models, text.substr(i - 2, length + 2));
      } else {
        add_once(ids.runs, text.substr(i, length));
      }
    }
    i = std::max(end, i + 1);
  }
  return ids;
}

std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    auto const end = std::min(text.find(','), text.size());
    if (end > 0) parts.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

std::string replace_all(std::string_view text, const Replacements& replacements) {
  std::string out;
  out.reserve(text.size());
  std::size_t i = 0;
  while (i < text.size()) {
    const std::pair<std::string, std::string>* best = nullptr;
    for (auto const& candidate : replacements) {
      if (candidate.first.empty() || candidate.first[0] != text[i]) continue;
      if (text.substr(i).starts_with(candidate.first) &&
          (best == nullptr || candidate.first.size() > best->first.size())) {
        best = &candidate;
      }
    }
    if (best == nullptr) {
      out += text[i++];
    } else {
      out += best->second;
      i += best->first.size();
    }
  }
  return out;
}

std::pair<bool, std::string> move_uri(std::string_view uri, std::string_view from_uri,
                                      std::string_view to_uri) {
  if (from_uri.empty() || !uri.starts_with(from_uri)) return {false, {}};
  auto const rest = uri.substr(from_uri.size());
  if (!rest.empty() && rest[0] != '/') return {false, {}};
  return {true, std::string(to_uri) + std::string(rest)};
}

}  // namespace mlferry::engine
