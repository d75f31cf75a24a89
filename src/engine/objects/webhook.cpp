// Webhooks (mlflow-rest 10.4). Made disabled, and set to what they were when everything else is written,
// since they would fire on every object that is copied. Secrets are never given out.

#include <array>

#include "engine/objects/object_records.hpp"

namespace mlferry::engine {

namespace {

constexpr std::array<std::string_view, 5> fields{"name", "url", "events", "status", "description"};
constexpr std::array<std::string_view, 3> own{"name", "url", "events"};
constexpr const char* path = "/api/2.0/mlflow/webhooks";

// A server without a key of its own for secrets makes one in each of its processes: those that did not write
// a secret answer 500 (mlflow-rest 10.4), and the next request may go to another.
async::Task<std::optional<std::vector<json::object>>> list_of(mlflow::Client& client) {
  constexpr int most_asked = 16;
  for (int i = 1;; ++i) {
    try {
      co_return co_await list_all(client, http::Method::get, std::string(path) + "?max_results=100", {},
                                  "webhooks");
    } catch (const mlflow::ApiError& error) {
      if (error.status() != 500 || i == most_asked) throw;
    }
  }
}

class WebhookKind final : public ObjectKind {
 public:
  Kind kind() const override { return Kind::webhook; }

  async::Task<std::optional<std::vector<ObjectRecord>>> list(const ServerView& server) const override {
    auto found = co_await list_of(server.client);
    if (!found) co_return std::nullopt;
    co_return to_records(kind(), std::move(*found), {"webhook_id", "", "name"});
  }

  std::string identity(const json::object& doc) const override {
    return mlflow::to_canonical_json(only_fields(doc, own));
  }
  json::object comparable(const json::object& doc) const override { return only_fields(doc, fields); }
  std::string follow_up(const json::object& doc) const override {
    return "if webhook '" + std::string(mlflow::get_string(doc, "name")) +
           "' signs what it sends, enter its secret again: no server gives secrets out";
  }

  async::Task<std::string> create(const ServerView& server, const json::object& wanted) const override {
    auto body = only_fields(wanted, fields);
    body["status"] = "DISABLED";
    auto const answer =
        co_await server.client.change(http::Method::post, path, std::move(body), http::Repeat::unclear);
    auto const* webhook = mlflow::get_object(answer, "webhook");
    co_return std::string(webhook == nullptr ? std::string_view()
                                             : mlflow::get_string(*webhook, "webhook_id"));
  }

  async::Task<std::vector<std::string>> update(const ServerView& server, const ObjectRecord& existing,
                                               const json::object& wanted, bool ours) const override {
    auto have = comparable(existing.doc);
    auto const want = comparable(wanted);
    auto const description = mlflow::get_string(want, "description");
    if (ours && mlflow::get_string(have, "description") != description) {
      json::object body{{"webhook_id", existing.id}, {"description", description}};
      co_await server.client.change(http::Method::patch, std::string(path) + "/" + existing.id,
                                    std::move(body), http::Repeat::safe);
      have["description"] = description;
    }
    if (ours && want.contains("status")) have["status"] = want.at("status");  // activate() does it
    co_return differing_fields(want, have);
  }

  bool wakes_last() const override { return true; }
  async::Task<> activate(const ServerView& server, std::string id,
                         const json::object& wanted) const override {
    json::object body{{"webhook_id", id}, {"status", mlflow::get_string(wanted, "status")}};
    co_await server.client.change(http::Method::patch, std::string(path) + "/" + id, std::move(body),
                                  http::Repeat::safe);
  }
};

}  // namespace

std::unique_ptr<const ObjectKind> make_webhook_kind() {
  return std::make_unique<WebhookKind>();
}

}  // namespace mlferry::engine
