#include "engine/compare.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <unordered_map>

#include "async/task_group.hpp"
#include "engine/compare_files.hpp"
#include "engine/endpoints/markers.hpp"
#include "engine/failure.hpp"
#include "engine/id_text.hpp"
#include "engine/objects/object_kind.hpp"
#include "engine/record_differences.hpp"
#include "engine/workspaces.hpp"

namespace mlferry::engine {

namespace {

constexpr std::size_t most_trace_bytes = 512u << 20;

// Which copy belongs to which original, and where their files are.
struct Pair {
  std::string copy_id;
  std::string original_uri, copy_uri;
};
using Pairs = std::unordered_map<std::string, Pair>;

std::string sorted_lines(const std::string& text) {
  std::vector<std::string> lines;
  std::size_t from = 0;
  while (from < text.size()) {
    auto const end = std::min(text.find('\n', from), text.size());
    lines.push_back(text.substr(from, end - from));
    from = end + 1;
  }
  std::sort(lines.begin(), lines.end());
  std::string out;
  for (auto const& line : lines) out += line + "\n";
  return out;
}

class Comparison {
 public:
  Comparison(const Context& context, Source& original, Source& copy, CompareOptions options)
      : context_(context),
        original_(original),
        copy_(copy),
        files_(context, original, copy, options.data, [this](OwnedText text) { take(std::move(text)); }),
        slots_(context.executor, context.options.jobs) {}

  async::Task<> run() {
    auto const info = co_await original_.open();
    auto const copy_info = co_await copy_.open();
    identity_ = info.identity;
    context_.report.opened(info.description, info.not_copied, {}, info.hidden);
    context_.report.opened("", {}, {}, copy_info.hidden);
    if (context_.report.target.empty()) context_.report.target = copy_info.description;
    compare_workspaces(info.workspace, copy_info.workspace);
    context_.report.selection = context_.options.selection.describe();
    copy_shows_users_ = copy_info.shows_users;
    auto const pairs = co_await pair_experiments();
    for (auto const& [original, copy] : pairs)
      co_await or_say_why(Kind::run, original, compare_runs(original, copy));
    // After the runs: a server's deleted logged models are found through the runs that name them.
    for (auto const& [original, copy] : pairs)
      co_await or_say_why(Kind::logged_model, original, compare_logged_models(original, copy));
    co_await compare_registered_models();
    for (auto const& [original, copy] : pairs)
      co_await or_say_why(Kind::trace, original, compare_traces(original, copy));
    for (auto const* kind : object_kinds()) {
      auto const failure = co_await attempt(compare_objects(*kind));
      if (failure) {
        context_.report.found(kind->kind());
        context_.report.failed(kind->kind(), "?", "", "they cannot be compared: " + *failure);
      }
    }
    judge_pending();
    for (auto const& [kind, n] : extra_) {
      context_.report.notes.push_back(std::to_string(n) + " " + std::string(kind_label(kind)) + " of " +
                                      copy_info.description +
                                      " have no original: they are not copies from this source");
    }
  }

 private:
  // The id of the original that an object of the copy side stands for.
  std::string original_id(const mlflow::KeyValues& tags, std::string_view own_id) const {
    return marked_source(tags, identity_).value_or(std::string(own_id));
  }

  struct ExperimentIds {
    std::string id, name;
  };

  void compare_workspaces(const json::object& original, const json::object& copy) {
    std::string const name(mlflow::get_string(original, "name"));
    if (name.empty()) return;
    context_.report.found(Kind::workspace);
    if (copy.empty()) return missing(Kind::workspace, name, name);
    Differences found;
    auto const change = plan_workspace(original, copy, true, false);
    for (auto const& [field, value] : change.body) {
      if (field != "workspace_name") found.fields.push_back(std::string(field) + " differs");
    }
    judge(Kind::workspace, name, name, std::move(found));
  }

  // A list that a login may not read, on either side, is no end of the comparison.
  async::Task<> or_say_why(Kind kind, ExperimentIds experiment, async::Task<> part) {
    auto const failure = co_await attempt(std::move(part));
    if (!failure) co_return;
    context_.report.failed(Kind::experiment, experiment.id, experiment.name,
                           "its " + std::string(kind_label(kind)) + " cannot be compared: " + *failure);
  }

