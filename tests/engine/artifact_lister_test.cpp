#include "engine/endpoints/artifact_lister.hpp"

#include <doctest/doctest.h>

using mlferry::engine::KnownFolders;
using mlferry::engine::proxied_path;
using mlferry::engine::surely_empty;

TEST_SUITE("engine") {
  TEST_CASE("artifact lister: where proxied URIs lie below the proxy's root") {
    using Path = std::optional<std::string>;
    struct Row {
      const char* uri;
      Path path;
    };
    for (auto const& row : std::initializer_list<Row>{
             {"mlflow-artifacts:/1/r/artifacts", "1/r/artifacts"},
             {"mlflow-artifacts:/1/r/artifacts/", "1/r/artifacts"},
             {"mlflow-artifacts:/", ""},
             {"mlflow-artifacts:", ""},
             {"mlflow-artifacts:1/r", "1/r"},
             {"mlflow-artifacts://host:5000/1/r", "1/r"},
             {"mlflow-artifacts://host", ""},
             {"mlflow-artifacts:///1/r", "1/r"},
             {"s3://bucket/1/r", std::nullopt},
             {"file:///1/r", std::nullopt},
             {"/1/r", std::nullopt},
             {"", std::nullopt},
         }) {
      CAPTURE(std::string(row.uri));
      CHECK(proxied_path(row.uri) == row.path);
    }
  }

  TEST_CASE("artifact lister: a run is taken for empty only when that is certain") {
    KnownFolders const folders = std::unordered_set<std::string>{"r1", "r2"};
    std::string const location = "mlflow-artifacts:/1";
    struct Row {
      std::string uri, location;
      bool known;
      bool empty;
    };
    for (auto const& row : std::initializer_list<Row>{
             {"mlflow-artifacts:/1/r1/artifacts", location, true, false},
             {"mlflow-artifacts:/1/r3/artifacts", location, true, true},
             {"mlflow-artifacts:/1/r3/artifacts", location, false, false},  // the folders are not known
             {"mlflow-artifacts:/1/r3/artifacts", location + "/", true, true},
             {"mlflow-artifacts:/2/r3/artifacts", location, true, false},   // lies somewhere else
             {"mlflow-artifacts:/10/r3/artifacts", location, true, false},  // as a text below, as a path not
             {"mlflow-artifacts:/1", location, true, false},
             {"s3://b/1/r3", location, true, false},
             {"mlflow-artifacts:/1/r3/artifacts", "s3://b/1", true, false},
         }) {
      CAPTURE(std::string(row.uri));
      CAPTURE(row.location);
      CHECK(surely_empty(row.uri, row.location, row.known ? folders : KnownFolders()) == row.empty);
    }
  }
}
