// Versions that are added to a model behind those that are there, and models that take the place of others.

#include <algorithm>

#include "async/sleep.hpp"
#include "engine/endpoints/markers.hpp"
#include "engine/endpoints/server_target.hpp"
#include "engine/endpoints/version_lister.hpp"
#include "engine/failure.hpp"

namespace mlferry::engine {

namespace {

constexpr auto ready_poll = std::chrono::milliseconds(200);

}  // namespace

// The number that the server gave it.
async::Task<std::int64_t> ServerTarget::append_version(mlflow::Client::NewModelVersion version, std::string source_id) {
  for (int i = 1;; ++i) {
    std::string unclear;
    try {
      auto const created = co_await client_.create_model_version(version);
      co_return created.number();
    } catch (const http::TransportError& error) {
      if (!error.outcome_unknown() || i == create_attempts) throw;
      unclear = error.what();
    }
    if (!context_.options.marker_tags) {
      throw std::runtime_error(
          "it is not known whether the server created it, and there is no marker to look for: " + unclear);
    }
    co_await async::sleep_for(std::chrono::milliseconds(200 * i));
    auto const model = co_await client_.get_registered_model(version.name);
    if (!model) continue;
    auto const there = co_await list_versions(client_, *model);
    for (auto const& one : there) {
      if (marked_source(one.tags(), source_server_) == source_id) co_return one.number();
    }
  }
}

// Throws when it is not READY in time.
async::Task<> ServerTarget::await_ready(std::string name, std::int64_t number) {
  if (!options_.await_ready) co_return;
  auto const end = std::chrono::steady_clock::now() + *options_.await_ready;
  for (;;) {
    auto const version = co_await client_.get_model_version(name, number);
    std::string const status(version ? version->status() : std::string_view("gone"));
    if (status == "READY" || status.empty()) co_return;
    if (status == "FAILED_REGISTRATION" || !version)
      throw std::runtime_error("created, but the destination says that it is " + status);
    auto const now = std::chrono::steady_clock::now();
    if (now >= end) {
      throw std::runtime_error("created, but not READY after " + std::to_string(options_.await_ready->count()) +
                               " s (--await-creation-for): the destination says " + status);
    }
    co_await async::sleep_for(std::min<std::chrono::nanoseconds>(ready_poll, end - now));
  }
}

// Finds earlier copies by their markers, whatever number they got. The answer: source's number -> destination's.
async::Task<std::map<std::int64_t, std::int64_t>> ServerTarget::append_versions(const RegisteredModelRecord& record,
                                                                                mlflow::RegisteredModel existing,
                                                                                Source& source, bool& changed) {
  std::map<std::int64_t, std::int64_t> numbers;
  std::string const name(record.model.name());
  auto const kind = record.version_kind();
  auto const there = co_await list_versions(client_, existing);
  for (auto const& item : record.versions) {
    auto const id = source_id_of(item);
    auto const entry = co_await ledger_->find({kind, id, name});
    auto const copy = std::find_if(there.begin(), there.end(), [&](const mlflow::ModelVersion& version) {
      bool const known = entry && entry->done && !context_.options.marker_tags &&
                         entry->destination_id == std::to_string(version.number());
      return known || marked_source(version.tags(), source_server_) == id;
    });
    std::int64_t number = copy == there.end() ? 0 : copy->number();
    auto numbered = [&]() -> mlflow::ModelVersion {
      auto version = item.version;
      version.doc["version"] = std::to_string(number);
      return version;
    };
    if (number != 0) {
      bool updated = false;
      auto const failure = co_await attempt(put_version_details(numbered(), &*copy, updated));
      if (failure) {
        context_.report.failed(kind, id, name, *failure);
      } else if (updated) {
        context_.report.copied(kind, false);
      } else {
        context_.report.unchanged(kind);
      }
      changed = changed || updated;
      numbers[item.version.number()] = number;
      continue;
    }
    changed = true;
    if (context_.options.dry_run) {
      context_.report.copied(kind, true);
      continue;
    }
    std::optional<std::string> failure;
    auto make = [&]() -> async::Task<> {
      auto mapped = co_await (item.version.is_prompt() ? map_prompt_version(item) : map_version(item, source));
      if (!mapped.failure.empty()) throw std::runtime_error(mapped.failure);
      number = co_await append_version(std::move(mapped.version), id);
      co_await ledger_->put({kind, id, name}, {std::to_string(number), true, "", true, false, ""});
      co_await await_ready(name, number);
      bool ignored = false;
      co_await put_version_details(numbered(), nullptr, ignored);
    };
    failure = co_await attempt(make());
    if (failure) {
      context_.report.failed(kind, id, name, *failure);
      continue;
    }
    numbers[item.version.number()] = number;
    context_.report.copied(kind, true);
    context_.log(LogLevel::info, "version " + id + " is version " + std::to_string(number) + " of '" + name + "'");
  }
  co_return numbers;
}

// Deletes the destination's model or prompt of that name, once it is known that each version can be made.
async::Task<> ServerTarget::make_room(const RegisteredModelRecord& record, Source& source) {
  std::string const name(record.model.name());
  for (auto const& item : record.versions) {
    auto const mapped = co_await (item.version.is_prompt() ? map_prompt_version(item) : map_version(item, source));
    if (!mapped.failure.empty()) {
      throw std::runtime_error("nothing was deleted in the destination, since version " +
                               std::to_string(item.version.number()) + " could not be made again: " + mapped.failure);
    }
  }
  if (record.versions.empty())
    throw std::runtime_error("nothing was deleted in the destination, since the source has no version of it");
  co_await client_.delete_registered_model(name);
  // What the ledger knows of the versions is gone with them.
  for (auto const& item : record.versions)
    co_await ledger_->forget_lost({record.version_kind(), source_id_of(item), name}, name);
}

}  // namespace mlferry::engine
