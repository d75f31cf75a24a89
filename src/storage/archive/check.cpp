#include <algorithm>
#include <map>
#include <set>
#include <system_error>

#include "storage/archive/archive_impl.hpp"
#include "storage/archive/file_reader.hpp"
#include "storage/archive/pack_verifier.hpp"
#include "storage/archive/snapshot_reader.hpp"

namespace mlferry::archive {

namespace {

class Check {
 public:
  Check(std::shared_ptr<Context> context, bool read_data,
        std::function<void(std::uint64_t, std::uint64_t)> progress)
      : context_(std::move(context)), read_data_(read_data), progress_(std::move(progress)) {}

  async::Task<std::vector<Problem>> run() {
    for (auto& entry : co_await context_->backend->list("")) there_[entry.name] = entry.size;
    if (there_.empty()) throw NotFound(context_->backend->describe() + ": there is no mlferry archive");
    co_await check_head();
    co_await check_manifests();
    plan();
    for (auto const& [name, size] : packs_) co_await check_pack(name, size);
    for (auto const& manifest : manifests_) co_await check_snapshot(manifest);
    co_return std::move(problems_);
  }

 private:
  void report(std::string file, std::string object, std::string text) {
    problems_.push_back({std::move(file), std::move(object), std::move(text)});
  }
  void advance(std::uint64_t bytes) {
    done_ += bytes;
    if (progress_) progress_(done_, std::max(done_, total_));
  }
  bool is_read(const std::string& pack) const { return read_data_ || kind_of_pack(pack) == PackKind::meta; }

  async::Task<> check_head() {
    try {
      archive_id_ = co_await read_head(*context_->backend);
    } catch (const NotFound& error) {
      if (!has_parts()) throw;
      report(std::string(kHeadName), "", "the head file is missing");
    } catch (const Corrupt& error) {
      report(std::string(kHeadName), "", error.what());
    }
  }
  bool has_parts() const {
    return std::any_of(there_.begin(), there_.end(), [](const auto& entry) {
      return kind_of_pack(entry.first) || entry.first.starts_with(std::string(kSnapshotFolder) + "/");
    });
  }

  async::Task<> check_manifests() {
    for (auto const& [name, size] : there_) {
      if (!name.starts_with(std::string(kSnapshotFolder) + "/")) continue;
      try {
        auto const text = co_await read_small_file(*context_->backend, name, kLargestManifest);
        auto manifest = decode_manifest(text.value_or(""), name);
        if (!archive_id_.empty() && manifest.archive_id != archive_id_) {
          report(name, "", "the manifest belongs to another archive");
        }
        manifests_.push_back(std::move(manifest));
      } catch (const Corrupt& error) {
        report(name, "the whole snapshot", error.what());
      }
    }
  }

  void plan() {
    for (auto const& manifest : manifests_) {
      for (auto const& pack : manifest.packs) {
        auto const [known, added] = packs_.emplace(pack.name, pack.size);
        if (!added && known->second != pack.size) {
          report(pack.name, "", "two manifests give it different sizes");
          suspects_.insert(pack.name);
        }
      }
      total_ += manifest.catalog_size;
    }
    // Also what no snapshot names: the next writer would use it.
    for (auto const& [name, size] : there_) {
      if (kind_of_pack(name)) packs_.emplace(name, size);
    }
    for (auto const& [name, size] : packs_) total_ += is_read(name) ? size : 0;
  }

  async::Task<> check_pack(std::string name, std::uint64_t size) {
    std::string problem;
    auto const found = there_.find(name);
    if (found == there_.end()) {
      problem = "the pack is missing";
    } else if (found->second != size) {
      problem = "the pack has " + std::to_string(found->second) + " bytes instead of " + std::to_string(size);
    } else {
      try {
        auto const frames = co_await read_trailer(*context_->backend, name, size);
        if (is_read(name)) problem = co_await read_whole(name, frames);
      } catch (const Corrupt& error) {
        problem = error.what();
      } catch (const std::system_error& error) {
        problem = error.what();  // a bad sector
      }
    }
    if (problem.empty()) co_return;
    suspects_.insert(name);
    report(name, "", std::move(problem));
  }

