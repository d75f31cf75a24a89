#pragma once
// Tells whether the bytes of a pack are those that its trailer promises, while they are read piece by piece.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "protocol/digest/sha256.hpp"
#include "storage/archive/pack_format.hpp"

namespace mlferry::archive {

class PackVerifier {
 public:
  // `frames`: of the trailer, which is known to be sound.
  PackVerifier(PackKind kind, const std::vector<PackFrame>& frames);

  // The next bytes of the pack, from its first on. Computes; blocking. What comes after the frames is not
  // looked at.
  void update(std::span<const std::byte> data);
  // After the last byte: what is damaged, or "".
  std::string problem() const;

 private:
  struct Part {  // bytes that have one SHA-256
    std::uint64_t size = 0;
    Digest sha256{};
    std::size_t frame = 0;
  };
  void finish_part();

  std::vector<Part> parts_;
  std::size_t next_ = 0;    // the part that is being read
  std::uint64_t done_ = 0;  // of it
  digest::Sha256 hash_;
  std::string problem_;
};

}  // namespace mlferry::archive
