#include "storage/archive/publish.hpp"

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include "storage/archive/compression.hpp"
#include "storage/archive/format.hpp"

namespace mlferry::archive {

namespace {

// A local file that goes away with the scope.
class Scratch {
 public:
  explicit Scratch(std::string path) : path_(std::move(path)) {}
  ~Scratch() {
    close();
    std::error_code ignored;  // what stays in tmp/, the next writer removes
    std::filesystem::remove(path_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  const std::string& path() const { return path_; }

  std::size_t read(std::span<std::byte> buffer) {
    if (file_ == nullptr) file_ = std::fopen(path_.c_str(), "rbe");
    if (file_ == nullptr) throw std::system_error(errno, std::generic_category(), path_ + ": open");
    auto const n = std::fread(buffer.data(), 1, buffer.size(), file_);
    if (n == 0 && std::ferror(file_) != 0)
      throw std::system_error(errno, std::generic_category(), path_ + ": read");
    return n;
  }

 private:
  void close() {
    if (file_ != nullptr) std::fclose(file_);
  }
  std::string path_;
  std::FILE* file_ = nullptr;
};

}  // namespace

async::Task<PublishedCatalog> publish_catalog(Context& context, std::unique_ptr<CatalogWriter> catalog,
                                              std::vector<CatalogWriter::Pack> packs) {
  constexpr std::size_t kPiece = 1 << 20;
  Scratch scratch(co_await context.backend->scratch_path());
  PublishedCatalog published;
  co_await context.pool.run([&] {
    published.totals = catalog->finish(packs, scratch.path());
    catalog.reset();
  });
  auto upload = co_await context.backend->begin();
  Buffer buffer(kPiece);
  digest::Sha256 hash;
  while (true) {
    auto const n = co_await context.pool.run([&] {
      auto const got = scratch.read(buffer.span());
      hash.update(buffer.span().first(got));
      return got;
    });
    if (n == 0) break;
    co_await upload->write(buffer.span().first(n));
    published.size += n;
  }
  published.name = catalog_name(hex(hash.finish()));
  co_await upload->commit(published.name, true);
  co_return published;
}

std::int64_t now_ms(const Context& context) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(context.options.clock().time_since_epoch())
      .count();
}

}  // namespace mlferry::archive
