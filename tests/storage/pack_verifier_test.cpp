#include "storage/archive/pack_verifier.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace mlferry;
using namespace mlferry::archive;

namespace {

// A pack's bytes before its list: a raw frame of two blobs, a compressed one, a raw one.
struct Sample {
  std::string bytes = std::string(magic_of(PackKind::data)) + "hello" + "world!" + "(packed)" + "end";
  std::vector<PackFrame> frames{
      {Encoding::raw, 8, 11, 11, {{digest::sha256("hello"), 5}, {digest::sha256("world!"), 6}}, {}},
      {Encoding::zstd, 19, 8, 30, {{digest::sha256("what it was before"), 30}}, digest::sha256("(packed)")},
      {Encoding::raw, 27, 3, 3, {{digest::sha256("end"), 3}}, {}},
  };
};

std::string problem_of(const Sample& sample, std::string_view bytes, std::size_t piece) {
  PackVerifier verifier(PackKind::data, sample.frames);
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    verifier.update(std::as_bytes(std::span(bytes.substr(at, piece))));
  }
  return verifier.problem();
}

}  // namespace

TEST_SUITE("storage") {
  TEST_CASE("pack verifier: the bytes that the list promises, in pieces of any size") {
    Sample const sample;
    for (std::size_t piece = 1; piece <= sample.bytes.size() + 1; ++piece) {
      CAPTURE(piece);
      CHECK(problem_of(sample, sample.bytes, piece) == "");
      CHECK(problem_of(sample, sample.bytes + "the list", piece) == "");
    }
  }

  TEST_CASE("pack verifier: every changed byte is found, and the first damaged frame named") {
    Sample const sample;
    for (std::size_t at = 0; at < sample.bytes.size(); ++at) {
      auto bad = sample.bytes;
      bad[at] = static_cast<char>(bad[at] ^ 0x20);
      CAPTURE(at);
      auto const frame = at < 8 ? "the pack does not begin as one"
                         : at < 19 ? "frame 0 is damaged"
                         : at < 27 ? "frame 1 is damaged"
                                   : "frame 2 is damaged";
      CHECK(problem_of(sample, bad, 5) == frame);
    }
  }

  TEST_CASE("pack verifier: bytes in another order, too few, and another kind's magic") {
    Sample const sample;
    auto swapped = sample.bytes;
    std::swap(swapped[9], swapped[10]);
    CHECK(problem_of(sample, swapped, 64) != "");
    CHECK(problem_of(sample, std::string_view(sample.bytes).substr(0, sample.bytes.size() - 1), 64) == "the pack ends early");
    CHECK(problem_of(sample, "", 64) == "the pack ends early");
    CHECK(problem_of(sample, std::string(magic_of(PackKind::meta)) + sample.bytes.substr(8), 64) != "");
  }
}
