#include "storage/sqlite/database.hpp"

#include <sqlite3.h>

#include <string>
#include <utility>

namespace mlferry::sqlite {

namespace {

constexpr int kBusyTimeoutMs = 10'000;
// No cell that we write comes near it; a hostile file must not make SQLite allocate its 1 GB default.
constexpr int kLargestCell = 128 << 20;

[[noreturn]] void fail(sqlite3* handle, const std::string& path, const std::string& operation) {
  int const code = handle != nullptr ? sqlite3_extended_errcode(handle) : SQLITE_NOMEM;
  const char* const text = handle != nullptr ? sqlite3_errmsg(handle) : "out of memory";
  throw Error(path + ": " + operation + ": " + text, code);
}

[[noreturn]] void fail(sqlite3_stmt* statement, const std::string& operation) {
  sqlite3* const handle = sqlite3_db_handle(statement);
  const char* const path = sqlite3_db_filename(handle, "main");
  fail(handle, path != nullptr && *path != '\0' ? path : "database", operation);
}

// A path inside a file: URI, where '?', '#' and '%' mean something else.
std::string uri_of(const std::string& path, const char* query) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string uri = path.starts_with('/') ? "file://" : "file:";  // else //x would be a host
  for (char const c : path) {
    if (c == '?' || c == '#' || c == '%') {
      auto const byte = static_cast<unsigned char>(c);
      uri += '%';
      uri += kHex[byte >> 4];
      uri += kHex[byte & 15];
    } else {
      uri += c;
    }
  }
  return uri + query;
}

void harden(sqlite3* handle) {
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_ENABLE_VIEW, 0, nullptr);
  sqlite3_limit(handle, SQLITE_LIMIT_ATTACHED, 0);
  sqlite3_exec(handle, "PRAGMA cell_size_check=ON; PRAGMA mmap_size=0", nullptr, nullptr, nullptr);
}

}  // namespace

Statement::Statement(sqlite3_stmt* handle) : handle_(handle) {}
Statement::Statement(Statement&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
Statement& Statement::operator=(Statement&& other) noexcept {
  if (this != &other) {
    sqlite3_finalize(handle_);
    handle_ = std::exchange(other.handle_, nullptr);
  }
  return *this;
}
Statement::~Statement() {
  sqlite3_finalize(handle_);
}

Statement& Statement::bind(int index, std::string_view text) {
  // A null pointer would bind NULL instead of the empty text.
  const char* const data = text.data() != nullptr ? text.data() : "";
  if (sqlite3_bind_text64(handle_, index, data, text.size(), SQLITE_TRANSIENT, SQLITE_UTF8) != SQLITE_OK) {
    fail(handle_, "bind text");
  }
  return *this;
}

Statement& Statement::bind(int index, std::int64_t number) {
  if (sqlite3_bind_int64(handle_, index, number) != SQLITE_OK) fail(handle_, "bind integer");
  return *this;
}

Statement& Statement::bind(int index, double number) {
  if (sqlite3_bind_double(handle_, index, number) != SQLITE_OK) fail(handle_, "bind real");
  return *this;
}

Statement& Statement::bind_null(int index) {
  if (sqlite3_bind_null(handle_, index) != SQLITE_OK) fail(handle_, "bind null");
  return *this;
}

Statement& Statement::bind_blob(int index, std::string_view bytes) {
  const char* const data = bytes.data() != nullptr ? bytes.data() : "";
  if (sqlite3_bind_blob64(handle_, index, data, bytes.size(), SQLITE_TRANSIENT) != SQLITE_OK) {
    fail(handle_, "bind blob");
  }
  return *this;
}

bool Statement::step() {
  int const code = sqlite3_step(handle_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) {
    sqlite3_reset(handle_);
    return false;
  }
  const char* const sql = sqlite3_sql(handle_);
  std::string const operation = sql != nullptr ? std::string(sql).substr(0, 60) : "step";
  sqlite3* const handle = sqlite3_db_handle(handle_);
  const char* const path = sqlite3_db_filename(handle, "main");
  Error const error((path != nullptr && *path != '\0' ? std::string(path) : std::string("database")) + ": " +
                        operation + ": " + sqlite3_errmsg(handle),
                    sqlite3_extended_errcode(handle));
  sqlite3_reset(handle_);  // a failed statement must not keep its lock
  throw error;
}

void Statement::run() {
  while (step()) {
  }
}

void Statement::reset() {
  sqlite3_reset(handle_);
}

std::string_view Statement::text(int column) const {
  const void* data = nullptr;
  if (sqlite3_column_type(handle_, column) == SQLITE_BLOB) {
    data = sqlite3_column_blob(handle_, column);
  } else {
    data = sqlite3_column_text(handle_, column);
  }
  if (data == nullptr) return {};
  return {static_cast<const char*>(data), static_cast<std::size_t>(sqlite3_column_bytes(handle_, column))};
}

std::int64_t Statement::number(int column) const {
  return sqlite3_column_int64(handle_, column);
}
double Statement::real(int column) const {
  return sqlite3_column_double(handle_, column);
}
bool Statement::is_null(int column) const {
  return sqlite3_column_type(handle_, column) == SQLITE_NULL;
}

Database::Database(const std::string& path, Mode mode) : path_(path) {
  bool const read_only = mode == Mode::read_only;
  // immutable: no locks, no journal is looked for. A hot journal beside a hostile catalog would be replayed.
  std::string const name = uri_of(path, read_only ? "?immutable=1" : "");
  int const flags = SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE |
                    (read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  if (sqlite3_open_v2(name.c_str(), &handle_, flags, nullptr) != SQLITE_OK) {
    try {
      fail(handle_, path_, "open");
    } catch (...) {
      sqlite3_close_v2(std::exchange(handle_, nullptr));
      throw;
    }
  }
  sqlite3_limit(handle_, SQLITE_LIMIT_LENGTH, kLargestCell);
  sqlite3_busy_timeout(handle_, kBusyTimeoutMs);
  if (read_only) harden(handle_);
}

Database::Database(Database&& other) noexcept
    : handle_(std::exchange(other.handle_, nullptr)), path_(std::move(other.path_)) {}
Database& Database::operator=(Database&& other) noexcept {
  if (this != &other) {
    sqlite3_close_v2(handle_);
    handle_ = std::exchange(other.handle_, nullptr);
    path_ = std::move(other.path_);
  }
  return *this;
}
// close_v2: statements that live a little longer keep the connection until they end.
Database::~Database() {
  sqlite3_close_v2(handle_);
}

void Database::execute(const std::string& sql) {
  if (sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) {
    fail(handle_, path_, sql.substr(0, 60));
  }
}

Statement Database::prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT,
                         &statement, nullptr) != SQLITE_OK) {
    fail(handle_, path_, std::string(sql.substr(0, 60)));
  }
  if (statement == nullptr) throw Error(path_ + ": prepare: empty statement", SQLITE_MISUSE);
  return Statement(statement);
}

std::int64_t Database::changes() const {
  return sqlite3_changes64(handle_);
}

Transaction::Transaction(Database& database) : database_(&database) {
  database_->execute("BEGIN IMMEDIATE");
}

Transaction::~Transaction() {
  if (database_ == nullptr) return;
  try {
    database_->execute("ROLLBACK");
  } catch (const Error&) {
    // SQLite has rolled back already: errors such as a full disk end the transaction by themselves.
  }
}

void Transaction::commit() {
  database_->execute("COMMIT");
  database_ = nullptr;
}

}  // namespace mlferry::sqlite
