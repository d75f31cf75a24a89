// Kinds that are whole in one document: what the destination has already is listed once, found again by
// marker, ledger or identity, and made equal.

#include <algorithm>

#include "engine/endpoints/adoption.hpp"
#include "engine/endpoints/markers.hpp"
#include "engine/endpoints/server_target.hpp"
#include "engine/failure.hpp"
#include "protocol/http/error.hpp"

namespace mlferry::engine {

namespace {

// In place of the id of an object that is about to be made.
constexpr const char* being_made = "?";

}  // namespace

// Copies that this job has made or seen.
class ServerTarget::CopyIds final : public IdMap {
 public:
  explicit CopyIds(ServerTarget& target) : target_(target) {}

  async::Task<std::optional<std::string>> find(Kind kind, std::string id) override {
    if (kind == Kind::experiment) {
      auto const found = target_.containers_.find(id);
      if (found == target_.containers_.end()) co_return co_await copied_before(id);
      // In a dry run the experiment may be still to come.
      if (found->second.id.empty()) co_return "new:" + id;
      co_return found->second.id;
    }
    if (auto const coming = target_.dry_copies_.find({kind, id}); coming != target_.dry_copies_.end())
      co_return coming->second;
    auto const place = co_await target_.find_place(kind, id);
    if (place) co_return place->id;
    // Traces and label schemas, too; whether they will come is not known before.
    bool const to_come =
        target_.context_.options.dry_run && (kind == Kind::trace || kind == Kind::label_schema);
    co_return to_come ? std::optional("new:" + id) : std::nullopt;
  }

 private:
  // An experiment that is no part of this job, but was one of an earlier.
  async::Task<std::optional<std::string>> copied_before(std::string id) {
    auto const entry = co_await target_.ledger_->find({Kind::experiment, id, ""});
    if (!entry || entry->destination_id.empty()) co_return std::nullopt;
    auto const copy = co_await target_.client_.get_experiment(entry->destination_id);
    if (!copy || copy->deleted() || marked_source(copy->tags(), target_.source_server_) != id) co_return std::nullopt;
    co_return std::string(copy->id());
  }