  async::Task<std::vector<std::pair<ExperimentIds, std::optional<ExperimentIds>>>> pair_experiments() {
    std::map<std::string, ExperimentRecord> copies;
    auto copy_pages = copy_.experiments();
    while (auto page = co_await copy_pages->next()) {
      for (auto& record : *page) {
        std::string name(record.experiment.name());
        copies[name] = std::move(record);
      }
    }
    std::vector<std::pair<ExperimentIds, std::optional<ExperimentIds>>> pairs;
    auto pages = original_.experiments();
    while (auto page = co_await pages->next()) {
      context_.report.found(Kind::experiment, page->size());
      for (auto const& record : *page) {
        ExperimentIds const ids{std::string(record.experiment.id()), std::string(record.experiment.name())};
        auto const found = copies.find(ids.name);
        if (found == copies.end()) {
          missing(Kind::experiment, ids.id, ids.name);
          pairs.emplace_back(ids, std::nullopt);
          continue;
        }
        judge(Kind::experiment, ids.id, ids.name, differences(record, found->second));
        experiment_pairs_[ids.id] = found->second.experiment.id();
        pairs.emplace_back(ids, ExperimentIds{std::string(found->second.experiment.id()), ids.name});
        copies.erase(found);
      }
    }
    if (!copies.empty()) extra_[Kind::experiment] = copies.size();
    co_return pairs;
  }

  void missing(Kind kind, std::string id, std::string name) {
    context_.report.different(kind, std::move(id), std::move(name), {"is missing in the copy"});
  }

  // Texts that can be judged now are; the object counts as verified meanwhile and is taken back if a pending
  // one differs.
  void judge(Kind kind, const std::string& id, const std::string& name, Differences found) {
    for (auto& text : found.with_ids) take({kind, id, name, std::move(text)});
    if (found.fields.empty()) {
      outcome_[{kind, id}] = true;
    } else {
      outcome_[{kind, id}] = false;
      for (auto const& field : found.fields) add_difference(kind, id, name, field);
    }
  }

  // What is equal already needs not be kept.
  void take(OwnedText text) {
    if (!equal_with_ids(text.text)) pending_.push_back(std::move(text));
  }

  void add_difference(Kind kind, const std::string& id, const std::string& name, std::string text) {
    differences_of_[{kind, id}].push_back(std::move(text));
    names_[{kind, id}] = name;
  }

  bool equal_with_ids(const TextWithIds& text) const {
    if (text.experiments) {
      auto const there = split_list(text.copy);
      return mapped_experiments(text.original) == std::set<std::string>(there.begin(), there.end());
    }
    if (text.original == text.copy) return true;
    auto const ids = find_ids(text.original);
    Replacements replacements;
    for (auto const* list : {&ids.runs, &ids.logged_models}) {
      for (auto const& id : *list) {
        auto const& pairs = list == &ids.runs ? run_pairs_ : model_pairs_;
        auto const found = pairs.find(id);
        if (found == pairs.end()) continue;
        replacements.emplace_back(id, found->second.copy_id);
        replacements.emplace_back(found->second.original_uri, found->second.copy_uri);
      }
    }
    auto const mapped = replace_all(text.original, replacements);
    if (text.unordered) return sorted_lines(mapped) == sorted_lines(text.copy);
    return mapped == text.copy;
  }

  std::set<std::string> mapped_experiments(std::string_view text) const {
    std::set<std::string> ids;
    for (auto const& id : split_list(text)) {
      auto const found = experiment_pairs_.find(id);
      if (found != experiment_pairs_.end()) ids.insert(found->second);
    }
    return ids;
  }

  void judge_pending() {
    for (auto const& pending : pending_) {
      if (equal_with_ids(pending.text)) continue;
      outcome_[{pending.kind, pending.id}] = false;
      add_difference(pending.kind, pending.id, pending.name,
                     pending.text.field + ": " + in_quotes(pending.text.original) + " became " +
                         in_quotes(pending.text.copy) + ", which is not its copy");
    }
    for (auto const& [key, equal] : outcome_) {
      if (equal) {
        context_.report.verified(key.first);
      } else {
        context_.report.different(key.first, key.second, names_[key], differences_of_[key]);
      }
    }
  }

