#pragma once
// SQLite with RAII and exceptions: just what the ledger and the catalog need. Blocking: call it on a worker
// pool, and use one Database from one thread at a time.

#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace mlferry::sqlite {

class Error : public std::runtime_error {
 public:
  Error(const std::string& text, int code) : std::runtime_error(text), code_(code) {}
  int code() const { return code_; }  // SQLite's extended result code

 private:
  int code_;
};

class Statement {
 public:
  Statement() = default;
  explicit Statement(sqlite3_stmt* handle);
  Statement(Statement&&) noexcept;
  Statement& operator=(Statement&&) noexcept;
  ~Statement();

  // Parameters are numbered from 1. Text and blobs are copied.
  Statement& bind(int index, std::string_view text);
  Statement& bind(int index, const char* text) { return bind(index, std::string_view(text)); }
  Statement& bind(int index, std::int64_t number);
  Statement& bind(int index, double number);
  Statement& bind_null(int index);
  Statement& bind_blob(int index, std::string_view bytes);

  // True: a row is there. False: done; the statement is reset and keeps no lock.
  bool step();
  // step() for statements without rows, then reset.
  void run();
  void reset();

  // Columns are numbered from 0. Views live until the next step or reset.
  std::string_view text(int column) const;
  std::int64_t number(int column) const;
  double real(int column) const;
  bool is_null(int column) const;

 private:
  sqlite3_stmt* handle_ = nullptr;
};

class Database {
 public:
  enum class Mode {
    create,     // read and write; made when missing
    read_only,  // immutable: the file must not change while it is open; defensive against hostile files
  };
  // Throws Error with the path in its text.
  Database(const std::string& path, Mode mode);
  Database(Database&&) noexcept;
  Database& operator=(Database&&) noexcept;
  ~Database();

  void execute(const std::string& sql);  // any number of statements, no rows
  Statement prepare(std::string_view sql);
  std::int64_t changes() const;

 private:
  sqlite3* handle_ = nullptr;
  std::string path_;
};

// BEGIN IMMEDIATE … COMMIT; rolls back when destroyed before commit().
class Transaction {
 public:
  explicit Transaction(Database& database);
  ~Transaction();
  void commit();

 private:
  Database* database_;
};

}  // namespace mlferry::sqlite
