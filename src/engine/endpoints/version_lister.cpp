#include "engine/endpoints/version_lister.hpp"

#include <algorithm>
#include <map>

#include "async/task_group.hpp"
#include "engine/failure.hpp"

namespace mlferry::engine {

namespace {

constexpr int prompts_a_page = 1000;
constexpr int versions_a_page = 1000;

std::int64_t newest_number(const mlflow::RegisteredModel& model) {
  std::int64_t newest = 0;
  auto const* latest = mlflow::get_array(model.doc, "latest_versions");
  for (auto const& value : latest == nullptr ? mlflow::json::array{} : *latest) {
    if (auto const* version = value.if_object()) {
      newest = std::max(newest, mlflow::get_int(*version, "version").value_or(0));
    }
  }
  return newest;
}

async::Task<> add_versions(mlflow::Client& client, mlflow::RegisteredModel prompt, PromptVersions& found) {
  std::string const name(prompt.name());
  auto const versions = co_await list_versions(client, std::move(prompt));
  for (auto const& version : versions) found.emplace_back(name, std::to_string(version.number()));
}

// The walk that moves the prompts reports what fails.
async::Task<> add_versions_if_listed(mlflow::Client& client, mlflow::RegisteredModel prompt, PromptVersions& found) {
  co_await attempt(add_versions(client, std::move(prompt), found));
}

}  // namespace

async::Task<std::vector<mlflow::ModelVersion>> list_versions(mlflow::Client& client,
                                                             mlflow::RegisteredModel model) {
  std::string const name(model.name());
  std::map<std::int64_t, mlflow::ModelVersion> versions;
  if (auto const literal = mlflow::filter_literal(name)) {
    std::string filter = "name=" + *literal;
    // Without the tag in the filter the server hides a prompt's versions, with it those of a model.
    if (model.is_prompt()) filter += std::string(" AND ") + prompt_filter;
    std::string token;
    do {
      auto page = co_await client.search_model_versions(filter, versions_a_page, token);
      for (auto& version : page.items) {
        if (version.name() == name) versions.try_emplace(version.number(), std::move(version));
      }
      token = page.items.empty() ? std::string() : page.next_token;
    } while (!token.empty());
  }
  // A prompt-tagged version hides all versions of a model from the search, and a name with both quotes cannot
  // be asked for (mlflow-rest 6.3, 6.4). latest_versions shows that there are some: then walk the numbers.
  // Of a prompt, a version that lacks the tag is in no search, and may stand between others.
  auto const newest = newest_number(model);
  if (newest > 0 && (model.is_prompt() || !versions.contains(newest))) {
    for (std::int64_t number = 1; number <= newest; ++number) {
      if (versions.contains(number)) continue;
      auto version = co_await client.get_model_version(name, number);
      if (version) versions.try_emplace(number, std::move(*version));
    }
  }
  std::vector<mlflow::ModelVersion> list;
  for (auto& [number, version] : versions) list.push_back(std::move(version));
  co_return list;
}

async::Task<PromptVersions> list_prompt_versions(const Context& context, mlflow::Client& client) {
  PromptVersions found;
  std::string token;
  do {
    auto page = co_await client.search_registered_models(prompt_filter, prompts_a_page, token);
    token = page.items.empty() ? std::string() : page.next_token;
    auto body = [&](async::TaskGroup& tasks) -> async::Task<> {
      for (auto& prompt : page.items) {
        // A server that ignores the filter answers with all models.
        if (prompt.is_prompt()) tasks.spawn(add_versions_if_listed(client, std::move(prompt), found));
      }
      co_return;
    };
    co_await async::with_task_group(context.executor, body);
  } while (!token.empty());
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  co_return found;
}

}  // namespace mlferry::engine