  // What is damaged, or "".
  async::Task<std::string> read_whole(const std::string& name, const std::vector<PackFrame>& frames) {
    PackVerifier verifier(*kind_of_pack(name), frames);
    auto const take = [&](std::span<const std::byte> piece) { verifier.update(piece); };
    co_await for_each_piece(*context_, name, take, [this](std::uint64_t n) { advance(n); });
    co_return verifier.problem();
  }

  async::Task<> check_snapshot(const Manifest& manifest) {
    auto const whole = "the whole snapshot " + manifest.info.id;
    std::shared_ptr<SnapshotReader::Impl> reader;
    struct Suspect {
      ObjectPlace place;
      std::string path;  // of a file; empty for the record
      OpenedFile file;
    };
    std::vector<Suspect> suspects;
    try {
      reader = co_await open_catalog(context_, manifest);
      advance(manifest.catalog_size);
      auto const walk = [&](CatalogReader& catalog) {
        if (auto const text = catalog.integrity(); text != "ok")
          throw Corrupt(manifest.catalog + ": " + text);
        catalog.for_each([&](const ObjectPlace& place, const std::vector<FilePlace>& files) {
          if (suspects_.contains(place.record.frame.pack)) suspects.push_back({place, "", {}});
          for (auto const& file : files) {
            auto opened = locate_chunks(catalog, file, describe(place.row.kind, place.row.id, file.row.path));
            bool const hit = std::any_of(
                opened.chunks.begin(), opened.chunks.end(),
                [&](const ChunkRef& chunk) { return suspects_.contains(chunk.slice.frame.pack); });
            if (hit) suspects.push_back({place, file.row.path, std::move(opened)});
          }
        });
      };
      co_await run_query(*reader, walk);
    } catch (const Corrupt& error) {
      report(manifest.catalog, whole, error.what());
      co_return;
    } catch (const std::system_error& error) {
      report(manifest.catalog, whole, error.what());
      co_return;
    }
    // Only what really cannot be read is hit: a pack has many frames.
    for (auto& suspect : suspects) {
      auto const what = describe(suspect.place.row.kind, suspect.place.row.id, suspect.path);
      auto const pack = suspect.path.empty() ? suspect.place.record.frame.pack
                                             : suspect.file.chunks.front().slice.frame.pack;
      try {
        if (suspect.path.empty()) {
          co_await reader->load(std::move(suspect.place));
        } else {
          FileReader file(reader, std::move(suspect.file), what);
          std::vector<std::byte> buffer(64 * 1024);
          while (true) {
            auto const n = co_await file.read_some(buffer);
            if (n == 0) break;
          }
        }
      } catch (const Corrupt& error) {
        report(pack, what + " (snapshot " + manifest.info.id + ")", error.what());
      } catch (const std::system_error& error) {
        report(pack, what + " (snapshot " + manifest.info.id + ")", error.what());
      }
    }
  }

  template <class Work>
  async::Task<> run_query(SnapshotReader::Impl& reader, Work& work) {
    auto const turn = co_await reader.gate.acquire();
    co_await context_->pool.run([&] { work(reader.catalog); });
  }

  std::shared_ptr<Context> context_;
  bool read_data_;
  std::function<void(std::uint64_t, std::uint64_t)> progress_;
  std::map<std::string, std::uint64_t> there_;  // every file and its size
  std::string archive_id_;
  std::vector<Manifest> manifests_;
  std::map<std::string, std::uint64_t> packs_;  // name, and the size that it should have
  std::set<std::string> suspects_;
  std::uint64_t done_ = 0, total_ = 0;
  std::vector<Problem> problems_;
};

}  // namespace

async::Task<std::vector<Problem>> check_archive(std::shared_ptr<Context> context, bool read_data,
                                                std::function<void(std::uint64_t, std::uint64_t)> progress) {
  Check check(std::move(context), read_data, std::move(progress));
  co_return co_await check.run();
}

}  // namespace mlferry::archive
