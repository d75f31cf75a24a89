// Issues (mlflow-rest 10.3). They have no tags, so one with the same experiment, name, description and author
// is the same; creating is not idempotent.

#include <array>

#include "engine/objects/object_records.hpp"

namespace mlferry::engine {

namespace {

constexpr std::array<std::string_view, 9> fields{"experiment_id", "name",       "description",
                                                 "status",        "severity",   "root_causes",
                                                 "source_run_id", "created_by", "categories"};
constexpr std::array<std::string_view, 4> own{"experiment_id", "name", "description", "created_by"};
constexpr std::array<std::string_view, 2> changeable{"status", "severity"};
constexpr const char* path = "/api/3.0/mlflow/issues";

class IssueKind final : public ObjectKind {
 public:
  Kind kind() const override { return Kind::issue; }

  async::Task<std::optional<std::vector<ObjectRecord>>> list(const ServerView& server) const override {
    auto found = co_await list_all(server.client, http::Method::post, std::string(path) + "/search",
                                   {{"max_results", 1000}}, "issues");
    if (!found) co_return std::nullopt;
    co_return to_records(kind(), std::move(*found), {"issue_id", "experiment_id", "name"});
  }

  async::Task<MappedObject> map(const ObjectRecord& record, IdMap& ids) const override {
    auto mapped = co_await map_experiment(record, ids);
    if (!mapped.failure.empty()) co_return mapped;
    std::string const run(mlflow::get_string(record.doc, "source_run_id"));
    if (run.empty()) co_return mapped;
    auto const copy = co_await ids.find(Kind::run, run);
    if (copy) {
      mapped.doc["source_run_id"] = *copy;
    } else {
      mapped.doc.erase("source_run_id");
      mapped.losses.push_back("its run " + run + " was not copied; the issue names none");
    }
    co_return mapped;
  }

  std::string identity(const json::object& doc) const override {
    return mlflow::to_canonical_json(only_fields(doc, own));
  }
  json::object comparable(const json::object& doc) const override { return only_fields(doc, fields); }

  async::Task<std::string> create(const ServerView& server, const json::object& wanted) const override {
    auto const answer = co_await server.client.change(http::Method::post, path, only_fields(wanted, fields),
                                                      http::Repeat::unclear);
    auto const* issue = mlflow::get_object(answer, "issue");
    co_return std::string(issue == nullptr ? std::string_view() : mlflow::get_string(*issue, "issue_id"));
  }

  async::Task<std::vector<std::string>> update(const ServerView& server, const ObjectRecord& existing,
                                               const json::object& wanted, bool ours) const override {
    auto have = comparable(existing.doc);
    auto const want = comparable(wanted);
    auto changes = only_fields(want, changeable);
    if (ours && only_fields(have, changeable) != changes && !changes.empty()) {
      for (auto const& [key, value] : changes) have[key] = value;
      changes["issue_id"] = existing.id;
      co_await server.client.change(http::Method::patch, std::string(path) + "/" + existing.id,
                                    std::move(changes), http::Repeat::safe);
    }
    co_return differing_fields(want, have);
  }
};

}  // namespace

std::unique_ptr<const ObjectKind> make_issue_kind() {
  return std::make_unique<IssueKind>();
}

}  // namespace mlferry::engine
