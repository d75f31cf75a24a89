// Model definitions of the gateway: a provider's model, and the secret to call it with.

#include <array>

#include "engine/objects/gateway.hpp"

namespace mlferry::engine {

namespace {

constexpr std::array<std::string_view, 5> fields{"name", "secret_id", "provider", "model_name", "created_by"};
constexpr std::array<std::string_view, 3> changeable{"secret_id", "provider", "model_name"};

class GatewayModelDefinitionKind final : public ObjectKind {
 public:
  Kind kind() const override { return Kind::gateway_model_definition; }

  async::Task<std::optional<std::vector<ObjectRecord>>> list(const ServerView& server) const override {
    co_return co_await gateway::list_records(
        server.client,
        {kind(), "model-definitions/list", "model_definitions", "model_definition_id", "name"});
  }

  bool listing_shows_changes() const override { return true; }

  async::Task<MappedObject> map(const ObjectRecord& record, IdMap& ids) const override {
    MappedObject mapped{record.doc, {}, {}};
    auto const secret = gateway::text_of(record.doc, "secret_id");
    if (secret.empty()) {
      mapped.failure = "its secret was deleted in the source, and a definition cannot be made without one";
      co_return mapped;
    }
    auto const copy = co_await ids.find(Kind::gateway_secret, secret);
    if (copy) {
      mapped.doc["secret_id"] = *copy;
    } else {
      mapped.failure = "its secret '" + gateway::text_of(record.doc, "secret_name") + "' was not copied";
    }
    co_return mapped;
  }

  std::string identity(const json::object& doc) const override { return gateway::text_of(doc, "name"); }
  json::object comparable(const json::object& doc) const override {
    return gateway::plain_fields(doc, fields);
  }

  async::Task<std::string> create(const ServerView& server, const json::object& wanted) const override {
    co_return co_await gateway::create_one(server.client, "model-definitions/create", comparable(wanted),
                                           "model_definition", "model_definition_id");
  }

  async::Task<std::vector<std::string>> update(const ServerView& server, const ObjectRecord& existing,
                                               const json::object& wanted, bool ours) const override {
    auto have = comparable(existing.doc);
    auto const want = comparable(wanted);
    auto changes = only_fields(want, changeable);
    if (ours && only_fields(have, changeable) != changes) {
      for (auto const& [key, value] : changes) have[key] = value;
      changes["model_definition_id"] = existing.id;
      co_await gateway::send(server.client, http::Method::post, "model-definitions/update",
                             std::move(changes));
    }
    co_return differing_fields(want, have);
  }
};

}  // namespace

std::unique_ptr<const ObjectKind> make_gateway_model_definition_kind() {
  return std::make_unique<GatewayModelDefinitionKind>();
}

}  // namespace mlferry::engine
