#include "engine/local_artifacts.hpp"

#include <doctest/doctest.h>

#include <sys/stat.h>
#include <boost/asio/io_context.hpp>

#include <filesystem>
#include <map>
#include <set>

#include "support/archive_fixture.hpp"
#include "support/run.hpp"

using namespace mlferry;
using namespace mlferry::engine;
namespace fs = std::filesystem;

namespace {

struct Place {
  Place() {
    fs::create_directories(folder);
    test::write_file(scratch.path() / "secret", "secret");
  }
  std::string read(std::string path) {
    auto reader = test::run(context, open_local_file(pool, folder.string(), std::move(path)));
    return test::run(context, async::read_all(*reader, 1000, "file"));
  }
  void write(std::string path, std::string bytes) {
    async::MemoryReader reader(bytes);
    test::run(context, write_local_file(pool, folder.string(), std::move(path), reader));
  }

  test::ScratchFolder scratch;
  fs::path folder = scratch.path() / "store" / "1" / "run";
  boost::asio::io_context context;
  async::WorkerPool pool{1};
};

// Ends in the middle.
class BrokenReader final : public async::ByteReader {
 public:
  async::Task<std::size_t> read_some(std::span<std::byte> buffer) override {
    if (calls_++ > 0) throw std::runtime_error("broken");
    buffer[0] = std::byte{'x'};
    co_return 1;
  }

 private:
  int calls_ = 0;
};

}  // namespace

TEST_SUITE("engine") {
  TEST_CASE("local artifacts: which URIs name a folder of this machine") {
    Place place;
    auto const path = place.folder.string();
    for (auto const& uri : {path, "file://" + path, "file:" + path}) CHECK(local_folder(uri) == path);
    for (auto const& uri : {"file://host" + path, "s3:/" + path, "mlflow-artifacts:" + path, path + "/absent",
                            std::string("relative"), std::string(), "file:" + path.substr(1),
                            (place.scratch.path() / "secret").string()}) {
      CAPTURE(std::string(uri));
      CHECK(local_folder(uri) == std::nullopt);
    }
    CHECK(local_place(path + "/not/yet/there") == path + "/not/yet/there");
    CHECK(local_place("file://host" + path) == std::nullopt);
    CHECK(local_place("/no-such-folder-anywhere/x/y") == std::nullopt);
  }

  TEST_CASE("local artifacts: files are listed; what leads out of the folder is a gap, never a file") {
    Place place;
    place.write("a.txt", "12345");
    place.write("deep/er/b", "1");
    fs::create_directories(place.folder / "empty");
    fs::create_symlink(place.scratch.path() / "secret", place.folder / "out");
    fs::create_symlink("../../../secret", place.folder / "deep" / "out too");
    fs::create_symlink(place.scratch.path(), place.folder / "folder out");
    fs::create_symlink("nowhere", place.folder / "dangling");
    fs::create_symlink("a.txt", place.folder / "inside");
    fs::create_symlink(".", place.folder / "loop");
    REQUIRE(::mkfifo((place.folder / "pipe").c_str(), 0600) == 0);
    RecordBase owner;
    test::run(place.context, list_local_files(place.pool, place.folder.string(), owner));
    std::map<std::string, std::uint64_t> files;
    for (auto const& file : owner.files) files[file.path] = file.size.value();
    CHECK(files == std::map<std::string, std::uint64_t>{{"a.txt", 5}, {"deep/er/b", 1}, {"inside", 5}});
    std::set<std::string> gaps;
    for (auto const& gap : owner.gaps) gaps.insert(gap.path);
    CHECK(gaps == std::set<std::string>{"out", "deep/out too", "folder out", "dangling", "loop", "pipe"});
  }

  TEST_CASE("local artifacts: a folder that cannot be listed is a gap") {
    Place place;
    RecordBase owner;
    test::run(place.context, list_local_files(place.pool, place.folder.string() + "/absent", owner));
    REQUIRE(owner.gaps.size() == 1);
    CHECK(owner.gaps[0].reason.find("cannot be listed") != std::string::npos);
  }

  TEST_CASE("local artifacts: reading never leaves the folder") {
    Place place;
    place.write("a/b", "inside");
    CHECK(place.read("a/b") == "inside");
    CHECK(place.read("a/../a/b") == "inside");
    fs::create_symlink(place.scratch.path() / "secret", place.folder / "link");
    for (auto const& path :
         {std::string("../../../secret"), std::string("link"), (place.scratch.path() / "secret").string(),
          std::string("a/../../../../secret")}) {
      CAPTURE(std::string(path));
      CHECK_THROWS(place.read(path));
    }
    CHECK_THROWS(place.read("absent"));
  }

  TEST_CASE("local artifacts: writing never leaves the folder") {
    Place place;
    for (auto const* path : {"../x", "a/../../x", "/tmp/mlferry-must-not-be", "..", ".", ""}) {
      CAPTURE(std::string(path));
      CHECK_THROWS(place.write(path, "x"));
    }
    // A link that was planted in the folder must not carry the write away.
    fs::create_directories(place.scratch.path() / "elsewhere");
    fs::create_symlink(place.scratch.path() / "elsewhere", place.folder / "planted");
    CHECK_THROWS(place.write("planted/x", "x"));
    CHECK_FALSE(fs::exists(place.scratch.path() / "elsewhere" / "x"));
    CHECK_FALSE(fs::exists("/tmp/mlferry-must-not-be"));
    // One in place of the file is replaced, not followed.
    fs::create_symlink(place.scratch.path() / "secret", place.folder / "file");
    place.write("file", "new");
    CHECK(test::read_file(place.scratch.path() / "secret") == "secret");
    CHECK(place.read("file") == "new");
  }

  TEST_CASE("local artifacts: a file is there whole or not at all") {
    Place place;
    place.write("a", "old");
    BrokenReader reader;
    CHECK_THROWS(test::run(place.context, write_local_file(place.pool, place.folder.string(), "a", reader)));
    CHECK(place.read("a") == "old");
    std::size_t entries = 0;
    for ([[maybe_unused]] auto const& entry : fs::directory_iterator(place.folder)) ++entries;
    CHECK(entries == 1);
  }
}
