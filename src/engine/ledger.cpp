#include "engine/ledger.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <system_error>

namespace mlferry::engine {

namespace {

constexpr int writes_per_commit = 500;
constexpr std::chrono::seconds commit_interval{1};

constexpr const char* schema = R"sql(
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS job (name TEXT NOT NULL, epoch INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS copies (
  kind TEXT NOT NULL, source_id TEXT NOT NULL, container TEXT NOT NULL,
  destination_id TEXT NOT NULL, done INTEGER NOT NULL, fingerprint TEXT NOT NULL,
  epoch INTEGER NOT NULL, deleted INTEGER NOT NULL, data TEXT NOT NULL,
  PRIMARY KEY (kind, source_id, container)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS files ON copies (container) WHERE kind = 'artifact';
CREATE INDEX IF NOT EXISTS logged_models ON copies (container) WHERE kind = 'logged_model';
CREATE TABLE IF NOT EXISTS links (
  row INTEGER PRIMARY KEY, kind TEXT NOT NULL, owner TEXT NOT NULL, container TEXT NOT NULL, data TEXT NOT NULL,
  UNIQUE (kind, owner, container, data));
CREATE TABLE IF NOT EXISTS deletes (
  kind INTEGER NOT NULL, destination_id TEXT NOT NULL, PRIMARY KEY (kind, destination_id)) WITHOUT ROWID;
)sql";

class LockFile {
 public:
  explicit LockFile(const std::string& path)
      : descriptor_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
    if (descriptor_ < 0) throw std::system_error(errno, std::generic_category(), "cannot open " + path);
    if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
      ::close(descriptor_);
      throw LedgerLocked("another mlferry runs this job (it holds " + path + "); wait for it, or end it");
    }
  }
  ~LockFile() { ::close(descriptor_); }
  LockFile(const LockFile&) = delete;
  LockFile& operator=(const LockFile&) = delete;

 private:
  int descriptor_;
};

sqlite::Database open_database(const std::string& folder) {
  std::filesystem::create_directories(folder);
  return sqlite::Database(folder + "/ledger.sqlite", sqlite::Database::Mode::create);
}

std::vector<DeferredLink> read_links(sqlite::Statement& row) {
  std::vector<DeferredLink> links;
  while (row.step()) {
    links.push_back({row.number(0), std::string(row.text(1)), std::string(row.text(2)),
                     std::string(row.text(3)), std::string(row.text(4))});
  }
  return links;
}

}  // namespace

struct Ledger::Impl {
  Impl(const std::string& folder, const std::string& job)
      : lock((std::filesystem::create_directories(folder), folder + "/lock")),
        database(open_database(folder)) {
    database.execute(schema);
    auto read = database.prepare("SELECT name, epoch FROM job");
    if (read.step()) {
      if (read.text(0) != job) {
        throw std::runtime_error("the ledger in " + folder + " belongs to another job (" +
                                 std::string(read.text(0)) + "); choose another --state-dir");
      }
      epoch = read.number(1) + 1;
      read.reset();
      database.prepare("UPDATE job SET epoch = ?").bind(1, epoch).run();
    } else {
      read.reset();
      database.prepare("INSERT INTO job VALUES (?, ?)").bind(1, job).bind(2, epoch).run();
    }
    find_copy = database.prepare(
        "SELECT destination_id, done, fingerprint, epoch, deleted, data FROM copies "
        "WHERE kind = ? AND source_id = ? AND container = ?");
    find_copy_anywhere = database.prepare(
        "SELECT destination_id, done, fingerprint, epoch, deleted, data FROM copies "
        "WHERE kind = ? AND source_id = ? ORDER BY epoch DESC, done DESC LIMIT 1");
    // A marker found again says nothing about completeness: `done` stays when the destination id is the same.
    put_copy = database.prepare(
        "INSERT INTO copies VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) "
        "ON CONFLICT DO UPDATE SET "
        "done = CASE WHEN destination_id = excluded.destination_id THEN max(done, excluded.done) ELSE "
        "excluded.done END, "
        "fingerprint = CASE WHEN destination_id = excluded.destination_id AND excluded.fingerprint = '' "
        "THEN fingerprint ELSE excluded.fingerprint END, "
        "destination_id = excluded.destination_id, epoch = excluded.epoch, deleted = excluded.deleted, "
        "data = CASE WHEN excluded.data = '' THEN data ELSE excluded.data END");
    forget_copy = database.prepare("DELETE FROM copies WHERE kind = ?1 AND source_id = ?2 AND container = ?3");
    forget_files = database.prepare("DELETE FROM copies WHERE kind = 'artifact' AND container = ?1");
    set_copy_done = database.prepare(
        "UPDATE copies SET done = 1, fingerprint = ?4, epoch = ?5 WHERE kind = ?1 AND source_id = ?2 AND "
        "container = ?3");
  }

