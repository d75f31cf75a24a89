#include "storage/archive/archive.hpp"

#include <filesystem>
#include <numeric>

#include <doctest/doctest.h>

#include "async/task_group.hpp"
#include "protocol/digest/sha256.hpp"
#include "storage/sqlite/database.hpp"
#include "support/archive_fixture.hpp"
#include "support/cancelled_run.hpp"

namespace fs = std::filesystem;
using namespace mlferry;
using test::ArchiveFixture;
using test::Contents;

namespace {

archive::Options small_chunks() {
  archive::Options options;
  options.chunk_bytes = 1000;
  options.one_chunk_bytes = 0;
  options.pack_bytes = 4000;
  return options;
}

std::uint64_t folder_size(const fs::path& path) {
  std::uint64_t size = 0;
  for (auto const& entry : fs::recursive_directory_iterator(path)) {
    if (entry.is_regular_file()) size += entry.file_size();
  }
  return size;
}

async::Task<> write_files(std::shared_ptr<archive::Archive> archive, std::vector<std::string> files,
                          bool announce) {
  auto writer = co_await archive->begin_snapshot("test", nullptr);
  co_await test::put_record(*writer, "run", "r", "x");
  for (std::size_t i = 0; i < files.size(); ++i) {
    auto const row =
        co_await test::put_text(*writer, "run", "r", "f" + std::to_string(i), files[i], announce);
    CHECK(row.size == files[i].size());
    CHECK(row.sha256 == digest::sha256_hex(files[i]));
  }
  co_await writer->commit({});
}

}  // namespace

