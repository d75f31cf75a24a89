#include "storage/archive/manifest.hpp"

#include <limits>
#include <set>

#include "protocol/mlflow/json.hpp"
#include "storage/archive/format.hpp"

namespace mlferry::archive {

namespace {

constexpr std::string_view kTailBegin = ",\n\"sha256\":\"";
constexpr std::string_view kTailEnd = "\"}\n";
constexpr std::size_t kTailSize = kTailBegin.size() + 64 + kTailEnd.size();

std::uint64_t get_size(const json::object& object, std::string_view key, const std::string& name) {
  auto const* const value = object.if_contains(key);
  if (value != nullptr && value->is_int64() && value->as_int64() >= 0) {
    return static_cast<std::uint64_t>(value->as_int64());
  }
  if (value != nullptr && value->is_uint64()) return value->as_uint64();
  throw Corrupt(name + ": '" + std::string(key) + "' is missing or no size");
}

const json::object& get_object(const json::object& object, std::string_view key, const std::string& name) {
  auto const* const found = mlflow::get_object(object, key);
  if (found == nullptr) throw Corrupt(name + ": '" + std::string(key) + "' is missing");
  return *found;
}

}  // namespace

std::string Manifest::name() const {
  return std::string(kSnapshotFolder) + "/" + compact_time(info.created) + "-" + info.id + ".json";
}

std::string encode_manifest(const Manifest& manifest) {
  auto const& info = manifest.info;
  json::object object;
  object["format"] = "mlferry-snapshot";
  object["version"] = kVersion;
  object["archive"] = manifest.archive_id;
  object["id"] = info.id;
  object["created"] = info.created;
  object["source"] = info.source;
  object["objects"] = info.objects;
  object["files"] = info.files;
  object["bytes"] = info.bytes;
  object["stored_bytes"] = info.stored_bytes;
  object["summary"] = info.summary;
  object["catalog"] = json::object{{"name", manifest.catalog}, {"size", manifest.catalog_size}};
  json::array packs;
  for (auto const& pack : manifest.packs) {
    packs.push_back(json::object{{"name", pack.name}, {"size", pack.size}, {"own", pack.own}});
  }
  object["packs"] = std::move(packs);
  std::string text = mlflow::to_json(object);
  text.pop_back();  // the closing brace comes after the checksum
  auto const sum = digest::sha256_hex(text);
  text += kTailBegin;
  text += sum;
  text += kTailEnd;
  return text;
}

Manifest decode_manifest(std::string_view text, const std::string& name) {
  if (text.size() <= kTailSize) throw Corrupt(name + ": truncated");
  auto const body = text.substr(0, text.size() - kTailSize);
  auto const tail = text.substr(body.size());
  if (!tail.starts_with(kTailBegin) || !tail.ends_with(kTailEnd) ||
      tail.substr(kTailBegin.size(), 64) != digest::sha256_hex(body)) {
    throw Corrupt(name + ": damaged or truncated (checksum)");
  }
  json::value document;
  try {
    document = mlflow::parse_json(text, name);
  } catch (const mlflow::JsonError& error) {
    throw Corrupt(error.what());
  }
  auto const* const object = document.if_object();
  if (object == nullptr || mlflow::get_string(*object, "format") != "mlferry-snapshot") {
    throw Corrupt(name + ": this is not the manifest of a snapshot");
  }
  if (auto const version = mlflow::get_int(*object, "version"); version != kVersion) {
    throw Corrupt(name + ": version " + (version ? std::to_string(*version) : "?") +
                  " of the format; this program reads version " + std::to_string(kVersion) +
                  ". Use a newer mlferry");
  }
  Manifest manifest;
  manifest.archive_id = mlflow::get_string(*object, "archive");
  auto& info = manifest.info;
  info.id = mlflow::get_string(*object, "id");
  info.created = mlflow::get_string(*object, "created");
  if (!is_hex(info.id, 16)) throw Corrupt(name + ": 'id' is not 16 hex digits");
  if (!parse_rfc3339(info.created)) throw Corrupt(name + ": 'created' is no time");
  if (manifest.name() != name) throw Corrupt(name + ": the file has been renamed; it was " + manifest.name());
  info.source = mlflow::get_string(*object, "source");
  info.objects = get_size(*object, "objects", name);
  info.files = get_size(*object, "files", name);
  info.bytes = get_size(*object, "bytes", name);
  info.stored_bytes = get_size(*object, "stored_bytes", name);
  info.summary = get_object(*object, "summary", name);

  auto const& catalog = get_object(*object, "catalog", name);
  manifest.catalog = mlflow::get_string(catalog, "name");
  if (!is_catalog_name(manifest.catalog)) throw Corrupt(name + ": wrong name of the catalog");
  manifest.catalog_size = get_size(catalog, "size", name);

  auto const* const packs = mlflow::get_array(*object, "packs");
  if (packs == nullptr) throw Corrupt(name + ": 'packs' is missing");
  std::set<std::string> seen;
  for (auto const& value : *packs) {
    auto const* const item = value.if_object();
    if (item == nullptr) throw Corrupt(name + ": wrong list of packs");
    Manifest::Pack pack;
    pack.name = mlflow::get_string(*item, "name");
    pack.size = get_size(*item, "size", name);
    pack.own = mlflow::get_bool(*item, "own");
    auto const kind = kind_of_pack(pack.name);
    if (!kind || pack.size > kLargestPack || !seen.insert(pack.name).second ||
        (pack.own && kind != PackKind::meta)) {
      throw Corrupt(name + ": wrong list of packs");
    }
    manifest.packs.push_back(std::move(pack));
  }
  return manifest;
}

}  // namespace mlferry::archive
