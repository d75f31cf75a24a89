#include "engine/endpoints/lookup.hpp"

#include <algorithm>
#include <deque>

#include "async/task_group.hpp"
#include "engine/endpoints/page_walker.hpp"
#include "engine/id_text.hpp"

namespace mlferry::engine {

namespace {

constexpr int rows_a_page = 1000;
constexpr std::size_t run_ids_a_filter = 200;
constexpr std::string_view parent_tag = "mlflow.parentRunId";

template <class Found>
async::Task<std::optional<Found>> unless_refused(async::Task<std::optional<Found>> look) {
  try {
    co_return co_await std::move(look);
  } catch (const mlflow::ApiError& error) {
    if (error.status() != 400) throw;
  }
  co_return std::nullopt;
}

template <class Take>
async::Task<> walk_runs(mlflow::Client& client, std::string experiment_id, std::string filter,
                        mlflow::View view, Take take) {
  PageWalker walker;
  while (!walker.done()) {
    auto page = co_await client.search_runs({experiment_id}, filter, view, rows_a_page, walker.token());
    std::vector<std::string> ids;
    for (auto const& run : page.items) ids.emplace_back(run.id());
    for (auto const i : walker.take(ids, !page.next_token.empty())) take(std::move(page.items[i]));
  }
}

async::Task<> add_run(mlflow::Client& client, std::string id, VersionOwners& owners) {
  auto const run = co_await find_run(client, id);
  if (!run) co_return;
  owners.runs.insert(id);
  owners.experiments.emplace(run->experiment_id());
  owners.runs_by_experiment[std::string(run->experiment_id())].insert(id);
}

async::Task<> add_logged_model(mlflow::Client& client, std::string id, VersionOwners& owners) {
  auto const model = co_await unless_refused(client.get_logged_model(id));
  if (!model) co_return;
  owners.logged_models.insert(id);
  owners.experiments.emplace(model->experiment_id());
}

async::Task<VersionOwners> look_up(const Context& context, mlflow::Client& client, std::set<std::string> runs,
                                   std::set<std::string> models) {
  VersionOwners owners;
  auto body = [&](async::TaskGroup& tasks) -> async::Task<> {
    for (auto const& id : runs) tasks.spawn(add_run(client, id, owners));
    for (auto const& id : models) tasks.spawn(add_logged_model(client, id, owners));
    co_return;
  };
  co_await async::with_task_group(context.executor, body);
  co_return owners;
}

}  // namespace

ExperimentWish parse_experiment_wish(std::string_view text) {
  using How = ExperimentWish::How;
  if (text == "all") return {How::all, ""};
  if (text.starts_with("id:")) return {How::id, std::string(text.substr(3))};
  if (text.starts_with("name:")) return {How::name, std::string(text.substr(5))};
  if (text.ends_with('*')) return {How::prefix, std::string(text.substr(0, text.size() - 1))};
  return {How::either, std::string(text)};
}

bool wishes(const ExperimentWish& wish, std::string_view id, std::string_view name) {
  if (wish.how == ExperimentWish::How::all) return true;
  return wish.how == ExperimentWish::How::prefix &&
         (id.starts_with(wish.text) || name.starts_with(wish.text));
}

std::vector<std::string> with_descendants(const std::vector<std::string>& roots,
                                          const std::multimap<std::string, std::string>& children) {
  std::vector<std::string> found;
  std::set<std::string> seen;
  std::deque<std::string> next(roots.begin(), roots.end());
  while (!next.empty()) {
    auto id = std::move(next.front());
    next.pop_front();
    if (!seen.insert(id).second) continue;
    auto const [begin, end] = children.equal_range(id);
    for (auto it = begin; it != end; ++it) next.push_back(it->second);
    found.push_back(std::move(id));
  }
  return found;
}

async::Task<std::vector<mlflow::Experiment>> list_experiments(mlflow::Client& client, mlflow::View view) {
  std::vector<mlflow::Experiment> found;
  PageWalker walker;
  while (!walker.done()) {
    auto page = co_await client.search_experiments(view, rows_a_page, walker.token());
    std::vector<std::string> ids;
    for (auto const& item : page.items) ids.emplace_back(item.id());
    for (auto const i : walker.take(ids, !page.next_token.empty())) found.push_back(std::move(page.items[i]));
  }
  co_return found;
}

async::Task<std::optional<mlflow::Experiment>> find_experiment_by_id(mlflow::Client& client, std::string id) {
  // Ids are numbers, and some servers fall over others.
  bool const number = !id.empty() && id.size() < 20 &&
                      std::all_of(id.begin(), id.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!number) co_return std::nullopt;
  co_return co_await unless_refused(client.get_experiment(std::move(id)));
}

async::Task<std::optional<mlflow::Experiment>> find_experiment(mlflow::Client& client, ExperimentWish wish) {
  using How = ExperimentWish::How;
  std::optional<mlflow::Experiment> by_name, by_id;
  if (wish.how != How::id && !wish.text.empty())
    by_name = co_await unless_refused(client.get_experiment_by_name(wish.text));
  if (wish.how != How::name) by_id = co_await find_experiment_by_id(client, wish.text);
  if (by_name && by_id && by_name->id() != by_id->id()) {
    throw Ambiguous("'" + wish.text + "' is the name of experiment " + std::string(by_name->id()) +
                    " and the id of experiment '" + std::string(by_id->name()) +
                    "': write name:" + wish.text + " or id:" + wish.text);
  }
  if (by_name) co_return by_name;
  co_return by_id;
}

async::Task<std::optional<mlflow::Run>> find_run(mlflow::Client& client, std::string id) {
  co_return co_await unless_refused(client.get_run(std::move(id)));
}

async::Task<std::map<std::string, mlflow::Run>> find_runs(mlflow::Client& client, std::string experiment_id,
                                                          std::vector<std::string> ids) {
  std::map<std::string, mlflow::Run> found;
  auto take = [&found](mlflow::Run run) {
    std::string id(run.id());
    found.emplace(std::move(id), std::move(run));
  };
  std::string list;
  for (std::size_t i = 0, n = 0; i < ids.size(); ++i) {
    if (auto const literal = mlflow::filter_literal(ids[i])) {
      list += (n++ == 0 ? "" : ",") + *literal;
    }
    if (n == 0 || (n < run_ids_a_filter && i + 1 < ids.size())) continue;
    co_await walk_runs(client, experiment_id, "attributes.run_id IN (" + list + ")", mlflow::View::all, take);
    list.clear();
    n = 0;
  }
  co_return found;
}

async::Task<std::multimap<std::string, std::string>> nested_runs(mlflow::Client& client,
                                                                 std::string experiment_id,
                                                                 mlflow::View view) {
  std::multimap<std::string, std::string> children;
  auto take = [&children](mlflow::Run run) {
    auto const tags = run.tags();
    if (auto const* parent = mlflow::find_value(tags, parent_tag)) children.emplace(*parent, run.id());
  };
  co_await walk_runs(client, std::move(experiment_id), "tags.`" + std::string(parent_tag) + "` LIKE '%'",
                     view, take);
  co_return children;
}

async::Task<VersionOwners> owners_of(const Context& context, mlflow::Client& client,
                                     std::vector<mlflow::ModelVersion> versions) {
  std::set<std::string> runs, models;
  for (auto const& version : versions) {
    auto const ids = find_ids(version.source());
    models.insert(ids.logged_models.begin(), ids.logged_models.end());
    if (auto const model = mlflow::get_string(version.doc, "model_id"); !model.empty()) models.emplace(model);
    if (!version.run_id().empty()) runs.emplace(version.run_id());
  }
  co_return co_await look_up(context, client, std::move(runs), std::move(models));
}

async::Task<VersionOwners> models_of_run(const Context& context, mlflow::Client& client,
                                         const mlflow::Run& run) {
  std::set<std::string> models;
  for (auto const& id : run.model_input_ids()) models.insert(id);
  for (auto const& [id, step] : run.model_outputs()) models.insert(id);
  co_return co_await look_up(context, client, {}, std::move(models));
}

}  // namespace mlferry::engine
