#include "engine/endpoints/markers.hpp"

#include <algorithm>

#include "protocol/mlflow/client.hpp"

namespace mlferry::engine {

mlflow::KeyValues without_markers(mlflow::KeyValues tags) {
  std::erase_if(tags, [](const mlflow::KeyValue& tag) { return tag.key.starts_with(marker_prefix); });
  return tags;
}

mlflow::KeyValues with_markers(mlflow::KeyValues tags, const std::string& server, const std::string& id,
                               const mlflow::KeyValues& lost) {
  tags = without_markers(std::move(tags));
  tags.push_back({std::string(marker_server), server});
  tags.push_back({std::string(marker_id), id});
  for (auto const& [name, value] : lost) {
    if (!value.empty()) tags.push_back({"mlferry.source." + name, value});
  }
  return tags;
}

std::optional<std::string> marked_source(const mlflow::KeyValues& tags, std::string_view server) {
  auto const* from = mlflow::find_value(tags, marker_server);
  auto const* id = mlflow::find_value(tags, marker_id);
  if (from == nullptr || id == nullptr || *from != server) return std::nullopt;
  return *id;
}

std::string marker_filter(std::string_view server, std::optional<std::string_view> id) {
  auto const server_literal = mlflow::filter_literal(server);
  if (!server_literal) return {};
  std::string filter = "tags.`" + std::string(marker_server) + "` = " + *server_literal;
  if (id) {
    auto const id_literal = mlflow::filter_literal(*id);
    if (!id_literal) return {};
    filter += " AND tags.`" + std::string(marker_id) + "` = " + *id_literal;
  }
  return filter;
}

std::string field_text(const mlflow::json::object& doc, std::string_view key) {
  auto const text = mlflow::get_string(doc, key);
  if (!text.empty()) return std::string(text);
  auto const number = mlflow::get_int(doc, key);
  return number ? std::to_string(*number) : std::string();
}

}  // namespace mlferry::engine