  ServerTarget& target_;
};

ServerView ServerTarget::object_view() {
  ServerView view{client_, {}, {}, {}};
  for (auto const& [source_id, container] : containers_) {
    if (!container.id.empty() && !container.deleted) view.experiments.push_back(container.id);
  }
  view.workspace = workspace_of(client_, capabilities_);
  // A dry run must not change it by reading.
  if (context_.options.dry_run) view.untraced = {view.experiments.begin(), view.experiments.end()};
  return view;
}

async::Task<ServerTarget::SeenObjects*> ServerTarget::see_objects(const ObjectKind& kind, bool again) {
  auto const turn = co_await objects_turn_->acquire();
  auto found = seen_objects_.find(kind.kind());
  if (found != seen_objects_.end() && !again) co_return &found->second;
  auto records = co_await kind.list(object_view());
  auto& seen = seen_objects_[kind.kind()];
  seen.supported = records.has_value();
  if (records) {
    for (auto& record : *records) seen.by_id[record.id] = std::move(record);
  }
  co_return &seen;
}

async::Task<bool> ServerTarget::object_unchanged(Kind kind, std::string id, std::string fingerprint) {
  if (context_.options.full || options_.replaced.contains(kind)) co_return false;
  LedgerKey const key{kind, id, ""};
  auto entry = co_await ledger_->find(key);
  if (!entry || !entry->done || entry->fingerprint != fingerprint) co_return false;
  // put_object() says what is the matter.
  if (object_kind(kind).of_logins() && !(access_.logins && access_.admin)) co_return false;
  auto* seen = co_await see_objects(object_kind(kind), false);
  if (!seen->by_id.contains(entry->destination_id)) co_return false;
  seen->claimed.insert(entry->destination_id);
  entry->seen = true;
  co_await ledger_->put(key, *entry);
  co_return true;
}

// The destination's object that stands for this record. Each stands for one: two equal ones of the source
// stay two.
async::Task<ServerTarget::Claim> ServerTarget::claim_object(const ObjectKind& kind, std::string source_id,
                                                            json::object wanted) {
  auto* seen = co_await see_objects(kind, false);
  auto const entry = co_await ledger_->find({kind.kind(), source_id, ""});
  if (entry && seen->by_id.contains(entry->destination_id)) {
    seen->claimed.insert(entry->destination_id);
    co_return Claim{entry->destination_id, !Adoption::parse(entry->data)};
  }
  bool const marked = context_.options.marker_tags && kind.tags(wanted).has_value();
  auto const identity = kind.identity(wanted);
  auto const content = kind.comparable(wanted);
  std::string found;
  for (auto const& [id, record] : seen->by_id) {
    if (seen->claimed.contains(id)) continue;
    auto const tags = kind.tags(record.doc);
    auto const source = tags ? marked_source(*tags, source_server_) : std::nullopt;
    if (marked ? source != source_id : kind.identity(record.doc) != identity) continue;
    // Of several that could be it, the one that is equal.
    bool const equal = kind.comparable(record.doc) == content;
    if (found.empty() || equal) found = id;
    if (equal) break;
  }
  if (found.empty()) co_return Claim{};
  seen->claimed.insert(found);
  co_return Claim{found, marked || (entry && entry->destination_id == being_made)};
}

async::Task<std::string> ServerTarget::create_object(const ObjectKind& kind, std::string source_id,
                                                     json::object wanted) {
  std::optional<std::string> id;
  try {
    id = co_await kind.create(object_view(), wanted);
  } catch (const http::TransportError& error) {
    if (!error.outcome_unknown()) throw;
  }
  if (!id) {
    co_await see_objects(kind, true);
    auto const claim = co_await claim_object(kind, source_id, wanted);
    if (claim.id.empty()) {
      throw std::runtime_error("it is not known whether the server created it: run the command again");
    }
    id = claim.id;
  }
  if (id->empty()) throw std::runtime_error("the server gave the new object no id");
  seen_objects_[kind.kind()].claimed.insert(*id);
  co_return *id;
}

async::Task<bool> ServerTarget::made_before(Kind kind, std::string source_id) {
  auto const entry = co_await ledger_->find({kind, std::move(source_id), ""});
  co_return entry && !Adoption::parse(entry->data);
}

async::Task<Outcome> ServerTarget::put_object(ObjectRecord record) {
  auto const& kind = object_kind(record.kind);
  if (kind.of_logins() && !access_.logins) {
    throw NotHeld("the destination has no " + std::string(kind_label(record.kind)) + ": it runs without basic-auth");
  }
  if (kind.of_logins() && !access_.admin) {
    throw std::runtime_error(named_login(access_) +
                             " of the destination is no administrator, and only one makes " +
                             std::string(kind_label(record.kind)));
  }
  auto const* there = co_await see_objects(kind, false);
  if (!there->supported) {
    throw NotHeld("the destination (" + capabilities_.name() + ") has no " + std::string(kind_label(record.kind)) +
                  ": upgrade it and run again");
  }
  auto const todo = kind.follow_up(record.doc);
  auto tell_todo = [&] {
    if (!todo.empty()) context_.report.follow_up(record.kind, record.id, record.name, todo);
  };
  if (!kind.follow_up_if_made()) tell_todo();
  if (record.unchanged) {
    if (kind.follow_up_if_made() && co_await made_before(record.kind, record.id)) tell_todo();
    co_return Outcome::unchanged;
  }
  if (!record.read_error.empty()) throw std::runtime_error(record.read_error);

  CopyIds ids(*this);
  auto mapped = co_await kind.map(record, ids);
  if (!mapped.failure.empty()) throw std::runtime_error(mapped.failure);
  for (auto const& loss : mapped.losses) context_.report.loss(record.kind, record.id, record.name, loss);
  auto& wanted = mapped.doc;
  if (auto tags = kind.tags(wanted); tags && context_.options.marker_tags) {
    kind.set_tags(wanted, with_markers(std::move(*tags), source_server_, record.id,
                                       {{"created_by", field_text(record.doc, "created_by")},
                                        {"created_time", field_text(record.doc, "created_time")},
                                        {"last_update_time", field_text(record.doc, "last_update_time")}}));
  }

  if (options_.replaced.contains(record.kind) && !context_.options.dry_run) co_await make_room_for(kind, wanted);
  auto const claim = co_await claim_object(kind, record.id, wanted);
  bool const is_new = claim.id.empty();
  bool const ours = is_new || claim.ours;
  if (kind.follow_up_if_made() && ours) tell_todo();
  // Other objects name this one.
  if (context_.options.dry_run)
    dry_copies_[{record.kind, record.id}] = is_new ? "new:" + record.id : claim.id;
  if (is_new && context_.options.dry_run) co_return Outcome::created;
  ObjectRecord existing;
  if (is_new) {
    for (auto& [source_id, container] : containers_) {
      if (container.id == mlflow::get_string(wanted, "experiment_id")) co_await ensure_writable(container);
    }
    LedgerKey const key{record.kind, record.id, ""};
    co_await ledger_->forget_lost(key, record.id);
    // Without a marker only the ledger can tell after a crash that what is there now is ours.
    if (!context_.options.marker_tags || !kind.tags(wanted)) {
      co_await ledger_->put(key, {being_made, false, "", false, false, ""});
      co_await ledger_->flush();
    }
    existing = record;
    existing.id = co_await create_object(kind, record.id, wanted);
    existing.doc = wanted;
    co_await ledger_->put({record.kind, record.id, ""}, {existing.id, false, "", true, false, ""});
  } else {
    existing = seen_objects_[record.kind].by_id.at(claim.id);
  }
  co_await kind.complete(object_view(), existing);
  bool const equal = kind.differences(wanted, existing.doc).empty();
  if (context_.options.dry_run) co_return equal ? Outcome::unchanged : Outcome::updated;
  std::vector<std::string> left;
  if (!equal) left = co_await kind.update(object_view(), existing, wanted, ours);
  for (auto const& text : left) {
    context_.report.loss(record.kind, record.id, record.name,
                         text + (ours ? "" : ": the destination's own object of that name keeps it"));
  }
  bool const settled = mapped.losses.empty() && left.empty();
  bool const sleeps = kind.wakes_last() && (is_new || (claim.ours && !equal));
  co_await ledger_->put({record.kind, record.id, ""}, {existing.id, settled && !sleeps, record.fingerprint,
                                                       true, false, ours ? "" : Adoption().data()});
  if (sleeps) sleepers_.push_back({record, existing.id, wanted, settled});
  if (is_new) co_return Outcome::created;
  co_return equal ? Outcome::unchanged : Outcome::updated;
}

// Deletes those of its name that no record of this job stands for.
async::Task<> ServerTarget::make_room_for(const ObjectKind& kind, json::object wanted) {
  auto* seen = co_await see_objects(kind, false);
  auto const identity = kind.identity(wanted);
  std::vector<std::string> gone;
  for (auto const& [id, record] : seen->by_id) {
    if (!seen->claimed.contains(id) && kind.identity(record.doc) == identity) gone.push_back(id);
  }
  for (auto const& id : gone) {
    co_await kind.discard(object_view(), id);
    seen->by_id.erase(id);
  }
}

async::Task<> ServerTarget::activate_objects(Report& report) {
  for (auto& sleeper : std::exchange(sleepers_, {})) {
    auto const& record = sleeper.record;
    auto const failure =
        co_await attempt(object_kind(record.kind).activate(object_view(), sleeper.id, sleeper.wanted));
    if (failure) {
      report.failed_after(
          record.kind, record.id, record.name,
          (record.kind == Kind::webhook ? "it stays disabled: " : "its last step failed: ") + *failure);
    } else {
      co_await ledger_->put({record.kind, record.id, ""},
                            {sleeper.id, sleeper.settled, record.fingerprint, true, false, ""});
    }
  }
}

}  // namespace mlferry::engine
