#include "engine/endpoints/adoption.hpp"

#include <algorithm>

#include "protocol/mlflow/json.hpp"

namespace mlferry::engine {

namespace json = mlflow::json;

std::optional<Adoption> Adoption::parse(std::string_view data) {
  json::value value;
  try {
    value = mlflow::parse_json(data, "the ledger");
  } catch (const mlflow::JsonError&) {
    return std::nullopt;
  }
  auto const* object = value.if_object();
  if (object == nullptr || !mlflow::get_bool(*object, "adopted")) return std::nullopt;
  Adoption adoption;
  if (auto const* tags = mlflow::get_object(*object, "tags")) {
    for (auto const& [key, text] : *tags) {
      if (auto const* value_text = text.if_string()) adoption.put(key, std::string(*value_text));
    }
  }
  return adoption;
}

std::string Adoption::data() const {
  json::object object{{"adopted", true}};
  if (!tags.empty()) {
    auto& list = object["tags"].emplace_object();
    for (auto const& tag : tags) list[tag.key] = tag.value;
  }
  return mlflow::to_json(object);
}

bool Adoption::set(std::string_view key, std::string_view value) const {
  auto const* ours = mlflow::find_value(tags, key);
  return ours != nullptr && *ours == value;
}

void Adoption::put(std::string key, std::string value) {
  auto const found = std::find_if(tags.begin(), tags.end(), [&](auto const& tag) { return tag.key == key; });
  if (found != tags.end()) {
    found->value = std::move(value);
  } else {
    tags.push_back({std::move(key), std::move(value)});
  }
}

}  // namespace mlferry::engine
