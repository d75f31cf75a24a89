// Archives of every format version, read for ever. How they were made: tests/format/README.md.

#include <cstdlib>
#include <filesystem>

#include <doctest/doctest.h>

#include "support/archive_fixture.hpp"

namespace fs = std::filesystem;
using namespace mlferry;

namespace {

const fs::path kGolden = MLFERRY_SOURCE_DIR "/tests/format/golden/v1";

std::string long_text() {
  std::string text;
  for (int i = 0; i < 40'000; ++i) text += "line " + std::to_string(i) + "\n";
  return text;
}

async::Task<> write_golden(std::shared_ptr<archive::Archive> archive) {
  co_await archive->create();
  auto writer = co_await archive->begin_snapshot("golden", nullptr);
  co_await test::put_record(*writer, "experiment", "0", "Default");
  co_await test::put_record(*writer, "run", "a", "\xc3\xa9\n\"", "0");
  co_await test::put_text(*writer, "run", "a", "empty", "");
  co_await test::put_text(*writer, "run", "a", "dir/small.txt", "small");
  co_await test::put_text(*writer, "run", "a", "long.txt", long_text());
  co_await test::put_text(*writer, "run", "a", "random.bin", test::random_bytes(500, 1));
  co_await writer->put_gap({"run", "a", "secret", "HTTP 403"});
  boost::json::object summary{{"runs", 1}};
  co_await writer->commit(summary);
  writer.reset();
  auto base = co_await archive->open_snapshot("latest");
  writer = co_await archive->begin_snapshot("golden again", base);
  co_await writer->keep("experiment", "0");
  co_await writer->keep("run", "a");
  co_await test::put_record(*writer, "run", "b", "new", "0");
  co_await test::put_text(*writer, "run", "b", "copy.txt", "small");
  co_await writer->commit({});
}

}  // namespace

TEST_SUITE("storage") {
  TEST_CASE("golden: the archive of version 1 is read") {
    archive::Options options;
    options.chunk_bytes = 150'000;
    options.one_chunk_bytes = 0;
    test::ArchiveFixture f(options);
    if (auto const* const target = std::getenv("MLFERRY_MAKE_GOLDEN")) {
      f.run(write_golden(f.open(std::make_shared<backend::FolderBackend>(f.pool, target))));
      fs::remove(fs::path(target) / "lock");
      fs::remove(fs::path(target) / "tmp");
    }
    auto const golden = std::make_shared<backend::FolderBackend>(f.pool, kGolden.string());
    auto const archive = f.open(golden);
    REQUIRE(f.run(archive->exists()));
    auto const snapshots = f.run(archive->snapshots());
    REQUIRE(snapshots.size() == 2);
    CHECK(snapshots[0].source == "golden");
    CHECK(snapshots[0].objects == 2);
    CHECK(snapshots[0].files == 4);
    CHECK(snapshots[0].summary.at("runs").as_int64() == 1);
    CHECK(f.run(archive->check(true, nullptr)).empty());

    auto const contents = f.run(test::read_latest(archive));
    CHECK(contents.size() == 3 + 5 + 1);
    CHECK(contents.at("run a/empty").empty());
    CHECK(contents.at("run a/dir/small.txt") == "small");
    CHECK(contents.at("run b/copy.txt") == "small");
    bool const same = contents.at("run a/long.txt") == long_text();
    CHECK(same);
    CHECK(contents.at("run a/random.bin") == test::random_bytes(500, 1));
    CHECK(contents.at("gap run a/secret") == "HTTP 403");
    CHECK(contents.at("run a") ==
          "{\"text\":\"\xc3\xa9\\n\\\"\"}|0|name of a|active|FINISHED|1700000000123|print of \xc3\xa9\n\"");

    // Programs of today can go on with it: in a copy.
    fs::copy(kGolden, f.folder(), fs::copy_options::recursive);
    auto const copy = f.open();
    auto writer = f.run(copy->begin_snapshot("today", f.run(copy->open_snapshot("latest"))));
    f.run(writer->keep("run", "a"));
    f.run(writer->commit({}));
    writer.reset();
    CHECK(f.run(test::read_latest(copy)).at("run a/dir/small.txt") == "small");
    f.run(copy->rebuild_catalog(snapshots[0].id));
    CHECK(f.run(copy->check(true, nullptr)).empty());
  }
}
