// Users, roles and grants: what is decided without a server.

#include <doctest/doctest.h>

#include <algorithm>
#include <map>

#include "engine/access.hpp"
#include "engine/objects/grants.hpp"
#include "protocol/mlflow/json.hpp"
#include "support/run.hpp"

using namespace mlferry;
using namespace mlferry::engine;
namespace json = boost::json;

namespace {

json::object parsed(std::string_view text) {
  return mlflow::parse_json(text, "test").as_object();
}

class Ids final : public IdMap {
 public:
  std::map<std::pair<Kind, std::string>, std::string> ids;
  async::Task<std::optional<std::string>> find(Kind kind, std::string id) override {
    auto const found = ids.find({kind, id});
    co_return found == ids.end() ? std::nullopt : std::optional(found->second);
  }
};

MappedObject mapped(const ObjectRecord& record, Ids& ids) {
  boost::asio::io_context loop;
  return test::run(loop, object_kind(record.kind).map(record, ids));
}

bool says(const std::vector<std::string>& texts, std::string_view part) {
  return std::any_of(texts.begin(), texts.end(),
                     [&](const std::string& text) { return text.find(part) != text.npos; });
}

ObjectRecord record(Kind kind, json::object doc) {
  ObjectRecord out;
  out.kind = kind;
  out.doc = std::move(doc);
  return out;
}

}  // namespace

