#include "engine/ledger.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <csignal>

#include <filesystem>
#include <map>
#include <random>

#include "async/sleep.hpp"
#include "async/task_group.hpp"
#include "support/archive_fixture.hpp"
#include "support/run.hpp"

using namespace mlferry;
using namespace mlferry::engine;
namespace fs = std::filesystem;

namespace {

struct Fixture {
  std::string folder() const { return (scratch.path() / "job").string(); }
  std::unique_ptr<Ledger> open(std::string job = "a -> b") {
    return std::make_unique<Ledger>(folder(), std::move(job));
  }
  // The state that a killed process leaves: what the operating system had been given by then.
  std::string killed(const std::string& name) {
    auto const to = scratch.path() / name;
    fs::create_directories(to);
    for (auto const* file : {"ledger.sqlite", "ledger.sqlite-wal"}) {
      if (fs::exists(folder() + "/" + file)) fs::copy_file(folder() + "/" + file, to / file);
    }
    return to.string();
  }
  template <class T>
  T run(async::Task<T> task) {
    return test::run(context, std::move(task));
  }
  void run(async::Task<> task) { test::run(context, std::move(task)); }

  test::ScratchFolder scratch;
  boost::asio::io_context context;
};

LedgerKey run_key(std::string id, std::string container = "1") {
  return {Kind::run, std::move(id), std::move(container)};
}
LedgerEntry seen(std::string destination, std::string data = "") {
  return {std::move(destination), false, "", true, false, std::move(data)};
}

}  // namespace

