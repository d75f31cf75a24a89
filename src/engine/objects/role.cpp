// Roles of the basic-auth app (from MLflow 3.12 on) with their grants and members. A role belongs to a
// workspace; those of the workspace that a job moves go into the one of the destination's login, whatever its
// name is.

#include <algorithm>
#include <set>

#include "engine/objects/grants.hpp"

namespace mlferry::engine {

namespace {

constexpr const char* path = "/api/3.0/mlflow/roles/";

std::string text_of(const json::object& doc, std::string_view field) {
  return std::string(mlflow::get_string(doc, field));
}

std::int64_t id_of(const json::object& doc) {
  auto const id = mlflow::get_int(doc, "id");
  if (!id) throw std::runtime_error("the server gives the role no id");
  return *id;
}

using Members = std::map<std::int64_t, std::set<std::string>>;  // of each role

async::Task<> add_members(mlflow::Client& client, std::int64_t role,
                          const std::map<std::int64_t, std::string>& names, Members& members) {
  auto const found = co_await list_all(
      client, http::Method::get, path + ("users/list?role_id=" + std::to_string(role)), {}, "assignments");
  for (auto const& item : found ? *found : std::vector<json::object>()) {
    auto const name = names.find(mlflow::get_int(item, "user_id").value_or(-1));
    if (name != names.end()) members[role].insert(name->second);
  }
}

// From 3.14 on the list of users tells their roles; before, each role is asked.
async::Task<Members> members_of(mlflow::Client& client, std::vector<std::int64_t> roles) {
  Members members;
  auto const users = co_await list_all(client, http::Method::get, "/api/2.0/mlflow/users/list", {}, "users");
  bool told = false;
  std::map<std::int64_t, std::string> names;
  for (auto const& user : users ? *users : std::vector<json::object>()) {
    auto const name = text_of(user, "username");
    names[mlflow::get_int(user, "id").value_or(-1)] = name;
    auto const* list = mlflow::get_array(user, "roles");
    told = told || list != nullptr;
    for (auto const& item : list == nullptr ? json::array{} : *list) {
      if (auto const* role = item.if_object()) members[id_of(*role)].insert(name);
    }
  }
  if (told) co_return members;
  for (auto const role : roles) co_await add_members(client, role, names, members);
  co_return members;
}

json::array to_json(const std::set<std::string>& texts) {
  json::array out;
  for (auto const& text : texts) out.emplace_back(text);
  return out;
}

std::set<std::string> members_in(const json::object& doc) {
  std::set<std::string> members;
  auto const* list = mlflow::get_array(doc, "members");
  for (auto const& item : list == nullptr ? json::array{} : *list) {
    if (auto const* name = item.if_string()) members.emplace(*name);
  }
  return members;
}

class RoleKind final : public ObjectKind {
 public:
  Kind kind() const override { return Kind::role; }
  bool of_logins() const override { return true; }

  async::Task<std::optional<std::vector<ObjectRecord>>> list(const ServerView& server) const override {
    auto found = co_await list_all(server.client, http::Method::get, path + std::string("list"), {}, "roles");
    if (!found) co_return std::nullopt;
    // Those of other workspaces are the business of their jobs; those of a server without workspaces all
    // belong to it.
    auto const own = server.workspace.value_or("default");
    std::erase_if(*found, [&](const json::object& role) {
      return is_users_own_role(mlflow::get_string(role, "name")) ||
             (server.workspace && mlflow::get_string(role, "workspace") != own);
    });
    std::vector<std::int64_t> roles;
    std::vector<Grants> grants;
    for (auto const& role : *found) {
      roles.push_back(id_of(role));
      grants.push_back(grants_of(role, "permissions"));
    }
    std::vector<Grants*> all;
    for (auto& one : grants) all.push_back(&one);
    auto const dropped = co_await drop_dangling(server, std::move(all));
    if (dropped > 0 && server.note)
      server.note(std::to_string(dropped) + " grants of roles are on objects that are gone: left out");
    auto members = co_await members_of(server.client, roles);
    std::vector<ObjectRecord> records;
    for (std::size_t i = 0; i < roles.size(); ++i) {
      auto const& role = (*found)[i];
      auto& record = records.emplace_back();
      record.kind = kind();
      record.name = text_of(role, "name");
      record.id = text_of(role, "workspace") + "/" + record.name;
      record.doc = {{"id", roles[i]},
                    {"name", record.name},
                    {"workspace", text_of(role, "workspace")},
                    {"own_workspace", text_of(role, "workspace") == own},
                    {"description", text_of(role, "description")},
                    {"grants", mlferry::engine::to_json(grants[i])},
                    {"members", to_json(members[roles[i]])}};
    }
    co_return records;
  }

