#include "storage/tree/object_folder.hpp"
#include "storage/tree/tree_reader.hpp"

#include <filesystem>
#include <set>

#include <doctest/doctest.h>

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storage/backend/backend.hpp"
#include "storage/tree/names.hpp"
#include "support/archive_fixture.hpp"

namespace fs = std::filesystem;
using namespace mlferry;
using test::read_file;
using test::write_file;

namespace {

struct Tree {
  test::ScratchFolder scratch;
  boost::asio::io_context loop;
  async::WorkerPool pool{2};
  std::string path = (scratch.path() / "tree").string();

  template <class T>
  T run(async::Task<T> task) {
    return test::run(loop, std::move(task));
  }
  void run(async::Task<> task) { test::run(loop, std::move(task)); }
  fs::path at(const std::string& name) const { return fs::path(path) / name; }
  // All files but our own, with their content.
  std::map<std::string, std::string> files() const {
    std::map<std::string, std::string> out;
    for (auto const& entry : fs::recursive_directory_iterator(path)) {
      auto const name = fs::relative(entry.path(), path).string();
      if (entry.is_regular_file() && name != ".mlferry/lock") out[name] = read_file(entry.path());
    }
    return out;
  }
};

async::Task<> put(tree::TreeWriter& writer, std::string name, std::string text) {
  auto folder = co_await writer.begin();
  async::MemoryReader reader(text);
  auto const written = co_await folder->put_file("artifacts/deep/er/a.bin", reader);
  CHECK(written.size == text.size());
  co_await folder->put_json(
      "run.json", [&text](tree::JsonWriter& json) { json.value(boost::json::object{{"t", text}}); });
  co_await folder->commit(name);
}

class BreakingReader final : public async::ByteReader {
 public:
  async::Task<std::size_t> read_some(std::span<std::byte> buffer) override {
    if (std::exchange(begun_, true)) throw std::runtime_error("the source broke");
    buffer[0] = std::byte{1};
    co_return 1;
  }

 private:
  bool begun_ = false;
};

}  // namespace

