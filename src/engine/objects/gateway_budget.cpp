// Budget policies of the gateway. They have no name: one is what its values are, and two equal ones stay two.

#include <array>

#include "engine/objects/gateway.hpp"

namespace mlferry::engine {

namespace {

constexpr std::array<std::string_view, 7> fields{"budget_unit",  "budget_amount", "duration",  "target_scope",
                                                 "target_value", "budget_action", "created_by"};
constexpr std::array<std::string_view, 6> changeable{"budget_unit",  "budget_amount", "duration",
                                                     "target_scope", "target_value",  "budget_action"};

class GatewayBudgetKind final : public ObjectKind {
 public:
  Kind kind() const override { return Kind::gateway_budget; }

  async::Task<std::optional<std::vector<ObjectRecord>>> list(const ServerView& server) const override {
    auto records = co_await gateway::list_records(
        server.client, {kind(), "budgets/list", "budget_policies", "budget_policy_id", "budget_policy_id"});
    if (!records) co_return std::nullopt;
    for (auto& record : *records) {
      record.name =
          gateway::text_of(record.doc, "target_scope") + " " + gateway::text_of(record.doc, "budget_action");
    }
    co_return records;
  }

  bool listing_shows_changes() const override { return true; }

  async::Task<MappedObject> map(const ObjectRecord& record, IdMap& ids) const override {
    MappedObject mapped{record.doc, {}, {}};
    // Of a user it is the name.
    if (mlflow::get_string(record.doc, "target_scope") != "ENDPOINT") co_return mapped;
    auto const endpoint = gateway::text_of(record.doc, "target_value");
    auto const copy = co_await ids.find(Kind::gateway_endpoint, endpoint);
    if (copy) {
      mapped.doc["target_value"] = *copy;
    } else {
      mapped.failure = "its endpoint (" + endpoint + ") was not copied";
    }
    co_return mapped;
  }

  std::string identity(const json::object& doc) const override {
    return mlflow::to_canonical_json(comparable(doc));
  }
  json::object comparable(const json::object& doc) const override {
    return gateway::plain_fields(doc, fields);
  }

  async::Task<std::string> create(const ServerView& server, const json::object& wanted) const override {
    co_return co_await gateway::create_one(server.client, "budgets/create", comparable(wanted),
                                           "budget_policy", "budget_policy_id");
  }

  async::Task<std::vector<std::string>> update(const ServerView& server, const ObjectRecord& existing,
                                               const json::object& wanted, bool ours) const override {
    auto have = comparable(existing.doc);
    auto const want = comparable(wanted);
    auto changes = only_fields(want, changeable);
    if (ours && only_fields(have, changeable) != changes) {
      have = changes;
      if (auto const by = gateway::text_of(existing.doc, "created_by"); !by.empty()) have["created_by"] = by;
      changes["budget_policy_id"] = existing.id;
      co_await gateway::send(server.client, http::Method::post, "budgets/update", std::move(changes));
    }
    co_return differing_fields(want, have);
  }
};

}  // namespace

std::unique_ptr<const ObjectKind> make_gateway_budget_kind() {
  return std::make_unique<GatewayBudgetKind>();
}

}  // namespace mlferry::engine
