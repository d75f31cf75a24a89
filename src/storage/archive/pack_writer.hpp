#pragma once
// Writes the packs of one kind: frames in, packs of about Options::pack_bytes out. Appends may overlap; each
// waits for its turn, and their order is the order of the calls.

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "async/semaphore.hpp"
#include "storage/archive/context.hpp"
#include "storage/archive/pack_format.hpp"

namespace mlferry::archive {

class PackWriter {
 public:
  // `new_number` gives each pack its number in the catalog.
  PackWriter(std::shared_ptr<Context> context, PackKind kind, std::function<std::uint32_t()> new_number);

  struct Place {
    std::uint32_t pack = 0, frame = 0;
    std::uint64_t offset = 0;
  };
  // What goes into the pack for a frame. The bytes must stay until append() has returned.
  struct Frame {
    Encoding encoding = Encoding::raw;
    std::span<const std::byte> stored;
    Digest sha256{};  // of `stored`; not looked at when it is raw
    std::vector<Blob> blobs;
  };
  // Neither may be cancelled: call them through shielded(). After a failure the writer must not be used
  // again.
  async::Task<Place> append(Frame frame);
  // Closes the pack that is open. When it returns, all packs are durable.
  async::Task<> finish();

  struct Finished {
    std::uint32_t number = 0;
    std::string name;
    std::uint64_t size = 0;
  };
  const std::vector<Finished>& finished() const { return finished_; }  // in the order of their beginning

 private:
  struct Pack {
    std::unique_ptr<backend::Upload> upload;
    std::size_t slot = 0;  // in finished_
    std::uint64_t size = 0;
    std::uint64_t trailer = kFooterSize;
    std::vector<PackFrame> frames;
  };
  async::Task<> write(Pack& pack, std::span<const std::byte> data);
  async::Task<> close(std::unique_ptr<Pack> pack);

  std::shared_ptr<Context> context_;
  PackKind kind_;
  std::function<std::uint32_t()> new_number_;
  async::Semaphore turn_;
  async::Semaphore closing_;  // bounds the packs that wait for their fsync
  std::unique_ptr<Pack> open_;
  std::vector<Finished> finished_;
};

}  // namespace mlferry::archive