  // Pairs two streams of records by original id. Both sides come in about the same order, so few records
  // wait.
  template <class Record, class KindOf, class IdOf, class NameOf, class Match>
  async::Task<> join(KindOf kind_of, std::unique_ptr<Pages<Record>> originals,
                     std::unique_ptr<Pages<Record>> copies, IdOf id_of, NameOf name_of, Match match) {
    std::map<std::string, Record> waiting_originals, waiting_copies;
    std::map<std::string, int> seen_copies;
    bool more_originals = true, more_copies = copies != nullptr;
    while (more_originals || more_copies) {
      if (more_originals) {
        auto page = co_await originals->next();
        more_originals = page.has_value();
        for (auto& record : page ? *page : std::vector<Record>{}) {
          context_.report.found(kind_of(record));
          auto const id = id_of(record, false);
          auto const found = waiting_copies.find(id);
          if (found == waiting_copies.end()) {
            record.memory.reset();
            waiting_originals[id] = std::move(record);
          } else {
            co_await match(record, found->second);
            waiting_copies.erase(found);
          }
        }
      }
      if (more_copies) {
        auto page = co_await copies->next();
        more_copies = page.has_value();
        for (auto& record : page ? *page : std::vector<Record>{}) {
          auto const id = id_of(record, true);
          if (seen_copies[id]++ > 0) {
            context_.report.different(kind_of(record), id, name_of(record),
                                      {"has more than one copy in the same experiment"});
            continue;
          }
          auto const found = waiting_originals.find(id);
          if (found == waiting_originals.end()) {
            record.memory.reset();
            waiting_copies[id] = std::move(record);
          } else {
            co_await match(found->second, record);
            waiting_originals.erase(found);
          }
        }
      }
    }
    for (auto const& [id, record] : waiting_originals) missing(kind_of(record), id, name_of(record));
    for (auto const& [id, record] : waiting_copies) ++extra_[kind_of(record)];
  }

  async::Task<> compare_runs(ExperimentIds original, std::optional<ExperimentIds> copy) {
    auto id_of = [this](const RunRecord& record, bool is_copy) {
      return is_copy ? original_id(record.run.tags(), record.run.id()) : std::string(record.run.id());
    };
    auto name_of = [](const RunRecord& record) { return std::string(record.run.name()); };
    auto match = [this](const RunRecord& a, const RunRecord& b) -> async::Task<> {
      std::string const id(a.run.id());
      run_pairs_[id] = {std::string(b.run.id()), std::string(a.run.artifact_uri()),
                        std::string(b.run.artifact_uri())};
      auto found = differences(a, b);
      for (auto const* record : {&a, &b}) {
        if (!record->read_error.empty()) found.fields.push_back("cannot be read: " + record->read_error);
      }
      judge(Kind::run, id, std::string(a.run.name()), std::move(found));
      co_await files_.compare(a, owner_of(a), b, owner_of(b), std::string(a.run.name()));
    };
    auto kind_of = [](const RunRecord&) { return Kind::run; };
    co_await join<RunRecord>(kind_of, original_.runs(original.id, nothing_),
                             copy ? copy_.runs(copy->id, nothing_) : nullptr, id_of, name_of, match);
  }

  async::Task<> compare_logged_models(ExperimentIds original, std::optional<ExperimentIds> copy) {
    auto id_of = [this](const LoggedModelRecord& record, bool is_copy) {
      return is_copy ? original_id(record.model.tags(), record.model.id()) : std::string(record.model.id());
    };
    auto name_of = [](const LoggedModelRecord& record) { return std::string(record.model.name()); };
    auto match = [this](const LoggedModelRecord& a, const LoggedModelRecord& b) -> async::Task<> {
      std::string const id(a.model.id());
      model_pairs_[id] = {std::string(b.model.id()), std::string(a.model.artifact_uri()),
                          std::string(b.model.artifact_uri())};
      judge(Kind::logged_model, id, std::string(a.model.name()), differences(a, b));
      co_await files_.compare(a, owner_of(a), b, owner_of(b), std::string(a.model.name()));
    };
    auto kind_of = [](const LoggedModelRecord&) { return Kind::logged_model; };
    co_await join<LoggedModelRecord>(kind_of, original_.logged_models(original.id, nothing_),
                                     copy ? copy_.logged_models(copy->id, nothing_) : nullptr, id_of, name_of,
                                     match);
  }

