#include "engine/workspaces.hpp"

#include <doctest/doctest.h>

#include "protocol/mlflow/json.hpp"

using namespace mlferry;
using namespace mlferry::engine;

namespace {

std::vector<Workspace> named(std::initializer_list<const char*> names) {
  std::vector<Workspace> out;
  for (auto const* name : names) out.push_back({name, {}});
  return out;
}

std::string text_of(const std::vector<WorkspacePair>& pairs) {
  std::string text;
  for (auto const& pair : pairs) text += std::to_string(pair.source) + ">" + pair.destination + " ";
  return text;
}

json::object doc(const char* text) {
  return mlflow::parse_json(text, "test").as_object();
}

}  // namespace

TEST_SUITE("engine") {
  TEST_CASE("workspaces: which goes where") {
    auto const plain = named({""});
    auto const three = named({"default", "a", "b"});
    CHECK(text_of(plan_workspaces(plain, {}, "", false)) == "0> ");
    CHECK(text_of(plan_workspaces(plain, {}, "", true)) == "0> ");
    CHECK(text_of(plan_workspaces(plain, {"default"}, "", true)) == "0> ");
    CHECK(text_of(plan_workspaces(plain, {}, "x", true)) == "0>x ");
    CHECK(text_of(plan_workspaces(three, {}, "", true)) == "0>default 1>a 2>b ");
    CHECK(text_of(plan_workspaces(three, {"[ab]"}, "", true)) == "1>a 2>b ");
    CHECK(text_of(plan_workspaces(three, {"b"}, "x", true)) == "2>x ");
    CHECK(text_of(plan_workspaces(three, {"b"}, "", false)) == "2> ");
    CHECK_THROWS_WITH_AS(plan_workspaces(three, {}, "", false), doctest::Contains("--workspaces"), WorkspaceError);
    CHECK_THROWS_WITH_AS(plan_workspaces(three, {}, "x", true), doctest::Contains("3 workspaces"), WorkspaceError);
    CHECK_THROWS_WITH_AS(plan_workspaces(three, {"c*"}, "", true), doctest::Contains("default, a, b"), WorkspaceError);
    CHECK_THROWS_WITH_AS(plan_workspaces(three, {"a"}, "x", false), doctest::Contains("--enable-workspaces"),
                         WorkspaceError);
    CHECK_THROWS_AS(plan_workspaces(plain, {"a"}, "", true), WorkspaceError);
  }

  TEST_CASE("workspaces: turning the feature on does not change what objects of the default one are called") {
    CHECK(identity_in("http://h", "") == "http://h");
    CHECK(identity_in("http://h", "default") == "http://h");
    CHECK(identity_in("http://h", "a") != identity_in("http://h", "b"));
    CHECK(server_of(identity_in("http://h", "a")) == "http://h");
  }

  TEST_CASE("workspaces: what is made or changed") {
    auto const wanted = doc(R"({"name":"a","description":"d","default_artifact_root":"mlflow-artifacts:/x",
      "trace_archival_config":{"location":"s3://b","retention":"30d","effective":true}})");
    auto const made = plan_workspace(wanted, std::nullopt, false, false);
    CHECK(mlflow::to_json(made.body) ==
          R"({"description":"d","default_artifact_root":"mlflow-artifacts:/x","trace_archival_config":)"
          R"({"location":"s3://b","retention":"30d"},"name":"a"})");
    CHECK(made.losses.empty());
    CHECK(plan_workspace(wanted, wanted, false, false).body.empty());
    // The destination's own is not changed; one of an earlier job is.
    auto other = wanted;
    other["description"] = "another";
    auto const foreign = plan_workspace(wanted, other, false, false);
    CHECK(foreign.body.empty());
    CHECK(foreign.losses.size() == 1);
    CHECK(mlflow::to_json(plan_workspace(wanted, other, true, false).body) == R"({"description":"d","workspace_name":"a"})");
    // A bucket cannot be written to yet.
    auto const bucket = plan_workspace(doc(R"({"name":"a","default_artifact_root":"s3://b/c"})"), std::nullopt, false, false);
    CHECK(mlflow::to_json(bucket.body) == R"({"name":"a"})");
    CHECK(bucket.follow_up.find("s3://b/c") != std::string::npos);
    CHECK(bucket.losses.size() == 1);
  }
}
