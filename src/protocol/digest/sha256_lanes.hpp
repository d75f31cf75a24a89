#pragma once
// Steps of several SHA-256 at once in one thread. Each step of the algorithm waits for the one before, which leaves the
// SHA instructions of x86 processors idle most of the time: two digests take little longer than one, four about twice
// as long. OpenSSL has this only inside of its TLS code.

#include <cstddef>
#include <cstdint>
#include <span>

namespace mlferry::digest {

// One digest on its way: its eight words (FIPS 180-4, 6.2.2) and the bytes that come next.
struct Sha256Lane {
  std::uint32_t* words = nullptr;
  const unsigned char* data = nullptr;
};

inline constexpr std::size_t most_lanes = 4;

// Whether this processor has the instructions. Without them nothing below may be called.
bool has_sha256_lanes();
// Takes `blocks` blocks of 64 bytes from each lane's data into its words. Two to `most_lanes` lanes: one is OpenSSL's.
void advance(std::span<const Sha256Lane> lanes, std::size_t blocks);

}  // namespace mlferry::digest
