#include "engine/tools/model_uri.hpp"

#include <doctest/doctest.h>

using namespace mlferry::engine;
using Form = ModelUri::Form;

TEST_SUITE("engine") {
  TEST_CASE("model uri: what each form names") {
    std::string const id = "m-0123456789abcdef0123456789abcdef";
    struct {
      std::string text;
      ModelUri uri;
    } const table[] = {
        {"models:/wine/3", {Form::version, "wine", "3"}},
        {"models:/wine/Production", {Form::stage, "wine", "Production"}},
        {"models:/wine/none", {Form::stage, "wine", "None"}},
        {"models:/wine/LATEST", {Form::latest, "wine", ""}},
        {"models:/wine@champ", {Form::alias, "wine", "champ"}},
        {"models:/a@b@champ", {Form::alias, "a@b", "champ"}},
        {"models:/" + id, {Form::logged_model, id, ""}},
        {"runs:/abc/a/model", {Form::run, "abc", "a/model"}},
        {"runs:/abc/", {Form::run, "abc", ""}},
        {"file:/a%20b", {Form::folder, "", "/a b"}},
        {"file:///a/b", {Form::folder, "", "/a/b"}},
        {"file://localhost/a", {Form::folder, "", "/a"}},
        {"a/b:c", {Form::folder, "", "a/b:c"}},
        {"/a", {Form::folder, "", "/a"}},
    };
    for (auto const& row : table) {
      CAPTURE(row.text);
      CHECK(parse_model_uri(row.text) == row.uri);
    }
  }

  TEST_CASE("model uri: what names no model is refused") {
    for (auto const* text :
         {"", "models:/", "models:/wine", "models:/wine@", "models:/@x", "models:/wine/3/4",
          "models:/wine/-1", "models:/wine/99999999999999999999", "models://wine/3", "runs:/", "runs:/a/../b",
          "runs:/a//b", "s3://b/x", "mlflow-artifacts:/1/x", "file:x", "file://host/x"}) {
      CAPTURE(text);
      CHECK_THROWS_AS(parse_model_uri(text), BadModelUri);
    }
  }
}