TEST_SUITE("storage") {
  TEST_CASE("tree names: names of folders stay what they are where they can") {
    for (std::string const name :
         {"wine", "a b", "100%", "a%zz", "caf\xc3\xa9", "a.b", "x'y\"z", "sk_learn-1"})
      CHECK(tree::safe_name(name) == name);
    CHECK(tree::safe_name("a/b") == "a%2Fb");
    CHECK(tree::safe_name("a%2Fb") == "a%252Fb");
    CHECK(tree::safe_name("..") == "%2E.");
    CHECK(tree::safe_name("../../etc/passwd") == "%2E.%2F..%2Fetc%2Fpasswd");
    CHECK(tree::safe_name("") == "%");
    CHECK(tree::safe_name("a\nb\\") == "a%0Ab%5C");
    auto const one = std::string(300, 'x') + "1", two = std::string(300, 'x') + "2";
    CHECK(tree::safe_name(one) != tree::safe_name(two));
    std::set<std::string> seen;
    for (std::string const name : {"", "%", ".", "..", "a/b", "a%2Fb", "a%252Fb", "a\\b", "%2E"}) {
      auto const safe = tree::safe_name(name);
      CAPTURE(safe);
      CHECK(tree::is_plain_part(safe));
      if (name != "%") CHECK(seen.insert(safe).second);
    }
    CHECK(tree::is_plain_part(tree::safe_name(one)));
    CHECK(tree::is_plain_part(tree::safe_name(std::string(200, '\x01'))));
    for (std::string const bad : {"", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "./a"})
      CHECK_FALSE(tree::is_plain_path(bad));
    CHECK_FALSE(tree::is_plain_path(std::string("a\0b", 3)));
    CHECK_FALSE(tree::is_plain_part(std::string(256, 'a')));
    CHECK(tree::is_plain_path("..a/b..c/..."));
  }

  TEST_CASE("object folder: appears whole at commit, and takes the place of an older one") {
    Tree t;
    tree::TreeWriter writer(t.pool, t.path);
    t.run(writer.open());
    t.run(put(writer, "experiments/1/runs/r", "first"));
    t.run(put(writer, "experiments/1/runs/r", "second"));
    CHECK(t.files() == std::map<std::string, std::string>{
                           {"experiments/1/runs/r/artifacts/deep/er/a.bin", "second"},
                           {"experiments/1/runs/r/run.json", "{\n  \"t\": \"second\"\n}\n"}});
    CHECK(fs::is_empty(t.at(".mlferry/tmp")));
    t.run(writer.put_json("x/list.json", [](tree::JsonWriter& json) { json.value(boost::json::object{}); }));
    t.run(writer.put_json("x/list.json",
                          [](tree::JsonWriter& json) { json.value(boost::json::object{{"a", 1}}); }));
    CHECK(read_file(t.at("x/list.json")) == "{\n  \"a\": 1\n}\n");
    t.run(writer.remove_file("x/list.json"));
    t.run(writer.remove_file("x/list.json"));
    CHECK_FALSE(fs::exists(t.at("x/list.json")));
  }

  TEST_CASE("object folder: without a commit there is nothing, and what breaks leaves no part of a file") {
    Tree t;
    tree::TreeWriter writer(t.pool, t.path);
    t.run(writer.open());
    auto broken = [](tree::TreeWriter& writer) -> async::Task<> {
      auto folder = co_await writer.begin();
      BreakingReader reader;
      co_await folder->put_file("artifacts/a", reader);
    };
    CHECK_THROWS_WITH(t.run(broken(writer)), "the source broke");
    CHECK(t.files().empty());
    CHECK(fs::is_empty(t.at(".mlferry/tmp")));
    auto partly = [](tree::TreeWriter& writer) -> async::Task<> {
      auto folder = co_await writer.begin();
      BreakingReader bad;
      std::exception_ptr failure;
      try {
        co_await folder->put_file("artifacts/a", bad);
      } catch (...) {
        failure = std::current_exception();
      }
      CHECK(failure != nullptr);
      async::MemoryReader good("good");
      co_await folder->put_file("artifacts/b", good);
      co_await folder->commit("r");
    };
    t.run(partly(writer));
    CHECK(t.files() == std::map<std::string, std::string>{{"r/artifacts/b", "good"}});
  }

  TEST_CASE("object folder: no path leads out of it") {
    Tree t;
    tree::TreeWriter writer(t.pool, t.path);
    t.run(writer.open());
    for (std::string const path : {"../a", "/etc/passwd", "a/../../b", "", "a//b", "."}) {
      CAPTURE(path);
      auto bad = [](tree::TreeWriter& writer, std::string path) -> async::Task<> {
        auto folder = co_await writer.begin();
        async::MemoryReader reader("x");
        co_await folder->put_file(path, reader);
      };
      CHECK_THROWS_AS(t.run(bad(writer, path)), std::runtime_error);
      CHECK_THROWS_AS(t.run(put(writer, path, "x")), std::runtime_error);
    }
    // A link in the tree is not followed either.
    fs::create_directory(t.scratch.path() / "outside");
    fs::create_directory_symlink(t.scratch.path() / "outside", t.at("runs"));
    CHECK_THROWS_AS(t.run(put(writer, "runs/r", "x")), std::system_error);
    CHECK(fs::is_empty(t.scratch.path() / "outside"));
  }

  TEST_CASE("tree writer: one at a time, and what a killed one left goes away") {
    Tree t;
    fs::create_directories(t.at(".mlferry/tmp/12-34/artifacts"));
    write_file(t.at(".mlferry/tmp/12-34/artifacts/a"), "half");
    auto writer = std::make_unique<tree::TreeWriter>(t.pool, t.path);
    t.run(writer->open());
    CHECK(fs::is_empty(t.at(".mlferry/tmp")));
    tree::TreeWriter second(t.pool, t.path);
    CHECK_THROWS_AS(t.run(second.open()), backend::Locked);
    writer.reset();
    CHECK_NOTHROW(t.run(second.open()));
  }

  TEST_CASE("object folder: a process killed in the middle leaves no folder under its name") {
    Tree t;
    for (int moment = 0; moment < 2; ++moment) {
      auto const child = ::fork();
      if (child == 0) {
        boost::asio::io_context loop;
        async::WorkerPool pool{1};
        auto job = [](async::WorkerPool& pool, std::string path, int moment) -> async::Task<> {
          tree::TreeWriter writer(pool, path);
          co_await writer.open();
          auto folder = co_await writer.begin();
          co_await folder->put_json("run.json",
                                    [](tree::JsonWriter& json) { json.value(boost::json::object{}); });
          if (moment == 0) ::_exit(7);
          async::MemoryReader reader("x");
          co_await folder->put_file("artifacts/a", reader);
          ::_exit(7);
        };
        test::run(loop, job(pool, t.path, moment));
        ::_exit(1);
      }
      int status = 0;
      REQUIRE(::waitpid(child, &status, 0) == child);
      CHECK(WEXITSTATUS(status) == 7);
      CHECK(fs::exists(t.at(".mlferry/tmp")));
      for (auto const& entry : fs::directory_iterator(t.path)) CHECK(entry.path().filename() == ".mlferry");
    }
  }

  TEST_CASE("tree reader: paths, links, sizes") {
    Tree t;
    fs::create_directories(t.at("a/b"));
    write_file(t.at("a/f"), "hello");
    write_file(t.at("a/b/g"), "");
    write_file(t.scratch.path() / "secret", "secret");
    fs::create_symlink(t.scratch.path() / "secret", t.at("a/link"));
    fs::create_directory_symlink(t.scratch.path(), t.at("out"));
    REQUIRE(::mkfifo(t.at("a/pipe").c_str(), 0600) == 0);
    tree::TreeReader reader(t.pool, t.path);
    CHECK(t.run(reader.read("a/f", 5)) == "hello");
    CHECK_THROWS_WITH_AS(t.run(reader.read("a/f", 4)), doctest::Contains("a/f: has 5 bytes, more than the 4"),
                         tree::TreeError);
    CHECK_THROWS_WITH_AS(t.run(reader.read("a/none", 4)), doctest::Contains("a/none: missing"),
                         tree::TreeError);
    CHECK_THROWS_WITH_AS(t.run(reader.read("a/link", 100)), doctest::Contains("symbolic link"),
                         tree::TreeError);
    CHECK_THROWS_AS(t.run(reader.read("a/pipe", 100)), tree::TreeError);
    CHECK_THROWS_AS(t.run(reader.read("a/b", 100)), tree::TreeError);
    CHECK_THROWS_WITH_AS(t.run(reader.read("out/secret", 100)), doctest::Contains("symbolic link"),
                         tree::TreeError);
    for (std::string const bad : {"../secret", "/etc/passwd", "a/../../secret", "a//f", ""}) {
      CAPTURE(bad);
      CHECK_THROWS_AS(t.run(reader.read(bad, 100)), tree::TreeError);
      if (!bad.empty()) CHECK_THROWS_AS(t.run(reader.list(bad)), tree::TreeError);
      CHECK_THROWS_AS(t.run(reader.open(bad, 6)), tree::TreeError);
    }
    auto const listing = t.run(reader.list("a"));
    REQUIRE(listing);
    CHECK(listing->folders == std::vector<std::string>{"b"});
    CHECK(listing->files == std::vector<std::string>{"f"});
    CHECK_FALSE(t.run(reader.list("none")));
    CHECK_FALSE(t.run(reader.find("a/none")));
    auto const files = t.run(reader.files_below("a"));
    REQUIRE(files.files.size() == 2);
    CHECK(files.files[0].path == "f");
    CHECK(files.files[1].path == "b/g");
    REQUIRE(files.problems.size() == 2);
    CHECK(files.problems[0].first == "link");
    CHECK(files.problems[1].first == "pipe");
    CHECK_THROWS_WITH_AS(t.run(reader.open("a/f", 4)), doctest::Contains("it changed"), tree::TreeError);
    auto read = [](tree::TreeReader& reader) -> async::Task<std::string> {
      auto file = co_await reader.open("a/f", 5);
      co_return co_await async::read_all(*file, 100, "f");
    };
    CHECK(t.run(read(reader)) == "hello");
  }

  TEST_CASE("tree reader: the end of a file from a marker on, however long it is") {
    Tree t;
    fs::create_directories(t.path);
    tree::TreeReader reader(t.pool, t.path);
    for (std::size_t const before : {0u, 1u, 16'380u, 16'384u, 70'000u}) {
      for (std::size_t const behind : {0u, 16'381u, 70'000u}) {
        write_file(t.at("f"), "<m>" + std::string(before, 'a') + "<m>" + std::string(behind, 'b'));
        auto const end = t.run(reader.read_end("f", "<m>", 1 << 20));
        REQUIRE(end);
        CHECK(*end == "<m>" + std::string(behind, 'b'));
      }
    }
    CHECK_FALSE(t.run(reader.read_end("f", "<x>", 1 << 20)));
    CHECK_FALSE(t.run(reader.read_end("f", "<m>", 1000)));
    CHECK_FALSE(t.run(reader.read_end("none", "<m>", 1000)));
    write_file(t.at("f"), "");
    CHECK_FALSE(t.run(reader.read_end("f", "<m>", 1000)));
  }

  TEST_CASE("tree reader: a folder nested without end is a problem, not a crash") {
    Tree t;
    auto folder = fs::path(t.path);
    for (int i = 0; i < 105; ++i) folder /= "d";
    fs::create_directories(folder);
    write_file(folder / "f", "x");
    tree::TreeReader reader(t.pool, t.path);
    auto const files = t.run(reader.files_below(""));
    CHECK(files.files.empty());
    REQUIRE(files.problems.size() == 1);
    CHECK(files.problems[0].second.find("deep") != std::string::npos);
  }

  TEST_CASE("tree folder: an object that is the directory itself takes the place of an older one") {
    Tree t;
    tree::TreeWriter writer(t.pool, t.path);
    auto put_root = [](tree::TreeWriter& writer, std::string text, bool artifacts) -> async::Task<> {
      auto folder = co_await writer.begin();
      if (artifacts) {
        async::MemoryReader reader(text);
        co_await folder->put_file("artifacts/a.bin", reader);
      }
      co_await folder->put_json(
          "run.json", [&text](tree::JsonWriter& json) { json.value(boost::json::object{{"t", text}}); });
      co_await folder->commit_into_root("run.json", {"artifacts"});
    };
    t.run(writer.open());
    t.run(put(writer, "m-1", "x"));
    t.run(put_root(writer, "one", true));
    CHECK(read_file(t.at("artifacts/a.bin")) == "one");
    t.run(put_root(writer, "two", true));
    CHECK(read_file(t.at("artifacts/a.bin")) == "two");
    CHECK(read_file(t.at("run.json")).find("two") != std::string::npos);
    // What it has no more goes, what is not its own stays, and nothing is left of the older ones.
    t.run(put_root(writer, "three", false));
    CHECK_FALSE(fs::exists(t.at("artifacts")));
    CHECK(fs::exists(t.at("m-1/run.json")));
    CHECK(fs::is_empty(t.at(".mlferry/tmp")));
  }

  TEST_CASE("tree folder: an object that is the directory itself has no file until all of it is there") {
    Tree t;
    tree::TreeWriter writer(t.pool, t.path);
    t.run(writer.open());
    fs::create_directories(t.at("run.json/in the way"));  // a folder that nobody expects is moved aside
    auto job = [](tree::TreeWriter& writer) -> async::Task<> {
      auto folder = co_await writer.begin();
      co_await folder->put_json("run.json",
                                [](tree::JsonWriter& json) { json.value(boost::json::object{}); });
      co_await folder->commit_into_root("missing.json", {});
    };
    CHECK_THROWS_AS(t.run(job(writer)), std::system_error);  // the last file is not in the folder
    CHECK_FALSE(fs::exists(t.at("missing.json")));
  }
}
