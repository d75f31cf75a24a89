#include "storage/sqlite/database.hpp"

#include <filesystem>

#include <doctest/doctest.h>

#include "support/archive_fixture.hpp"

using namespace mlferry;
using sqlite::Database;

TEST_SUITE("storage") {
  TEST_CASE("sqlite: values of every type come back") {
    test::ScratchFolder folder;
    auto const path = (folder.path() / "a%41?b#c.db").string();
    {
      Database db(path, Database::Mode::create);
      db.execute("CREATE TABLE t(a, b, c, d, e)");
      auto insert = db.prepare("INSERT INTO t VALUES(?,?,?,?,?)");
      insert.bind(1, "text")
          .bind(2, std::int64_t{-5})
          .bind(3, 0.1)
          .bind_null(4)
          .bind_blob(5, std::string_view("\0x", 2));
      insert.run();
      insert.bind(1, std::string_view()).run();  // the empty text is no NULL, and a statement runs again
      CHECK(db.changes() == 1);
    }
    CHECK(std::filesystem::exists(path));
    Database db(path, Database::Mode::read_only);
    auto row = db.prepare("SELECT a,b,c,d,e FROM t ORDER BY rowid");
    REQUIRE(row.step());
    CHECK(row.text(0) == "text");
    CHECK(row.number(1) == -5);
    CHECK(row.real(2) == 0.1);
    CHECK(row.is_null(3));
    CHECK(row.text(3).empty());
    CHECK(row.text(4) == std::string_view("\0x", 2));
    REQUIRE(row.step());
    CHECK(row.text(0).empty());
    CHECK_FALSE(row.is_null(0));
    CHECK_FALSE(row.step());
    CHECK_THROWS_AS(db.execute("INSERT INTO t(a) VALUES(1)"), sqlite::Error);
    CHECK_THROWS_AS(db.execute("ATTACH '" + (folder.path() / "x").string() + "' AS x"), sqlite::Error);
  }

  TEST_CASE("sqlite: a transaction that is not committed did not happen") {
    Database db(":memory:", Database::Mode::create);
    db.execute("CREATE TABLE t(a UNIQUE)");
    {
      sqlite::Transaction transaction(db);
      db.execute("INSERT INTO t VALUES(1)");
    }
    {
      sqlite::Transaction transaction(db);
      db.execute("INSERT INTO t VALUES(2)");
      transaction.commit();
    }
    auto count = db.prepare("SELECT sum(a) FROM t");
    REQUIRE(count.step());
    CHECK(count.number(0) == 2);
  }

  TEST_CASE("sqlite: errors name the file, carry the code, and leave the statement usable") {
    test::ScratchFolder folder;
    CHECK_THROWS_AS(Database((folder.path() / "none.db").string(), Database::Mode::read_only), sqlite::Error);
    auto const path = (folder.path() / "db").string();
    Database db(path, Database::Mode::create);
    db.execute("CREATE TABLE t(a UNIQUE)");
    auto insert = db.prepare("INSERT INTO t VALUES(?)");
    insert.bind(1, "x").run();
    try {
      insert.bind(1, "x").run();
      FAIL_CHECK("UNIQUE did not hold");
    } catch (const sqlite::Error& error) {
      CHECK(std::string(error.what()).find(path) != std::string::npos);
      CHECK((error.code() & 0xff) == 19);  // SQLITE_CONSTRAINT
    }
    insert.bind(1, "y").run();
    CHECK_THROWS_AS(db.prepare("SELECT nonsense FROM t"), sqlite::Error);
    CHECK_THROWS_AS(db.prepare(""), sqlite::Error);
  }
}
