#include <doctest/doctest.h>

#include <openssl/evp.h>

#include <random>
#include <string>
#include <vector>

#include "protocol/digest/sha256.hpp"

using namespace mlferry::digest;

namespace {

std::string reference(std::string_view text) {
  Sha256Bytes bytes{};
  REQUIRE(EVP_Digest(text.data(), text.size(), bytes.data(), nullptr, EVP_sha256(), nullptr) == 1);
  return to_hex(bytes);
}

std::string random_text(std::size_t size, std::mt19937_64& random) {
  std::string text(size, '\0');
  for (auto& c : text) c = static_cast<char>(random());
  return text;
}

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

}  // namespace

TEST_SUITE("protocol") {
  TEST_CASE("sha256: the examples of FIPS 180-4") {
    CHECK(sha256_hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(sha256_hex("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK(sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  }

  TEST_CASE("sha256: several at once are each what they are alone, whatever their sizes") {
    std::mt19937_64 random(7);
    for (std::size_t n = 0; n <= 9; ++n) {
      for (int round = 0; round < 40; ++round) {
        std::vector<std::string> texts;
        for (std::size_t i = 0; i < n; ++i) texts.push_back(random_text(random() % (round < 20 ? 300 : 5000), random));
        std::vector<std::span<const std::byte>> data;
        for (auto const& text : texts) data.push_back(bytes_of(text));
        std::vector<Sha256Bytes> digests(n);
        sha256_each(data, digests);
        for (std::size_t i = 0; i < n; ++i) CHECK(to_hex(digests[i]) == reference(texts[i]));
      }
    }
  }

  TEST_CASE("sha256: two that take the same bytes, from any state") {
    std::mt19937_64 random(8);
    for (std::size_t before : {0u, 1u, 63u, 64u, 128u, 200u}) {
      for (std::size_t size : {0u, 1u, 63u, 64u, 65u, 127u, 128u, 1000u, 100'000u}) {
        CAPTURE(before);
        CAPTURE(size);
        auto const head = random_text(before, random);
        auto const text = random_text(size, random), tail = random_text(size % 77, random);
        Sha256 whole, part;
        whole.update(head);
        Sha256::update_both(whole, part, bytes_of(text));
        whole.update(tail);
        CHECK(to_hex(part.finish()) == reference(text));
        CHECK(to_hex(whole.finish()) == reference(head + text + tail));
        part.update(text);  // begins anew
        CHECK(to_hex(part.finish()) == reference(text));
      }
    }
  }

  TEST_CASE("sha256: more than 2^32 bits side by side are counted") {
    std::string const text(1 << 20, 'x');
    Sha256 one, other;
    for (int i = 0; i < 520; ++i) Sha256::update_both(one, other, bytes_of(text));
    auto const a = to_hex(one.finish());
    CHECK(a == to_hex(other.finish()));
    Sha256 alone;
    for (int i = 0; i < 520; ++i) alone.update(text);
    CHECK(a == to_hex(alone.finish()));
  }
}