TEST_SUITE("engine") {
  TEST_CASE("grants: ids are rewritten, names and wildcards stay, what has no copy is named") {
    Ids ids;
    ids.ids = {{{Kind::experiment, "5"}, "50"},
               {{Kind::gateway_endpoint, "e-1"}, "e-2"},
               {{Kind::gateway_secret, "s-1"}, "s-2"}};
    struct Row {
      const char *type, *pattern, *wanted;  // "" : left out
    };
    for (auto const& row : std::initializer_list<Row>{
             {"experiment", "5", "50"},
             {"experiment", "6", ""},
             {"experiment", "*", "*"},
             {"run", "*", "*"},
             {"workspace", "*", "*"},
             {"registered_model", "5", "5"},
             {"prompt", "5", "5"},
             {"mcp_server", "io.x/5", "io.x/5"},
             {"scorer", "5/a%2Fb", "50/a%2Fb"},
             {"scorer", "5", "50"},
             {"scorer", "6/a", ""},
             {"gateway_endpoint", "e-1", "e-2"},
             {"gateway_endpoint", "s-1", ""},
             {"gateway_secret", "s-1", "s-2"},
             {"gateway_model_definition", "m", ""},
             {"of_tomorrow", "5", ""},
             {"of_tomorrow", "*", "*"},
         }) {
      CAPTURE(row.type);
      CAPTURE(row.pattern);
      std::vector<std::string> losses;
      boost::asio::io_context loop;
      auto const out = test::run(loop, map_grants({{{row.type, row.pattern}, "EDIT"}}, ids, losses));
      if (std::string_view(row.wanted).empty()) {
        CHECK(out.empty());
        REQUIRE(losses.size() == 1);
        CHECK(losses[0].find(row.pattern) != std::string::npos);
        CHECK(losses[0].find("EDIT") != std::string::npos);
      } else {
        CHECK(out == Grants{{{row.type, row.wanted}, "EDIT"}});
        CHECK(losses.empty());
      }
    }
  }

  TEST_CASE("grants: older documents have a list for each type") {
    auto const grants = older_grants_of(parsed(R"({
      "experiment_permissions": [{"experiment_id": "5", "user_id": 2, "permission": "READ"}],
      "registered_model_permissions": [{"name": "m", "user_id": 2, "permission": "MANAGE"}],
      "scorer_permissions": [{"experiment_id": "5", "scorer_name": "a/b ü", "permission": "EDIT"}]})"));
    CHECK(grants == Grants{{{"experiment", "5"}, "READ"},
                           {{"registered_model", "m"}, "MANAGE"},
                           {{"scorer", "5/a%2Fb%20%C3%BC"}, "EDIT"}});
    CHECK(older_grants_of(parsed(R"({"experiment_permissions": [3, {}], "scorer_permissions": [{}]})"))
              .empty());
  }

  TEST_CASE("grants: more is given, nothing is taken") {
    CHECK(gives_more("EDIT", "READ"));
    CHECK(gives_more("MANAGE", "USE"));
    CHECK(gives_more("READ", "NO_PERMISSIONS"));
    CHECK_FALSE(gives_more("READ", "READ"));
    CHECK_FALSE(gives_more("READ", "MANAGE"));
    CHECK_FALSE(gives_more("DENY", "READ"));
    CHECK_FALSE(gives_more("MANAGE", "DENY"));
    CHECK_FALSE(gives_more("OF_TOMORROW", "READ"));
  }

  TEST_CASE("roles: those that the server makes for single users are told by their name") {
    CHECK(is_users_own_role("__user_1__"));
    CHECK(is_users_own_role("__user_120__"));
    for (auto const* name : {"__user_", "__user___", "__user__", "__user_x__", "__user_1_", "user_1__", ""}) {
      CAPTURE(name);
      CHECK_FALSE(is_users_own_role(name));
    }
  }

  TEST_CASE("users: an administrator's grants make no difference, anybody else's do") {
    auto const& users = object_kind(Kind::user);
    auto const user = [](bool admin, const char* grants) {
      return parsed(std::string(R"({"id": 7, "username": "bob", "is_admin": )") + (admin ? "true" : "false") +
                    R"(, "grants": [)" + grants + "]}");
    };
    auto const* read = R"({"resource_type": "experiment", "resource_pattern": "5", "permission": "READ"})";
    auto const* edit = R"({"resource_type": "experiment", "resource_pattern": "5", "permission": "EDIT"})";
    CHECK(users.differences(user(false, read), user(false, read)).empty());
    CHECK(says(users.differences(user(false, read), user(false, edit)), "grant on experiment 5 differs"));
    CHECK(says(users.differences(user(false, read), user(false, "")), "grant on experiment 5 differs"));
    CHECK(says(users.differences(user(false, ""), user(false, edit)), "is not in the original"));
    CHECK(users.differences(user(true, read), user(true, edit)).empty());
    CHECK(says(users.differences(user(false, read), user(true, "")), "is_admin differs"));
    CHECK(says(users.differences(user(true, read), user(false, "")), "is_admin differs"));
  }

  TEST_CASE("users: the follow-up is the call that sets a password") {
    auto const text = object_kind(Kind::user).follow_up({{"username", "b\"ob"}});
    CHECK(text.find(R"(PATCH /api/2.0/mlflow/users/update-password {"username":"b\"ob",)") != text.npos);
    CHECK(object_kind(Kind::user).follow_up_if_made());
  }

  TEST_CASE("roles: members that were not copied are named, the workspace of the job is any") {
    Ids ids;
    ids.ids = {{{Kind::user, "ann"}, "ann"}};
    auto const& roles = object_kind(Kind::role);
    auto const from =
        record(Kind::role, parsed(R"({"id": 3, "name": "r", "workspace": "a", "own_workspace": true,
      "description": "d", "grants": [], "members": ["ann", "bob"]})"));
    auto const out = mapped(from, ids);
    CHECK(out.failure.empty());
    CHECK(says(out.losses, "'bob'"));
    CHECK_FALSE(out.doc.contains("id"));  // of the source's server
    auto const there = parsed(R"({"id": 9, "name": "r", "workspace": "b", "own_workspace": true,
      "description": "d", "grants": [], "members": ["ann"]})");
    CHECK(roles.identity(out.doc) == roles.identity(there));
    CHECK(roles.differences(out.doc, there).empty());
    auto const elsewhere =
        parsed(R"({"name": "r", "workspace": "b", "own_workspace": false, "grants": [], "members": []})");
    CHECK(roles.identity(out.doc) != roles.identity(elsewhere));
  }

  TEST_CASE("access: what is hidden depends on the login and on the default permission") {
    auto const text = [](bool logins, bool admin, const char* permission) {
      return hidden_from({logins, admin, "eve", permission}, "http://a");
    };
    CHECK(text(false, true, "") == "");
    CHECK(text(true, true, "") == "");
    CHECK(text(true, false, "NO_PERMISSIONS")
              .find("that it was not granted (default permission NO_PERMISSIONS)") != std::string::npos);
    CHECK(text(true, false, "").find("every object that it was not granted.") != std::string::npos);
    CHECK(text(true, false, "READ").find("every object that grants deny to it") != std::string::npos);
    for (auto const* permission : {"", "READ"}) {
      CHECK(text(true, false, permission).find("http://a hides from the login 'eve'") == 0);
      CHECK(text(true, false, permission).find("run as an administrator") != std::string::npos);
    }
  }
}
