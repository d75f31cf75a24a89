// docs/restore.py shows that an archive can be read without mlferry: it restores what we wrote.

#include <cstdlib>
#include <filesystem>

#include <doctest/doctest.h>

#include "support/archive_fixture.hpp"

namespace fs = std::filesystem;
using namespace mlferry;

TEST_SUITE("storage") {
  TEST_CASE("restore.py: records and files come back without mlferry") {
    if (std::system("python3 -c 'import sqlite3' >/dev/null 2>&1 && (zstd --version || python3 -c 'import "
                    "zstandard') "
                    ">/dev/null 2>&1") != 0) {
      MESSAGE("SKIPPED: needs python3 and zstd");
      return;
    }
    archive::Options options;
    options.chunk_bytes = 150'000;
    options.one_chunk_bytes = 0;
    test::ArchiveFixture f(options);
    auto const archive = f.open();
    f.run(archive->create());
    std::map<std::string, std::string> const files{{"empty", ""},
                                                   {"a/small.txt", "small"},
                                                   {"zeros", std::string(400'000, '\0')},
                                                   {"random", test::random_bytes(300'000, 1)},
                                                   {"a/again", test::random_bytes(300'000, 1)}};
    auto writer = f.run(archive->begin_snapshot("test", nullptr));
    f.run(test::put_record(*writer, "run", "old", "first"));
    f.run(writer->commit({}));
    writer.reset();
    writer = f.run(archive->begin_snapshot("test", f.run(archive->open_snapshot("latest"))));
    f.run(writer->keep("run", "old"));
    f.run(test::put_record(*writer, "model", "../x", "\xc3\xa9"));
    for (auto const& [path, bytes] : files) f.run(test::put_text(*writer, "model", "../x", path, bytes));
    f.run(writer->commit({}));

    auto const out = f.scratch.path() / "restored";
    std::string const command =
        "python3 '" MLFERRY_SOURCE_DIR "/docs/restore.py' '" + f.folder() + "' '" + out.string() + "'";
    REQUIRE(std::system(command.c_str()) == 0);
    CHECK(test::read_file(out / "run" / "old" / "record.json") == "{\"text\":\"first\"}");
    auto const folder = out / "model" / "%2E%2E%2Fx";
    CHECK(test::read_file(folder / "record.json") == "{\"text\":\"\xc3\xa9\"}");
    for (auto const& [path, bytes] : files) {
      CAPTURE(path);
      bool const same = test::read_file(folder / "files" / path) == bytes;
      CHECK(same);
    }
    // It checks what it reads.
    for (auto const& entry : fs::directory_iterator(fs::path(f.folder()) / "catalogs")) {
      auto bytes = test::read_file(entry.path());
      bytes.back() = static_cast<char>(bytes.back() ^ 1);
      test::write_file(entry.path(), bytes);
    }
    CHECK(std::system((command + " 2>/dev/null").c_str()) != 0);
  }
}
