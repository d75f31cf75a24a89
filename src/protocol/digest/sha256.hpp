#pragma once
// SHA-256, in one go or piece by piece: the name of everything that is compared by content.

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace mlferry::digest {

using Sha256Bytes = std::array<unsigned char, 32>;

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void update(std::span<const std::byte> data);
  void update(std::string_view text);
  // The digest of all so far; then starts anew.
  Sha256Bytes finish();

  // The same bytes into both, in little more than the time for one (sha256_lanes.hpp).
  static void update_both(Sha256& one, Sha256& other, std::span<const std::byte> data);

 private:
  friend void sha256_each(std::span<const std::span<const std::byte>> data, std::span<Sha256Bytes> digests);
  struct State;
  std::unique_ptr<State> state_;
};

// Lower-case hexadecimal.
std::string to_hex(std::span<const unsigned char> bytes);
std::string sha256_hex(std::string_view text);
Sha256Bytes sha256(std::span<const std::byte> data);
Sha256Bytes sha256(std::string_view text);
// Of each, all at once in this thread: four take about as long as two (sha256_lanes.hpp). `digests` is as long as `data`.
void sha256_each(std::span<const std::span<const std::byte>> data, std::span<Sha256Bytes> digests);

}  // namespace mlferry::digest
