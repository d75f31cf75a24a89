#include "archive_fixture.hpp"

#include <cstdlib>
#include <fstream>
#include <random>
#include <sstream>
#include <stdexcept>

#include <boost/json/serialize.hpp>

namespace mlferry::test {

namespace fs = std::filesystem;

ScratchFolder::ScratchFolder() {
  std::string pattern = (fs::temp_directory_path() / "mlferry-test-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
  path_ = pattern;
}
ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error("cannot read " + path.string());
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

void write_file(const fs::path& path, const std::string& bytes) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << bytes;
  if (!out.flush()) throw std::runtime_error("cannot write " + path.string());
}

std::string random_bytes(std::size_t size, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::string bytes;
  bytes.reserve(size + 8);
  while (bytes.size() < size) {
    auto const value = random();
    bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  bytes.resize(size);
  return bytes;
}

ArchiveFixture::ArchiveFixture(archive::Options chosen, std::uint64_t memory_bytes)
    : options(std::move(chosen)), memory(context.get_executor(), memory_bytes) {
  backend = std::make_shared<backend::FolderBackend>(pool, folder());
}

std::shared_ptr<archive::Archive> ArchiveFixture::open(std::shared_ptr<backend::Backend> on) {
  if (!on) on = backend;
  return std::make_shared<archive::Archive>(context.get_executor(), pool, memory, std::move(on), options);
}

async::Task<archive::FileRow> put_text(archive::SnapshotWriter& writer, std::string kind, std::string id,
                                       std::string path, std::string bytes, bool announce) {
  std::optional<std::uint64_t> size;
  if (announce) size = bytes.size();
  async::MemoryReader reader(std::move(bytes));
  co_return co_await writer.put_file(std::move(kind), std::move(id), std::move(path), reader, size);
}

async::Task<> put_record(archive::SnapshotWriter& writer, std::string kind, std::string id, std::string text,
                         std::string parent) {
  archive::ObjectRow row;
  row.kind = std::move(kind);
  row.id = std::move(id);
  row.parent = std::move(parent);
  row.name = "name of " + row.id;
  row.lifecycle = "active";
  row.status = "FINISHED";
  row.time = 1'700'000'000'123;
  row.fingerprint = "print of " + text;
  boost::json::object record{{"text", text}};
  co_await writer.put_object(std::move(row), std::move(record));
}

async::Task<Contents> read_everything(std::shared_ptr<archive::SnapshotReader> reader) {
  Contents contents;
  for (auto const& [kind, count] : co_await reader->counts()) {
    std::int64_t after = 0;
    std::uint64_t seen = 0;
    do {
      auto page = co_await reader->objects(kind, std::nullopt, after, 7);
      for (auto const& object : page.objects) {
        ++seen;
        auto const key = kind + " " + object.row.id;
        contents[key] = boost::json::serialize(object.record) + "|" + object.row.parent + "|" +
                        object.row.name + "|" + object.row.lifecycle + "|" + object.row.status + "|" +
                        std::to_string(object.row.time.value_or(-1)) + "|" + object.row.fingerprint;
        for (auto const& file : co_await reader->files(kind, object.row.id)) {
          auto bytes = co_await reader->open_file(kind, object.row.id, file.path);
          auto text = co_await async::read_all(*bytes, std::size_t{1} << 30, file.path);
          if (text.size() != file.size) throw std::runtime_error(file.path + ": wrong size in the listing");
          contents[key + "/" + file.path] = std::move(text);
        }
      }
      after = page.next;
    } while (after != 0);
    if (seen != count) throw std::runtime_error(kind + ": the pages do not add up to the count");
  }
  for (auto const& gap : co_await reader->gaps()) {
    contents["gap " + gap.kind + " " + gap.id + "/" + gap.path] = gap.reason;
  }
  co_return contents;
}

async::Task<Contents> read_latest(std::shared_ptr<archive::Archive> archive) {
  auto reader = co_await archive->open_snapshot("latest");
  co_return co_await read_everything(std::move(reader));
}

}  // namespace mlferry::test
