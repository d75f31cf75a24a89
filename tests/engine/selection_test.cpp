#include "engine/selection.hpp"

#include <doctest/doctest.h>

#include "protocol/mlflow/json.hpp"

using namespace mlferry;
using namespace mlferry::engine;
namespace json = boost::json;

namespace {

Selection including(std::initializer_list<const char*> rules) {
  Selection selection;
  for (auto const* rule : rules) selection.include.push_back(parse_selection_rule(rule));
  return selection;
}

mlflow::Run run(const char* json) {
  return {mlflow::parse_json(json, "test").as_object()};
}

}  // namespace

TEST_SUITE("engine") {
  TEST_CASE("selection: globs") {
    struct Row {
      const char* glob;
      const char* text;
      bool matches;
    };
    for (auto const& row : {
             Row{"*", "", true},
             Row{"", "", true},
             Row{"", "a", false},
             Row{"abc", "abc", true},
             Row{"abc", "abcd", false},
             Row{"a*c", "abbbc", true},
             Row{"a*c*", "abcab", true},
             Row{"*a*b*c", "xxaxxbxxcxxc", true},
             Row{"*a*b*c", "xxaxxbxx", false},
             Row{"a?c", "abc", true},
             Row{"a?c", "ac", false},
             Row{"[a-c]x", "bx", true},
             Row{"[a-c]x", "dx", false},
             Row{"[!a-c]x", "dx", true},
             Row{"[]]", "]", true},
             Row{"[abc", "[abc", true},
             Row{"\\*", "*", true},
             Row{"\\*", "a", false},
             Row{"prod/*", "prod/a/b", true},
             Row{"é*", "école", true},
         }) {
      CAPTURE(row.glob);
      CAPTURE(row.text);
      CHECK(glob_matches(row.glob, row.text) == row.matches);
    }
    // No pattern may take time beyond glob times text.
    CHECK(!glob_matches(std::string(200, '*') + "b", std::string(20000, 'a')));
    CHECK(!glob_matches("*a*a*a*a*a*a*a*a*a*b", std::string(5000, 'a')));
  }

  TEST_CASE("selection: kinds and rules are named as users name them") {
    CHECK(selectable_kind("run") == Kind::run);
    CHECK(selectable_kind("Runs") == Kind::run);
    CHECK(selectable_kind("logged-models") == Kind::logged_model);
    CHECK(selectable_kind("logged models") == Kind::logged_model);
    CHECK(selectable_kind("model") == Kind::registered_model);
    CHECK(selectable_kind("mcp_server") == Kind::mcp_server);
    for (auto const* word : {"", "model_version", "prompt_version", "artifact", "workspace", "ru"}) {
      CAPTURE(word);
      CHECK(!selectable_kind(word));
    }
    auto const rule = parse_selection_rule("experiment:a:b*");
    CHECK(rule.kind == Kind::experiment);
    CHECK(rule.glob == "a:b*");
    CHECK(parse_selection_rule("trace").glob == "*");
    CHECK_THROWS_WITH_AS(parse_selection_rule("thing:x"), doctest::Contains("'thing' is no kind"), SelectionError);
    CHECK_THROWS_AS(parse_selection_rule("run:"), SelectionError);
  }

  TEST_CASE("selection: times") {
    struct Row {
      const char* text;
      std::int64_t begin, end;
    };
    for (auto const& row : {
             Row{"1970-01-01", 0, 86'399'999},
             Row{"2026-11-24", 1795478400000, 1795564799999},
             Row{"2026-11-24T10:00", 1795514400000, 1795514459999},
             Row{"2026-11-24 10:00:05", 1795514405000, 1795514405999},
             Row{"2026-11-24T10:00:05.25Z", 1795514405250, 1795514405250},
             Row{"2026-11-24T10:00:05+02:00", 1795507205000, 1795507205999},
             Row{"2026-11-24T10:00:05.123456789Z", 1795514405123, 1795514405123},
             Row{"1795514405250", 1795514405250, 1795514405250},
         }) {
      CAPTURE(row.text);
      CHECK(parse_time(row.text, false) == row.begin);
      CHECK(parse_time(row.text, true) == row.end);
    }
    for (auto const* text : {"", "yesterday", "2026", "2026-13-01", "2026-02-30", "2026-11-24T", "2026-11-24T25:00",
                             "2026-11-24T10", "2026-11-24T10:00x", "2026-11-24T10:00:00.", "-5", "99999999999999999999"}) {
      CAPTURE(text);
      CHECK_THROWS_AS(parse_time(text, false), SelectionError);
    }
  }

  TEST_CASE("selection: an include takes what it names, with what is in it, and nothing else") {
    Selection const all;
    CHECK(all.everything());
    for (auto const kind : all_kinds) CHECK(all.takes_kind(kind));

    auto const one = including({"experiment:prod-*"});
    CHECK(!one.everything());
    CHECK(one.takes_experiment("7", "prod-a", false));
    CHECK(!one.takes_experiment("8", "dev", false));
    CHECK(including({"experiment:8"}).takes_experiment("8", "dev", false));  // by id
    for (auto const kind : {Kind::run, Kind::logged_model, Kind::trace, Kind::scorer, Kind::label_schema, Kind::review_queue,
                            Kind::issue, Kind::evaluation_dataset}) {
      CAPTURE(kind_name(kind));
      CHECK(one.takes_kind(kind));
    }
    for (auto const kind : {Kind::registered_model, Kind::model_version, Kind::prompt, Kind::webhook, Kind::gateway_secret}) {
      CAPTURE(kind_name(kind));
      CHECK(!one.takes_kind(kind));
    }

    auto const models = including({"model:net*"});
    CHECK(models.takes_kind(Kind::model_version));
    CHECK(models.takes(Kind::registered_model, "", "network"));
    CHECK(!models.takes(Kind::registered_model, "", "other"));
    CHECK(!models.takes_kind(Kind::experiment));
    CHECK(!models.takes_kind(Kind::run));

    // Members by themselves: their experiments come as places, other members do not.
    auto const traces = including({"trace"});
    CHECK(traces.takes_experiment("1", "any", false));
    CHECK(traces.takes_kind(Kind::trace));
    CHECK(!traces.takes_kind(Kind::run));
    auto const both = including({"experiment:a", "run:x*"});
    CHECK(both.takes_kind(Kind::run));
    CHECK(both.takes(Kind::run, "id", "x1"));
    CHECK(!both.takes(Kind::run, "id", "y"));
    CHECK(!both.takes_kind(Kind::trace));
    CHECK(!both.takes_experiment("2", "b", false));
  }

  TEST_CASE("selection: an exclude wins, kinds narrow") {
    auto selection = including({"experiment:*"});
    selection.exclude.push_back(parse_selection_rule("experiment:tmp*"));
    selection.exclude.push_back(parse_selection_rule("trace"));
    CHECK(selection.takes_experiment("1", "a", true));
    CHECK(!selection.takes_experiment("1", "tmp 1", false));
    CHECK(!selection.takes(Kind::trace, "tr-1", ""));

    Selection kinds;
    kinds.kinds = {Kind::run, Kind::prompt};
    CHECK(kinds.takes_kind(Kind::experiment));  // a place for the runs
    CHECK(kinds.takes_kind(Kind::prompt_version));
    CHECK(!kinds.takes_kind(Kind::logged_model));
    kinds.kinds = {Kind::prompt};
    CHECK(!kinds.takes_kind(Kind::experiment));
  }

  TEST_CASE("selection: datasets come with an experiment or for themselves") {
    auto const experiments = including({"experiment:a"});
    CHECK(experiments.takes_shared(Kind::evaluation_dataset, "d", "set", true));
    CHECK(!experiments.takes_shared(Kind::evaluation_dataset, "d", "set", false));
    CHECK(including({"evaluation_dataset:set"}).takes_shared(Kind::evaluation_dataset, "d", "set", false));
    CHECK(Selection{}.takes_shared(Kind::evaluation_dataset, "d", "set", false));
  }

  TEST_CASE("selection: stages and times of runs") {
    auto const alive = run(R"({"info":{"run_id":"r","lifecycle_stage":"active","start_time":1000}})");
    auto const dead = run(R"({"info":{"run_id":"r","lifecycle_stage":"deleted","start_time":2000}})");
    auto const timeless = run(R"({"info":{"run_id":"r","lifecycle_stage":"active"}})");
    Selection active;
    active.lifecycle = Lifecycle::active;
    CHECK(active.takes_run(alive, false));
    CHECK(!active.takes_run(alive, true));  // in a deleted experiment
    CHECK(!active.takes_run(dead, false));
    CHECK(!active.takes_experiment("1", "a", true));
    CHECK(active.takes_kind(Kind::registered_model));
    Selection deleted;
    deleted.lifecycle = Lifecycle::deleted;
    CHECK(deleted.takes_run(dead, false));
    CHECK(deleted.takes_run(alive, true));
    CHECK(!deleted.takes_run(alive, false));
    CHECK(deleted.takes_experiment("1", "a", false));  // may hold deleted runs
    deleted.kinds = {Kind::experiment};
    CHECK(!deleted.takes_experiment("1", "a", false));
    CHECK(deleted.takes_experiment("1", "a", true));
    deleted.kinds = {Kind::experiment, Kind::run};
    CHECK(deleted.takes_experiment("1", "a", false));
    deleted.kinds = {};
    CHECK(!deleted.takes_kind(Kind::registered_model));
    Selection window;
    window.since = 1000;
    window.until = 1999;
    CHECK(window.takes_run(alive, false));
    CHECK(!window.takes_run(dead, false));
    CHECK(!window.takes_run(timeless, false));
    mlflow::Trace trace{mlflow::parse_json(R"({"trace_id":"tr-1","request_time":"1970-01-01T00:00:01.500Z"})", "t").as_object()};
    CHECK(window.takes_trace(trace, false));
    CHECK(window.time_filter("t") == "t >= 1000 AND t <= 1999");
    CHECK(Selection{}.time_filter("t") == "");
    window.since = 1501;
    CHECK(!window.takes_trace(trace, false));
  }

  TEST_CASE("selection: says what it is in options") {
    auto selection = including({"model:a b"});
    selection.since = 5;
    selection.lifecycle = Lifecycle::active;
    selection.kinds = {Kind::prompt};
    CHECK(selection.describe() == "--kinds prompt --include registered_model:a b --since 5 --lifecycle active");
    CHECK(Selection{}.describe() == "");
  }

  TEST_CASE("selection: an id or a name alone") {
    auto const by_id = including({"experiment:id:7"}), by_name = including({"experiment:name:7*"});
    CHECK(by_id.takes_experiment("7", "x", false));
    CHECK_FALSE(by_id.takes_experiment("8", "7", false));
    CHECK(by_name.takes_experiment("8", "71", false));
    CHECK_FALSE(by_name.takes_experiment("7", "x", false));
    CHECK(by_id.describe() == "--include experiment:id:7");
    CHECK(by_id.include.front().is_exact());
    CHECK_FALSE(by_name.include.front().is_exact());
  }

  TEST_CASE("selection: what nothing has matched") {
    auto const selection = including({"experiment:a", "experiment:b*", "model:c", "run:d"});
    auto const copy = selection;
    CHECK(selection.unmatched().size() == 4);
    CHECK(copy.takes_experiment("1", "a", false));
    CHECK_FALSE(copy.takes(Kind::registered_model, "x", "x"));
    auto const left = selection.unmatched();
    REQUIRE(left.size() == 3);
    CHECK(left.front().text() == "experiment:b*");
  }

  TEST_CASE("selection: exact ids") {
    Selection selection;
    selection.kinds = {Kind::run, Kind::registered_model};
    selection.ids = {{Kind::run, {"r"}}, {Kind::experiment, {"7"}}, {Kind::registered_model, {"wine*"}}};
    selection.lifecycle = Lifecycle::active;
    CHECK_FALSE(selection.everything());
    CHECK(selection.takes_experiment("7", "a", false));
    CHECK(selection.takes_experiment("7", "a", true));  // named, though it is deleted
    CHECK_FALSE(selection.takes_experiment("8", "7", false));
    CHECK(selection.takes(Kind::run, "r", "x"));
    CHECK_FALSE(selection.takes(Kind::run, "x", "r"));
    CHECK(selection.takes(Kind::registered_model, "", "wine*"));  // a name and no glob
    CHECK_FALSE(selection.takes(Kind::registered_model, "", "wine1"));
    CHECK_FALSE(selection.takes(Kind::logged_model, "m-1", ""));
    CHECK(*selection.exact_ids(Kind::run) == std::set<std::string>{"r"});
    CHECK(selection.exact_ids(Kind::prompt) == nullptr);
    selection.text = "--model wine*";
    CHECK(selection.describe() == "--model wine*");
  }

  TEST_CASE("selection: logged models and traces come with their runs") {
    auto const model = [](const char* run) {
      return mlflow::LoggedModel{mlflow::parse_json(
          std::string(R"({"info":{"model_id":"m-1","creation_timestamp_ms":5000,"source_run_id":")") + run + "\"}}", "m").as_object()};
    };
    mlflow::Trace const trace{mlflow::parse_json(R"({"trace_id":"tr-1","request_time":"1970-01-01T00:00:05Z"})", "t").as_object()};
    Selection window;
    window.since = 1000;
    window.until = 1999;
    window.with_runs = true;
    // Whose run is taken, whatever their own time; of no run, by their time.
    CHECK(window.takes_logged_model(model("r"), false, false, true));
    CHECK_FALSE(window.takes_logged_model(model("r"), false, false, false));
    CHECK_FALSE(window.takes_logged_model(model(""), false, false, std::nullopt));
    CHECK(window.takes_trace(trace, false, true));
    CHECK_FALSE(window.takes_trace(trace, false, std::nullopt));
    window.until = 5000;
    CHECK(window.takes_logged_model(model(""), false, false, std::nullopt));
    CHECK(window.takes_trace(trace, false, std::nullopt));
    CHECK(window.describe() == "--run-start-time 1000 --runs-until 5001");
    // Runs by id: what is of no run does not come.
    window.ids[Kind::run] = {"r"};
    CHECK_FALSE(window.takes_logged_model(model(""), false, false, std::nullopt));
    CHECK_FALSE(window.takes_trace(trace, false, std::nullopt));
    // A logged model that is named comes besides.
    window.ids[Kind::logged_model] = {"m-1"};
    CHECK(window.takes_logged_model(model("x"), false, false, false));
    CHECK(window.exact_ids(Kind::logged_model) == nullptr);
    window.lifecycle = Lifecycle::active;
    CHECK_FALSE(window.takes_logged_model(model("x"), true, false, false));
  }

  TEST_CASE("selection: versions by stage, number and age") {
    auto const version = [](int number, const char* stage) {
      return mlflow::ModelVersion{json::object{{"version", std::to_string(number)}, {"current_stage", stage}}};
    };
    std::vector<mlflow::ModelVersion> const versions{version(1, "Production"), version(2, "None"), version(9, "Production"),
                                                     version(10, ""), version(11, "Archived")};
    struct Row {
      VersionChoice choice;
      std::vector<std::size_t> chosen;
    };
    for (auto const& row : {Row{{}, {0, 1, 2, 3, 4}},
                            Row{{{"Production"}, {}, false}, {0, 2}},
                            Row{{{"None"}, {}, false}, {1, 3}},  // without a stage is of none
                            Row{{{}, {10, 1, 99}, false}, {0, 3}},
                            Row{{{}, {}, true}, {2, 3, 4}},
                            Row{{{"Production", "Archived"}, {}, true}, {2, 4}},
                            Row{{{"Staging"}, {}, true}, {}}}) {
      CHECK(row.choice.choose(versions) == row.chosen);
    }
    CHECK(canonical_stage("PRODUCTION") == "Production");
    CHECK(canonical_stage("none") == "None");
    CHECK_FALSE(canonical_stage("prod").has_value());
    Selection some;
    some.model_versions.stages = {"None"};
    some.model_versions.latest = true;
    CHECK_FALSE(some.everything());
    CHECK(some.describe() == "--stages None --export-latest-versions true");
    CHECK(some.versions_of(Kind::prompt).all());
  }
}
