// Damage and crashes: every byte that is flipped is found, and wherever writing stops, what was there is
// whole.

#include <filesystem>
#include <system_error>

#include <doctest/doctest.h>

#include <sys/mount.h>

#include "storage/archive/archive.hpp"
#include "support/archive_fixture.hpp"
#include "support/fault_backend.hpp"

namespace fs = std::filesystem;
using namespace mlferry;
using test::ArchiveFixture;

namespace {

archive::Options small_options() {
  archive::Options options;
  options.chunk_bytes = 140'000;  // above the limit below which chunks share frames
  options.one_chunk_bytes = 0;
  options.pack_bytes = 150'000;
  return options;
}

async::Task<> write_snapshot(std::shared_ptr<archive::Archive> archive, bool second) {
  std::shared_ptr<archive::SnapshotReader> base;
  if (second) base = co_await archive->open_snapshot("latest");
  auto writer = co_await archive->begin_snapshot(second ? "second" : "first", base);
  if (second) {
    co_await writer->keep("run", "old");
  } else {
    co_await test::put_record(*writer, "run", "old", "1");
    co_await test::put_text(*writer, "run", "old", "f", "old bytes");
    co_await test::put_text(*writer, "run", "old", "big", std::string(200'000, 'b'));
  }
  co_await test::put_record(*writer, "run", second ? "second" : "first", "2");
  co_await test::put_text(*writer, "run", second ? "second" : "first", "r",
                          test::random_bytes(second ? 290'000 : 300, 1));
  co_await writer->put_gap({"run", "old", "gone", "no rights"});
  co_await writer->commit({});
}

// Whether reading everything of every snapshot fails or check reports something.
bool is_found(ArchiveFixture& f, const std::shared_ptr<archive::Archive>& archive) {
  try {
    return !f.run(archive->check(true, nullptr)).empty();
  } catch (const archive::Corrupt&) {
    return true;
  } catch (const archive::NotFound&) {
    return true;
  }
}

std::vector<fs::path> files_of(const fs::path& folder) {
  std::vector<fs::path> files;
  for (auto const& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file() && entry.path().filename() != "lock") files.push_back(entry.path());
  }
  return files;
}

}  // namespace

TEST_SUITE("storage") {
  TEST_CASE("archive damage: every flipped byte of every file is found") {
    ArchiveFixture f(small_options());
    auto const archive = f.open();
    f.run(archive->create());
    f.run(write_snapshot(archive, false));
    REQUIRE_FALSE(is_found(f, archive));
    std::size_t flips = 0;
    for (auto const& path : files_of(f.folder())) {
      auto const good = test::read_file(path);
      // Of the catalog (dozens of kilobytes under one SHA-256) all of SQLite's header and a sample of the
      // rest.
      bool const catalog = path.extension() == ".sqlite";
      for (std::size_t at = 0; at < good.size(); at += catalog && at > 120 ? 97 : 1) {
        auto bad = good;
        bad[at] = static_cast<char>(bad[at] ^ (1 << at % 8));
        test::write_file(path, bad);
        ++flips;
        bool const found = is_found(f, archive);
        if (!found) FAIL_CHECK("not found: " << path.string() << " byte " << at);
      }
      test::write_file(path, good);
    }
    CHECK(flips > 2000);
    CHECK_FALSE(is_found(f, archive));
  }

  TEST_CASE("archive damage: truncated, longer and missing files are found without reading data") {
    ArchiveFixture f(small_options());
    auto const archive = f.open();
    f.run(archive->create());
    f.run(write_snapshot(archive, false));
    for (auto const& path : files_of(f.folder())) {
      CAPTURE(path.string());
      auto const good = test::read_file(path);
      for (std::size_t const size : {std::size_t{0}, std::size_t{1}, good.size() / 2, good.size() - 1}) {
        test::write_file(path, good.substr(0, size));
        CHECK_FALSE(f.run(archive->check(false, nullptr)).empty());
      }
      test::write_file(path, good + "x");
      CHECK_FALSE(f.run(archive->check(false, nullptr)).empty());
      fs::remove(path);
      // A manifest that is gone is a snapshot that is gone: that cannot be seen.
      if (path.extension() != ".json") CHECK_FALSE(f.run(archive->check(false, nullptr)).empty());
      test::write_file(path, good);
    }
    CHECK(f.run(archive->check(true, nullptr)).empty());
  }

  TEST_CASE("archive damage: packs under each other's names are found without reading data") {
    ArchiveFixture f(small_options());
    auto const archive = f.open();
    f.run(archive->create());
    f.run(write_snapshot(archive, false));
    std::vector<fs::path> packs;
    for (auto const& path : files_of(fs::path(f.folder()) / "packs/data")) packs.push_back(path);
    REQUIRE_FALSE(packs.empty());
    auto other = packs.front();
    auto name = other.filename().string();
    name[0] = name[0] == '0' ? '1' : '0';
    other.replace_filename(name);
    fs::copy_file(packs.front(), other);
    auto const problems = f.run(archive->check(false, nullptr));
    REQUIRE(problems.size() == 1);
    CHECK(problems[0].file.find(name) != std::string::npos);
    CHECK(problems[0].text.find("misnamed") != std::string::npos);
  }

  TEST_CASE("archive damage: check names the objects that are hit, and only those") {
    ArchiveFixture f(small_options());
    auto const archive = f.open();
    f.run(archive->create());
    f.run(write_snapshot(archive, false));
    f.run(write_snapshot(archive, true));
    // A byte in the frame of a chunk of the random file: it is stored as it is.
    auto const chunk = test::random_bytes(290'000, 1).substr(1000, 50);
    bool hit = false;
    for (auto const& path : files_of(fs::path(f.folder()) / "packs/data")) {
      auto bytes = test::read_file(path);
      auto const at = bytes.find(chunk);
      if (at == std::string::npos) continue;
      hit = true;
      bytes[at] = static_cast<char>(bytes[at] ^ 1);
      test::write_file(path, bytes);
    }
    REQUIRE(hit);
    std::uint64_t last = 0, total = 0;
    auto const problems = f.run(archive->check(true, [&](std::uint64_t done, std::uint64_t of) {
      CHECK(done >= last);
      last = done;
      total = of;
    }));
    CHECK(last == total);
    REQUIRE(problems.size() == 2);
    CHECK(problems[0].object == "");
    CHECK(problems[1].object.starts_with("run second file r"));
    CHECK(f.run(archive->check(false, nullptr)).empty());  // sizes and trailers are right
    CHECK_THROWS_AS(f.run(test::read_latest(archive)), archive::Corrupt);
  }

  TEST_CASE("archive crash: wherever writing stops, the old snapshot is whole and the next run is complete") {
    ArchiveFixture clean(small_options());
    auto const model = clean.open();
    clean.run(model->create());
    clean.run(write_snapshot(model, false));
    auto const before = clean.run(test::read_latest(model));
    clean.run(write_snapshot(model, true));
    auto const after = clean.run(test::read_latest(model));
    for (auto const fault : {test::Fault::once, test::Fault::for_ever, test::Fault::after_step}) {
      bool triggered = true;
      std::uint64_t n = 0;
      for (; triggered; ++n) {
        CAPTURE(n);
        CAPTURE(static_cast<int>(fault));
        REQUIRE(n < 500);
        ArchiveFixture f(small_options());
        auto const archive = f.open();
        f.run(archive->create());
        f.run(write_snapshot(archive, false));
        auto const faulty = std::make_shared<test::FaultBackend>(f.backend, fault, n);
        bool thrown = false;
        try {
          f.run(write_snapshot(f.open(faulty), true));
        } catch (const std::system_error&) {
          thrown = true;
        }
        triggered = faulty->triggered();
        CHECK(thrown == triggered);
        CHECK(f.memory.used() == 0);
        CHECK(f.run(archive->check(true, nullptr)).empty());
        auto const contents = f.run(test::read_latest(archive));
        bool const is_old = contents == before;
        bool const is_new = contents == after;
        CHECK((is_old || is_new));
        auto const snapshots = f.run(archive->snapshots());
        auto const oldest = f.run(archive->open_snapshot(snapshots.front().id));
        CHECK(f.run(test::read_everything(oldest)) == before);
        if (is_old) {
          f.run(write_snapshot(archive, true));
          CHECK(f.run(test::read_latest(archive)) == after);
          CHECK(f.run(archive->check(true, nullptr)).empty());
        }
        CHECK(fs::is_empty(fs::path(f.folder()) / "tmp"));
      }
      CHECK(n > 15);
    }
  }

  TEST_CASE("archive full disk: an error that says so, and nothing lost, at any size") {
    bool triggered = true;
    for (std::uint64_t room = 0; triggered; room += 20'011) {
      CAPTURE(room);
      ArchiveFixture f(small_options());
      auto const archive = f.open();
      f.run(archive->create());
      f.run(write_snapshot(archive, false));
      auto const before = f.run(test::read_latest(archive));
      auto const full = std::make_shared<test::FaultBackend>(f.backend, room);
      try {
        f.run(write_snapshot(f.open(full), true));
      } catch (const std::system_error& error) {
        CHECK(error.code() == std::errc::no_space_on_device);
      }
      triggered = full->triggered();
      CHECK(f.run(archive->check(true, nullptr)).empty());
      if (triggered) CHECK(f.run(test::read_latest(archive)) == before);
    }
  }

  TEST_CASE("archive full disk: a real one") {
    ArchiveFixture f(small_options());
    fs::create_directories(f.folder());
    if (::mount("tmpfs", f.folder().c_str(), "tmpfs", 0, "size=1m") != 0) {
      MESSAGE("SKIPPED: this process may not mount a tmpfs");
      return;
    }
    struct Unmount {
      std::string path;
      ~Unmount() { ::umount2(path.c_str(), MNT_DETACH); }
    } const unmount{f.folder()};
    auto const archive = f.open();
    f.run(archive->create());
    f.run(write_snapshot(archive, false));
    auto const before = f.run(test::read_latest(archive));
    auto const fill = [&]() -> async::Task<> {
      auto writer = co_await archive->begin_snapshot("too much", nullptr);
      co_await test::put_text(*writer, "run", "r", "f", test::random_bytes(3 << 20, 9));
    };
    try {
      f.run(fill());
      FAIL_CHECK("3 MiB went into 1 MiB");
    } catch (const std::system_error& error) {
      CHECK(error.code() == std::errc::no_space_on_device);
      CHECK(std::string(error.what()).find(f.folder()) != std::string::npos);
    }
    CHECK(f.run(test::read_latest(archive)) == before);
    CHECK(f.run(archive->check(true, nullptr)).empty());
  }
}
