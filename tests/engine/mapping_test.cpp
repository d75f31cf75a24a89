#include "engine/mapping.hpp"

#include <doctest/doctest.h>

#include <map>

#include "cli/version_table.hpp"
#include "engine/endpoints/tree_forms.hpp"
#include "engine/source_tags.hpp"
#include "engine/trace_ids.hpp"
#include "protocol/mlflow/otlp.hpp"

using namespace mlferry;
using namespace mlferry::engine;

namespace {

json::array list_of(const mlflow::KeyValues& tags) {
  json::array list;
  for (auto const& tag : tags) list.push_back(json::object{{"key", tag.key}, {"value", tag.value}});
  return list;
}

std::map<std::string, std::string> by_key(const mlflow::KeyValues& tags) {
  std::map<std::string, std::string> out;
  for (auto const& tag : tags) out[tag.key] = tag.value;
  CHECK(out.size() == tags.size());  // none twice
  return out;
}

mlflow::Run run_with(const mlflow::KeyValues& tags) {
  return {{{"info", json::object{{"run_id", "r"},
                                 {"experiment_id", "7"},
                                 {"user_id", "ann"},
                                 {"status", "FINISHED"},
                                 {"start_time", 1500},
                                 {"lifecycle_stage", "active"},
                                 {"run_name", "calm"}}},
           {"data", json::object{{"tags", list_of(tags)}}}}};
}

RegisteredModelRecord model_with_versions() {
  RegisteredModelRecord record;
  record.fingerprint = "f";
  record.model.doc = {{"name", "wine"},
                      {"description", "about"},
                      {"tags", list_of({{"owner", "me"}})},
                      {"aliases", json::array{json::object{{"alias", "champ"}, {"version", "1"}},
                                              json::object{{"alias", "old"}, {"version", "2"}}}}};
  for (auto const* number : {"1", "2"}) {
    auto& item = record.versions.emplace_back();
    item.version.doc = {{"name", "wine"},
                        {"version", number},
                        {"current_stage", "Production"},
                        {"source", "models:/wine/1"},
                        {"run_id", "r"},
                        {"tags", list_of({{"n", number}})}};
  }
  return record;
}

std::string why(const std::string& text) {
  try {
    RenameRules::parse(text);
  } catch (const RenameError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_SUITE("engine") {
  TEST_CASE("rename rules: the first whose old name is a prefix, everywhere in the name") {
    auto const rules = RenameRules::parse("iris,flower\r\n\n  \nir,x\n/Users/,/Shared/  \niris,bloom\n");
    CHECK(rules.apply("iris") == "bloom");  // the later line for the same name
    CHECK(rules.apply("iris_iris") == "bloom_bloom");
    CHECK(rules.apply("my_iris") == "my_iris");
    CHECK(rules.apply("irony") == "xony");
    CHECK(rules.apply("/Users/ann") == "/Shared/ann");
    CHECK(rules.apply("") == "");
    CHECK(RenameRules::parse("").empty());
    CHECK(RenameRules::parse("a,aa").apply("aa") == "aaaa");  // what was put in is not looked at again
    CHECK(RenameRules::parse("\xEF\xBB\xBF" "a,b").apply("a") == "b");
  }

  TEST_CASE("rename rules: a line that is none is named") {
    CHECK(why("a,b\n\nplain\n").starts_with("line 3 has no comma"));
    CHECK(why("a,b,c").starts_with("line 1 has more than one comma"));
    CHECK(why(",b").starts_with("line 1 has an empty name"));
    CHECK(why("a,  ").starts_with("line 1 has an empty name"));
  }

  TEST_CASE("source tags: the package's names") {
    auto const tags = by_key(tags_of_source(run_with({{"mlflow.user", "ann"}, {"team", "blue"}, {"mlflow.a.mlflow.b", "1"}, {"mlflow.a.b", "2"}})));
    CHECK(tags.at("mlflow_exim.mlflow_tag.user") == "ann");
    CHECK(tags.at("mlflow_exim.mlflow_tag.a.mlflow.b") == "1");  // not the same as the next
    CHECK(tags.at("mlflow_exim.mlflow_tag.a.b") == "2");
    CHECK(tags.at("mlflow_exim.run_info.run_id") == "r");
    CHECK(tags.at("mlflow_exim.run_info.start_time") == "1500");
    CHECK(tags.at("mlflow_exim.run_info._start_time") == "1970-01-01 00:00:02");
    CHECK_FALSE(tags.contains("mlflow_exim.run_info.end_time"));  // null
    CHECK_FALSE(tags.contains("mlflow_exim.mlflow_tag.team"));

    mlflow::Experiment const experiment{{{"experiment_id", "7"},
                                         {"name", "wine"},
                                         {"creation_time", 1000},
                                         {"tags", list_of({{"mlflow.note.content", "hi"}})}}};
    auto const fields = by_key(tags_of_source(experiment));
    CHECK(fields.at("mlflow_exim.field.experiment_id") == "7");
    CHECK(fields.at("mlflow_exim.field.creation_time") == "1000");
    CHECK(fields.at("mlflow_exim.field._creation_time") == "1970-01-01 00:00:01");
    CHECK(fields.at("mlflow_exim.mlflow_tag.note.content") == "hi");
    CHECK_FALSE(fields.contains("mlflow_exim.field.tags"));

    auto const record = model_with_versions();
    auto const version = by_key(tags_of_source(record.versions[0].version, {"champ"}));
    CHECK(version.at("mlflow_exim.field.version") == "1");
    CHECK(version.at("mlflow_exim.field.aliases") == R"(["champ"])");
    CHECK(by_key(tags_of_source(record.model)).at("mlflow_exim.field.description") == "about");
  }

  TEST_CASE("lineage tags") {
    auto const record = model_with_versions();
    auto const tags = by_key(lineage_tags(record.versions[1].version, {"http://a", "http://b", {{"mlflow.user", "ann"}, {"x", "y"}}}));
    CHECK(tags.at("mlflow_exim.src_version.name") == "wine");
    CHECK(tags.at("mlflow_exim.src_version.version") == "2");
    CHECK(tags.at("mlflow_exim.src_version.run_id") == "r");
    CHECK(tags.at("mlflow_exim.src_client.tracking_uri") == "http://a");
    CHECK(tags.at("mlflow_exim.mlflow_exim.dst_client.tracking_uri") == "http://b");
    CHECK(tags.at("mlflow_exim.src_run.mlflow.user") == "ann");
    CHECK(tags.size() == 6);
  }

  TEST_CASE("mapping: runs") {
    Mapping mapping;
    RunRecord record;
    record.fingerprint = "f";
    record.run = run_with({{"mlflow.user", "somebody"}, {"team", "blue"}});
    auto plain = record;
    mapping.apply(plain, "");
    CHECK(plain.run.doc == record.run.doc);
    CHECK(plain.fingerprint == "f");

    mapping.source_tags = true;
    mapping.source_user = true;
    auto moved = record;
    mapping.apply(moved, "into");
    CHECK(moved.run.experiment_id() == "into");
    auto const tags = by_key(moved.run.tags());
    CHECK(tags.at("mlflow.user") == "ann");
    CHECK(tags.at("mlflow_exim.mlflow_tag.user") == "somebody");
    CHECK(tags.at("mlflow_exim.run_info.experiment_id") == "7");  // of the source
    CHECK(moved.fingerprint != "f");
    CHECK(moved.fingerprint == "f" + mapping.fingerprint_suffix());
  }

  TEST_CASE("mapping: models, versions and their names") {
    Mapping mapping;
    mapping.model = "grape";
    auto record = model_with_versions();
    mapping.apply(record);
    CHECK(record.model.name() == "grape");
    CHECK(record.source_name() == "wine");
    CHECK(record.model.aliases().size() == 2);
    CHECK(record.versions[1].version.name() == "grape");
    CHECK(record.versions[1].version.source() == "models:/grape/1");
    CHECK(source_id_of(record.versions[1]) == "wine/2");
    CHECK(owner_of(record.versions[1]).id == "wine/2");  // whose files the source opens

    Mapping renamed;
    renamed.models = RenameRules::parse("wi,Vi");
    auto other = model_with_versions();
    other.versions[0].version.doc["source"] = "models:/wife@champ";
    renamed.apply(other);
    CHECK(other.model.name() == "Vine");
    CHECK(other.versions[0].version.source() == "models:/Vife@champ");

    Mapping one;
    one.version = 2;
    one.stages_and_aliases = true;
    one.version_tags = {{"extra", "1"}};
    auto single = model_with_versions();
    one.apply(single);
    REQUIRE(single.versions.size() == 1);
    CHECK(single.versions[0].version.number() == 2);
    CHECK(single.versions[0].version.stage() == "Production");
    CHECK(by_key(single.versions[0].version.tags()).at("extra") == "1");
    REQUIRE(single.model.aliases().size() == 1);
    CHECK(single.model.aliases()[0].first == "old");

    one.stages_and_aliases = false;
    one.model_metadata = false;
    auto bare = model_with_versions();
    one.apply(bare);
    CHECK(bare.model.aliases().empty());
    CHECK(bare.model.tags().empty());
    CHECK(bare.model.description().empty());
    CHECK(bare.versions[0].version.stage().empty());
    CHECK(by_key(bare.versions[0].version.tags()).at("n") == "2");
  }

  TEST_CASE("mapping: source tags tell of what is left out") {
    Mapping mapping;
    mapping.source_tags = true;
    mapping.stages_and_aliases = false;
    auto record = model_with_versions();
    mapping.apply(record);
    auto const tags = by_key(record.versions[0].version.tags());
    CHECK(tags.at("mlflow_exim.field.current_stage") == "Production");
    CHECK(tags.at("mlflow_exim.field.aliases") == R"(["champ"])");
    CHECK(by_key(record.model.tags()).at("mlflow_exim.field.name") == "wine");
  }

  TEST_CASE("mapping: prompts keep their tags, and have a name of their own") {
    Mapping mapping;
    mapping.model = "grape";
    mapping.prompt = "hello";
    mapping.source_tags = true;
    mapping.model_metadata = false;
    RegisteredModelRecord record;
    record.model.doc = {{"name", "greet"}, {"tags", list_of({{std::string(mlflow::prompt_tag), "true"}})}};
    auto& item = record.versions.emplace_back();
    item.version.doc = {{"name", "greet"}, {"version", "1"}, {"tags", list_of({{std::string(mlflow::prompt_tag), "true"}})}};
    mapping.apply(record);
    CHECK(record.model.name() == "hello");
    CHECK(record.model.is_prompt());
    CHECK(record.versions[0].version.tags().size() == 1);
  }

  TEST_CASE("mapping: a job that puts objects elsewhere is one of its own") {
    Mapping mapping;
    CHECK(mapping.identity_suffix({"a"}) == "");
    mapping.into_experiment = "a";
    CHECK(mapping.identity_suffix({"a"}) == "");  // where a whole import would put it
    CHECK(mapping.identity_suffix({"b"}) == "#into=a");
    CHECK(mapping.identity_suffix({"a", "b"}) == "#into=a");
    mapping.experiment_metadata = false;
    CHECK(mapping.identity_suffix({"a"}) == "#into=a");
    mapping.into_experiment.clear();
    mapping.dataset = "qa";
    CHECK(mapping.identity_suffix({}) == "#dataset=qa");
  }

  TEST_CASE("trace ids: everything that names the trace") {
    std::string const old = "tr-5d5f9c0e6b7a4a0f8c1d2e3f40516273";
    auto const other = other_trace_id("http://a", "7", old);
    CHECK(other.size() == old.size());
    CHECK(other.starts_with("tr-"));
    CHECK(other == other_trace_id("http://a", "7", old));
    CHECK(other != other_trace_id("http://a", "8", old));
    CHECK(mlflow::otlp_id_text(old) == "XV+cDmt6Sg+MHS4/QFFicw==");
    CHECK(mlflow::otlp_id_text("tr-own") == "");
    TraceRecord record;
    record.trace.doc = {{"trace_id", old},
                        {"assessments", json::array{json::object{{"assessment_id", "a-1"}, {"trace_id", old}},
                                                    json::object{{"assessment_id", "a-2"}, {"trace_id", old}, {"overrides", "a-1"}}}}};
    record.spans = {json::object{{"trace_id", "XV+cDmt6Sg+MHS4/QFFicw=="},
                                 {"attributes", json::object{{"mlflow.traceRequestId", '"' + old + '"'}, {"x", old}}}}};
    give_trace_id(record, other);
    CHECK(record.trace.id() == other);
    CHECK(mlflow::otlp_trace_id(record.spans) == other);
    auto const& attributes = record.spans[0].at("attributes").as_object();
    CHECK(mlflow::get_string(attributes, "mlflow.traceRequestId") == '"' + other + '"');
    CHECK(mlflow::get_string(attributes, "x") == old);  // what the user wrote
    auto const& assessments = record.trace.doc.at("assessments").as_array();
    CHECK(mlflow::get_string(assessments[0].as_object(), "trace_id") == other);
    CHECK(mlflow::get_string(assessments[0].as_object(), "assessment_id") != "a-1");
    CHECK(assessments[1].at("overrides") == assessments[0].at("assessment_id"));
  }

  TEST_CASE("tree forms: told by the names in a directory") {
    struct Case {
      std::vector<std::string> files, folders;
      std::optional<TreeForm> form;
    };
    std::vector<Case> const cases{
        {{"run.json"}, {"artifacts", "m-1"}, TreeForm::run},
        {{"run.json"}, {"experiments"}, TreeForm::run},
        {{"version.json", "model.json", "experiment.json"}, {"run"}, TreeForm::model_version},
        {{"model.json"}, {"0a"}, TreeForm::model},
        {{"experiment.json"}, {"runs", "traces"}, TreeForm::experiment},
        {{"experiments.json"}, {"7"}, TreeForm::experiments},
        {{"manifest.json"}, {"experiments", "models"}, TreeForm::all},
        {{"manifest.json"}, {}, TreeForm::all},
        {{"manifest.json", "run.json"}, {}, TreeForm::run},
        {{"models_manifest.json"}, {"experiments"}, TreeForm::all},
        {{}, {"experiments", "models"}, TreeForm::all},
        {{"models.json"}, {"wine"}, TreeForm::all},
        {{"logged_model.json"}, {"artifacts"}, TreeForm::logged_model},
        {{"logged_models.json"}, {"m-1"}, TreeForm::logged_models},
        {{"trace.json"}, {"artifacts"}, TreeForm::trace},
        {{"traces.json"}, {"tr-1"}, TreeForm::traces},
        {{"prompt.json"}, {}, TreeForm::prompt},
        {{"prompts_summary.json"}, {"greet_v1"}, TreeForm::prompts},
        {{"evaluation_dataset.json"}, {}, TreeForm::dataset},
        {{"evaluation_datasets_summary.json"}, {}, TreeForm::datasets},
        {{"holiday.jpg"}, {"greet_v1"}, std::nullopt},
        {{}, {}, std::nullopt},
    };
    for (auto const& one : cases) {
      CAPTURE(one.files);
      CHECK(tree_form(one.files, one.folders) == one.form);
    }
    CHECK(import_command(TreeForm::model_version) == "import-model-version");
    CHECK(file_of_each(TreeForm::prompts) == "prompt.json");
  }

  TEST_CASE("version table: nothing secret") {
    CHECK(cli::public_uri("http://me:secret@host/a?sig=key") == "http://host/a");
    CHECK(cli::public_uri("wasbs://box:key@account.net/a") == "wasbs://account.net/a");
    CHECK(cli::public_uri("wasbs://box@account.net/a") == "wasbs://box@account.net/a");
    CHECK(cli::public_uri("models:/m-1") == "models:/m-1");
    auto const table = cli::version_table({{"wine", "1", "None", "READY", "champ", "r", "s3://b/m"}, {"a\x1b[2J", "2", "", "", "", "", ""}});
    CHECK(table.starts_with("model"));
    CHECK(table.find("wine   1        None") != std::string::npos);
    CHECK(table.find('\x1b') == std::string::npos);
  }
}
