#include "engine/tools/rewrite_rules.hpp"

#include <charconv>
#include <functional>
#include <set>

#include "engine/selection.hpp"

namespace mlferry::engine {

namespace {

[[noreturn]] void refuse(std::size_t number, const std::string& what) {
  throw BadRules("rule " + std::to_string(number) + ": " + what);
}

std::string text_in(const json::object& rule, const char* key, std::size_t number) {
  auto const* value = rule.if_contains(key);
  if (value == nullptr || !value->is_string())
    refuse(number, std::string("'") + key + "' is missing or no text");
  return std::string(value->get_string());
}

std::vector<std::string> parse_pointer(const std::string& pointer, std::size_t number) {
  if (!pointer.starts_with('/')) refuse(number, "'" + pointer + "' is no JSON pointer: it begins with '/'");
  std::vector<std::string> parts;
  for (std::size_t at = 1; at <= pointer.size();) {
    auto const end = std::min(pointer.find('/', at), pointer.size());
    std::string part;
    for (std::size_t i = at; i < end; ++i) {
      if (pointer[i] != '~') {
        part += pointer[i];
        continue;
      }
      char const code = i + 1 < end ? pointer[i + 1] : ' ';
      if (code != '0' && code != '1')
        refuse(number, "'" + pointer + "': '~' stands only in '~0' (a '~') and '~1' (a '/')");
      part += code == '0' ? '~' : '/';
      ++i;
    }
    parts.push_back(std::move(part));
    at = end + 1;
  }
  if (parts[0] == "mlferry" || parts[0] == "system")
    refuse(number, "'" + pointer + "': '" + parts[0] +
                       "' says who wrote the file; what is imported stands in 'mlflow'");
  return parts;
}

RewriteRule parse_rule(const json::object& object, std::size_t number) {
  static constexpr std::pair<const char*, RewriteRule::Change> changes[] = {
      {"set", RewriteRule::Change::set},
      {"remove", RewriteRule::Change::remove},
      {"rename", RewriteRule::Change::rename},
      {"replace", RewriteRule::Change::replace}};
  RewriteRule rule;
  std::string name;
  std::set<std::string_view> known{"files"};
  for (auto const& [key, change] : changes) {
    if (!object.contains(key)) continue;
    if (!name.empty()) refuse(number, "it has both '" + name + "' and '" + key + "'");
    name = key;
    rule.change = change;
    known.insert(key);
  }
  if (name.empty()) refuse(number, "it has none of 'set', 'remove', 'rename' and 'replace'");
  rule.at = parse_pointer(text_in(object, name.c_str(), number), number);
  if (object.contains("files")) rule.files = text_in(object, "files", number);
  switch (rule.change) {
    case RewriteRule::Change::set:
      if (!object.contains("value")) refuse(number, "'set' needs a 'value'");
      rule.value = object.at("value");
      known.insert("value");
      break;
    case RewriteRule::Change::rename:
      rule.to = text_in(object, "to", number);
      known.insert("to");
      break;
    case RewriteRule::Change::replace:
      rule.find = text_in(object, "find", number);
      rule.with = text_in(object, "with", number);
      if (rule.find.empty()) refuse(number, "'find' is empty");
      known.insert({"find", "with"});
      break;
    case RewriteRule::Change::remove:
      break;
  }
  for (auto const& [key, member] : object) {
    if (!known.contains(key)) refuse(number, "'" + std::string(key) + "' is not known here");
  }
  return rule;
}

std::optional<std::size_t> index_of(const std::string& part, std::size_t size) {
  std::size_t index = 0;
  auto const* end = part.data() + part.size();
  auto const [rest, error] = std::from_chars(part.data(), end, index);
  if (error != std::errc() || rest != end || index >= size) return std::nullopt;
  return index;
}

// Calls `take` for each place that parts[at..end) lead to.
void each_place(json::value& value, const std::vector<std::string>& parts, std::size_t at, std::size_t end,
                const std::function<void(json::value&)>& take) {
  if (at == end) return take(value);
  auto const& part = parts[at];
  if (auto* object = value.if_object()) {
    if (part == "*") {
      for (auto& member : *object) each_place(member.value(), parts, at + 1, end, take);
    } else if (auto* member = object->if_contains(part)) {
      each_place(*member, parts, at + 1, end, take);
    }
  } else if (auto* list = value.if_array()) {
    if (part == "*") {
      for (auto& item : *list) each_place(item, parts, at + 1, end, take);
    } else if (auto const index = index_of(part, list->size())) {
      each_place((*list)[*index], parts, at + 1, end, take);
    }
  }
}

std::size_t put(json::value& place, const json::value& value) {
  if (place == value) return 0;
  place = value;
  return 1;
}

std::size_t set_in(json::value& parent, const std::string& part, const json::value& value) {
  std::size_t changed = 0;
  if (auto* object = parent.if_object()) {
    if (part == "*") {
      for (auto& member : *object) changed += put(member.value(), value);
    } else if (auto* member = object->if_contains(part)) {
      changed += put(*member, value);
    } else {
      object->emplace(part, value);
      changed = 1;
    }
  } else if (auto* list = parent.if_array()) {
    if (part == "*") {
      for (auto& item : *list) changed += put(item, value);
    } else if (part == "-") {
      list->push_back(value);
      changed = 1;
    } else if (auto const index = index_of(part, list->size())) {
      changed = put((*list)[*index], value);
    }
  }
  return changed;
}

std::size_t remove_in(json::value& parent, const std::string& part) {
  std::size_t changed = 0;
  if (auto* object = parent.if_object()) {
    if (part == "*") {
      changed = object->size();
      object->clear();
    } else if (object->contains(part)) {
      json::object rest;  // boost's erase moves the last member into the hole
      for (auto& member : *object) {
        if (member.key() != part) rest.emplace(member.key(), std::move(member.value()));
      }
      *object = std::move(rest);
      changed = 1;
    }
  } else if (auto* list = parent.if_array()) {
    if (part == "*") {
      changed = list->size();
      list->clear();
    } else if (auto const index = index_of(part, list->size())) {
      list->erase(list->begin() + static_cast<std::ptrdiff_t>(*index));
      changed = 1;
    }
  }
  return changed;
}

// The member keeps its place; one that has the new name already gives way.
std::size_t rename_in(json::value& parent, const std::string& part, const std::string& to) {
  auto* object = parent.if_object();
  if (object == nullptr || part == to || !object->contains(part)) return 0;
  json::object renamed;
  for (auto& member : *object) {
    if (member.key() == to) continue;
    renamed.emplace(member.key() == part ? json::string_view(to) : member.key(), std::move(member.value()));
  }
  *object = std::move(renamed);
  return 1;
}

std::size_t replace_in(json::value& value, const std::string& find, const std::string& with) {
  std::size_t changed = 0;
  if (auto* object = value.if_object()) {
    for (auto& member : *object) changed += replace_in(member.value(), find, with);
  } else if (auto* list = value.if_array()) {
    for (auto& item : *list) changed += replace_in(item, find, with);
  } else if (auto* text = value.if_string()) {
    std::string const old(*text);
    std::string fresh;
    std::size_t at = 0;
    for (auto found = old.find(find); found != old.npos; found = old.find(find, at)) {
      fresh.append(old, at, found - at).append(with);
      at = found + find.size();
    }
    fresh.append(old, at);
    if (fresh != old) {
      *text = fresh;
      changed = 1;
    }
  }
  return changed;
}

}  // namespace

std::vector<RewriteRule> parse_rules(std::string_view text) {
  json::value document;
  try {
    document = mlflow::parse_python_json(text, "the rules");
  } catch (const mlflow::JsonError& error) {
    throw BadRules(std::string("they are no JSON: ") + error.what());
  }
  auto const* list = document.if_array();
  if (auto const* object = document.if_object()) list = mlflow::get_array(*object, "rules");
  if (list == nullptr) throw BadRules("there is no list of rules");
  if (list->empty()) throw BadRules("the list of rules is empty");
  std::vector<RewriteRule> rules;
  for (auto const& item : *list) {
    if (!item.is_object()) refuse(rules.size() + 1, "it is no JSON object");
    rules.push_back(parse_rule(item.get_object(), rules.size() + 1));
  }
  return rules;
}

bool applies_to(const RewriteRule& rule, std::string_view path) {
  return glob_matches(rule.files, path);
}

std::size_t apply_rule(const RewriteRule& rule, json::value& document) {
  std::size_t changed = 0;
  auto const last = rule.at.size() - 1;
  if (rule.change == RewriteRule::Change::replace) {
    each_place(document, rule.at, 0, rule.at.size(),
               [&](json::value& place) { changed += replace_in(place, rule.find, rule.with); });
    return changed;
  }
  each_place(document, rule.at, 0, last, [&](json::value& parent) {
    switch (rule.change) {
      case RewriteRule::Change::set:
        changed += set_in(parent, rule.at[last], rule.value);
        break;
      case RewriteRule::Change::remove:
        changed += remove_in(parent, rule.at[last]);
        break;
      default:
        changed += rename_in(parent, rule.at[last], rule.to);
        break;
    }
  });
  return changed;
}

}  // namespace mlferry::engine
