#pragma once
// Kinds of objects that are whole in one document: scorers, evaluation datasets, issues, and so on. Each is a
// class that knows the kind's calls (mlflow-rest 10) and what of it can be restored; everything else, such as
// finding what the destination holds already, is the same for all (server_target_objects.cpp, archives,
// comparisons).

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "async/task.hpp"
#include "engine/records.hpp"
#include "protocol/mlflow/client.hpp"

namespace mlferry::engine {

// The server that objects are read from or written to.
struct ServerView {
  mlflow::Client& client;
  std::vector<std::string> experiments;  // ids of those that are not deleted
  // Those of them that certainly have no traces, where reading must not change the server.
  std::set<std::string> untraced = {};
  // Those that were seen to have no review queues; null: nobody keeps them.
  std::set<std::string>* queueless = nullptr;
  std::function<void(std::string)> note = {};  // takes a sentence for the report; may be empty
  // The one that the client works in; nothing where the server has none.
  std::optional<std::string> workspace = {};
};

// The copies of other objects.
class IdMap {
 public:
  virtual ~IdMap() = default;
  // The copy's id; nullopt when there is none.
  virtual async::Task<std::optional<std::string>> find(Kind kind, std::string id) = 0;
};

// A document in the destination's terms.
struct MappedObject {
  json::object doc;
  std::string failure;              // why it cannot be made there
  std::vector<std::string> losses;  // what of it is left out, one sentence each
};

class ObjectKind {
 public:
  virtual ~ObjectKind() = default;
  virtual Kind kind() const = 0;
  // Users and roles: only a server with logins has them, and only administrators see them.
  virtual bool of_logins() const { return false; }

  // --- reading -----------------------------------------------------------------------------------------
  // All objects as the listings give them, with id, parent, name and doc; nullopt: the server has no such
  // objects.
  virtual async::Task<std::optional<std::vector<ObjectRecord>>> list(const ServerView& server) const = 0;
  // What the listing lacks: records, versions, items.
  virtual async::Task<> complete(const ServerView& server, ObjectRecord& record) const;
  // Whether a change of anything shows in the listed document, so that complete() can be saved.
  virtual bool listing_shows_changes() const { return false; }

  // --- deciding: pure ----------------------------------------------------------------------------------
  // Replaces ids of other objects. Also asked with the ids of a comparison's pairs.
  virtual async::Task<MappedObject> map(const ObjectRecord& record, IdMap& ids) const;
  // Equal texts: the same object. Of a document in the destination's terms.
  virtual std::string identity(const json::object& doc) const = 0;
  // The document without what no call can set: ids, times.
  virtual json::object comparable(const json::object& doc) const = 0;
  // One sentence for each thing that is not equal, of documents in the destination's terms.
  virtual std::vector<std::string> differences(const json::object& wanted,
                                               const json::object& existing) const;
  // What an administrator has to do in the destination; "" for nothing.
  virtual std::string follow_up(const json::object&) const { return {}; }
  // Only where a job from this source made the object: not of one that was there before.
  virtual bool follow_up_if_made() const { return false; }
  // Tags that can carry markers; null where the kind has none.
  virtual std::optional<mlflow::KeyValues> tags(const json::object&) const { return std::nullopt; }
  virtual void set_tags(json::object&, const mlflow::KeyValues&) const {}

  // --- writing -----------------------------------------------------------------------------------------
  // Makes it, perhaps without what complete() reads, and gives the new id. Throws TransportError with
  // outcome_unknown() when nobody knows whether it was made.
  virtual async::Task<std::string> create(const ServerView& server, const json::object& wanted) const = 0;
  // Makes an existing object equal to `wanted`; `existing` is complete. Adds what is missing in any case;
  // changes and removes only when it is `ours`. Gives what stays different, one sentence each.
  virtual async::Task<std::vector<std::string>> update(const ServerView& server, const ObjectRecord& existing,
                                                       const json::object& wanted, bool ours) const;
  // Of kinds whose objects may take the place of others (ServerTargetOptions::replaced). Gone already: fine.
  virtual async::Task<> discard(const ServerView& server, std::string id) const;
  // Of kinds that act on what is written: made asleep, and woken when everything else is there.
  virtual bool wakes_last() const { return false; }
  virtual async::Task<> activate(const ServerView&, std::string, const json::object&) const { co_return; }
};

// In the order in which they are written: each after what it refers to.
std::span<const ObjectKind* const> object_kinds();
const ObjectKind& object_kind(Kind kind);
bool is_object_kind(Kind kind);

// The kinds that this file is about, by their classes' files.
std::unique_ptr<const ObjectKind> make_label_schema_kind();
std::unique_ptr<const ObjectKind> make_scorer_kind();
std::unique_ptr<const ObjectKind> make_evaluation_dataset_kind();
std::unique_ptr<const ObjectKind> make_issue_kind();
std::unique_ptr<const ObjectKind> make_review_queue_kind();
std::unique_ptr<const ObjectKind> make_mcp_server_kind();
std::unique_ptr<const ObjectKind> make_webhook_kind();
std::unique_ptr<const ObjectKind> make_gateway_secret_kind();
std::unique_ptr<const ObjectKind> make_gateway_model_definition_kind();
std::unique_ptr<const ObjectKind> make_gateway_endpoint_kind();
std::unique_ptr<const ObjectKind> make_gateway_guardrail_kind();
std::unique_ptr<const ObjectKind> make_gateway_budget_kind();
std::unique_ptr<const ObjectKind> make_user_kind();
std::unique_ptr<const ObjectKind> make_role_kind();

// --- for the classes -----------------------------------------------------------------------------------
// All pages of a listing: the objects in the answers' `items`; nullopt: the server has no such call. Throws
// std::runtime_error when it does not end.
async::Task<std::optional<std::vector<json::object>>> list_all(mlflow::Client& client, http::Method method,
                                                               std::string target, json::object body,
                                                               std::string items);
// Objects of kinds that are listed by experiment: `list_one` of all of them, a few at once; nullopt as above.
// An experiment that is gone meanwhile (404) has none.
async::Task<std::optional<std::vector<json::object>>> list_by_experiment(
    std::vector<std::string> experiments,
    std::function<async::Task<std::optional<std::vector<json::object>>>(std::string)> list_one);
// The fields named, where they are there.
json::object only_fields(const json::object& doc, std::span<const std::string_view> fields);
// One sentence for each field that is not equal.
std::vector<std::string> differing_fields(const json::object& wanted, const json::object& existing);

}  // namespace mlferry::engine