  ~Impl() {
    try {
      commit();
    } catch (const std::exception&) {
      // The ledger is a cache: what is lost here, the markers bring back.
    }
  }

  // Runs `work` on the ledger's thread, inside the open transaction.
  template <class Work>
  async::Task<std::invoke_result_t<Work&>> run(Work work) {
    auto guarded = [this, work = std::move(work)]() mutable {
      if (!transaction) {
        transaction.emplace(database);
        began = std::chrono::steady_clock::now();
      }
      return work();
    };
    return thread.run(std::move(guarded));
  }

  void wrote(int n = 1) {
    writes += n;
    if (writes >= writes_per_commit || std::chrono::steady_clock::now() - began >= commit_interval) commit();
  }

  void commit() {
    if (!transaction) return;
    transaction->commit();
    transaction.reset();
    writes = 0;
  }

  LedgerEntry read_entry(sqlite::Statement& row) const {
    LedgerEntry entry;
    entry.destination_id = row.text(0);
    entry.done = row.number(1) != 0;
    entry.fingerprint = row.text(2);
    entry.seen = row.number(3) == epoch;
    entry.deleted = row.number(4) != 0;
    entry.data = row.text(5);
    return entry;
  }

  void write_entry(const LedgerKey& key, const LedgerEntry& entry) {
    put_copy.bind(1, kind_name(key.kind))
        .bind(2, key.source_id)
        .bind(3, key.container)
        .bind(4, entry.destination_id)
        .bind(5, std::int64_t{entry.done})
        .bind(6, entry.fingerprint)
        .bind(7, entry.seen ? epoch : epoch - 1)
        .bind(8, std::int64_t{entry.deleted})
        .bind(9, entry.data)
        .run();
  }

  LockFile lock;
  sqlite::Database database;
  std::int64_t epoch = 1;
  sqlite::Statement find_copy, find_copy_anywhere, put_copy, set_copy_done, forget_copy, forget_files;
  std::optional<sqlite::Transaction> transaction;
  std::chrono::steady_clock::time_point began;
  int writes = 0;
  async::WorkerPool thread{1};  // last: joined before the database is closed
};

Ledger::Ledger(const std::string& folder, const std::string& job)
    : impl_(std::make_shared<Impl>(folder, job)) {}
Ledger::~Ledger() = default;

async::Task<std::optional<LedgerEntry>> Ledger::find(LedgerKey key) {
  auto& impl = *impl_;
  auto work = [&impl, &key]() -> std::optional<LedgerEntry> {
    auto& row = impl.find_copy;
    row.bind(1, kind_name(key.kind)).bind(2, key.source_id).bind(3, key.container);
    std::optional<LedgerEntry> entry;
    if (row.step()) entry = impl.read_entry(row);
    row.reset();
    return entry;
  };
  co_return co_await impl.thread.run(std::move(work));
}

async::Task<std::optional<LedgerEntry>> Ledger::find_anywhere(Kind kind, std::string source_id) {
  auto& impl = *impl_;
  auto work = [&impl, kind, &source_id]() -> std::optional<LedgerEntry> {
    auto& row = impl.find_copy_anywhere;
    row.bind(1, kind_name(kind)).bind(2, source_id);
    std::optional<LedgerEntry> entry;
    if (row.step()) entry = impl.read_entry(row);
    row.reset();
    return entry;
  };
  co_return co_await impl.thread.run(std::move(work));
}

async::Task<> Ledger::put(LedgerKey key, LedgerEntry entry) {
  auto& impl = *impl_;
  auto work = [&impl, &key, &entry] {
    impl.write_entry(key, entry);
    impl.wrote();
  };
  co_await impl.run(std::move(work));
}

async::Task<> Ledger::put_all(std::vector<std::pair<LedgerKey, LedgerEntry>> entries) {
  auto& impl = *impl_;
  auto work = [&impl, &entries] {
    for (auto const& [key, entry] : entries) impl.write_entry(key, entry);
    impl.wrote(static_cast<int>(entries.size()));
  };
  co_await impl.run(std::move(work));
}

async::Task<> Ledger::set_done(LedgerKey key, std::string fingerprint) {
  auto& impl = *impl_;
  auto work = [&impl, &key, &fingerprint] {
    impl.set_copy_done.bind(1, kind_name(key.kind))
        .bind(2, key.source_id)
        .bind(3, key.container)
        .bind(4, fingerprint)
        .bind(5, impl.epoch)
        .run();
    impl.wrote();
  };
  co_await impl.run(std::move(work));
}

async::Task<> Ledger::forget_lost(LedgerKey key, std::string destination_id) {
  auto& impl = *impl_;
  auto work = [&impl, &key, &destination_id] {
    impl.forget_copy.bind(1, kind_name(key.kind)).bind(2, key.source_id).bind(3, key.container).run();
    auto forgotten = impl.database.changes();
    impl.forget_files.bind(1, destination_id).run();
    forgotten += impl.database.changes();
    if (forgotten > 0) impl.commit();
  };
  co_await impl.run(std::move(work));
}

