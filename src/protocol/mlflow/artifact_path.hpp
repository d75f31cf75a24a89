#pragma once
// What an MLflow server makes of an artifact path, and whether a listing it gave can be believed.

#include <string>
#include <string_view>

namespace mlferry::mlflow {

// As unservable_reason, for the calls that take a path from the root of a run or logged model
// (artifacts/list, graphql, get-artifact): there the path itself is read as a URL, so that its beginning
// matters, too.
std::string unlistable_reason(std::string_view path);

// Where `listed`, a path that the server gave for the directory `asked`, lies.
enum class Listed {
  inside,     // directly or further below it, by clean parts
  itself,     // the marker object of a folder in a bucket
  elsewhere,  // outside: the server listed something else, or means harm
};
Listed classify_listed(std::string_view asked, std::string_view listed);

}  // namespace mlferry::mlflow
