#pragma once
// Grants of MLflow's basic-auth app: who may do what on which object. Documents of users and roles carry them
// as "grants": [{"resource_type", "resource_pattern", "permission"}], in an order of their own.

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/objects/object_kind.hpp"

namespace mlferry::engine {

// (type of the object, its id or name, or "*" for all of that type) -> permission.
using GrantTarget = std::pair<std::string, std::string>;
using Grants = std::map<GrantTarget, std::string>;

// Of the list in that field; rows of other shapes are left out.
Grants grants_of(const json::object& doc, std::string_view field = "grants");
// Of a user's document before 3.14: a list for each type of object, and none for the gateway's.
Grants older_grants_of(const json::object& user);
json::array to_json(const Grants& grants);
// "experiment 5", "all experiments"
std::string describe(const GrantTarget& target);
// A field for each grant, for comparisons.
void add_fields(json::object& out, const Grants& grants);

// In the destination's terms: ids of experiments, scorers and the gateway's objects are replaced, names stay.
// What cannot be is left out, with a sentence in `losses`.
async::Task<Grants> map_grants(Grants grants, IdMap& ids, std::vector<std::string>& losses);

// Whether the change gives more than there was. DENY neither gives nor is taken back.
bool gives_more(std::string_view permission, std::string_view than);

// The per-user grants are kept in a role that the server makes for them.
bool is_users_own_role(std::string_view name);

// Adds the grant to a role, or changes the one that is there. The server's own words where it cannot hold
// such a grant, else "".
async::Task<std::string> put_grant(mlflow::Client& client, std::int64_t role, GrantTarget target,
                                   std::string permission);

// Drops grants on objects that are gone: no id stands for those anywhere. Gives how many.
async::Task<std::size_t> drop_dangling(ServerView server, std::vector<Grants*> all);

}  // namespace mlferry::engine
