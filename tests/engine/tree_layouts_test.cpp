// The layouts that mlflow-export-import has written over the years (tests/format/tree, made by hand), each
// imported into a fake server, and directories that are broken or mean harm.

#include <doctest/doctest.h>

#include <filesystem>

#include "engine/endpoints/tree_documents.hpp"
#include "engine/endpoints/tree_source.hpp"
#include "support/archive_fixture.hpp"
#include "support/contents.hpp"
#include "support/run.hpp"
#include "support/tree_jobs.hpp"

using namespace mlferry;
using namespace mlferry::engine;
using mlferry::test::FakeMlflow;
namespace fs = std::filesystem;

namespace {

const std::string calm = "0a1b2c3d4e5f60718293a4b5c6d7e8f9";
const std::string brisk = "1111aaaa2222bbbb3333cccc4444dddd";
const std::string lost = "ffff0000ffff0000ffff0000ffff0000";
const std::string trace = "tr-5d5f9c0e6b7a4a0f8c1d2e3f40516273";

std::string fixture(const std::string& layout) {
  return std::string(MLFERRY_SOURCE_DIR) + "/tests/format/tree/" + layout;
}

struct Import {
  // A copy of a fixture, to be changed.
  explicit Import(const std::string& layout) { fs::copy(fixture(layout), tree, fs::copy_options::recursive); }
  Report run() { return test::imported_tree(loop, tree.string(), to, (scratch.path() / "state").string()); }
  std::string text_of(const std::string& key) {
    auto const all = test::contents(to);
    auto const found = all.find(key);
    if (found != all.end()) return found->second;
    std::string keys = "no '" + key + "' among:";
    for (auto const& [name, value] : all) keys += "\n" + name;
    return keys;
  }
  bool has(const std::string& key, const std::string& line) {
    auto const text = text_of(key);
    if (text.find(line) != std::string::npos) return true;
    MESSAGE(text);
    return false;
  }

  test::ScratchFolder scratch;
  fs::path tree = scratch.path() / "tree";
  boost::asio::io_context loop;
  FakeMlflow to{loop, test::FakeOptions{}};
};

std::string all_findings(const Report& report) {
  return test::findings(report, Severity::failed) + test::findings(report, Severity::skipped) +
         test::findings(report, Severity::loss);
}

bool says(const Report& report, Severity severity, const std::string& text) {
  auto const all = test::findings(report, severity);
  if (all.find(text) != std::string::npos) return true;
  MESSAGE(all);
  return false;
}

template <class Record, class Make>
async::Task<std::vector<Record>> all_of(TreeSource& source, Make make) {
  std::vector<Record> out;
  auto pages = make(source);
  while (auto page = co_await pages->next()) {
    for (auto& record : *page) out.push_back(std::move(record));
  }
  co_return out;
}

// Everything of one tree, read without a server.
struct Records {
  SourceInfo info;
  std::vector<ExperimentRecord> experiments;
  std::vector<RunRecord> runs;
  std::vector<LoggedModelRecord> logged_models;
  std::vector<TraceRecord> traces;
  std::vector<RegisteredModelRecord> models;
  std::vector<ObjectRecord> datasets;
};

async::Task<> read_all(test::Ferry& ferry, std::string folder, Records& out) {
  TreeSource source(ferry.context, std::move(folder));
  KnowsNothing known;
  out.info = co_await source.open();
  out.experiments = co_await all_of<ExperimentRecord>(source, [](TreeSource& s) { return s.experiments(); });
  for (auto const& experiment : out.experiments) {
    std::string const id(experiment.experiment.id());
    auto runs = co_await all_of<RunRecord>(source, [&](TreeSource& s) { return s.runs(id, known); });
    std::move(runs.begin(), runs.end(), std::back_inserter(out.runs));
    auto models =
        co_await all_of<LoggedModelRecord>(source, [&](TreeSource& s) { return s.logged_models(id, known); });
    std::move(models.begin(), models.end(), std::back_inserter(out.logged_models));
    auto traces = co_await all_of<TraceRecord>(source, [&](TreeSource& s) { return s.traces(id, known); });
    std::move(traces.begin(), traces.end(), std::back_inserter(out.traces));
  }
  out.models = co_await all_of<RegisteredModelRecord>(
      source, [&](TreeSource& s) { return s.registered_models(known); });
  out.datasets = co_await all_of<ObjectRecord>(
      source, [&](TreeSource& s) { return s.objects(Kind::evaluation_dataset, known); });
  for (auto const kind : all_kinds) {
    if (kind < Kind::label_schema || kind == Kind::evaluation_dataset || kind == Kind::artifact) continue;
    auto const others =
        co_await all_of<ObjectRecord>(source, [&](TreeSource& s) { return s.objects(kind, known); });
    CHECK(others.empty());
  }
}

Records records_of(const std::string& folder, Report* report = nullptr) {
  boost::asio::io_context loop;
  test::Ferry ferry(loop);
  Records out;
  test::run(loop, read_all(ferry, folder, out));
  if (report != nullptr) *report = ferry.report;
  for (auto* list : {&out.runs}) {
    for (auto& record : *list) record.memory.reset();
  }
  for (auto& record : out.logged_models) record.memory.reset();
  for (auto& record : out.traces) record.memory.reset();
  return out;
}

void replace_in(const fs::path& file, const std::string& from, const std::string& to) {
  auto text = test::read_file(file);
  auto const at = text.find(from);
  REQUIRE(at != std::string::npos);
  test::write_file(file, text.replace(at, from.size(), to));
}

}  // namespace

