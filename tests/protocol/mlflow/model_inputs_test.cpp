#include "protocol/mlflow/model_inputs.hpp"

#include <stdexcept>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "support/mlflow_bench.hpp"
#include "support/run.hpp"

using namespace mlferry::mlflow;
using mlferry::test::MlflowBench;
using mlferry::test::run;

TEST_SUITE("protocol") {
  TEST_CASE("model inputs: the query holds no ids") {
    std::vector<std::string> const ids{"r1", "q\"'){}$"};
    json::object const body = parse_json(model_inputs_query(ids), "x").as_object();
    CHECK(get_string(body, "query") ==
          "query($r0:String,$r1:String){"
          "a0:mlflowGetRun(input:{runId:$r0}){run{info{runId} inputs{modelInputs{modelId}}}}"
          "a1:mlflowGetRun(input:{runId:$r1}){run{info{runId} inputs{modelInputs{modelId}}}}}");
    CHECK(to_json(*get_object(body, "variables")) == R"({"r0":"r1","r1":"q\"'){}$"})");
  }

  TEST_CASE("model inputs: good, empty and failed answers") {
    std::vector<std::string> const ids{"r0", "r1", "r2", "r3", "r4", "r5"};
    json::object const answer = parse_json(R"({"data":{
      "a0":{"run":{"info":{"runId":"r0"},"inputs":{"modelInputs":[{"modelId":"m-1"},{"modelId":"m-2"}]}}},
      "a1":{"run":{"info":{"runId":"r1"},"inputs":{"modelInputs":[]}}},
      "a2":{"run":{"info":{"runId":"r2"},"inputs":null}},
      "a3":null,
      "a4":{"run":{"info":{"runId":"other"},"inputs":{"modelInputs":[]}}},
      "a5":{"run":{"info":{"runId":"r5"},"inputs":{"modelInputs":[{"modelId":null}]}}}}})",
                                           "x")
                                    .as_object();
    auto const results = model_inputs_answers(ids, answer);
    REQUIRE(results.size() == 6);
    CHECK(results[0] == std::vector<std::string>{"m-1", "m-2"});
    CHECK(results[1] == std::vector<std::string>{});
    CHECK(results[2] == std::vector<std::string>{});
    CHECK(!results[3]);
    CHECK(!results[4]);
    CHECK(!results[5]);
    // A server whose schema lacks the field answers the query as a whole with an error.
    for (std::string_view whole : {R"({"data":null,"errors":["Cannot query field"]})", "{}"}) {
      for (const auto& result : model_inputs_answers(ids, parse_json(whole, "x").as_object())) CHECK(!result);
    }
  }

  TEST_CASE("model inputs: one request for at most ten runs") {
    MlflowBench bench;
    CHECK(run(bench.context, bench.client.model_inputs_batch({})).empty());
    CHECK_THROWS_AS(run(bench.context, bench.client.model_inputs_batch(std::vector<std::string>(11))),
                    std::invalid_argument);
    CHECK(bench.server.seen().empty());
    bench.server.answer(
        200,
        R"({"data":{"a0":{"run":{"info":{"runId":"r"},"inputs":{"modelInputs":[{"modelId":"m-1"}]}}}}})");
    auto const results = run(bench.context, bench.client.model_inputs_batch({"r"}));
    REQUIRE(results.size() == 1);
    CHECK(results[0] == std::vector<std::string>{"m-1"});
    CHECK(bench.server.last().method == "POST");
    CHECK(bench.server.last().target == "/graphql");
  }
}
