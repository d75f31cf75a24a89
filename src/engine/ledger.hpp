#pragma once
// What a job has done at its target, on disk: source id -> destination id and state. A cache of the truth,
// which is in the destination's marker tags: losing the ledger costs time, not correctness. It also keeps
// memory flat.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "async/task.hpp"
#include "async/worker_pool.hpp"
#include "engine/kinds.hpp"
#include "storage/sqlite/database.hpp"

namespace mlferry::engine {

// Identity of a copy: the same source object into the same container (architecture 6).
struct LedgerKey {
  Kind kind = Kind::run;
  std::string source_id;
  std::string container;  // destination id of the experiment, name of the model, or ""
};

struct LedgerEntry {
  std::string destination_id;
  bool done = false;  // complete, as of `fingerprint`
  std::string fingerprint;
  bool seen = false;     // this job has made it or found it in the destination
  bool deleted = false;  // as seen in the destination
  std::string data;      // JSON, for the kind's own use: the destination's artifact_uri
};

// A link that could not be written when its owner was, since the other end did not exist yet.
struct DeferredLink {
  std::int64_t row = 0;   // set by the ledger
  std::string kind;       // "parent", "history", "input", "output", "version_model"
  std::string owner;      // source id of the run or logged model
  std::string container;  // its destination experiment
  std::string data;       // JSON
};

enum class DeleteKind { logged_model, run, experiment };

// Calls may overlap; they are carried out one by one on a thread of the ledger's own. Writes become durable
// within a second or 500 writes, and on flush(): a crash loses at most those, and the markers bring them
// back.
class Ledger {
 public:
  // Opens or makes <folder>/ledger.sqlite and locks it; throws LedgerLocked when another process has it.
  // `job` names source and target: a ledger of another job is refused.
  Ledger(const std::string& folder, const std::string& job);
  ~Ledger();

  async::Task<std::optional<LedgerEntry>> find(LedgerKey key);
  // In any container; the newest seen in this job first.
  async::Task<std::optional<LedgerEntry>> find_anywhere(Kind kind, std::string source_id);
  // A destination object that carries our marker, or that was just made.
  async::Task<> put(LedgerKey key, LedgerEntry entry);
  async::Task<> put_all(std::vector<std::pair<LedgerKey, LedgerEntry>> entries);
  async::Task<> set_done(LedgerKey key, std::string fingerprint);

  // Before a copy is made whose id is no new one, such as a trace's: an earlier job may have made it in a destination that
  // was emptied since. What it left of the copy and of its files (their container is the id) is gone afterwards,
  // durably.
  async::Task<> forget_lost(LedgerKey key, std::string destination_id);

  // Source ids of all logged models with that container, and of those that inputs of its runs wait for.
  async::Task<std::vector<std::string>> logged_models_of(std::string container);

  async::Task<> defer(DeferredLink link);
  async::Task<std::vector<DeferredLink>> deferred(std::string kind, std::int64_t after_row,
                                                  std::size_t limit);
  // The data of every link of that kind and owner, in any container.
  async::Task<std::vector<std::string>> deferred_for(std::string kind, std::string owner);
  // The links of that kind with that data, of any owner.
  async::Task<std::vector<DeferredLink>> deferred_to(std::string kind, std::string data);
  async::Task<> drop_deferred(std::int64_t row);

  // Deletes to be done at the end, by destination id.
  async::Task<> defer_delete(DeleteKind kind, std::string destination_id);
  async::Task<std::vector<std::string>> deferred_deletes(DeleteKind kind);
  async::Task<> drop_delete(DeleteKind kind, std::string destination_id);

  async::Task<> flush();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

class LedgerLocked : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace mlferry::engine