TEST_SUITE("engine") {
  TEST_CASE("tree layouts: V1 as the package writes it now") {
    Import t("v1");
    auto const report = t.run();
    CHECK(test::wrong_sums(report) == "");
    CHECK(report.counts(Kind::run).copied == 1);
    CHECK(report.counts(Kind::logged_model).copied == 1);
    CHECK(report.counts(Kind::trace).copied == 1);
    CHECK(report.counts(Kind::model_version).copied == 3);
    CHECK(report.counts(Kind::prompt_version).copied == 2);
    CHECK(says(report, Severity::skipped,
               "run " + brisk + ": its folder is there, but experiments/7/experiment.json does not list it"));
    CHECK(says(report, Severity::loss, "prompt greet: the export holds no aliases"));
    CHECK(t.has("run wine/calm", "start_time 1760000000123"));
    CHECK(t.has("run wine/calm", "tag team = blue"));
    CHECK(t.has("run wine/calm", "param caf\xc3\xa9 = \xf0\x9f\x8d\xb7"));
    CHECK(t.has("run wine/calm", "output <logged model wine/net> at 3"));
    CHECK(t.has("experiment wine", "tag mlflow.note.content = notes"));
    auto const all = test::contents(t.to);
    std::string everything;
    for (auto const& [key, value] : all) everything += key + ": " + value + "\n";
    CAPTURE(everything);
    for (auto const* part : {"0.30000000000000004", "NaN", "9f0c11ab", "weights", "owner = me", "champ",
                             "Hi {{who}}", "\"role\""})
      CHECK(everything.find(part) != std::string::npos);
  }

  TEST_CASE("tree layouts: V1 record by record") {
    auto const read = records_of(fixture("v1"));
    CHECK(read.info.identity == "http://wine.example:5000");  // no credentials
    REQUIRE(read.traces.size() == 1);
    auto const& info = read.traces[0].trace.doc;
    CHECK(info.at("request_time") == "2025-10-09T08:53:21.500Z");
    CHECK(info.at("execution_duration") == "0.012s");
    auto const& assessments = info.at("assessments").as_array();
    REQUIRE(assessments.size() == 2);
    CHECK(assessments[0].at("feedback") == json::value(json::object{{"value", true}}));
    CHECK(assessments[0].at("last_update_time") == "2025-10-09T08:53:25.500Z");
    CHECK(assessments[1].at("expectation").at("serialized_value").at("value") == "[1,2]");
    CHECK_FALSE(assessments[1].as_object().contains("feedback"));
    REQUIRE(read.traces[0].files.size() == 1);
    CHECK(read.traces[0].files[0].path == "traces.json");
    CHECK(read.traces[0].gaps.empty());
    REQUIRE(read.logged_models.size() == 1);
    CHECK(read.logged_models[0].model.status() == "LOGGED_MODEL_READY");
    CHECK(read.logged_models[0].model.metrics().at(0).at("value") == 0.75);
    REQUIRE(read.models.size() == 2);
    std::vector<std::int64_t> numbers;
    for (auto const& item : read.models[0].versions) numbers.push_back(item.version.number());
    CHECK(numbers == std::vector<std::int64_t>{1, 2, 10});
    CHECK(read.models[0].model.aliases().size() == 1);
    CHECK(read.models[1].kind() == Kind::prompt);
    CHECK(read.models[1].versions.back().version.number() == 10);
    REQUIRE(read.datasets.size() == 1);
    CHECK(read.datasets[0].id == "d-1");
    CHECK(mlflow::parse_json(mlflow::get_string(read.datasets[0].doc, "tags"), "tags").at("team") == "blue");
    CHECK(read.datasets[0].doc.at("records").at(0).at("expectations").at("a") == "4");
    CHECK(read.datasets[0].doc.at("source").is_string());
  }

  TEST_CASE("tree layouts: V2, run folders beside experiment.json, a list of inputs") {
    Import t("v2");
    auto const report = t.run();
    CHECK(test::wrong_sums(report) == "");
    CHECK(report.counts(Kind::experiment).found == 1);  // listed twice
    CHECK(report.counts(Kind::run).found == 3);
    CHECK(report.counts(Kind::run).copied == 2);
    CHECK(says(report, Severity::failed,
               "run " + lost + ": experiments/7/experiment.json lists it, but experiments/7/runs/" + lost));
    CHECK(says(report, Severity::failed,
               "registered_model lost_m: models/models.json lists it, but no folder here holds it"));
    CHECK(t.has("run wine/calm", "9f0c11ab"));
    CHECK(t.has("run wine/brisk", "param depth = 4"));  // its folder is the model's
    // The run of version 3 is in no experiment: the files come from the copy in the model's folder.
    CHECK(report.counts(Kind::model_version).copied == 3);
    CHECK(says(report, Severity::loss, "carries them"));
    auto const read = records_of(fixture("v2"));
    CHECK(read.models.at(0).model.aliases() ==
          std::vector<std::pair<std::string, std::string>>{{"champ", "2"}});
    CHECK(read.models.at(0).versions.at(0).files.empty());
    CHECK(read.models.at(0).versions.at(1).files.empty());
    REQUIRE(read.models.at(0).versions.at(2).files.size() == 1);
    CHECK(read.models.at(0).versions.at(2).files[0].path == "MLmodel");
  }

  TEST_CASE("tree layouts: V3, without inputs, and a model whose folder has another name") {
    Import t("v3");
    auto const report = t.run();
    CHECK(test::findings(report, Severity::failed) == "");
    CHECK(report.counts(Kind::run).copied == 1);
    CHECK(report.counts(Kind::model_version).copied == 3);
    CHECK(says(report, Severity::loss, "1 of its versions could not be exported"));
  }

  TEST_CASE("tree layouts: V4, latest_versions, and a run.json that names another run") {
    Import t("v4");
    auto const report = t.run();
    CHECK(test::findings(report, Severity::failed) == "");
    CHECK(says(report, Severity::loss, "only the latest version of each stage"));
    CHECK(report.counts(Kind::model_version).copied == 1);
    CHECK(t.has("run wine/calm", "param depth = 4"));  // the name is in a tag only
    auto const read = records_of(fixture("v4"));
    CHECK(read.runs.at(0).run.id() == calm);
    CHECK(read.info.identity == "directory " + fixture("v4"));  // "file:" names no server
  }

  TEST_CASE("tree layouts: V5, without stanzas; what it lacks is said") {
    Import t("v5");
    auto const report = t.run();
    CHECK(test::findings(report, Severity::failed) == "");
    CHECK(says(report, Severity::loss, "layout V5"));
    CHECK(says(report, Severity::loss, "only the latest version of each stage"));
    CHECK(says(report, Severity::loss,
               "run " + calm + ": the export holds only the last value of some metrics"));
    CHECK(report.counts(Kind::run).copied == 1);
    CHECK(report.counts(Kind::model_version).copied == 1);
    CHECK(t.has("experiment wine", "tag a = b"));
  }

  TEST_CASE("tree layouts: every one again changes nothing, and becomes V1 with all of it") {
    for (std::string const layout : {"v1", "v2", "v3", "v4", "v5"}) {
      CAPTURE(layout);
      Import t(layout);
      t.run();
      auto const before = test::contents(t.to);
      auto const again = t.run();
      CHECK(again.total_created() == 0);
      CHECK(test::difference(before, test::contents(t.to)) == "");
      auto const converted = (t.scratch.path() / "converted").string();
      test::tree_to_tree(t.loop, t.tree.string(), converted);
      FakeMlflow other{t.loop, test::FakeOptions{}};
      test::imported_tree(t.loop, converted, other, (t.scratch.path() / "state2").string());
      CHECK(test::difference(before, test::contents(other)) == "");
    }
  }

  TEST_CASE("tree layouts: a directory of experiments alone, and of one experiment") {
    Import t("v1");
    for (auto const& folder : {t.tree / "experiments", t.tree / "experiments/7"}) {
      auto const read = records_of(folder.string());
      CHECK(read.experiments.size() == 1);
      CHECK(read.experiments.at(0).experiment.id() == "7");
      CHECK(read.runs.size() == 1);
      CHECK(read.traces.size() == 1);
      CHECK(read.models.empty());
      CHECK(read.info.identity == "http://wine.example:5000");
    }
    CHECK_THROWS_WITH_AS(records_of((t.tree / "experiments/7/traces").string()),
                         doctest::Contains("holds traces (export-traces): import it with mlferry import-traces"),
                         tree::TreeError);
    CHECK_THROWS_WITH_AS(records_of((t.tree / "experiments/7/runs").string()),
                         doctest::Contains("no directory of mlflow-export-import or mlferry"),
                         tree::TreeError);
    CHECK_THROWS_AS(records_of((t.tree / "nowhere").string()), tree::TreeError);
  }

  TEST_CASE("tree layouts: the package keeps no spans of traces in the database") {
    Import t("v1");
    fs::remove_all(t.tree / ("experiments/7/traces/" + trace + "/artifacts"));
    auto const report = t.run();
    CHECK(report.counts(Kind::trace).copied == 1);
    CHECK(says(report, Severity::failed,
               trace + ":traces.json: cannot be read: the export holds no spans of this trace"));
  }

  TEST_CASE("tree layouts: Databricks notebooks are no artifacts of the run") {
    Import t("v1");
    auto const run = t.tree / ("experiments/7/runs/" + calm);
    fs::create_directories(run / "artifacts/notebooks");
    test::write_file(run / "artifacts/notebooks/manifest.json", "{}");
    test::write_file(run / "artifacts/notebooks/train.source", "x");
    CHECK(records_of(t.tree.string()).runs.at(0).files.size() == 4);
    replace_in(run / "run.json", "\"team\": \"blue\"",
               "\"mlflow.databricks.notebookPath\": \"/Users/me/train\"");
    Report report;
    CHECK(records_of(t.tree.string(), &report).runs.at(0).files.size() == 2);
    CHECK(report.counts(Kind::artifact).skipped == 2);
  }

  // --- broken and hostile ------------------------------------------------------------------------------

  TEST_CASE("tree hostile: a broken file is a failure that names it, and the rest arrives") {
    struct Row {
      std::string file, from, to, kind, text;
    };
    auto const run = "experiments/7/runs/" + calm + "/run.json";
    auto const trace_json = "experiments/7/traces/" + trace + "/trace.json";
    auto const model =
        std::string("experiments/7/logged_models/m-00aa11bb22cc33dd44ee55ff66007788/logged_model.json");
    for (auto const& row : {
             Row{run, "\"params\": {", "\"params\": [[", "run", "not valid JSON at byte"},
             Row{run, "\"params\": {", "\"params\": {\"x\": 1,", "run",
                 "'params' is neither an object nor a list of texts"},
             Row{run, "\"params\": {", "\"params\": 7, \"x\": {", "run", "'params' is neither"},
             Row{run, "\"tags\": {", "\"tags\": [1], \"x\": {", "run", "'tags' is neither"},
             Row{run, "\"metrics\": {", "\"metrics\": [], \"x\": {", "run", "'metrics' is no object"},
             Row{run, "\"value\": 0.5", "\"value\": \"much\"", "run",
                 "a point of metric 'loss' has no number in 'value'"},
             Row{run, "\"timestamp\": 1760000001000", "\"timestamp\": 1.5", "run",
                 "a point of metric 'loss'"},
             Row{run, "\"value\": 0.5,", "\"value\": 0.5.5,", "run", "metric 'loss': not valid JSON"},
             Row{run, "\"info\": {", "\"info\": 5, \"x\": {", "run", "no object 'info'"},
             Row{run, "\"dataset\": {", "\"dataset\": 3, \"x\": {", "run",
                 "one of 'inputs' has no object 'dataset'"},
             Row{run, "\"model_outputs\": [", "\"model_outputs\": [1,", "run",
                 "one of 'model_outputs' has no 'model_id'"},
             Row{run, "{", "{\"mlferry\": {\"format\": 99},", "run", "was written by a newer mlferry"},
             Row{run, "{", "{\"mlferry\": {\"format\": \"x\"},", "run", "'mlferry': no number in 'format'"},
             Row{run, "{", "{\"mlferry\": {\"format\": 1, \"files\": 3},", "run",
                 "'files' is no list of objects"},
             Row{trace_json, "\"info\": {", "\"info\": 5, \"x\": {", "trace", "no object 'info'"},
             Row{model, "\"metrics\": [", "\"metrics\": [{},", "logged_model",
                 "one of 'metrics' has no 'key' or 'value'"},
             Row{"models/wine_m/model.json", "\"version\": \"10\"", "\"version\": \"ten\"",
                 "registered_model", "a version without a number"},
             Row{"models/wine_m/model.json", "{", "", "registered_model", "not valid JSON"},
             Row{"prompts/greet_v1/prompt.json", "\"template\": \"Hi {{who}}\"", "\"template\": 3",
                 "prompt_version", "'template' is neither"},
             Row{"experiments/7/experiment.json", "\"runs\": [", "\"runs\": 3, \"x\": [", "experiment",
                 "'runs' is no list"},
             Row{"experiments/7/experiment.json", "\"runs\": [", "\"runs\": [4,", "experiment",
                 "'runs' holds something else"},
             Row{"experiments/7/experiment.json", "\"name\": \"wine\"", "\"name\": \"wi", "experiment",
                 "not valid JSON"},
             Row{"experiments/7/experiment.json", "\"tags\": {", "\"tags\": \"t\", \"x\": {", "experiment",
                 "'tags' is neither"},
         }) {
      CAPTURE(row.file);
      CAPTURE(row.text);
      Import t("v1");
      replace_in(t.tree / row.file, row.from, row.to);
      auto const report = t.run();
      auto const failed = test::findings(report, Severity::failed);
      CAPTURE(failed);
      CHECK(test::wrong_sums(report) == "");
      CHECK(failed.find(row.kind + " ") == 0);
      CHECK(failed.find(row.text) != std::string::npos);
      CHECK(failed.find(row.file.substr(row.file.rfind('/') + 1)) != std::string::npos);
      if (row.kind != "experiment") CHECK(report.counts(Kind::experiment).failed == 0);
      if (row.kind == "experiment")
        CHECK(says(report, Severity::skipped, "run " + calm + ": its experiment could not be read"));
      if (row.kind != "run" && row.kind != "experiment") CHECK(report.counts(Kind::run).copied == 1);
    }
  }

  TEST_CASE("tree hostile: cut after any byte, run.json is a failure that names it") {
    Import t("v1");
    auto const file = t.tree / ("experiments/7/runs/" + calm + "/run.json");
    auto const text = test::read_file(file);
    for (std::size_t length = 0; length + 2 < text.size(); length += 97) {
      CAPTURE(length);
      test::write_file(file, text.substr(0, length));
      auto const read = records_of(t.tree.string());
      REQUIRE(read.runs.size() == 1);
      CHECK(read.runs[0].read_error.find("run.json: ") != std::string::npos);
    }
  }

  TEST_CASE("tree hostile: names in lists that lead out of the directory") {
    for (std::string const bad : {"../../../secret", "/etc", "..", ".", "", "a/b"}) {
      CAPTURE(bad);
      Import t("v1");
      fs::create_directories(t.scratch.path() / "secret");
      test::write_file(t.scratch.path() / "secret/run.json",
                       test::read_file(t.tree / ("experiments/7/runs/" + calm + "/run.json")));
      replace_in(t.tree / "experiments/7/experiment.json", "\"" + calm + "\"",
                 "\"" + bad + "\", \"" + calm + "\"");
      auto const report = t.run();
      CHECK(says(report, Severity::failed,
                 "experiment.json lists '" + bad + "', which is no name of a folder in it"));
      CHECK(report.counts(Kind::run).copied == 1);
      Import index("v1");
      replace_in(index.tree / "experiments/experiments.json", "\"id\": \"7\"", "\"id\": \"" + bad + "\"");
      CHECK_THROWS_AS(index.run(), std::runtime_error);
      Import models("v1");
      replace_in(models.tree / "models/models.json", "\"models\": [", "\"models\": [\"" + bad + "\",");
      CHECK(says(models.run(), Severity::failed, "no folder here holds it"));
    }
  }

  TEST_CASE("tree hostile: symbolic links are not followed, whatever they stand for") {
    Import t("v1");
    auto const run = t.tree / ("experiments/7/runs/" + calm);
    test::write_file(t.scratch.path() / "secret", "secret");
    fs::create_symlink(t.scratch.path() / "secret", run / "artifacts/link");
    fs::create_directory_symlink(t.scratch.path(), run / "artifacts/out");
    auto const report = t.run();
    CHECK(report.counts(Kind::artifact).failed == 2);
    CHECK(says(report, Severity::failed, "artifacts/link: a symbolic link, which is not followed"));
    CHECK(report.counts(Kind::run).copied == 1);

    Import whole("v1");
    auto const place = whole.tree / ("experiments/7/runs/" + calm);
    fs::rename(place, whole.scratch.path() / "moved");
    fs::create_directory_symlink(whole.scratch.path() / "moved", place);
    auto const linked = whole.run();
    CHECK(linked.counts(Kind::run).copied == 0);
    CHECK(says(linked, Severity::failed, "symbolic link"));

    Import file("v1");
    fs::remove(file.tree / ("experiments/7/runs/" + calm + "/run.json"));
    fs::create_symlink("/etc/passwd", file.tree / ("experiments/7/runs/" + calm + "/run.json"));
    CHECK(says(file.run(), Severity::failed, "a symbolic link, which is not followed"));
  }

  TEST_CASE("tree hostile: a JSON file larger than what is read is refused before it is read") {
    Import t("v1");
    test::Ferry ferry(t.loop);
    auto job = [](test::Ferry& ferry, std::string folder) -> async::Task<> {
      TreeSource source(ferry.context, folder, {.most_json_bytes = 1500});
      co_await source.open();
      KnowsNothing known;
      auto pages = source.experiments();
      co_await pages->next();
      auto runs = source.runs("7", known);
      auto const page = co_await runs->next();
      CHECK(page.has_value());
      if (page) CHECK(page->front().read_error.find("run.json: has 2") != std::string::npos);
    };
    test::run(t.loop, job(ferry, t.tree.string()));
    CHECK(all_findings(ferry.report).find("brisk") == std::string::npos);
  }

  TEST_CASE("tree hostile: a document of ours in the folder of another") {
    Import t("v1");
    auto const converted = t.scratch.path() / "converted";
    test::tree_to_tree(t.loop, t.tree.string(), converted.string());
    auto const runs = converted / "experiments/7/runs";
    fs::copy(runs / calm, runs / brisk, fs::copy_options::recursive);
    replace_in(converted / "experiments/7/experiment.json", "\"runs\": [",
               "\"runs\": [\n      \"" + brisk + "\",");
    auto const report =
        test::imported_tree(t.loop, converted.string(), t.to, (t.scratch.path() / "state").string());
    CHECK(says(report, Severity::failed, "run.json: is about '" + calm + "', not about '" + brisk + "'"));
    CHECK(report.counts(Kind::run).copied == 1);
  }

  TEST_CASE("tree documents: times of people, half to even") {
    CHECK(time_companion(1684623705797) == "2023-05-20 23:01:46");
    CHECK(time_companion(1500) == "1970-01-01 00:00:02");
    CHECK(time_companion(2500) == "1970-01-01 00:00:02");
    CHECK(time_companion(500).is_null());
    CHECK(time_companion(0).is_null());
    CHECK(time_companion(std::nullopt).is_null());
    CHECK(time_companion(-1500) == "1969-12-31 23:59:58");
    CHECK(time_companion(9'000'000'000'000'000'000).is_null());
    for (std::int64_t const ms : {0LL, 1LL, 1760000001500LL, -1LL, 951782400000LL, 4102444800123LL})
      CHECK(parse_rfc3339(rfc3339(ms)) == ms);
    CHECK(rfc3339(1760000001500) == "2025-10-09T08:53:21.500Z");
    CHECK(parse_rfc3339("2025-10-09T08:53:21Z") == 1760000001000);
    CHECK(parse_rfc3339("2025-10-09T10:53:21.123456+02:00") == 1760000001123);
    for (auto const* bad : {"", "2025-10-09", "2025-13-09T08:53:21Z", "2025-10-09T08:53:21",
                            "2025-10-09T08:53:2xZ", "2025-10-09T08:53:21+2:00"})
      CHECK_FALSE(parse_rfc3339(bad));
  }
}