  bool listing_shows_changes() const override { return true; }

  // Of a role that was just made the document is what was wanted.
  async::Task<> complete(const ServerView& server, ObjectRecord& record) const override {
    if (record.doc.contains("id")) co_return;
    auto const key = identity(record.doc);
    auto records = co_await list(server);
    for (auto& one : records ? *records : std::vector<ObjectRecord>()) {
      if (identity(one.doc) != key) continue;
      record = std::move(one);
      co_return;
    }
    throw std::runtime_error("the server does not list the role that it made");
  }

  async::Task<MappedObject> map(const ObjectRecord& record, IdMap& ids) const override {
    MappedObject mapped{record.doc, {}, {}};
    mapped.doc.erase("id");
    mapped.doc["grants"] =
        mlferry::engine::to_json(co_await map_grants(grants_of(record.doc), ids, mapped.losses));
    std::set<std::string> members;
    for (auto const& name : members_in(record.doc)) {
      if (co_await ids.find(Kind::user, name)) {
        members.insert(name);
      } else {
        mapped.losses.push_back("its member '" + name + "' was not copied");
      }
    }
    mapped.doc["members"] = to_json(members);
    co_return mapped;
  }

  std::string identity(const json::object& doc) const override {
    return (mlflow::get_bool(doc, "own_workspace") ? std::string() : text_of(doc, "workspace")) + "/" +
           text_of(doc, "name");
  }

  json::object comparable(const json::object& doc) const override {
    json::object out{{"name", text_of(doc, "name")}, {"description", text_of(doc, "description")}};
    add_fields(out, grants_of(doc));
    for (auto const& name : members_in(doc)) out["member '" + name + "'"] = true;
    return out;
  }

  async::Task<std::string> create(const ServerView& server, const json::object& wanted) const override {
    auto const workspace = workspace_for(server, wanted);
    json::object body{{"name", text_of(wanted, "name")}, {"workspace", workspace}};
    if (auto const text = text_of(wanted, "description"); !text.empty()) body["description"] = text;
    co_await server.client.change(http::Method::post, path + std::string("create"), std::move(body),
                                  http::Repeat::unclear);
    co_return workspace + "/" + text_of(wanted, "name");
  }

  // Only gives: no grant is taken or lowered, and nobody loses the role.
  async::Task<std::vector<std::string>> update(const ServerView& server, const ObjectRecord& existing,
                                               const json::object& wanted, bool ours) const override {
    auto now = existing.doc;
    auto const role = id_of(existing.doc);
    auto const description = text_of(wanted, "description");
    if (ours && text_of(now, "description") != description) {
      json::object body{{"role_id", role}, {"description", description}};
      co_await server.client.change(http::Method::patch, path + std::string("update"), std::move(body),
                                    http::Repeat::safe);
      now["description"] = description;
    }
    std::vector<std::string> left;
    auto have = grants_of(existing.doc);
    for (auto const& [target, permission] : grants_of(wanted)) {
      auto const there = have.find(target);
      if (there != have.end() && (!ours || !gives_more(permission, there->second))) continue;
      auto const refusal = co_await put_grant(server.client, role, target, permission);
      if (refusal.empty()) {
        have[target] = permission;
      } else {
        left.push_back("its grant " + permission + " on " + describe(target) + " is refused: " + refusal);
      }
    }
    now["grants"] = mlferry::engine::to_json(have);
    auto members = members_in(existing.doc);
    for (auto const& name : members_in(wanted)) {
      if (members.insert(name).second) co_await assign(server.client, name, role);
    }
    now["members"] = to_json(members);
    for (auto& text : differences(wanted, now)) left.push_back(std::move(text));
    co_return left;
  }

 private:
  static std::string workspace_for(const ServerView& server, const json::object& wanted) {
    if (mlflow::get_bool(wanted, "own_workspace")) return server.workspace.value_or("default");
    auto const named = text_of(wanted, "workspace");
    if (server.workspace) {
      throw std::runtime_error("it has the workspace '" + named +
                               "', which the source does not have and this job does not write to");
    }
    return named;
  }

  // Sent again after an answer that was lost, so that it can be there already.
  static async::Task<> assign(mlflow::Client& client, std::string name, std::int64_t role) {
    json::object body{{"username", name}, {"role_id", role}};
    try {
      co_await client.change(http::Method::post, path + std::string("assign"), std::move(body),
                             http::Repeat::safe);
    } catch (const mlflow::ApiError& error) {
      if (!error.already_exists()) throw;
    }
  }
};

}  // namespace

std::unique_ptr<const ObjectKind> make_role_kind() {
  return std::make_unique<RoleKind>();
}

}  // namespace mlferry::engine
