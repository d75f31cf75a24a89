// Whole jobs through plain directories: a server there and back, an archive there and back, repeats, what a
// directory cannot hold, and stops in the middle.

#include <doctest/doctest.h>

#include <filesystem>

#include "engine/endpoints/tree_source.hpp"
#include "engine/endpoints/tree_target.hpp"
#include "engine/failure.hpp"
#include "support/archive_fixture.hpp"
#include "support/contents.hpp"
#include "support/run.hpp"
#include "support/tree_jobs.hpp"
#include "support/workload.hpp"

using namespace mlferry;
using namespace mlferry::engine;
using mlferry::test::FakeMlflow;
namespace fs = std::filesystem;

namespace {

struct Trees {
  Trees() {
    test::fill_workload(from);
    test::add_prompt_and_traces(from);
  }
  std::string at(const std::string& name) const { return (scratch.path() / name).string(); }
  std::string tree() const { return at("tree"); }
  Report export_it(JobOptions options = {}) { return test::exported_tree(loop, from, tree(), options); }
  Report import_it(JobOptions options = {}) {
    return test::imported_tree(loop, tree(), to, at("state"), options);
  }
  json::object object(const std::string& file) const {
    return mlflow::parse_python_json(test::read_file(fs::path(tree()) / file), file).as_object();
  }
  std::string run_file(const std::string& name) {
    auto const id = test::run_id(from, name);
    for (auto const& entry : fs::directory_iterator(fs::path(tree()) / "experiments")) {
      auto const file = entry.path() / "runs" / id / "run.json";
      if (fs::exists(file)) return fs::relative(file, tree()).string();
    }
    return "no file of " + name;
  }

  test::ScratchFolder scratch;
  boost::asio::io_context loop;
  FakeMlflow from{loop, {}}, to{loop, test::destination({})};
};

std::string failures(const Report& report) {
  return test::findings(report, Severity::failed);
}

void edit(const fs::path& file, const std::string& from, const std::string& to) {
  auto text = test::read_file(file);
  auto const at = text.find(from);
  REQUIRE(at != std::string::npos);
  text.replace(at, from.size(), to);
  test::write_file(file, text);
}

}  // namespace