  async::Task<> compare_traces(ExperimentIds original, std::optional<ExperimentIds> copy) {
    auto kind_of = [](const TraceRecord&) { return Kind::trace; };
    auto id_of = [](const TraceRecord& record, bool) { return std::string(record.trace.id()); };
    auto name_of = [](const TraceRecord& record) {
      return std::string(record.trace.tag("mlflow.traceName"));
    };
    auto match = [this, name_of](TraceRecord& a, TraceRecord& b) -> async::Task<> {
      auto found = differences(a, b);
      for (auto const* record : {&a, &b}) {
        if (!record->read_error.empty()) found.fields.push_back("cannot be read: " + record->read_error);
      }
      // A copy may keep in a file what the original has in the database, where its server can do no better.
      if (a.trace.spans_in_database() != b.trace.spans_in_database()) {
        auto const failure = co_await attempt(take_spans_from_file(a, b));
        if (failure) found.fields.push_back("spans cannot be compared: " + *failure);
      }
      auto const spans = span_difference(a.spans, b.spans);
      if (!spans.empty()) found.fields.push_back(spans);
      judge(Kind::trace, std::string(a.trace.id()), name_of(a), std::move(found));
      co_await files_.compare(a, owner_of(a), b, owner_of(b), name_of(a));
    };
    co_await join<TraceRecord>(kind_of, original_.traces(original.id, nothing_),
                               copy ? copy_.traces(copy->id, nothing_) : nullptr, id_of, name_of, match);
  }

  async::Task<> take_spans_from_file(TraceRecord& a, TraceRecord& b) {
    auto& source = a.trace.spans_in_database() ? copy_ : original_;
    auto& record = a.trace.spans_in_database() ? b : a;
    auto const is_trace_file = [](const FileEntry& entry) { return entry.path == trace_file; };
    auto const file = std::find_if(record.files.begin(), record.files.end(), is_trace_file);
    if (file == record.files.end()) co_return;
    auto reader = co_await source.open_file(owner_of(record), *file);
    auto const text =
        co_await async::read_all(*reader, most_trace_bytes, "trace " + std::string(record.trace.id()));
    auto const data = mlflow::parse_python_json(text, "trace file");
    auto const* object = data.if_object();
    auto const* spans = object == nullptr ? nullptr : mlflow::get_array(*object, "spans");
    if (spans != nullptr) record.spans = *spans;
    record.files.erase(file);
    // The spans took the place of a file of that name that the original has besides.
    if (&record == &b && std::erase_if(a.files, is_trace_file) != 0) {
      context_.report.found(Kind::artifact);
      context_.report.skipped(Kind::artifact, owner_of(a).id + ":" + trace_file,
                              std::string(a.trace.tag("mlflow.traceName")),
                              "cannot be compared, since the copy keeps the spans of its trace in that file");
    }
  }

  async::Task<> compare_registered_models() {
    auto kind_of = [](const RegisteredModelRecord& record) { return record.kind(); };
    auto id_of = [](const RegisteredModelRecord& record, bool) { return std::string(record.model.name()); };
    auto name_of = [](const RegisteredModelRecord& record) { return std::string(record.model.name()); };
    auto match = [this](const RegisteredModelRecord& a, const RegisteredModelRecord& b) -> async::Task<> {
      std::string const name(a.model.name());
      judge(a.kind(), name, name, differences(a, b));
      std::map<std::int64_t, const ModelVersionRecord*> copies;
      for (auto const& item : b.versions) copies[item.version.number()] = &item;
      context_.report.found(a.version_kind(), a.versions.size());
      for (auto const& item : a.versions) {
        auto const id = name + "/" + std::to_string(item.version.number());
        auto const found = copies.find(item.version.number());
        if (found == copies.end()) {
          missing(a.version_kind(), id, name);
        } else {
          judge(a.version_kind(), id, name, differences(item, *found->second));
          if (!item.files.empty() || !item.gaps.empty()) {
            co_await files_.compare(item, owner_of(item), *found->second, owner_of(*found->second), name);
          }
          copies.erase(found);
        }
      }
      for (auto const& [number, item] : copies) {
        context_.report.different(a.version_kind(), name + "/" + std::to_string(number), name,
                                  {"is not in the original"});
      }
    };
    co_await join<RegisteredModelRecord>(kind_of, original_.registered_models(nothing_),
                                         copy_.registered_models(nothing_), id_of, name_of, match);
  }

  // Ids of the copies that were paired before.
  class PairIds final : public IdMap {
   public:
    explicit PairIds(const Comparison& pairs) : pairs_(pairs) {}
    async::Task<std::optional<std::string>> find(Kind kind, std::string id) override {
      if (kind == Kind::experiment) co_return found(pairs_.experiment_pairs_, id);
      if (kind == Kind::trace) {  // traces keep their ids
        co_return pairs_.outcome_.contains({kind, id}) ? std::optional(id) : std::nullopt;
      }
      auto const& pairs = kind == Kind::run ? pairs_.run_pairs_ : pairs_.model_pairs_;
      if (kind != Kind::run && kind != Kind::logged_model) {
        auto const objects = pairs_.object_pairs_.find(kind);
        if (objects == pairs_.object_pairs_.end()) co_return std::nullopt;
        co_return found(objects->second, id);
      }
      auto const pair = pairs.find(id);
      if (pair == pairs.end()) co_return std::nullopt;
      co_return pair->second.copy_id;
    }

