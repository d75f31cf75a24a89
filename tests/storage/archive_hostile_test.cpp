// Catalogs that an enemy wrote, with every checksum right: they are refused as Corrupt, whatever they say.

#include <filesystem>

#include <doctest/doctest.h>

#include "protocol/digest/sha256.hpp"
#include "storage/archive/archive.hpp"
#include "storage/archive/format.hpp"
#include "storage/archive/manifest.hpp"
#include "storage/sqlite/database.hpp"
#include "support/archive_fixture.hpp"

namespace fs = std::filesystem;
using namespace mlferry;
using test::ArchiveFixture;

namespace {

// Changes the catalog of the only snapshot by `sql`, and makes all names and checksums right again.
void forge(ArchiveFixture& f, const std::string& sql) {
  fs::path const folder = f.folder();
  auto const manifest_path = fs::directory_iterator(folder / "snapshots")->path();
  auto const name = "snapshots/" + manifest_path.filename().string();
  auto manifest = archive::decode_manifest(test::read_file(manifest_path), name);
  auto const path = folder / manifest.catalog;
  {
    sqlite::Database db(path.string(), sqlite::Database::Mode::create);
    db.execute(sql);
  }
  auto const bytes = test::read_file(path);
  manifest.catalog = archive::catalog_name(digest::sha256_hex(bytes));
  manifest.catalog_size = bytes.size();
  test::write_file(folder / manifest.catalog, bytes);
  test::write_file(manifest_path, archive::encode_manifest(manifest));
}

}  // namespace

TEST_SUITE("storage") {
  TEST_CASE("archive: a hostile catalog is Corrupt, not a crash and not a huge allocation") {
    for (std::string const sql : {
             "UPDATE frames SET raw = 9223372036854775807",
             "UPDATE frames SET raw = -1",
             "UPDATE frames SET raw = 'much'",
             "UPDATE frames SET raw = raw + 1",
             "UPDATE frames SET stored = 4000000000",
             "UPDATE frames SET offset = -8",
             "UPDATE frames SET offset = 9223372036854775807",
             "UPDATE frames SET encoding = 7",
             "UPDATE frames SET encoding = 1 - encoding",
             "UPDATE frames SET frame = -frame - 1",
             "UPDATE frames SET sha256 = x'00'",
             "UPDATE frames SET sha256 = NULL",
             "DELETE FROM frames",
             "UPDATE packs SET name = '../../etc/passwd' || pack",
             "UPDATE packs SET size = size + 1",
             "DELETE FROM packs",
             "UPDATE objects SET offset = 999999999",
             "UPDATE objects SET offset = offset + 1",
             "UPDATE objects SET length = -1",
             "UPDATE objects SET length = 999999999999",
             "UPDATE objects SET pack = 77",
             "UPDATE files SET path = '../x' || path",
             "UPDATE files SET path = '/etc/' || path",
             "UPDATE files SET path = cast(path AS BLOB) || x'00'",
             "UPDATE files SET size = -5",
             "UPDATE files SET size = size + 1",
             "UPDATE files SET sha256 = zeroblob(31)",
             "UPDATE files SET sha256 = zeroblob(32)",
             "UPDATE chunks SET offset = 4000000000",
             "UPDATE chunks SET size = 0",
             "UPDATE chunks SET size = size - 1",
             "DELETE FROM chunks",
             "UPDATE file_chunks SET position = position + 100",
             "UPDATE file_chunks SET sha256 = 5",
             "UPDATE gaps SET kind = zeroblob(100000)",
             "DROP TABLE files",
             "DROP TABLE objects; CREATE VIEW objects AS SELECT 1",
             "PRAGMA application_id = 5",
             "PRAGMA user_version = 2",
         }) {
      CAPTURE(sql);
      archive::Options options;
      options.chunk_bytes = 1000;
      options.one_chunk_bytes = 0;
      ArchiveFixture f(options);
      auto const archive = f.open();
      f.run(archive->create());
      auto writer = f.run(archive->begin_snapshot("test", nullptr));
      f.run(test::put_record(*writer, "run", "r", "x"));
      f.run(test::put_text(*writer, "run", "r", "one", "bytes"));
      f.run(test::put_text(*writer, "run", "r", "several", test::random_bytes(2500, 1)));
      f.run(writer->put_gap({"run", "r", "g", "why"}));
      f.run(writer->commit({}));
      writer.reset();
      forge(f, "");  // the forgery itself is not what is found
      REQUIRE_NOTHROW(f.run(test::read_latest(archive)));
      forge(f, sql);
      CHECK_THROWS_AS(f.run(test::read_latest(archive)), archive::Corrupt);
      CHECK(f.memory.used() == 0);
      CHECK(f.memory.peak() < (1 << 20));
    }
  }
}
