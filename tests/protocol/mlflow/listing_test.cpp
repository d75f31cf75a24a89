#include "protocol/mlflow/listing.hpp"

#include <stdexcept>
#include <string>

#include <doctest/doctest.h>

using namespace mlferry::mlflow;

namespace {

json::array list(std::string_view text) {
  return parse_json(text, "x").as_array();
}

}  // namespace

TEST_SUITE("protocol") {
  TEST_CASE("listings: REST") {
    json::array const files =
        list(R"([{"path":"d/a","is_dir":false,"file_size":5},{"path":"d/sub","is_dir":true,"file_size":0},
      {"path":"d/e","is_dir":false,"file_size":"0"},{"path":"d/empty"},{"path":"d/neg","file_size":-1},{"path":"d","is_dir":false,"file_size":0}])");
    auto const result = listed_files("run r", "d", &files, Spelling::rest);
    REQUIRE(result.size() == 5);
    CHECK(result[0].path == "d/a");
    CHECK(result[0].size == 5);
    CHECK(!result[0].is_dir);
    CHECK(result[1].is_dir);
    CHECK(!result[1].size);
    CHECK(result[2].size == 0);
    CHECK(result[3].size == 0);
    CHECK(!result[4].size);
    CHECK(listed_files("run r", "d", nullptr, Spelling::rest).empty());
  }

  TEST_CASE("listings: entries outside, and emptiness that cannot be believed") {
    json::array const other = list(R"([{"path":"e/a"}])");
    CHECK_THROWS_WITH_AS(listed_files("run r", "d", &other, Spelling::rest),
                         "the artifact listing of run r, folder \"d\", cannot be used: the server listed "
                         "\"e/a\", which is not in it",
                         std::runtime_error);
    json::array const up = list(R"([{"path":"../x"}])");
    CHECK_THROWS_AS(listed_files("run r", "", &up, Spelling::rest), std::runtime_error);
    json::array const broken = list("[7]");
    CHECK_THROWS_AS(listed_files("run r", "", &broken, Spelling::rest), std::runtime_error);
    json::array const none;
    CHECK_THROWS_AS(listed_files("run r", "a%41", &none, Spelling::rest), std::runtime_error);
    CHECK_THROWS_AS(listed_files("run r", " lead", nullptr, Spelling::rest), std::runtime_error);
    // A server that takes the path as it is shows it.
    json::array const right = list(R"([{"path":"a%41/x"}])");
    CHECK(listed_files("run r", "a%41", &right, Spelling::rest).size() == 1);
  }

  TEST_CASE("listings: proxied names get their folder back") {
    json::array const files =
        list(R"([{"path":"a b","is_dir":false,"file_size":1},{"path":"sub","is_dir":true}])");
    auto const below = listed_names("1/r/artifacts", &files);
    REQUIRE(below.size() == 2);
    CHECK(below[0].path == "1/r/artifacts/a b");
    CHECK(below[1].path == "1/r/artifacts/sub");
    CHECK(listed_names("", &files)[0].path == "a b");
    CHECK(listed_names("x", nullptr).empty());
    for (std::string_view name : {"..", ".", "a/b", "/etc"}) {
      CAPTURE(name);
      json::array const hostile{json::object{{"path", name}}};
      CHECK_THROWS_AS(listed_names("x", &hostile), std::runtime_error);
    }
  }

  TEST_CASE("listings: the GraphQL query holds no names") {
    std::vector<Client::Directory> const directories{{"r1", ""}, {"r2", "q\"uote'){}$"}};
    json::object const body = parse_json(listing_query(directories), "x").as_object();
    CHECK(get_string(body, "query") ==
          "query($r0:String,$p0:String,$r1:String,$p1:String){"
          "a0:mlflowListArtifacts(input:{runId:$r0,path:$p0}){files{path isDir fileSize}}"
          "a1:mlflowListArtifacts(input:{runId:$r1,path:$p1}){files{path isDir fileSize}}}");
    CHECK(to_json(*get_object(body, "variables")) == R"({"r0":"r1","p0":"","r1":"r2","p1":"q\"uote'){}$"})");
  }

  TEST_CASE("listings: GraphQL answers, good, empty and failed") {
    std::vector<Client::Directory> const directories{
        {"r1", ""}, {"r2", "x"}, {"r3", ""}, {"r4", "d"}, {"r5", "a#b"}};
    json::object const answer = parse_json(R"({"data":{
      "a0":{"files":[{"path":"f","isDir":false,"fileSize":"9007199254740993"},{"path":"d","isDir":true,"fileSize":"0"}]},
      "a1":null,"a2":{"files":[]},"a3":{"files":[{"path":"other/f","isDir":false,"fileSize":"1"}]},"a4":{"files":[]}},
      "errors":["Run with id=r2 not found"]})",
                                           "x")
                                    .as_object();
    auto const results = listing_answers(directories, answer);
    REQUIRE(results.size() == 5);
    REQUIRE(results[0]);
    CHECK(results[0]->at(0).size == 9007199254740993u);
    CHECK(results[0]->at(1).is_dir);
    CHECK(!results[0]->at(1).size);
    CHECK(!results[1]);
    REQUIRE(results[2]);
    CHECK(results[2]->empty());
    CHECK(!results[3]);  // the server listed something else
    CHECK(!results[4]);  // or may have
    for (std::string_view whole :
         {R"({"data":null,"errors":["at most 10"]})", "{}", R"({"data":{"a0":7,"a1":{"files":null}}})"}) {
      for (const auto& result : listing_answers(directories, parse_json(whole, "x").as_object()))
        CHECK(!result);
    }
  }
}
