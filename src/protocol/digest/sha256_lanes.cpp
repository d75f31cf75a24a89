#include "protocol/digest/sha256_lanes.hpp"

#if defined(__x86_64__)
#include <array>
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace mlferry::digest {

#if defined(__x86_64__)

namespace {

// FIPS 180-4, 4.2.2.
alignas(16) constexpr std::array<std::uint32_t, 64> round_constants = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

// The words as the instructions want them: a, b, e, f in one register, c, d, g, h in the other.
struct State {
  __m128i abef, cdgh;
};

#define MLFERRY_SHA __attribute__((target("sha,sse4.1,ssse3")))

MLFERRY_SHA inline State load_state(const std::uint32_t* words) {
  auto const* const at = reinterpret_cast<const __m128i*>(words);
  __m128i const badc = _mm_shuffle_epi32(_mm_loadu_si128(at), 0xB1);
  __m128i const hgfe = _mm_shuffle_epi32(_mm_loadu_si128(at + 1), 0x1B);
  return {_mm_alignr_epi8(badc, hgfe, 8), _mm_blend_epi16(hgfe, badc, 0xF0)};
}

MLFERRY_SHA inline void store_state(const State& state, std::uint32_t* words) {
  auto* const at = reinterpret_cast<__m128i*>(words);
  __m128i const feba = _mm_shuffle_epi32(state.abef, 0x1B);
  __m128i const dchg = _mm_shuffle_epi32(state.cdgh, 0xB1);
  _mm_storeu_si128(at, _mm_blend_epi16(feba, dchg, 0xF0));
  _mm_storeu_si128(at + 1, _mm_alignr_epi8(dchg, feba, 8));
}

// The lanes' work is written side by side, four rounds of each in turn, so that the processor overlaps it.
template <std::size_t lanes_n>
MLFERRY_SHA void advance_lanes(const Sha256Lane* lanes, std::size_t blocks) {
  __m128i const big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  State states[lanes_n];
  for (std::size_t l = 0; l < lanes_n; ++l) states[l] = load_state(lanes[l].words);
  for (std::size_t block = 0; block < blocks; ++block) {
    State before[lanes_n];
    __m128i schedule[lanes_n][4];  // the 16 latest words of the message schedule, four by four
    for (std::size_t l = 0; l < lanes_n; ++l) {
      before[l] = states[l];
      auto const* const at = reinterpret_cast<const __m128i*>(lanes[l].data + 64 * block);
      for (int i = 0; i < 4; ++i) schedule[l][i] = _mm_shuffle_epi8(_mm_loadu_si128(at + i), big_endian);
    }
#pragma clang loop unroll(full)
    for (std::size_t group = 0; group < 16; ++group) {
      __m128i const constants = _mm_load_si128(reinterpret_cast<const __m128i*>(&round_constants[4 * group]));
      std::size_t const now = group % 4;
      for (std::size_t l = 0; l < lanes_n; ++l) {
        State& state = states[l];
        __m128i const sum = _mm_add_epi32(schedule[l][now], constants);
        state.cdgh = _mm_sha256rnds2_epu32(state.cdgh, state.abef, sum);
        state.abef = _mm_sha256rnds2_epu32(state.abef, state.cdgh, _mm_shuffle_epi32(sum, 0x0E));
      }
      if (group >= 12) continue;
      for (std::size_t l = 0; l < lanes_n; ++l) {
        __m128i const last = schedule[l][(now + 3) % 4];
        __m128i const seven_back = _mm_alignr_epi8(last, schedule[l][(now + 2) % 4], 4);
        __m128i const first = _mm_sha256msg1_epu32(schedule[l][now], schedule[l][(now + 1) % 4]);
        schedule[l][now] = _mm_sha256msg2_epu32(_mm_add_epi32(first, seven_back), last);
      }
    }
    for (std::size_t l = 0; l < lanes_n; ++l) {
      states[l].abef = _mm_add_epi32(states[l].abef, before[l].abef);
      states[l].cdgh = _mm_add_epi32(states[l].cdgh, before[l].cdgh);
    }
  }
  for (std::size_t l = 0; l < lanes_n; ++l) store_state(states[l], lanes[l].words);
}

#undef MLFERRY_SHA

bool find_instructions() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0) return false;
  bool const shuffles = (c & bit_SSSE3) != 0 && (c & bit_SSE4_1) != 0;
  return shuffles && __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & (1u << 29)) != 0;
}

}  // namespace

bool has_sha256_lanes() {
  static bool const found = find_instructions();
  return found;
}

void advance(std::span<const Sha256Lane> lanes, std::size_t blocks) {
  switch (lanes.size()) {
    case 2:
      return advance_lanes<2>(lanes.data(), blocks);
    case 3:
      return advance_lanes<3>(lanes.data(), blocks);
    case 4:
      return advance_lanes<4>(lanes.data(), blocks);
    default:
      return;
  }
}

#else

bool has_sha256_lanes() { return false; }
void advance(std::span<const Sha256Lane>, std::size_t) {}

#endif

}  // namespace mlferry::digest
