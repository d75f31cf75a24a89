#include "engine/rename_rules.hpp"

#include <algorithm>

#include "engine/id_text.hpp"

namespace mlferry::engine {

namespace {

std::string_view without_space_behind(std::string_view line) {
  while (!line.empty() && std::string_view(" \t\r\n\v\f").find(line.back()) != std::string_view::npos) line.remove_suffix(1);
  return line;
}

}  // namespace

RenameRules RenameRules::parse(std::string_view text) {
  RenameRules out;
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  std::size_t number = 0;
  while (!text.empty()) {
    auto const end = std::min(text.find('\n'), text.size());
    auto const line = without_space_behind(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    ++number;
    if (line.empty()) continue;
    auto const fail = [number](const std::string& why) {
      return RenameError("line " + std::to_string(number) + " " + why + " (a rule is: old name,new name)");
    };
    auto const comma = line.find(',');
    if (comma == line.npos) throw fail("has no comma");
    if (line.find(',', comma + 1) != line.npos) throw fail("has more than one comma");
    std::string old(line.substr(0, comma)), renamed(line.substr(comma + 1));
    if (old.empty() || renamed.empty()) throw fail("has an empty name");
    auto const same = std::find_if(out.rules_.begin(), out.rules_.end(), [&](auto const& rule) { return rule.first == old; });
    if (same != out.rules_.end()) {
      same->second = std::move(renamed);
    } else {
      out.rules_.emplace_back(std::move(old), std::move(renamed));
    }
  }
  return out;
}

std::string RenameRules::apply(std::string_view name) const {
  for (auto const& [old, renamed] : rules_) {
    if (name.starts_with(old)) return replace_all(name, {{old, renamed}});
  }
  return std::string(name);
}

}  // namespace mlferry::engine
