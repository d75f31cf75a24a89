// Secrets of the gateway: what is known about them. No server gives the value out, so a copy is made with a
// placeholder for each of its fields, and an administrator has to enter the value.

#include <algorithm>
#include <array>

#include "engine/objects/gateway.hpp"

namespace mlferry::engine {

namespace {

constexpr std::array<std::string_view, 4> fields{"secret_name", "provider", "auth_config", "created_by"};
constexpr const char* placeholder = "mlferry-placeholder: enter the value";

class GatewaySecretKind final : public ObjectKind {
 public:
  Kind kind() const override { return Kind::gateway_secret; }

  async::Task<std::optional<std::vector<ObjectRecord>>> list(const ServerView& server) const override {
    auto records = co_await gateway::list_records(
        server.client, {kind(), "secrets/list", "secrets", "secret_id", "secret_name"});
    if (!records) co_return std::nullopt;
    for (auto& record : *records) {
      // Ends of the value show in there: they go into no archive. The names of its fields tell what to enter.
      json::array names;
      if (auto const* masked = mlflow::get_object(record.doc, "masked_values")) {
        for (auto const& [name, value] : *masked) names.emplace_back(name);
      }
      std::sort(names.begin(), names.end(),
                [](const json::value& a, const json::value& b) { return a.get_string() < b.get_string(); });
      record.doc.erase("masked_values");
      record.doc["value_fields"] = std::move(names);
    }
    co_return records;
  }

  bool listing_shows_changes() const override { return true; }

  std::string identity(const json::object& doc) const override {
    return gateway::text_of(doc, "secret_name");
  }
  json::object comparable(const json::object& doc) const override {
    return gateway::plain_fields(doc, fields);
  }

  std::string follow_up(const json::object& doc) const override {
    auto const provider = gateway::text_of(doc, "provider");
    std::string const which = "gateway secret '" + gateway::text_of(doc, "secret_name") + "' (provider " +
                              (provider.empty() ? "not set" : provider) + ")";
    auto const names = value_fields(doc);
    if (names.empty())
      return "if " + which + " has a value, re-enter it in the destination: the source shows none";
    std::string list;
    for (auto const& name : names) list += (list.empty() ? "" : ", ") + name;
    return "re-enter the value of " + which + " in the destination: " + list;
  }

  async::Task<std::string> create(const ServerView& server, const json::object& wanted) const override {
    auto body = comparable(wanted);
    json::object value;
    for (auto const& name : value_fields(wanted)) value[name] = placeholder;
    body["secret_value"] = std::move(value);
    std::optional<std::string> refused;
    try {
      co_return co_await gateway::create_one(server.client, "secrets/create", std::move(body), "secret",
                                             "secret_id");
    } catch (const mlflow::ApiError& error) {
      if (error.server_message().find("api_base") == std::string::npos) throw;
      refused = error.what();
    }
    throw std::runtime_error(*refused +
                             " (the destination refuses its api_base: its environment variables "
                             "MLFLOW_GATEWAY_API_BASE_ALLOWED_SCHEMES and "
                             "MLFLOW_GATEWAY_API_BASE_ALLOW_PRIVATE_IPS decide)");
  }

  async::Task<std::vector<std::string>> update(const ServerView& server, const ObjectRecord& existing,
                                               const json::object& wanted, bool ours) const override {
    auto have = comparable(existing.doc);
    auto const want = comparable(wanted);
    auto const* config = want.if_contains("auth_config");
    auto const* there = have.if_contains("auth_config");
    if (ours && mlflow::to_canonical_json(config == nullptr ? json::value() : *config) !=
                    mlflow::to_canonical_json(there == nullptr ? json::value() : *there)) {
      // An empty map would leave it as it is; a blank api_base is dropped, which leaves nothing.
      json::object blank{{"api_base", ""}};
      json::object body{{"secret_id", existing.id},
                        {"auth_config", config == nullptr ? json::value(std::move(blank)) : *config}};
      co_await gateway::send(server.client, http::Method::post, "secrets/update", std::move(body));
      have.erase("auth_config");
      if (config != nullptr) have["auth_config"] = *config;
    }
    co_return differing_fields(want, have);
  }

 private:
  static std::vector<std::string> value_fields(const json::object& doc) {
    std::vector<std::string> names;
    auto const* list = mlflow::get_array(doc, "value_fields");
    for (auto const& name : list == nullptr ? json::array{} : *list) {
      if (auto const* text = name.if_string()) names.emplace_back(*text);
    }
    return names;
  }
};

}  // namespace

std::unique_ptr<const ObjectKind> make_gateway_secret_kind() {
  return std::make_unique<GatewaySecretKind>();
}

}  // namespace mlferry::engine