   private:
    static std::optional<std::string> found(const std::map<std::string, std::string>& ids,
                                            const std::string& id) {
      auto const pair = ids.find(id);
      return pair == ids.end() ? std::nullopt : std::optional(pair->second);
    }
    const Comparison& pairs_;
  };

  // What stands for an object on the other side: its marker, or what it is.
  std::string object_key(const ObjectKind& kind, const json::object& doc,
                         std::optional<std::string> original) const {
    auto const tags = kind.tags(doc);
    if (!original && tags) original = marked_source(*tags, identity_);
    return tags && original ? "id " + *original : "identity " + kind.identity(doc);
  }

  using Copies = std::multimap<std::string, ObjectRecord>;

  // Of several with that key the one that is equal.
  static Copies::iterator best_copy(const ObjectKind& kind, Copies& copies, const std::string& key,
                                    const json::object& content) {
    auto const [first, last] = copies.equal_range(key);
    auto const equal = std::find_if(first, last, [&](const Copies::value_type& item) {
      return kind.comparable(item.second.doc) == content;
    });
    if (equal != last) return equal;
    return first == last ? copies.end() : first;
  }

  async::Task<> compare_objects(const ObjectKind& kind) {
    Copies copies;
    auto copy_pages = copy_.objects(kind.kind(), nothing_);
    while (auto page = co_await copy_pages->next()) {
      for (auto& record : *page) {
        auto key = object_key(kind, record.doc, std::nullopt);
        copies.emplace(std::move(key), std::move(record));
      }
    }
    PairIds ids(*this);
    auto pages = original_.objects(kind.kind(), nothing_);
    while (auto page = co_await pages->next()) {
      context_.report.found(kind.kind(), page->size());
      for (auto const& record : *page) {
        if (kind.of_logins() && !copy_shows_users_) {
          context_.report.skipped(kind.kind(), record.id, record.name,
                                  "cannot be compared: the copy's server has no users, or hides them");
          continue;
        }
        auto const mapped = co_await kind.map(record, ids);
        auto const content = kind.comparable(mapped.doc);
        auto found = best_copy(kind, copies, object_key(kind, mapped.doc, record.id), content);
        if (found == copies.end())
          found = best_copy(kind, copies, "identity " + kind.identity(mapped.doc), content);
        if (found == copies.end() || !mapped.failure.empty()) {
          missing(kind.kind(), record.id, record.name);
          continue;
        }
        Differences differences;
        differences.fields = kind.differences(mapped.doc, found->second.doc);
        for (auto const* one : {&record, static_cast<const ObjectRecord*>(&found->second)}) {
          if (!one->read_error.empty()) differences.fields.push_back("cannot be read: " + one->read_error);
        }
        for (auto const& loss : mapped.losses) differences.fields.push_back(loss);
        object_pairs_[kind.kind()][record.id] = found->second.id;
        judge(kind.kind(), record.id, record.name, std::move(differences));
        copies.erase(found);
      }
    }
    if (!copies.empty()) extra_[kind.kind()] = copies.size();
  }

  const Context& context_;
  Source& original_;
  Source& copy_;
  FileComparison files_;
  async::Semaphore slots_;
  std::string identity_;
  bool copy_shows_users_ = true;
  KnowsNothing nothing_;
  Pairs run_pairs_, model_pairs_;
  std::map<std::string, std::string> experiment_pairs_;  // ids, of those that have a copy
  std::map<Kind, std::map<std::string, std::string>> object_pairs_;
  std::deque<OwnedText> pending_;
  using Key = std::pair<Kind, std::string>;
  std::map<Key, bool> outcome_;  // true: equal so far
  std::map<Key, std::vector<std::string>> differences_of_;
  std::map<Key, std::string> names_;
  std::map<Kind, std::size_t> extra_;
};

}  // namespace

async::Task<> compare(const Context& context, Source& original, Source& copy, CompareOptions options) {
  Comparison comparison(context, original, copy, options);
  co_await comparison.run();
}

}  // namespace mlferry::engine
