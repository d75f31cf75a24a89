#pragma once
// What the classes of the AI gateway's kinds share (mlflow-rest 10.5).

#include <string>
#include <string_view>

#include "engine/objects/object_kind.hpp"

namespace mlferry::engine::gateway {

// The fields that say something: the gateway gives an empty text for what was never set.
json::object plain_fields(const json::object& doc, std::span<const std::string_view> fields);
std::string text_of(const json::object& doc, std::string_view field);

// Where the gateway's objects of a kind are listed, and what their documents call id and name.
struct Listing {
  Kind kind;
  const char* what;  // "secrets/list"
  const char* items;
  const char* id;
  const char* name;
};
// nullopt: the server has no gateway, or has it switched off.
async::Task<std::optional<std::vector<ObjectRecord>>> list_records(mlflow::Client& client, Listing listing);

// All items of a call that gives no pages.
async::Task<std::vector<json::object>> read_all(mlflow::Client& client, std::string what, std::string items);
// Throws when there is none.
async::Task<json::object> read_one(mlflow::Client& client, std::string what, std::string field);

// Creates, and gives the new id from the answer's `field`.
async::Task<std::string> create_one(mlflow::Client& client, std::string what, json::object body,
                                    std::string field, std::string id);
// For changes that may be sent twice.
async::Task<> send(mlflow::Client& client, http::Method method, std::string what, json::object body);

// A scorer's id is its server's own; experiment and name stand for it elsewhere. Throws when it is not there.
async::Task<std::string> find_scorer(mlflow::Client& client, std::string experiment, std::string name);
std::string scorer_key(std::string_view experiment, std::string_view name);

}  // namespace mlferry::engine::gateway
