#pragma once
// The tags by which a copy is recognised, and which keep what the destination's API cannot hold.

#include <optional>
#include <string>
#include <string_view>

#include "engine/kinds.hpp"
#include "protocol/mlflow/objects.hpp"

namespace mlferry::engine {

inline constexpr std::string_view marker_prefix = "mlferry.";
inline constexpr std::string_view marker_server = "mlferry.source.server";
// On a version whose files a run of ours carries: the source that it had.
inline constexpr const char* carrier_tag = "mlferry.carrier";
inline constexpr std::string_view marker_id = "mlferry.source.id";

// Tags of a copy: `tags` without the source's own markers, and with ours. `lost`: (name, value) pairs that go
// into "mlferry.source.<name>"; empty values are left out.
mlflow::KeyValues with_markers(mlflow::KeyValues tags, const std::string& server, const std::string& id,
                               const mlflow::KeyValues& lost);

// Tags without any of mlferry's.
mlflow::KeyValues without_markers(mlflow::KeyValues tags);

// The source id in the markers, if `tags` marks a copy of an object of `server`.
std::optional<std::string> marked_source(const mlflow::KeyValues& tags, std::string_view server);

// MLflow filter that finds the copies of that server's objects (of one object when `id` is given); "" when
// the text cannot be written as a literal: then list everything and look at the tags.
std::string marker_filter(std::string_view server, std::optional<std::string_view> id);

// The document's field as text, for `lost`; "" when absent.
std::string field_text(const mlflow::json::object& doc, std::string_view key);

}  // namespace mlferry::engine
