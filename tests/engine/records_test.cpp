#include "engine/records.hpp"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>

using namespace mlferry;
using namespace mlferry::engine;

namespace {

// As an archive keeps it: through text.
json::object through_text(const json::object& object) {
  return mlflow::parse_json(mlflow::to_json(object), "record").as_object();
}

std::uint64_t bits(double value) {
  return std::bit_cast<std::uint64_t>(value);
}

}  // namespace

TEST_SUITE("engine") {
  TEST_CASE("records: a run's history goes through an archive to the bit") {
    using limits = std::numeric_limits<double>;
    RunRecord record;
    record.run.doc = {{"info", json::object{{"run_id", "r"}, {"unknown field", 1.5}}}};
    mlflow::MetricSeries special{"special", {}};
    for (double const value :
         {0.0, -0.0, 1.0, -1.0, 0.1, limits::infinity(), -limits::infinity(), limits::max(), limits::lowest(),
          limits::min(), limits::denorm_min(), -limits::denorm_min(), limits::epsilon(), 1.0 / 3, 1e22,
          9007199254740993.0, 123456789012345680.0}) {
      special.points.push_back({value, 1, 2});
    }
    special.points.push_back({limits::quiet_NaN(), limits::max_digits10, -5});
    record.history.push_back(special);
    mlflow::MetricSeries random_bits{"key with \"quotes\", \xc3\xa9 and \n", {}};
    std::mt19937_64 random(1);
    for (int i = 0; i < 20'000; ++i) {
      auto const value = std::bit_cast<double>(random());
      if (std::isfinite(value))
        random_bits.points.push_back(
            {value, static_cast<std::int64_t>(random()), static_cast<std::int64_t>(random())});
    }
    record.history.push_back(random_bits);

    RunRecord back;
    from_archive(through_text(to_archive(record)), back);
    CHECK(back.run.doc == record.run.doc);
    REQUIRE(back.history.size() == 2);
    for (std::size_t i = 0; i < 2; ++i) {
      auto const& a = record.history[i];
      auto const& b = back.history[i];
      CHECK(a.key == b.key);
      REQUIRE(a.points.size() == b.points.size());
      std::size_t wrong = 0;
      for (std::size_t k = 0; k < a.points.size(); ++k) {
        bool const same = std::isnan(a.points[k].value) ? std::isnan(b.points[k].value)
                                                        : bits(a.points[k].value) == bits(b.points[k].value);
        if (!same || a.points[k].timestamp != b.points[k].timestamp || a.points[k].step != b.points[k].step)
          ++wrong;
      }
      CHECK(wrong == 0);
    }
  }

  TEST_CASE("records: the other kinds keep their whole document") {
    json::object const doc{{"name", "n"}, {"deep", json::object{{"list", json::array{1, "two", nullptr}}}}};
    ExperimentRecord experiment, experiment_back;
    experiment.experiment.doc = doc;
    from_archive(through_text(to_archive(experiment)), experiment_back);
    CHECK(experiment_back.experiment.doc == doc);
    for (bool const deleted : {false, true}) {
      LoggedModelRecord model, model_back;
      model.model.doc = doc;
      model.deleted = deleted;
      from_archive(through_text(to_archive(model)), model_back);
      CHECK(model_back.model.doc == doc);
      CHECK(model_back.deleted == deleted);
    }
    RegisteredModelRecord registered, registered_back;
    registered.model.doc = doc;
    from_archive(through_text(to_archive(registered)), registered_back);
    CHECK(registered_back.model.doc == doc);
    ModelVersionRecord version, version_back;
    version.version.doc = doc;
    from_archive(through_text(to_archive(version)), version_back);
    CHECK(version_back.version.doc == doc);
  }

  TEST_CASE("records: what an archive must not hold is refused, not read as something else") {
    for (auto const* text : {
             R"({})",
             R"({"run":1,"history":{}})",
             R"({"run":{}})",
             R"({"run":{},"history":[]})",
             R"({"run":{},"history":{"k":1}})",
             R"({"run":{},"history":{"k":[1]}})",
             R"({"run":{},"history":{"k":[[1,2]]}})",
             R"({"run":{},"history":{"k":[[1,2,3,4]]}})",
             R"({"run":{},"history":{"k":[["x",2,3]]}})",
             R"({"run":{},"history":{"k":[[null,2,3]]}})",
             R"({"run":{},"history":{"k":[[1,"x",3]]}})",
             R"({"run":{},"history":{"k":[[1,2,1.5]]}})",
         }) {
      CAPTURE(std::string(text));
      RunRecord record;
      CHECK_THROWS_AS(from_archive(mlflow::parse_json(text, "t").as_object(), record), mlflow::JsonError);
    }
    json::object const wrong{{"something", json::object{}}};
    ExperimentRecord experiment;
    LoggedModelRecord model;
    RegisteredModelRecord registered;
    ModelVersionRecord version;
    CHECK_THROWS_AS(from_archive(wrong, experiment), mlflow::JsonError);
    CHECK_THROWS_AS(from_archive(wrong, model), mlflow::JsonError);
    CHECK_THROWS_AS(from_archive(wrong, registered), mlflow::JsonError);
    CHECK_THROWS_AS(from_archive(wrong, version), mlflow::JsonError);
  }

  TEST_CASE("records: the footprint grows with what a run holds") {
    RunRecord record;
    auto last = footprint(record);
    auto const grew = [&](const char* what) {
      CAPTURE(std::string(what));
      auto const now = footprint(record);
      CHECK(now > last);
      last = now;
    };
    record.history.push_back({"k", std::vector<mlflow::MetricPoint>(1000)});
    CHECK(footprint(record) >= last + 1000 * sizeof(mlflow::MetricPoint));
    grew("points");
    json::object data;
    for (auto const* part : {"params", "tags", "metrics"}) {
      data[part] = json::array{json::object{{"key", "k"}, {"value", std::string(500, 'v')}}};
      record.run.doc["data"] = data;
      CHECK(footprint(record) >= last + 500);
      grew(part);
    }
    record.files.push_back({"path", 1, ""});
    grew("files");
  }

  TEST_CASE("records: NaN in a span's event stays a number beside the text, also when the record is damaged") {
    TraceRecord record;
    record.spans = mlflow::parse_python_json(
                       R"([{"name":"NaN"},{"events":[{"attributes":{"a":NaN,"b":"NaN","c":[1,-Infinity],"d":{"e":NaN}}}]}])", "x")
                       .as_array();
    auto const text = mlflow::to_json(to_archive(record));
    TraceRecord back;
    from_archive(mlflow::parse_json(text, "x").as_object(), back);
    CHECK(mlflow::to_canonical_json(back.spans) == mlflow::to_canonical_json(record.spans));
    record.spans.erase(record.spans.begin() + 1);
    CHECK_FALSE(to_archive(record).contains("non_finite"));
    for (auto const* place : {"7", "[]", "[0]", "[5,1]", "[-1]", R"(["name"])", R"([0,"gone"])", R"([0,"name","x"])",
                              R"([0,"other"])", "[null]"}) {
      CAPTURE(place);
      auto damaged = mlflow::parse_json(R"({"trace":{},"spans":[{"name":"NaN","other":"x"}],"non_finite":[)" + std::string(place) + "]}", "x");
      CHECK_THROWS_AS(from_archive(damaged.as_object(), back), mlflow::JsonError);
    }
  }
}
