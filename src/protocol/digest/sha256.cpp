// The calls that leave the digest's state open to view; those without it (EVP) can do only one at a time.
#define OPENSSL_SUPPRESS_DEPRECATED

#include "protocol/digest/sha256.hpp"

#include <algorithm>
#include <vector>

#include <openssl/sha.h>

#include "protocol/digest/sha256_lanes.hpp"

namespace mlferry::digest {

namespace {

constexpr std::size_t block_size = 64;

// A digest and what goes into it next.
struct Work {
  SHA256_CTX* context;
  std::span<const std::byte> data;

  std::size_t blocks() const { return data.size() / block_size; }
};

void take_blocks(Work& work, std::size_t blocks) {
  auto const bytes = blocks * block_size;
  std::uint64_t const bits = (std::uint64_t{work.context->Nh} << 32 | work.context->Nl) + std::uint64_t{bytes} * 8;
  work.context->Nh = static_cast<SHA_LONG>(bits >> 32);
  work.context->Nl = static_cast<SHA_LONG>(bits);
  work.data = work.data.subspan(bytes);
}

// As long as two or more have whole blocks left; then each does its rest alone.
void update_side_by_side(std::span<Work> all) {
  static_assert(sizeof(SHA_LONG) == sizeof(std::uint32_t));
  bool const possible =
      has_sha256_lanes() && std::all_of(all.begin(), all.end(), [](const Work& work) { return work.context->num == 0; });
  while (possible) {
    std::array<Work*, most_lanes> busy{};
    std::array<Sha256Lane, most_lanes> lanes{};
    std::size_t n = 0, blocks = SIZE_MAX;
    for (auto& work : all) {
      if (work.blocks() == 0 || n == most_lanes) continue;
      lanes[n] = {work.context->h, reinterpret_cast<const unsigned char*>(work.data.data())};
      busy[n++] = &work;
      blocks = std::min(blocks, work.blocks());
    }
    if (n < 2) break;
    advance(std::span(lanes).first(n), blocks);
    for (auto* const work : std::span(busy).first(n)) take_blocks(*work, blocks);
  }
  for (auto& work : all) SHA256_Update(work.context, work.data.data(), work.data.size());
}

}  // namespace

struct Sha256::State {
  SHA256_CTX context;
  State() { SHA256_Init(&context); }
};

Sha256::Sha256() : state_(std::make_unique<State>()) {}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(std::span<const std::byte> data) { SHA256_Update(&state_->context, data.data(), data.size()); }

void Sha256::update(std::string_view text) { update(std::as_bytes(std::span(text))); }

void Sha256::update_both(Sha256& one, Sha256& other, std::span<const std::byte> data) {
  std::array<Work, 2> work{{{&one.state_->context, data}, {&other.state_->context, data}}};
  update_side_by_side(work);
}

Sha256Bytes Sha256::finish() {
  Sha256Bytes bytes{};
  SHA256_Final(bytes.data(), &state_->context);
  SHA256_Init(&state_->context);
  return bytes;
}

void sha256_each(std::span<const std::span<const std::byte>> data, std::span<Sha256Bytes> digests) {
  std::vector<Sha256> hashes(data.size());
  std::vector<Work> work;
  for (std::size_t i = 0; i < data.size(); ++i) work.push_back({&hashes[i].state_->context, data[i]});
  update_side_by_side(work);
  for (std::size_t i = 0; i < data.size(); ++i) digests[i] = hashes[i].finish();
}

std::string to_hex(std::span<const unsigned char> bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (auto const byte : bytes) {
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

Sha256Bytes sha256(std::span<const std::byte> data) {
  Sha256 hash;
  hash.update(data);
  return hash.finish();
}

Sha256Bytes sha256(std::string_view text) { return sha256(std::as_bytes(std::span(text))); }

std::string sha256_hex(std::string_view text) { return to_hex(sha256(text)); }

}  // namespace mlferry::digest