TEST_SUITE("engine") {
  TEST_CASE("tree: server to directory to server, nothing lost") {
    for (std::uint64_t const jobs : {1u, 32u}) {
      Trees t;
      auto const there = t.from.counts();
      auto const exported = t.export_it({.jobs = jobs});
      CHECK(failures(exported) == "");
      CHECK(test::wrong_sums(exported) == "");
      CHECK(t.from.write_count() == 0);
      CHECK(exported.counts(Kind::run).created == there.runs + there.deleted_runs);
      CHECK(exported.counts(Kind::artifact).copied == exported.counts(Kind::artifact).found);
      auto const imported = t.import_it({.jobs = jobs});
      CHECK(failures(imported) == "");
      CHECK(test::wrong_sums(imported) == "");
      for (auto const kind :
           {Kind::experiment, Kind::run, Kind::logged_model, Kind::registered_model, Kind::model_version,
            Kind::prompt, Kind::prompt_version, Kind::trace, Kind::artifact}) {
        CAPTURE(kind_name(kind));
        CHECK(imported.counts(kind).found == exported.counts(kind).found);
      }
      CHECK(test::difference(t.from, t.to) == "");
      CHECK(t.to.protocol_errors().empty());
    }
  }

  TEST_CASE("tree: server to directory to archive to directory, the same files") {
    Trees t;
    t.export_it({.jobs = 1});
    auto const packed = test::tree_to_archive(t.loop, t.tree(), t.at("archive"));
    CHECK(failures(packed) == "");
    auto const unpacked = test::archive_to_tree(t.loop, t.at("archive"), t.at("tree2"));
    CHECK(failures(unpacked) == "");
    auto const first = test::tree_contents(t.tree());
    CHECK(first.size() > 40);
    CHECK(test::tree_difference(first, test::tree_contents(t.at("tree2"))) == "");
    CHECK(failures(test::tree_to_tree(t.loop, t.tree(), t.at("tree3"))) == "");
    CHECK(test::tree_difference(first, test::tree_contents(t.at("tree3"))) == "");
    // An archive that is made of the directory and one of the server hold the same.
    test::exported(t.loop, t.from, t.at("archive2"), {.jobs = 1});
    test::archive_to_tree(t.loop, t.at("archive2"), t.at("tree4"));
    auto fourth = test::tree_contents(t.at("tree4"));
    auto const url = t.from.url();
    for (auto& [name, text] : fourth) {  // its source has another name
      for (auto at = text.find(url); at != std::string::npos; at = text.find(url, at))
        text.replace(at, url.size(), "http://source:5000");
    }
    CHECK(test::tree_difference(first, fourth) == "");
  }

  TEST_CASE("tree: a second import changes nothing, and a second export reads what changed") {
    Trees t;
    t.export_it();
    t.import_it();
    auto const before = test::contents(t.to);
    t.to.clear_log();
    auto const again = t.import_it();
    CHECK(again.total_created() == 0);
    CHECK(failures(again) == "");
    CHECK(again.unchanged_count(Kind::run) >= 4);
    CHECK(test::difference(before, test::contents(t.to)) == "");

    auto const files = test::tree_contents(t.tree());
    auto const repeat = t.export_it();
    CHECK(failures(repeat) == "");
    CHECK(repeat.total_created() == 0);
    CHECK(repeat.unchanged_count(Kind::run) >= 4);
    auto const expected = repeat.counts(Kind::run).found;
    CHECK(repeat.counts(Kind::run).skipped + repeat.counts(Kind::run).copied == expected);
    for (auto const& [name, bytes] : test::tree_contents(t.tree())) {
      if (name.ends_with("run.json") || name.ends_with("trace.json")) {
        CAPTURE(name);
        CHECK(files.at(name) == bytes);
      }
    }
    auto const changed = test::run_id(t.from, "in default");
    test::set_run_tag(t.from, changed, "late", "tag");
    t.export_it();
    CHECK(t.object(t.run_file("in default")).at("mlflow").at("tags").at("late") == "tag");
    t.import_it();
    CHECK(test::difference(t.from, t.to) == "");
  }

  TEST_CASE("tree: the files are those of the package") {
    Trees t;
    t.export_it();
    auto const run = t.object(t.run_file("first"));
    std::vector<std::string> keys, parts;
    for (auto const& member : run) keys.emplace_back(member.key());
    for (auto const& member : run.at("mlflow").as_object()) parts.emplace_back(member.key());
    CHECK(keys == std::vector<std::string>{"system", "mlflow", "mlferry"});
    CHECK(parts == std::vector<std::string>{"info", "params", "metrics", "tags", "inputs", "outputs"});
    auto const& mlflow = run.at("mlflow").as_object();
    CHECK(mlflow.at("params").at("lr") == "0.1");
    CHECK(mlflow.at("info").at("_start_time") == "1970-01-01 00:00:01");
    CHECK(mlflow.at("inputs").at("dataset_inputs").as_array().size() == 1);
    CHECK(mlflow.at("inputs").at("dataset_inputs").as_array()[0].at("dataset").at("profile").is_null());
    CHECK(mlflow.at("outputs").at("model_outputs").as_array().size() == 1);
    for (auto const& metric : mlflow.at("metrics").as_object())
      CHECK(metric.value().at(0).at("timestamp").is_int64());
    auto const index = t.object("experiments/experiments.json").at("mlflow").at("experiments").as_array();
    CHECK(index.size() == t.from.counts().experiments + t.from.counts().deleted_experiments + 1);
    std::size_t runs = 0;
    for (auto const& entry : index) {
      auto const file =
          t.object("experiments/" + std::string(entry.at("id").as_string()) + "/experiment.json");
      CHECK(file.at("info").at("failed_runs").as_array().empty());
      CHECK(file.at("mlflow").at("experiment").at("tags").is_object());
      runs += file.at("mlflow").at("runs").as_array().size();
    }
    CHECK(runs == t.from.counts().runs);  // the deleted ones are in our stanza only
    auto const models = t.object("models/models.json").at("mlflow").at("models").as_array();
    CHECK(models.size() == t.from.counts().registered_models - 1);  // one is a prompt
    for (auto const& name : models) {
      auto const model = t.object("models/" + std::string(name.as_string()) + "/model.json")
                             .at("mlflow")
                             .at("registered_model")
                             .as_object();
      CHECK_FALSE(model.contains("latest_versions"));
      for (auto const& version : model.at("versions").as_array()) CHECK(version.at("tags").is_object());
    }
    CHECK(t.object("prompts/prompts_summary.json").at("mlflow").at("failed_exports") == 0);
    CHECK(t.object("manifest.json").at("info").at("status").at("models").is_object());
    CHECK_FALSE(fs::exists(fs::path(t.tree()) / ".mlferry/unfinished"));
    for (auto const& [name, text] : test::tree_contents(t.tree())) {
      CAPTURE(name);
      if (!name.ends_with(".json") || name.find("/artifacts/") != std::string::npos) continue;
      CHECK(text.ends_with("}\n"));
      CHECK(text.starts_with("{\n  \"system\": {\n"));
      CHECK(
          std::all_of(text.begin(), text.end(), [](char c) { return c == '\n' || (c >= 0x20 && c < 0x7f); }));
    }
  }

  TEST_CASE("tree: a run larger than the memory for data goes in, out, and again") {
    test::ScratchFolder scratch;
    boost::asio::io_context loop;
    FakeMlflow from{loop, {}}, to{loop, test::destination({})};
    auto const run = test::make_run(from, "0", "long");
    constexpr int points = 60'000;
    for (int i = 0; i < points; i += 1000) {
      json::array rows;
      for (int k = i; k < i + 1000; ++k) {
        rows.push_back(
            json::object{{"key", k % 2 == 0 ? "a" : "b"}, {"value", 0.1 * k}, {"timestamp", k}, {"step", k}});
      }
      from.post("runs/log-batch", {{"run_id", run}, {"metrics", std::move(rows)}});
    }
    from.put_file(test::run_files(from, run) + "/MLmodel", "run_id: " + run + "\n");
    auto const folder = (scratch.path() / "tree").string();
    auto job = [&](std::string from_folder, std::string to_folder) {
      test::Ferry ferry(loop);
      ferry.memory.set_capacity(4u << 20);
      auto body = [](test::Ferry& ferry, const FakeMlflow& from, const FakeMlflow& to,
                     std::string from_folder, std::string to_folder, std::string state) -> async::Task<> {
        std::optional<test::Link> link;
        std::unique_ptr<Source> source;
        std::unique_ptr<Target> target;
        if (from_folder.empty()) {
          source = std::make_unique<ServerSource>(ferry.context, link.emplace(ferry, from).client,
                                                  ServerSourceOptions{"http://s", false, false});
        } else {
          source = std::make_unique<TreeSource>(ferry.context, from_folder);
        }
        if (to_folder.empty()) {
          target =
              std::make_unique<ServerTarget>(ferry.context, link.emplace(ferry, to).client, state, false);
        } else {
          target = std::make_unique<TreeTarget>(ferry.context, to_folder);
        }
        co_await transfer(ferry.context, *source, *target);
      };
      test::run(loop, body(ferry, from, to, from_folder, to_folder, (scratch.path() / "state").string()));
      CHECK(failures(ferry.report) == "");
      return ferry.report.total_created();
    };
    CHECK(job("", folder) > 0);
    CHECK(job("", folder) == 0);
    CHECK(job(folder, folder + "2") > 0);
    CHECK(job(folder, folder + "2") == 0);
    CHECK(job(folder + "2", "") > 0);
    CHECK(job(folder + "2", "") == 0);
    CHECK(test::difference(from, to) == "");
  }

  TEST_CASE("tree: who edits what the package's stanza says is believed") {
    Trees t;
    t.export_it();
    auto const file = fs::path(t.tree()) / t.run_file("first");
    edit(file, "\"lr\": \"0.1\"", "\"lr\": \"0.2\"");
    auto const report = t.import_it();
    CHECK(failures(report) == "");
    auto const copy = t.to.call("GET", "/api/2.0/mlflow/runs/get?run_id=" + test::run_id(t.to, "first"));
    auto const params = mlflow::key_values(copy.at("run").at("data").as_object(), "params");
    CHECK(*mlflow::find_value(params, "lr") == "0.2");
    CHECK(test::difference(t.from, t.to).starts_with("differs: run alpha"));
  }

  TEST_CASE("tree: an artifact that is edited in place, and one that is gone") {
    Trees t;
    t.export_it();
    t.import_it();
    auto const folder = (fs::path(t.tree()) / t.run_file("first")).parent_path() / "artifacts";
    test::write_file(folder / "notes.txt", "PLAIN");  // of the same length
    fs::last_write_time(folder / "notes.txt", fs::file_time_type::clock::now() + std::chrono::seconds(5));
    fs::remove(folder / "empty");
    auto const report = t.import_it();
    CHECK(report.counts(Kind::artifact).failed == 1);
    CHECK(failures(report).find("artifacts/empty: missing, though it was exported") != std::string::npos);
    auto const copied = test::run_files(t.to, test::run_id(t.to, "first"));
    CHECK(*t.to.file(copied + "/notes.txt") == "PLAIN");
  }

  TEST_CASE("tree: a job that stops in the middle leaves no directory that looks finished, and goes on") {
    Trees t;
    for (int n = 1; n < 60; n += 4) {
      CAPTURE(n);
      int seen = 0;
      t.from.faults().set(test::Fault::throttle, 1);
      t.from.faults().applies = [&](std::string_view, std::string_view) { return ++seen > n; };
      bool stopped = false;
      try {
        auto const report = t.export_it({.jobs = 4, .fail_fast = true});
        stopped = report.total_failed() > 0;
      } catch (const std::exception&) {
        stopped = true;
      }
      t.from.faults().set(test::Fault::throttle, 0);
      t.from.faults().applies = {};
      if (!stopped) continue;
      if (fs::exists(t.tree())) {
        // Whatever object lies under its name is whole.
        for (auto const& entry : fs::recursive_directory_iterator(t.tree())) {
          if (!entry.is_directory() || entry.path().parent_path().filename() != "runs") continue;
          CHECK_NOTHROW(mlflow::parse_python_json(test::read_file(entry.path() / "run.json"), "run.json"));
        }
        if (fs::exists(fs::path(t.tree()) / ".mlferry/unfinished"))
          CHECK_THROWS_WITH_AS(t.import_it(), doctest::Contains("was not finished"), tree::TreeError);
      }
    }
    CHECK(failures(t.export_it()) == "");
    CHECK(failures(t.import_it()) == "");
    CHECK(test::difference(t.from, t.to) == "");
  }

  TEST_CASE("tree: a folder that holds something else is left alone") {
    Trees t;
    fs::create_directories(t.tree());
    test::write_file(fs::path(t.tree()) / "holiday.jpg", "x");
    CHECK_THROWS_WITH(t.export_it(), doctest::Contains("is not empty and holds no tree of mlferry"));
    CHECK(test::tree_contents(t.tree()).size() == 1);
    CHECK_FALSE(fs::exists(fs::path(t.tree()) / ".mlferry"));
    fs::remove_all(t.tree());
    t.export_it();
    edit(fs::path(t.tree()) / "manifest.json", "\"source\": \"http://source:5000\"",
         "\"source\": \"http://other\"");
    CHECK_THROWS_WITH(t.export_it(), doctest::Contains("holds the tree of another source (http://other)"));
    fs::remove_all(t.tree());
    auto const dry = t.export_it({.dry_run = true});
    CHECK(dry.counts(Kind::run).copied == dry.counts(Kind::run).found);
    CHECK_FALSE(fs::exists(t.tree()));
  }

  TEST_CASE("tree: files that cannot be read are gaps there, and are told again at the import") {
    Trees t;
    auto const run = test::run_id(t.from, "in default");
    auto const files = test::run_files(t.from, run);
    t.from.put_file(files + "/good", "1");
    t.from.put_file(files + "/bad#name", "2");
    auto const exported = t.export_it();
    CHECK(exported.counts(Kind::artifact).failed == 1);
    CHECK(test::wrong_sums(exported) == "");
    auto const imported = t.import_it();
    CHECK(imported.counts(Kind::artifact).failed == 1);
    CHECK(failures(imported).find("bad#name") != std::string::npos);
    CHECK(test::wrong_sums(imported) == "");
  }

  TEST_CASE("tree: what a directory cannot hold is named, each with the reason") {
    test::ScratchFolder scratch;
    boost::asio::io_context loop;
    test::Ferry ferry(loop);
    std::string refusals;
    auto job = [&refusals](test::Ferry& ferry, std::string folder) -> async::Task<> {
      TreeTarget target(ferry.context, std::move(folder));
      SourceInfo info;
      info.identity = "s";
      co_await target.begin(info);
      for (auto const kind : {Kind::webhook, Kind::gateway_endpoint, Kind::review_queue, Kind::scorer}) {
        ObjectRecord record;
        record.kind = kind;
        record.id = "1";
        record.name = "n";
        try {
          co_await target.put_object(std::move(record));
        } catch (const NotHeld& refusal) {
          refusals += refusal.what();
        }
      }
      co_await target.finish(ferry.report);
    };
    test::run(loop, job(ferry, (scratch.path() / "t").string()));
    for (auto const* kind : {"webhooks", "gateway endpoints", "review queues", "scorers"}) {
      CHECK(refusals.find("a directory in the form of mlflow-export-import cannot hold " + std::string(kind)) !=
            std::string::npos);
    }
  }

  TEST_CASE("tree: an evaluation dataset there and back") {
    test::ScratchFolder scratch;
    boost::asio::io_context loop;
    test::Ferry ferry(loop);
    json::object const doc{
        {"dataset_id", "d-1"},
        {"name", "q/a"},
        {"digest", "12"},
        {"tags", R"({"team": "blue", "n": 1})"},
        {"schema", "{}"},
        {"created_time", 1760000000000},
        {"experiment_ids", json::array{"7"}},
        {"unknown", 0.1},
        {"records", json::array{json::object{{"dataset_record_id", "dr-1"},
                                             {"inputs", json::object{{"q", 0.30000000000000004}}}}}}};
    auto job = [](test::Ferry& ferry, std::string folder, json::object doc) -> async::Task<> {
      {
        TreeTarget target(ferry.context, folder);
        SourceInfo info;
        info.identity = "s";
        co_await target.begin(info);
        ObjectRecord record;
        record.kind = Kind::evaluation_dataset;
        record.id = "d-1";
        record.name = "q/a";
        record.doc = doc;
        CHECK(co_await target.put_object(std::move(record)) == Outcome::created);
        co_await target.finish(ferry.report);
      }
      TreeSource source(ferry.context, folder);
      co_await source.open();
      KnowsNothing known;
      auto pages = source.objects(Kind::evaluation_dataset, known);
      auto const page = co_await pages->next();
      CHECK(page.has_value());
      if (!page) co_return;
      CHECK(page->size() == 1);
      CHECK(mlflow::to_canonical_json(page->front().doc) == mlflow::to_canonical_json(doc));
      CHECK_FALSE((co_await pages->next()).has_value());
    };
    auto const folder = (scratch.path() / "t").string();
    test::run(loop, job(ferry, folder, doc));
    auto const file = mlflow::parse_json(
        test::read_file(fs::path(folder) / "evaluation_datasets/q%2Fa_d-1/evaluation_dataset.json"), "f");
    CHECK(file.at("mlflow").at("evaluation_dataset").at("tags").at("team") == "blue");
  }
}
