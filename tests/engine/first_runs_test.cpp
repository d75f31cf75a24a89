#include "engine/endpoints/first_runs.hpp"

#include <doctest/doctest.h>

#include "protocol/http/client.hpp"
#include "support/archive_fixture.hpp"
#include "support/ferry.hpp"
#include "support/mlflow_script.hpp"
#include "support/run.hpp"
#include "support/workload.hpp"

using namespace mlferry;
using namespace mlferry::engine;
using mlferry::test::FakeMlflow;

namespace {

struct Script {
  boost::asio::io_context loop;
  test::MlflowScript server{loop};
  http::Client http{loop.get_executor(), test::impatient(server.url()), nullptr};
  mlflow::Client client{http};
  FirstRuns first{loop.get_executor(), client};

  // "all r1 r2", "some r1", or "-" for nothing.
  std::string take(const char* experiment) {
    auto const share = test::run(loop, first.take(experiment, "f"));
    if (!share) return "-";
    std::string text = share->all ? "all" : "some";
    for (auto const& run : share->runs) text += " " + std::string(run.id());
    return text;
  }
};

std::string run_in(const char* experiment, const char* id) {
  return std::string(R"({"info":{"run_id":")") + id + R"(","experiment_id":")" + experiment + R"("}})";
}

int searches(const FakeMlflow& server) {
  int n = 0;
  for (auto const& request : server.log()) n += request.path.ends_with("runs/search") ? 1 : 0;
  return n;
}

}  // namespace

TEST_SUITE("engine") {
  TEST_CASE("first runs: one search serves the experiments that follow, each once") {
    Script script;
    script.first.expect({{"1"}, {"2"}, {"3"}});
    script.server.answer(200, R"({"runs":[)" + run_in("3", "c1") + "," + run_in("2", "b1") + "," + run_in("3", "c2") + "," +
                                  run_in("9", "x") + "]}");
    CHECK(script.take("2") == "all b1");
    CHECK(script.server.last().body.find(R"("experiment_ids":["2","3"])") != std::string::npos);
    CHECK(script.server.last().body.find(R"("filter":"f")") != std::string::npos);
    CHECK(script.take("3") == "all c1 c2");
    CHECK(script.take("3") == "-");
    CHECK(script.take("1") == "-");  // nobody is left to share a search with
    CHECK(script.take("9") == "-");
    CHECK(script.server.seen().size() == 1);
  }

  TEST_CASE("first runs: of more runs than a page each experiment gets how its own page would begin") {
    Script script;
    script.first.expect({{"1"}, {"2"}, {"3"}});
    script.server.answer(200, R"({"runs":[)" + run_in("1", "a1") + "," + run_in("3", "c1") + "," + run_in("1", "a2") +
                                  R"(],"next_page_token":"t"})");
    CHECK(script.take("1") == "some a1 a2");
    CHECK(script.take("2") == "some");
    CHECK(script.take("3") == "some c1");
  }

  TEST_CASE("first runs: a refusal, or an answer that cannot be read, leaves each to its own search") {
    for (auto const* body : {R"({"error_code":"INVALID_PARAMETER_VALUE","message":"too many"})", "[1]"}) {
      CAPTURE(body);
      Script script;
      script.first.expect({{"1"}, {"2"}});
      script.server.answer(body[0] == '[' ? 200 : 400, body);
      CHECK(script.take("1") == "-");
      CHECK(script.take("2") == "-");
      CHECK(script.server.seen().size() == 1);
    }
  }

  TEST_CASE("first runs: a refused password ends the job") {
    Script script;
    script.first.expect({{"1"}, {"2"}});
    script.server.answer(401, "");
    CHECK_THROWS_AS(script.take("1"), mlflow::ApiError);
  }

  TEST_CASE("first runs: only those of one view are searched together") {
    Script script;
    script.first.expect({{"1", mlflow::View::active}, {"2", mlflow::View::all}, {"3", mlflow::View::active}});
    script.server.answer(200, "{}").answer(200, "{}");
    CHECK(script.take("1") == "all");
    CHECK(script.server.last().body.find(R"("experiment_ids":["1","3"])") != std::string::npos);
    CHECK(script.server.last().body.find("ACTIVE_ONLY") != std::string::npos);
    CHECK(script.take("2") == "-");
    CHECK(script.take("3") == "all");
  }

  TEST_CASE("first runs: experiments of a few runs and of many arrive whole, and twice as many searches are not needed") {
    test::ScratchFolder scratch;
    boost::asio::io_context loop;
    FakeMlflow server(loop);
    int made = 0;
    for (int size : {3, 600, 1, 0, 700}) {
      auto const id = test::make_experiment(server, "of " + std::to_string(size));
      // Their times are mixed, so that each has some among the first thousand.
      for (int i = 0; i < size; ++i) test::make_run(server, id, "r" + std::to_string(++made), 1000 + 10 * i);
    }
    auto const report = test::exported(loop, server, (scratch.path() / "archive").string());
    CHECK(report.counts(Kind::run).copied == made);
    CHECK(test::findings(report, Severity::failed) == "");
    CHECK(test::wrong_sums(report) == "");
    // The common one, and one for each: of the six (with the default) none was certainly whole.
    CHECK(searches(server) <= 1 + 6);
  }
}