TEST_SUITE("engine") {
  TEST_CASE("ledger: finds what was put, by kind, source and container") {
    Fixture fixture;
    auto ledger = fixture.open();
    CHECK_FALSE(fixture.run(ledger->find(run_key("r"))));
    fixture.run(ledger->put(run_key("r"), {"d", true, "f", true, true, "{}"}));
    auto const entry = fixture.run(ledger->find(run_key("r")));
    REQUIRE(entry);
    CHECK(entry->destination_id == "d");
    CHECK(entry->done);
    CHECK(entry->fingerprint == "f");
    CHECK(entry->seen);
    CHECK(entry->deleted);
    CHECK(entry->data == "{}");
    CHECK_FALSE(fixture.run(ledger->find(run_key("r", "2"))));
    CHECK_FALSE(fixture.run(ledger->find(run_key("q"))));
    CHECK_FALSE(fixture.run(ledger->find({Kind::logged_model, "r", "1"})));
    auto const anywhere = fixture.run(ledger->find_anywhere(Kind::run, "r"));
    REQUIRE(anywhere);
    CHECK(anywhere->destination_id == "d");
    CHECK_FALSE(fixture.run(ledger->find_anywhere(Kind::logged_model, "r")));
  }

  TEST_CASE("ledger: opened again it knows everything, but has seen nothing of it yet") {
    Fixture fixture;
    {
      auto ledger = fixture.open();
      fixture.run(ledger->put(run_key("r"), seen("d", "data")));
      fixture.run(ledger->set_done(run_key("r"), "f"));
    }
    auto ledger = fixture.open();
    auto entry = fixture.run(ledger->find(run_key("r")));
    REQUIRE(entry);
    CHECK(entry->done);
    CHECK(entry->fingerprint == "f");
    CHECK_FALSE(entry->seen);
    // Met again in the destination: complete still, and as it was then.
    fixture.run(ledger->put(run_key("r"), seen("d")));
    entry = fixture.run(ledger->find(run_key("r")));
    CHECK(entry->seen);
    CHECK(entry->done);
    CHECK(entry->fingerprint == "f");
    CHECK(entry->data == "data");
    // Another copy says nothing about this one's completeness.
    fixture.run(ledger->put(run_key("r"), seen("other")));
    entry = fixture.run(ledger->find(run_key("r")));
    CHECK(entry->destination_id == "other");
    CHECK_FALSE(entry->done);
    CHECK(entry->fingerprint.empty());
  }

  TEST_CASE("ledger: an entry that was put as not seen is not seen") {
    Fixture fixture;
    auto ledger = fixture.open();
    auto entry = seen("d");
    entry.seen = false;
    fixture.run(ledger->put(run_key("r"), entry));
    CHECK_FALSE(fixture.run(ledger->find(run_key("r")))->seen);
    fixture.run(ledger->set_done(run_key("r"), "f"));  // done in this job: so it was seen
    CHECK(fixture.run(ledger->find(run_key("r")))->seen);
  }

  TEST_CASE("ledger: of several containers, find_anywhere takes the one seen in this job") {
    Fixture fixture;
    {
      auto ledger = fixture.open();
      fixture.run(ledger->put(run_key("r", "1"), seen("in 1")));
      fixture.run(ledger->put(run_key("r", "2"), seen("in 2")));
      fixture.run(ledger->set_done(run_key("r", "2"), "f"));
      CHECK(fixture.run(ledger->find_anywhere(Kind::run, "r"))->destination_id == "in 2");
    }
    auto ledger = fixture.open();
    fixture.run(ledger->put(run_key("r", "1"), seen("in 1")));
    auto const entry = fixture.run(ledger->find_anywhere(Kind::run, "r"));
    CHECK(entry->destination_id == "in 1");
    CHECK(entry->seen);
  }

  TEST_CASE("ledger: locked while it is open, free afterwards") {
    Fixture fixture;
    auto ledger = fixture.open();
    CHECK_THROWS_AS(fixture.open(), LedgerLocked);
    ledger.reset();
    CHECK_NOTHROW(fixture.open());
  }

  TEST_CASE("ledger: locked against another process, and free when that is killed") {
    Fixture fixture;
    fs::create_directories(fixture.folder());
    int ready[2];
    REQUIRE(::pipe(ready) == 0);
    auto const child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {  // only what is safe after a fork
      auto const lock = ::open((fixture.folder() + "/lock").c_str(), O_RDWR | O_CREAT, 0600);
      char const byte = lock >= 0 && ::flock(lock, LOCK_EX | LOCK_NB) == 0 ? 'y' : 'n';
      if (::write(ready[1], &byte, 1) != 1) ::_exit(1);
      while (true) ::pause();
    }
    char byte = 0;
    REQUIRE(::read(ready[0], &byte, 1) == 1);
    ::close(ready[0]);
    ::close(ready[1]);
    CHECK(byte == 'y');
    CHECK_THROWS_AS(fixture.open(), LedgerLocked);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    CHECK_NOTHROW(fixture.open());
  }

  TEST_CASE("ledger: another job's folder is refused, and stays as it is") {
    Fixture fixture;
    {
      auto ledger = fixture.open("a -> b");
      fixture.run(ledger->put(run_key("r"), seen("d")));
    }
    std::string text;
    try {
      fixture.open("a -> c");
    } catch (const std::runtime_error& error) {
      text = error.what();
    }
    CHECK(text.find("a -> b") != std::string::npos);
    CHECK(text.find("--state-dir") != std::string::npos);
    auto ledger = fixture.open("a -> b");
    CHECK(fixture.run(ledger->find(run_key("r"))));
  }

  TEST_CASE("ledger: a killed writer keeps what was flushed and a beginning of the rest") {
    Fixture fixture;
    auto ledger = fixture.open();
    for (int i = 0; i < 50; ++i) fixture.run(ledger->put(run_key("early" + std::to_string(i)), seen("d")));
    fixture.run(ledger->flush());
    for (int i = 0; i < 700; ++i) fixture.run(ledger->put(run_key("late" + std::to_string(i)), seen("d")));
    auto const folder = fixture.killed("killed");
    Ledger after(folder, "a -> b");
    for (int i = 0; i < 50; ++i) CHECK(fixture.run(after.find(run_key("early" + std::to_string(i)))));
    int kept = 0;
    while (kept < 700 && fixture.run(after.find(run_key("late" + std::to_string(kept))))) ++kept;
    CHECK(kept >= 500);  // a commit every 500 writes
    for (int i = kept; i < 700; ++i)
      CHECK_FALSE(fixture.run(after.find(run_key("late" + std::to_string(i)))));
  }

  TEST_CASE("ledger: writes become durable within a second and the next write") {
    Fixture fixture;
    auto ledger = fixture.open();
    fixture.run(ledger->put(run_key("first"), seen("d")));
    fixture.run(async::sleep_for(std::chrono::milliseconds(1050)));
    fixture.run(ledger->put(run_key("second"), seen("d")));
    Ledger after(fixture.killed("killed"), "a -> b");
    CHECK(fixture.run(after.find(run_key("first"))));
  }

  TEST_CASE("ledger: destroying it loses nothing") {
    Fixture fixture;
    fixture.run(fixture.open()->put(run_key("r"), seen("d")));
    CHECK(fixture.run(fixture.open()->find(run_key("r"))));
  }

  TEST_CASE("ledger: a damaged database is an error, not an empty ledger") {
    Fixture fixture;
    fixture.run(fixture.open()->put(run_key("r"), seen("d")));
    for (auto const* file : {"ledger.sqlite-wal", "ledger.sqlite-shm"})
      fs::remove(fixture.folder() + "/" + file);
    test::write_file(fixture.folder() + "/ledger.sqlite", std::string(8192, 'x'));
    CHECK_THROWS_AS(fixture.open(), sqlite::Error);
  }

  TEST_CASE("ledger: links wait until they are dropped, each once") {
    Fixture fixture;
    {
      auto ledger = fixture.open();
      for (int twice = 0; twice < 2; ++twice) {
        for (int i = 0; i < 5; ++i)
          fixture.run(ledger->defer({0, "parent", "r" + std::to_string(i), "1", "p"}));
      }
      fixture.run(ledger->defer({0, "input", "r0", "1", "m-1"}));
      fixture.run(ledger->defer({0, "input", "r0", "2", "m-1"}));
    }
    auto ledger = fixture.open();
    auto const first = fixture.run(ledger->deferred("parent", 0, 3));
    REQUIRE(first.size() == 3);
    auto const rest = fixture.run(ledger->deferred("parent", first.back().row, 3));
    REQUIRE(rest.size() == 2);
    CHECK(first[0].kind == "parent");
    CHECK(first[0].owner == "r0");
    CHECK(first[0].container == "1");
    CHECK(first[0].data == "p");
    CHECK(rest[1].owner == "r4");
    CHECK(fixture.run(ledger->deferred("parent", rest.back().row, 3)).empty());
    CHECK(fixture.run(ledger->deferred_for("input", "r0")).size() == 2);
    CHECK(fixture.run(ledger->deferred_for("input", "r1")).empty());
    CHECK(fixture.run(ledger->deferred_for("output", "r0")).empty());
    auto const to = fixture.run(ledger->deferred_to("input", "m-1"));
    REQUIRE(to.size() == 2);
    CHECK(to[0].owner == "r0");
    CHECK(to[1].container == "2");
    CHECK(fixture.run(ledger->deferred_to("input", "m-2")).empty());
    CHECK(fixture.run(ledger->deferred_to("output", "m-1")).empty());
    for (auto const& link : first) fixture.run(ledger->drop_deferred(link.row));
    CHECK(fixture.run(ledger->deferred("parent", 0, 100)).size() == 2);
    CHECK(fixture.run(ledger->deferred("input", 0, 100)).size() == 2);
  }

  TEST_CASE("ledger: deletes wait until they are dropped, each once") {
    Fixture fixture;
    {
      auto ledger = fixture.open();
      fixture.run(ledger->defer_delete(DeleteKind::run, "a"));
      fixture.run(ledger->defer_delete(DeleteKind::run, "a"));
      fixture.run(ledger->defer_delete(DeleteKind::run, "b"));
      fixture.run(ledger->defer_delete(DeleteKind::experiment, "a"));
    }
    auto ledger = fixture.open();
    auto const ids = fixture.run(ledger->deferred_deletes(DeleteKind::run));
    CHECK(ids == std::vector<std::string>{"a", "b"});
    fixture.run(ledger->drop_delete(DeleteKind::run, "a"));
    CHECK(fixture.run(ledger->deferred_deletes(DeleteKind::run)) == std::vector<std::string>{"b"});
    CHECK(fixture.run(ledger->deferred_deletes(DeleteKind::experiment)) == std::vector<std::string>{"a"});
    CHECK(fixture.run(ledger->deferred_deletes(DeleteKind::logged_model)).empty());
  }

  TEST_CASE("ledger: calls that overlap are carried out one by one") {
    Fixture fixture;
    auto ledger = fixture.open();
    auto one = [](Ledger& ledger, int i) -> async::Task<> {
      auto const id = std::to_string(i);
      co_await ledger.put(run_key(id), seen("d" + id));
      auto const entry = co_await ledger.find(run_key(id));
      CHECK(entry->destination_id == "d" + id);
      co_await ledger.set_done(run_key(id), "f" + id);
      co_await ledger.defer({0, "parent", id, "1", "p"});
    };
    auto body = [&](async::TaskGroup& tasks) -> async::Task<> {
      for (int i = 0; i < 300; ++i) tasks.spawn(one(*ledger, i));
      co_return;
    };
    fixture.run(async::with_task_group(fixture.context.get_executor(), body));
    for (int i = 0; i < 300; ++i) {
      auto const entry = fixture.run(ledger->find(run_key(std::to_string(i))));
      REQUIRE(entry);
      CHECK(entry->done);
      CHECK(entry->fingerprint == "f" + std::to_string(i));
    }
    CHECK(fixture.run(ledger->deferred("parent", 0, 1000)).size() == 300);
  }

  TEST_CASE("ledger: the logged models of a container, from earlier jobs too") {
    Fixture fixture;
    fixture.run(fixture.open()->put({Kind::logged_model, "m-1", "1"}, seen("d")));
    auto ledger = fixture.open();
    fixture.run(ledger->put({Kind::logged_model, "m-2", "1"}, seen("e")));
    fixture.run(ledger->put({Kind::logged_model, "m-3", "2"}, seen("f")));
    fixture.run(ledger->put(run_key("r"), seen("g")));
    auto ids = fixture.run(ledger->logged_models_of("1"));
    std::sort(ids.begin(), ids.end());
    CHECK(ids == std::vector<std::string>{"m-1", "m-2"});
    fixture.run(ledger->defer({0, "input", "r", "1", "m-4"}));
    fixture.run(ledger->defer({0, "input", "q", "1", "m-1"}));
    fixture.run(ledger->defer({0, "output", "r", "1", "m-5"}));
    CHECK(fixture.run(ledger->logged_models_of("1")).size() == 3);
    CHECK(fixture.run(ledger->logged_models_of("3")).empty());
  }

  TEST_CASE("ledger: what an emptied destination held is forgotten, durably") {
    Fixture fixture;
    auto ledger = fixture.open();
    LedgerKey const trace{Kind::trace, "tr-1", "7"}, file{Kind::artifact, "a.bin", "tr-1"};
    LedgerKey const other{Kind::artifact, "a.bin", "tr-2"};
    for (auto const& key : {trace, file, other}) fixture.run(ledger->put(key, {"tr-1", true, "f", true, false, ""}));
    fixture.run(ledger->forget_lost(trace, "tr-1"));
    Ledger after(fixture.killed("after"), "a -> b");
    CHECK(!fixture.run(after.find(trace)));
    CHECK(!fixture.run(after.find(file)));
    CHECK(fixture.run(after.find(other)));
    fixture.run(ledger->put(trace, seen("tr-1")));
    CHECK(!fixture.run(ledger->find(trace))->done);
  }

  TEST_CASE("ledger: many entries at once") {
    Fixture fixture;
    auto ledger = fixture.open();
    std::vector<std::pair<LedgerKey, LedgerEntry>> entries;
    for (int i = 0; i < 3000; ++i) entries.emplace_back(run_key(std::to_string(i)), seen("d"));
    fixture.run(ledger->put_all(std::move(entries)));
    fixture.run(ledger->put_all({}));
    CHECK(fixture.run(ledger->find(run_key("2999"))));
  }
}