async::Task<std::vector<std::string>> Ledger::logged_models_of(std::string container) {
  auto& impl = *impl_;
  auto work = [&impl, &container] {
    auto row = impl.database.prepare(
        "SELECT source_id FROM copies WHERE kind = 'logged_model' AND container = ?1 "
        "UNION SELECT data FROM links WHERE kind = 'input' AND container = ?1");
    row.bind(1, container);
    std::vector<std::string> ids;
    while (row.step()) ids.emplace_back(row.text(0));
    return ids;
  };
  co_return co_await impl.thread.run(std::move(work));
}

async::Task<> Ledger::defer(DeferredLink link) {
  auto& impl = *impl_;
  auto work = [&impl, &link] {
    impl.database.prepare("INSERT OR IGNORE INTO links (kind, owner, container, data) VALUES (?, ?, ?, ?)")
        .bind(1, link.kind)
        .bind(2, link.owner)
        .bind(3, link.container)
        .bind(4, link.data)
        .run();
    impl.wrote();
  };
  co_await impl.run(std::move(work));
}

async::Task<std::vector<DeferredLink>> Ledger::deferred(std::string kind, std::int64_t after_row,
                                                        std::size_t limit) {
  auto& impl = *impl_;
  auto work = [&impl, &kind, after_row, limit] {
    auto row = impl.database.prepare(
        "SELECT row, kind, owner, container, data FROM links WHERE kind = ? AND row > ? ORDER BY row LIMIT "
        "?");
    row.bind(1, kind).bind(2, after_row).bind(3, static_cast<std::int64_t>(limit));
    return read_links(row);
  };
  co_return co_await impl.thread.run(std::move(work));
}

async::Task<std::vector<std::string>> Ledger::deferred_for(std::string kind, std::string owner) {
  auto& impl = *impl_;
  auto work = [&impl, &kind, &owner] {
    auto row = impl.database.prepare("SELECT data FROM links WHERE kind = ? AND owner = ? ORDER BY row");
    row.bind(1, kind).bind(2, owner);
    std::vector<std::string> data;
    while (row.step()) data.emplace_back(row.text(0));
    return data;
  };
  co_return co_await impl.thread.run(std::move(work));
}

async::Task<std::vector<DeferredLink>> Ledger::deferred_to(std::string kind, std::string data) {
  auto& impl = *impl_;
  auto work = [&impl, &kind, &data] {
    auto row = impl.database.prepare(
        "SELECT row, kind, owner, container, data FROM links WHERE kind = ? AND data = ? ORDER BY row");
    row.bind(1, kind).bind(2, data);
    return read_links(row);
  };
  co_return co_await impl.thread.run(std::move(work));
}

async::Task<> Ledger::drop_deferred(std::int64_t row) {
  auto& impl = *impl_;
  auto work = [&impl, row] {
    impl.database.prepare("DELETE FROM links WHERE row = ?").bind(1, row).run();
    impl.wrote();
  };
  co_await impl.run(std::move(work));
}

async::Task<> Ledger::defer_delete(DeleteKind kind, std::string destination_id) {
  auto& impl = *impl_;
  auto work = [&impl, kind, &destination_id] {
    impl.database.prepare("INSERT OR IGNORE INTO deletes VALUES (?, ?)")
        .bind(1, static_cast<std::int64_t>(kind))
        .bind(2, destination_id)
        .run();
    impl.wrote();
  };
  co_await impl.run(std::move(work));
}

async::Task<std::vector<std::string>> Ledger::deferred_deletes(DeleteKind kind) {
  auto& impl = *impl_;
  auto work = [&impl, kind] {
    auto row = impl.database.prepare("SELECT destination_id FROM deletes WHERE kind = ?");
    row.bind(1, static_cast<std::int64_t>(kind));
    std::vector<std::string> ids;
    while (row.step()) ids.emplace_back(row.text(0));
    return ids;
  };
  co_return co_await impl.thread.run(std::move(work));
}

async::Task<> Ledger::drop_delete(DeleteKind kind, std::string destination_id) {
  auto& impl = *impl_;
  auto work = [&impl, kind, &destination_id] {
    impl.database.prepare("DELETE FROM deletes WHERE kind = ? AND destination_id = ?")
        .bind(1, static_cast<std::int64_t>(kind))
        .bind(2, destination_id)
        .run();
    impl.wrote();
  };
  co_await impl.run(std::move(work));
}

async::Task<> Ledger::flush() {
  auto& impl = *impl_;
  auto work = [&impl] { impl.commit(); };
  co_await impl.thread.run(std::move(work));
}

}  // namespace mlferry::engine