TEST_SUITE("storage") {
  TEST_CASE("archive: create, exists, and what is no archive") {
    ArchiveFixture f;
    auto const archive = f.open();
    CHECK_FALSE(f.run(archive->exists()));
    CHECK_THROWS_AS(f.run(archive->snapshots()), archive::NotFound);
    f.run(archive->create());
    CHECK(f.run(archive->exists()));
    auto const head = test::read_file(fs::path(f.folder()) / "mlferry-archive");
    f.run(archive->create());
    CHECK(test::read_file(fs::path(f.folder()) / "mlferry-archive") == head);
    CHECK(f.run(archive->snapshots()).empty());
    CHECK_THROWS_AS(f.run(archive->open_snapshot("latest")), archive::NotFound);

    ArchiveFixture other;
    fs::create_directories(other.folder());
    test::write_file(fs::path(other.folder()) / "notes.txt", "mine");
    CHECK_THROWS_AS(other.run(other.open()->create()), std::runtime_error);
  }

  TEST_CASE("archive: files of every size around the chunk come back, announced or not") {
    for (bool const announce : {true, false}) {
      CAPTURE(announce);
      ArchiveFixture f(small_chunks());
      auto const archive = f.open();
      f.run(archive->create());
      std::vector<std::string> files;
      for (std::size_t const size : {0, 1, 999, 1000, 1001, 1999, 2000, 2001, 10'000}) {
        files.push_back(test::random_bytes(size, size));
        files.push_back(std::string(size, 'x'));
      }
      f.run(write_files(archive, files, announce));
      auto const contents = f.run(test::read_latest(archive));
      for (std::size_t i = 0; i < files.size(); ++i) {
        CAPTURE(i);
        CHECK(contents.at("run r/f" + std::to_string(i)) == files[i]);
      }
      CHECK(f.run(archive->check(true, nullptr)).empty());
    }
  }

  TEST_CASE("archive: a file of 9 MiB at the default chunk size, compressible and not") {
    ArchiveFixture f;
    auto const archive = f.open();
    f.run(archive->create());
    std::vector<std::string> const files{test::random_bytes(9 << 20, 1), std::string(9 << 20, 'z'),
                                         test::random_bytes((4 << 20) - 1, 2), test::random_bytes(4 << 20, 3),
                                         test::random_bytes((4 << 20) + 1, 4)};
    f.run(write_files(archive, files, true));
    auto const contents = f.run(test::read_latest(archive));
    for (std::size_t i = 0; i < files.size(); ++i) {
      bool const same = contents.at("run r/f" + std::to_string(i)) == files[i];
      CHECK(same);
    }
    CHECK(f.memory.used() == 0);
  }

  TEST_CASE("archive: a file of an announced size that is not large is one chunk") {
    auto options = small_chunks();
    options.one_chunk_bytes = 4000;
    struct Row {
      std::size_t size;
      bool announced;
      std::int64_t chunks;  // listed; of a file of one chunk none are
    };
    for (auto const& row : {Row{900, true, 0}, Row{4000, true, 0}, Row{4001, true, 5}, Row{4000, false, 4}, Row{1000, false, 0}}) {
      CAPTURE(row.size);
      CAPTURE(row.announced);
      ArchiveFixture f(options);
      auto const archive = f.open();
      f.run(archive->create());
      f.run(write_files(archive, {test::random_bytes(row.size, 1)}, row.announced));
      auto const catalog = fs::directory_iterator(fs::path(f.folder()) / "catalogs")->path();
      sqlite::Database db(catalog.string(), sqlite::Database::Mode::read_only);
      auto count = db.prepare("SELECT count(*) FROM file_chunks");
      REQUIRE(count.step());
      CHECK(count.number(0) == row.chunks);
      CHECK(f.run(test::read_latest(archive)).at("run r/f0") == test::random_bytes(row.size, 1));
      CHECK(f.run(archive->check(true, nullptr)).empty());
    }
  }

  TEST_CASE("archive: announced sizes that are wrong, paths that are wrong") {
    ArchiveFixture f(small_chunks());
    auto const archive = f.open();
    f.run(archive->create());
    auto const writer = f.run(archive->begin_snapshot("test", nullptr));
    auto const put = [&](std::string path, std::string bytes, std::optional<std::uint64_t> size) {
      async::MemoryReader reader(std::move(bytes));
      return f.run(writer->put_file("run", "r", std::move(path), reader, size));
    };
    CHECK_THROWS_AS(put("short", "12345", 6), std::runtime_error);
    CHECK_THROWS_AS(put("long", "12345", 4), std::runtime_error);
    CHECK_THROWS_AS(put("long0", "1", 0), std::runtime_error);
    for (std::string const path : {"", "/a", "a//b", "a/", "..", "a/../b", "./a", "\xff"}) {
      CAPTURE(path);
      CHECK_THROWS_AS(put(path, "1", 1), std::invalid_argument);
    }
    CHECK_THROWS_AS(put(std::string("a\0b", 3), "1", 1), std::invalid_argument);
    put("good", "12345", 5);  // the writer goes on
    f.run(test::put_record(*writer, "run", "r", "x"));
    auto const info = f.run(writer->commit({{"note", "n"}}));
    CHECK(info.files == 1);
    CHECK(info.objects == 1);
    auto const contents = f.run(test::read_latest(archive));
    CHECK(contents.size() == 2);
    CHECK(contents.at("run r/good") == "12345");
  }

  TEST_CASE("archive: identical content is stored once, in a file, a snapshot, and between snapshots") {
    ArchiveFixture f;
    auto const archive = f.open();
    f.run(archive->create());
    auto const data = test::random_bytes(3 << 20, 7);
    f.run(write_files(archive, {data, data, data.substr(0, 1 << 20), data.substr(0, 1 << 20)}, true));
    auto const first = folder_size(f.folder());
    CHECK(first < data.size() + (1 << 20) + 50'000);
    f.run(write_files(archive, {data}, true));
    CHECK(folder_size(f.folder()) < first + 50'000);
    auto const infos = f.run(archive->snapshots());
    REQUIRE(infos.size() == 2);
    CHECK(infos[1].stored_bytes < 2000);
    CHECK(infos[1].bytes > data.size());
  }

  TEST_CASE("archive: random data costs at most one per cent, also many small files") {
    struct Case {
      std::size_t files, size;
    };
    for (auto const& item : {Case{8, 4 << 20}, Case{400, 64 * 1024}, Case{60, 300'000}}) {
      CAPTURE(item.size);
      ArchiveFixture f;
      auto const archive = f.open();
      f.run(archive->create());
      std::vector<std::string> files;
      for (std::size_t i = 0; i < item.files; ++i) files.push_back(test::random_bytes(item.size, i));
      f.run(write_files(archive, files, true));
      auto const raw = item.files * item.size;
      auto const stored = folder_size(f.folder());
      MESSAGE(item.files << " files of " << item.size << ": " << stored - raw << " bytes more");
      CHECK(stored <= raw + raw / 100);
    }
  }

  TEST_CASE("archive: keep takes record, files and gaps without reading data") {
    ArchiveFixture f(small_chunks());
    auto const archive = f.open();
    f.run(archive->create());
    auto first = f.run(archive->begin_snapshot("test", nullptr));
    for (std::string const id : {"a", "b", "c"}) {
      f.run(test::put_record(*first, "run", id, "record " + id, "e"));
      f.run(test::put_text(*first, "run", id, "big", test::random_bytes(5000, id[0])));
      f.run(test::put_text(*first, "run", id, "small", "small " + id));
      f.run(test::put_text(*first, "run", id, "empty", ""));
      f.run(first->put_gap({"run", id, "gone", "403"}));
    }
    f.run(first->commit({}));
    first.reset();
    auto const before = f.run(test::read_latest(archive));
    CHECK(before.size() == 3 * 5);

    auto const base = f.run(archive->open_snapshot("latest"));
    auto second = f.run(archive->begin_snapshot("test", base));
    auto const row = f.run(second->previous("run", "a"));
    REQUIRE(row);
    CHECK(row->fingerprint == "print of record a");
    CHECK_FALSE(f.run(second->previous("run", "z")));
    CHECK(f.run(second->previous_files("run", "a")).size() == 3);
    auto const kept = f.run(second->keep("run", "a"));
    CHECK(kept.files == 3);
    CHECK(kept.bytes == 5007);
    f.run(second->keep("run", "b"));
    f.run(test::put_record(*second, "run", "c", "changed"));
    CHECK_THROWS_AS(f.run(second->keep("run", "z")), archive::NotFound);
    auto const info = f.run(second->commit({}));
    CHECK(info.objects == 3);
    CHECK(info.files == 6);
    second.reset();

    // A third one keeps what the second kept.
    auto const middle = f.run(archive->open_snapshot("latest"));
    auto third = f.run(archive->begin_snapshot("test", middle));
    for (std::string const id : {"a", "b", "c"}) f.run(third->keep("run", id));
    f.run(third->commit({}));
    third.reset();
    auto const after = f.run(test::read_latest(archive));
    for (auto const& [key, value] : before) {
      CAPTURE(key);
      if (key.find("run c") == std::string::npos) CHECK(after.at(key) == value);
    }
    CHECK(after.at("run c").starts_with("{\"text\":\"changed\"}"));
    CHECK_FALSE(after.contains("run c/big"));
    CHECK(f.run(archive->check(true, nullptr)).empty());
    // The first one is as it was.
    auto const infos = f.run(archive->snapshots());
    auto const old = f.run(archive->open_snapshot(infos.front().id.substr(0, 12)));
    CHECK(f.run(test::read_everything(old)) == before);
  }

  TEST_CASE("archive: keep refuses what is gone, and the object can be written anew") {
    ArchiveFixture f(small_chunks());
    auto const archive = f.open();
    f.run(archive->create());
    auto const data = test::random_bytes(3000, 1);
    f.run(write_files(archive, {data}, true));
    auto const base = f.run(archive->open_snapshot("latest"));
    fs::remove_all(fs::path(f.folder()) / "packs/data");
    auto const writer = f.run(archive->begin_snapshot("test", base));
    CHECK_THROWS_AS(f.run(writer->keep("run", "r")), archive::Corrupt);
    f.run(test::put_record(*writer, "run", "r", "x"));
    f.run(test::put_text(*writer, "run", "r", "f0", data));
    f.run(writer->commit({}));
    CHECK(f.run(test::read_latest(archive)).at("run r/f0") == data);
    CHECK(f.run(archive->check(true, nullptr)).empty());  // the same packs are there again
  }

  TEST_CASE("archive: later puts replace earlier ones, files of no object are left out, rebuild agrees") {
    ArchiveFixture f(small_chunks());
    auto const archive = f.open();
    f.run(archive->create());
    auto writer = f.run(archive->begin_snapshot("test", nullptr));
    f.run(test::put_text(*writer, "run", "early", "f", "before its record"));
    f.run(test::put_record(*writer, "experiment", "0", "e"));
    f.run(test::put_record(*writer, "run", "early", "1"));
    f.run(test::put_text(*writer, "run", "early", "g", test::random_bytes(4000, 5)));
    f.run(test::put_text(*writer, "run", "early", "g", test::random_bytes(2500, 6)));
    f.run(test::put_record(*writer, "run", "early", "2"));
    f.run(test::put_text(*writer, "run", "orphan", "f", "nobody's"));
    f.run(writer->put_gap({"run", "early", "", "one"}));
    f.run(writer->put_gap({"run", "early", "", "two"}));
    auto const info = f.run(writer->commit({}));
    CHECK(info.objects == 2);
    CHECK(info.files == 2);
    writer.reset();
    auto const contents = f.run(test::read_latest(archive));
    CHECK(contents.size() == 5);
    CHECK(contents.at("run early").starts_with("{\"text\":\"2\"}"));
    CHECK(contents.at("run early/f") == "before its record");
    CHECK(contents.at("run early/g") == test::random_bytes(2500, 6));
    CHECK(contents.at("gap run early/") == "two");

    for (auto const& entry : fs::directory_iterator(fs::path(f.folder()) / "catalogs"))
      fs::remove(entry.path());
    CHECK_THROWS_AS(f.run(archive->open_snapshot("latest")), archive::Corrupt);
    f.run(archive->rebuild_catalog("latest"));
    CHECK(f.run(test::read_latest(archive)) == contents);
    CHECK(f.run(archive->check(true, nullptr)).empty());
  }

  TEST_CASE("archive: rebuild makes the catalog of a snapshot with kept objects again") {
    ArchiveFixture f(small_chunks());
    auto const archive = f.open();
    f.run(archive->create());
    auto const data = test::random_bytes(5500, 1);
    f.run(write_files(archive, {data, "small", ""}, true));
    auto const base = f.run(archive->open_snapshot("latest"));
    auto writer = f.run(archive->begin_snapshot("test", base));
    f.run(writer->keep("run", "r"));
    f.run(test::put_record(*writer, "run", "new", "n"));
    f.run(test::put_text(*writer, "run", "new", "copy", data));
    f.run(writer->commit({}));
    writer.reset();
    auto const contents = f.run(test::read_latest(archive));
    for (auto const& entry : fs::directory_iterator(fs::path(f.folder()) / "catalogs")) {
      test::write_file(entry.path(), "damaged");
    }
    CHECK(f.run(archive->check(false, nullptr)).size() == 2);
    for (auto const& name : {"latest", "latest"}) f.run(archive->rebuild_catalog(name));
    CHECK(f.run(test::read_latest(archive)) == contents);
    auto const infos = f.run(archive->snapshots());
    f.run(archive->rebuild_catalog(infos.front().id));
    CHECK(f.run(archive->check(true, nullptr)).empty());
    CHECK(std::distance(fs::directory_iterator(fs::path(f.folder()) / "catalogs"), {}) == 2);
  }

  TEST_CASE("archive: many puts at once, with hardly any memory") {
    archive::Options options;
    options.chunk_bytes = 300'000;
    options.one_chunk_bytes = 0;
    options.pack_bytes = 2'000'000;
    ArchiveFixture f(options, 700'000);
    auto const archive = f.open();
    f.run(archive->create());
    auto const put = [](archive::SnapshotWriter& writer, int n) -> async::Task<> {
      co_await test::put_record(writer, "run", std::to_string(n), "r" + std::to_string(n));
      // Every third file is the same, so that puts of the same chunk overlap.
      auto const seed = static_cast<std::uint64_t>(n % 3 == 0 ? 0 : n);
      auto const size = static_cast<std::size_t>(n % 4 == 1 ? 1000 : 650'000);
      co_await test::put_text(writer, "run", std::to_string(n), "f", test::random_bytes(size, seed),
                              n % 2 == 0);
    };
    auto const all = [&]() -> async::Task<> {
      auto writer = co_await archive->begin_snapshot("test", nullptr);
      async::TaskGroup group(f.context.get_executor());
      for (int n = 0; n < 40; ++n) group.spawn(put(*writer, n));
      co_await group.join();
      co_await writer->commit({});
    };
    f.run(all());
    CHECK(f.memory.peak() <= 700'000);
    auto const contents = f.run(test::read_latest(archive));
    CHECK(contents.size() == 80);
    for (int n = 0; n < 40; ++n) {
      auto const size = static_cast<std::size_t>(n % 4 == 1 ? 1000 : 650'000);
      bool const same = contents.at("run " + std::to_string(n) + "/f") ==
                        test::random_bytes(size, static_cast<std::uint64_t>(n % 3 == 0 ? 0 : n));
      CHECK(same);
    }
    CHECK(f.run(archive->check(true, nullptr)).empty());
  }

  TEST_CASE("archive: chunks on their way are few, however much memory may be used") {
    struct Counts {
      std::size_t now = 0, most = 0;
    };
    struct Counted final : async::ByteReader {
      Counted(std::string text, Counts& counts) : bytes(std::move(text)), reader(bytes), counts(counts) {}
      async::Task<std::size_t> read_some(std::span<std::byte> buffer) override {
        if (!std::exchange(begun, true)) counts.most = std::max(counts.most, ++counts.now);
        co_return co_await reader.read_some(buffer);
      }
      std::string bytes;
      async::MemoryReader reader;
      Counts& counts;
      bool begun = false;
    };
    for (std::size_t const size : {1u << 20, 5u << 20}) {
      CAPTURE(size);
      ArchiveFixture f({}, 1 << 30);
      auto const archive = f.open();
      f.run(archive->create());
      Counts counts;
      auto const put = [&](archive::SnapshotWriter& writer, int n) -> async::Task<> {
        Counted reader(test::random_bytes(size, static_cast<std::uint64_t>(n)), counts);
        co_await writer.put_file("run", "r", std::to_string(n), reader, size);
        --counts.now;
      };
      auto const all = [&]() -> async::Task<> {
        auto writer = co_await archive->begin_snapshot("test", nullptr);
        co_await test::put_record(*writer, "run", "r", "x");
        async::TaskGroup group(f.context.get_executor());
        for (int n = 0; n < 48; ++n) group.spawn(put(*writer, n));
        co_await group.join();
        co_await writer->commit({});
      };
      f.run(all());
      // 40 MiB, of a larger chunk 4 count; and calls whose chunk is gone, but which have not returned yet.
      CHECK(counts.most <= (size == 1u << 20 ? 40 : 10) + 2);
      CHECK(counts.most >= 4);
      CHECK(f.run(archive->check(true, nullptr)).empty());
    }
  }

  TEST_CASE("archive: a put cancelled at every step leaves the writer whole") {
    archive::Options options;
    options.chunk_bytes = 200'000;
    options.one_chunk_bytes = 0;
    bool ended = false;
    int cancelled = 0;
    for (std::size_t steps = 0; !ended && steps < 400; ++steps) {
      ArchiveFixture f(options);
      auto const archive = f.open();
      f.run(archive->create());
      auto writer = f.run(archive->begin_snapshot("test", nullptr));
      auto const data = test::random_bytes(500'000, 1);
      auto const put = [&]() -> async::Task<> { co_await test::put_text(*writer, "run", "r", "f", data); };
      auto const ending = test::run_cancelled_after(f.context, steps, put());
      ended = ending == test::Ending::by_itself;
      if (ending == test::Ending::cancelled) ++cancelled;
      CHECK(f.memory.used() == 0);
      // The same chunks again, which the cancelled call may have begun.
      f.run(test::put_text(*writer, "run", "r", "f", data));
      f.run(test::put_record(*writer, "run", "r", "x"));
      f.run(writer->commit({}));
      bool const same = f.run(test::read_latest(archive)).at("run r/f") == data;
      CHECK(same);
      CHECK(f.run(archive->check(true, nullptr)).empty());
    }
    CHECK(ended);
    CHECK(cancelled > 5);
  }

  TEST_CASE("archive: one writer at a time, and names rise when the clock goes back") {
    archive::Options options;
    auto now = std::chrono::system_clock::time_point(std::chrono::hours(500'000));
    options.clock = [&now] { return now; };
    ArchiveFixture f(options);
    auto const archive = f.open();
    f.run(archive->create());
    auto writer = f.run(archive->begin_snapshot("one", nullptr));
    CHECK_THROWS_AS(f.run(archive->begin_snapshot("two", nullptr)), backend::Locked);
    CHECK_THROWS_AS(f.run(archive->rebuild_catalog("latest")), backend::Locked);
    f.run(writer->commit({}));
    CHECK_THROWS_AS(f.run(test::put_record(*writer, "run", "a", "x")), std::logic_error);
    now -= std::chrono::hours(1000);
    writer = f.run(archive->begin_snapshot("two", nullptr));
    f.run(writer->commit({}));
    auto const infos = f.run(archive->snapshots());
    REQUIRE(infos.size() == 2);
    CHECK(infos[0].source == "one");
    CHECK(infos[1].source == "two");
    CHECK(infos[0].created < infos[1].created);
    CHECK(f.run(archive->open_snapshot("latest"))->info().source == "two");
    CHECK_THROWS_AS(f.run(archive->open_snapshot("zz")), archive::NotFound);
    CHECK_THROWS_AS(f.run(archive->open_snapshot("")), archive::NotFound);
  }

  TEST_CASE("archive: an abandoned writer leaves packs that the next one uses") {
    archive::Options options;
    options.chunk_bytes = 150'000;
    options.one_chunk_bytes = 0;
    options.pack_bytes = 300'000;
    ArchiveFixture f(options);
    auto const archive = f.open();
    f.run(archive->create());
    auto const data = test::random_bytes(1'200'000, 1);
    {
      auto const writer = f.run(archive->begin_snapshot("killed", nullptr));
      f.run(test::put_text(*writer, "run", "r", "f", data));
    }
    CHECK(f.run(archive->snapshots()).empty());
    CHECK(f.run(archive->check(true, nullptr)).empty());
    CHECK(fs::is_empty(fs::path(f.folder()) / "tmp"));
    f.run(write_files(archive, {data}, true));
    CHECK(f.run(archive->snapshots()).front().stored_bytes < 200'000);
    bool const same = f.run(test::read_latest(archive)).at("run r/f0") == data;
    CHECK(same);
  }

  TEST_CASE("archive: objects by page and parent, find, get, counts") {
    ArchiveFixture f;
    auto const archive = f.open();
    f.run(archive->create());
    auto const writer = f.run(archive->begin_snapshot("test", nullptr));
    for (int n = 0; n < 50; ++n) {
      f.run(test::put_record(*writer, "run", std::to_string(n), std::to_string(n),
                             n % 2 == 0 ? "even" : "odd"));
    }
    f.run(test::put_record(*writer, "experiment", "even", "e"));
    f.run(writer->commit({}));
    auto const reader = f.run(archive->open_snapshot("latest"));
    CHECK(f.run(reader->count("run")) == 50);
    CHECK(f.run(reader->count("trace")) == 0);
    auto const counts = f.run(reader->counts());
    REQUIRE(counts.size() == 2);
    CHECK(counts[0] == std::pair<std::string, std::uint64_t>("run", 50));
    std::vector<std::string> ids;
    std::int64_t after = 0;
    do {
      auto const page = f.run(reader->objects("run", "odd", after, 10));
      for (auto const& object : page.objects) ids.push_back(object.row.id);
      after = page.next;
    } while (after != 0);
    REQUIRE(ids.size() == 25);
    for (int n = 0; n < 25; ++n) CHECK(ids[static_cast<std::size_t>(n)] == std::to_string(2 * n + 1));
    CHECK(f.run(reader->find("run", "7"))->parent == "odd");
    CHECK_FALSE(f.run(reader->find("run", "even")));
    CHECK(f.run(reader->get("experiment", "even"))->record.at("text") == "e");
    CHECK_THROWS_AS(f.run(reader->open_file("run", "7", "nothing")), archive::NotFound);
  }
}
