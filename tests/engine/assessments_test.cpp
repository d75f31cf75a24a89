#include "engine/endpoints/assessments.hpp"

#include <doctest/doctest.h>

using namespace mlferry::engine;
namespace mlflow = mlferry::mlflow;

namespace {

mlflow::json::array list(const char* text) {
  return mlflow::parse_json(text, "test").as_array();
}

std::string ids(const mlflow::json::array& assessments) {
  std::string text;
  for (auto const& one : assessments) text += std::string(one.at("assessment_id").as_string()) + " ";
  return text;
}

std::string ids(const std::vector<mlflow::json::object>& assessments) {
  std::string text;
  for (auto const& one : assessments) text += std::string(one.at("assessment_id").as_string()) + " ";
  return text;
}

}  // namespace

TEST_SUITE("engine") {
  TEST_CASE("assessments: new ones, those that override last and in their order") {
    auto const plan = plan_assessments(list(R"([{"assessment_id":"c","overrides":"b"},{"assessment_id":"b","overrides":"a"},
                                                {"assessment_id":"a","valid":false},{"assessment_id":"d"}])"),
                                       {});
    CHECK(ids(plan.with_info) == "a d ");
    CHECK(ids(plan.afterwards) == "b c ");
    CHECK(plan.remove.empty());
  }

  TEST_CASE("assessments: equal ones are left alone") {
    auto const all = list(R"([{"assessment_id":"a","valid":false},{"assessment_id":"b","overrides":"a"}])");
    auto const plan = plan_assessments(all, all);
    CHECK(plan.with_info.empty());
    CHECK(plan.afterwards.empty());
    CHECK(plan.remove.empty());
  }

  TEST_CASE("assessments: a changed one takes along what overrides it") {
    auto const plan = plan_assessments(
        list(R"([{"assessment_id":"a","valid":false,"rationale":"new"},{"assessment_id":"b","overrides":"a"},
                 {"assessment_id":"c","overrides":"b"},{"assessment_id":"d"}])"),
        list(R"([{"assessment_id":"a","valid":false},{"assessment_id":"b","overrides":"a"},
                 {"assessment_id":"c","overrides":"b"},{"assessment_id":"d"}])"));
    CHECK(ids(plan.with_info) == "a ");
    CHECK(plan.remove == std::vector<std::string>{"b", "c"});
    CHECK(ids(plan.afterwards) == "b c ");
    // Half done by a job that was killed: only the rest.
    auto const rest = plan_assessments(
        list(R"([{"assessment_id":"a","valid":false},{"assessment_id":"b","overrides":"a"}])"),
        list(R"([{"assessment_id":"a"}])"));
    CHECK(ids(rest.with_info) == "a ");
    CHECK(ids(rest.afterwards) == "b ");
    CHECK(rest.remove.empty());
  }

  TEST_CASE("assessments: circles and what is none end") {
    auto const plan = plan_assessments(
        list(R"([1,{"assessment_id":"a","overrides":"b"},{"assessment_id":"b","overrides":"a"}])"), list("[2]"));
    CHECK(plan.afterwards.size() == 2);
  }
}
