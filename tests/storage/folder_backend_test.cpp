#include "storage/backend/folder_backend.hpp"

#include <filesystem>
#include <system_error>

#include <doctest/doctest.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storage/backend/name.hpp"
#include "support/archive_fixture.hpp"

namespace fs = std::filesystem;
using namespace mlferry;
using test::ArchiveFixture;

namespace {

async::Task<> put(backend::Backend& backend, std::string name, std::string bytes, bool replace = false) {
  auto upload = co_await backend.begin();
  co_await upload->write(async::as_bytes(bytes));
  co_await upload->commit(std::move(name), replace);
}

async::Task<std::string> get(backend::Backend& backend, std::string name, std::uint64_t offset,
                             std::uint64_t length) {
  auto reader = co_await backend.open(std::move(name), offset, length);
  co_return co_await async::read_all(*reader, 1 << 20, "file");
}

std::errc code_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const std::system_error& error) {
    return static_cast<std::errc>(error.code().value());
  }
  return {};
}

}  // namespace

TEST_SUITE("storage") {
  TEST_CASE("backend: which names are names") {
    for (std::string_view const name : {"a", "a/b", "A-9._z", "..a", "a/..b/c"})
      CHECK(backend::is_valid_name(name));
    for (std::string_view const name :
         {"", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "./a", "a b", "\xc3\xa9", "a\n"}) {
      CAPTURE(name);
      CHECK_FALSE(backend::is_valid_name(name));
    }
    CHECK_FALSE(backend::is_valid_name(std::string(513, 'a')));
  }

  TEST_CASE("folder backend: a file appears at commit, and is kept unless replaced") {
    ArchiveFixture f;
    auto& b = *f.backend;
    CHECK_FALSE(f.run(b.size("x/a")));
    CHECK(f.run(b.list("x")).empty());
    {
      auto const upload = f.run(b.begin());
      f.run(upload->write(async::as_bytes("dropped")));
      CHECK(f.run(b.list("")).empty());
    }
    CHECK(fs::is_empty(fs::path(f.folder()) / "tmp"));
    f.run(put(b, "x/a", "hello"));
    CHECK(f.run(b.size("x/a")) == 5);
    CHECK(f.run(get(b, "x/a", 0, 100)) == "hello");
    CHECK(f.run(get(b, "x/a", 1, 3)) == "ell");
    CHECK(f.run(get(b, "x/a", 9, 3)).empty());
    f.run(put(b, "x/a", "other"));
    CHECK(f.run(get(b, "x/a", 0, 100)) == "hello");
    f.run(put(b, "x/a", "other", true));
    CHECK(f.run(get(b, "x/a", 0, 100)) == "other");
    f.run(put(b, "x/b/c", ""));
    f.run(put(b, "top", "t"));
    auto const all = f.run(b.list(""));
    REQUIRE(all.size() == 3);
    CHECK(all[0].name == "top");
    CHECK(all[1].name == "x/a");
    CHECK(all[2].name == "x/b/c");
    CHECK(f.run(b.list("x/b")).size() == 1);
    CHECK(test::read_file(f.run(b.local_path("x/a"))) == "other");
    f.run(b.remove("x/a"));
    CHECK(code_of([&] { f.run(b.remove("x/a")); }) == std::errc::no_such_file_or_directory);
    CHECK(code_of([&] { f.run(get(b, "x/a", 0, 1)); }) == std::errc::no_such_file_or_directory);
    CHECK(fs::is_empty(fs::path(f.folder()) / "tmp"));
  }

  TEST_CASE("folder backend: no symbolic link leads out") {
    ArchiveFixture f;
    auto& b = *f.backend;
    f.run(put(b, "x/a", "hello"));
    auto const secret = f.scratch.path() / "secret";
    fs::create_directory(secret);
    test::write_file(secret / "s", "secret");
    fs::create_symlink(secret / "s", fs::path(f.folder()) / "x/link");
    fs::create_directory_symlink(secret, fs::path(f.folder()) / "y");
    for (std::string const name : {"x/link", "y/s"}) {
      CAPTURE(name);
      CHECK_THROWS_AS(f.run(get(b, name, 0, 10)), std::system_error);
      CHECK_THROWS_AS(f.run(b.size(name)), std::system_error);
      CHECK_THROWS_AS(f.run(b.local_path(name)), std::system_error);
    }
    CHECK_THROWS_AS(f.run(put(b, "y/new", "n")), std::system_error);
    CHECK_FALSE(fs::exists(secret / "new"));
    CHECK(f.run(b.list("")).size() == 1);
    for (std::string const name : {"../secret/s", "/etc/passwd", "tmp/x", "lock", "x/../../secret/s", ""}) {
      CAPTURE(name);
      CHECK(code_of([&] { f.run(get(b, name, 0, 10)); }) == std::errc::invalid_argument);
      CHECK(code_of([&] { f.run(put(b, name, "x")); }) == std::errc::invalid_argument);
    }
  }

  TEST_CASE("folder backend: errors name the file and the operation") {
    ArchiveFixture f;
    test::write_file(f.folder(), "a file, no folder");
    try {
      f.run(put(*f.backend, "a", "x"));
      FAIL_CHECK("written into a file");
    } catch (const std::system_error& error) {
      CHECK(error.code() == std::errc::not_a_directory);
      CHECK(std::string(error.what()).find(f.folder()) != std::string::npos);
    }
    if (::geteuid() == 0) {
      MESSAGE("SKIPPED: root may write everywhere, so no EACCES");
      return;
    }
    ArchiveFixture g;
    fs::create_directory(g.folder());
    ::chmod(g.folder().c_str(), 0500);
    CHECK(code_of([&] { g.run(put(*g.backend, "a", "x")); }) == std::errc::permission_denied);
    ::chmod(g.folder().c_str(), 0700);
  }

  TEST_CASE("folder backend: one lock, which names its holder and ends with its process") {
    ArchiveFixture f;
    auto lock = f.run(f.backend->lock_for_writing());
    backend::FolderBackend other(f.pool, f.folder());
    try {
      f.run(other.lock_for_writing());
      FAIL_CHECK("locked twice");
    } catch (const backend::Locked& error) {
      CHECK(std::string(error.what()).find("pid " + std::to_string(::getpid())) != std::string::npos);
    }
    lock.reset();
    lock = f.run(other.lock_for_writing());
    lock.reset();
    CHECK(f.run(other.list("")).empty());

    // Another process holds it, and is killed.
    auto const path = f.folder() + "/lock";
    int pipe_ends[2] = {-1, -1};
    REQUIRE(::pipe(pipe_ends) == 0);
    pid_t const child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {  // only system calls: the parent has threads
      int const fd = ::open(path.c_str(), O_RDWR);
      char const ready = ::flock(fd, LOCK_EX | LOCK_NB) == 0 ? 'y' : 'n';
      if (::write(pipe_ends[1], &ready, 1) != 1) ::_exit(1);
      ::pause();
      ::_exit(0);
    }
    char ready = 'n';
    CHECK(::read(pipe_ends[0], &ready, 1) == 1);
    CHECK(ready == 'y');
    CHECK_THROWS_AS(f.run(other.lock_for_writing()), backend::Locked);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    CHECK_NOTHROW(f.run(other.lock_for_writing()));
    ::close(pipe_ends[0]);
    ::close(pipe_ends[1]);
  }

  TEST_CASE("folder backend: clean_up removes what a killed writer left") {
    ArchiveFixture f;
    f.run(put(*f.backend, "a", "x"));
    auto const scratch = f.run(f.backend->scratch_path());
    CHECK_FALSE(fs::exists(scratch));
    test::write_file(scratch, "left");
    CHECK(f.run(f.backend->list("")).size() == 1);
    f.run(f.backend->clean_up());
    CHECK_FALSE(fs::exists(scratch));
    CHECK(f.run(f.backend->size("a")) == 1);
  }
}
