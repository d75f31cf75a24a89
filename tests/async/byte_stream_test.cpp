#include "async/byte_stream.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "async/sleep.hpp"
#include "support/cancelled_run.hpp"
#include "support/run.hpp"

using namespace std::chrono_literals;
using namespace mlferry::async;
using mlferry::test::Ending;
using mlferry::test::run;
using mlferry::test::run_cancelled_after;

namespace {

// Gives at most `piece` bytes a time, each after a wait, and breaks at `breaks_at`.
class PieceReader final : public ByteReader {
 public:
  PieceReader(std::string data, std::size_t piece, std::size_t breaks_at = std::string::npos)
      : data_(std::move(data)), piece_(piece), breaks_at_(breaks_at) {}
  Task<std::size_t> read_some(std::span<std::byte> buffer) override {
    largest_ask_ = std::max(largest_ask_, buffer.size());
    REQUIRE_FALSE(buffer.empty());
    co_await sleep_for(1us);
    if (position_ >= breaks_at_) throw std::runtime_error("the source broke");
    auto const n = std::min({buffer.size(), piece_, data_.size() - position_, breaks_at_ - position_});
    std::memcpy(buffer.data(), data_.data() + position_, n);
    position_ += n;
    co_return n;
  }
  std::size_t largest_ask() const { return largest_ask_; }

 private:
  std::string data_;
  std::size_t piece_;
  std::size_t breaks_at_;
  std::size_t position_ = 0;
  std::size_t largest_ask_ = 0;
};

class TextWriter final : public ByteWriter {
 public:
  Task<> write(std::span<const std::byte> data) override {
    co_await sleep_for(1us);
    text_.append(as_text(data));
    ++writes_;
  }
  const std::string& text() const { return text_; }
  int writes() const { return writes_; }

 private:
  std::string text_;
  int writes_ = 0;
};

std::string pattern(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 131 + i / 251);
  return text;
}

}  // namespace

TEST_SUITE("async") {
  TEST_CASE("byte stream: read_full fills the buffer over short reads, and stops short at the end only") {
    boost::asio::io_context context;
    auto const data = pattern(100);
    PieceReader reader(data, 7);
    std::vector<std::byte> buffer(64);
    CHECK(run(context, read_full(reader, buffer)) == 64);
    CHECK(as_text(buffer) == data.substr(0, 64));
    CHECK(run(context, read_full(reader, buffer)) == 36);
    CHECK(as_text(std::span(buffer).first(36)) == data.substr(64));
    CHECK(run(context, read_full(reader, buffer)) == 0);
    CHECK(run(context, read_full(reader, std::span<std::byte>{})) == 0);
  }

  TEST_CASE("byte stream: read_all, and its limit") {
    boost::asio::io_context context;
    auto const data = pattern(200'000);
    for (std::size_t piece : {1000u, 70'000u, 1'000'000u}) {
      PieceReader reader(data, piece);
      CHECK(run(context, read_all(reader, data.size(), "the file")) == data);
      PieceReader too_long(data, piece);
      CHECK_THROWS_WITH_AS(run(context, read_all(too_long, data.size() - 1, "the file")),
                           "the file: more than 199999 bytes", std::length_error);
    }
    MemoryReader empty("");
    CHECK(run(context, read_all(empty, 0, "nothing")).empty());
  }

  TEST_CASE("byte stream: copy moves everything through one buffer") {
    boost::asio::io_context context;
    auto const data = pattern(10'001);
    PieceReader reader(data, 5000);
    TextWriter writer;
    CHECK(run(context, copy(reader, writer, 1000)) == data.size());
    CHECK(writer.text() == data);
    CHECK(writer.writes() == 11);
    CHECK(reader.largest_ask() == 1000);
  }

  TEST_CASE("byte stream: a source that breaks is an error, not an end") {
    boost::asio::io_context context;
    auto const data = pattern(100);
    std::vector<std::byte> buffer(64);
    PieceReader first(data, 10, 50);
    CHECK_THROWS_WITH_AS(run(context, read_full(first, buffer)), "the source broke", std::runtime_error);
    PieceReader second(data, 10, 50);
    CHECK_THROWS_WITH_AS(run(context, read_all(second, 1000, "x")), "the source broke", std::runtime_error);
    PieceReader third(data, 10, 50);
    TextWriter writer;
    CHECK_THROWS_WITH_AS(run(context, copy(third, writer)), "the source broke", std::runtime_error);
    CHECK(writer.text() == data.substr(0, 50));
  }

  TEST_CASE("byte stream: memory reader") {
    boost::asio::io_context context;
    std::string const text("a\0b\xff", 4);
    MemoryReader reader(text);
    std::vector<std::byte> buffer(3);
    CHECK(run(context, reader.read_some(buffer)) == 3);
    CHECK(as_text(buffer) == std::string_view("a\0b", 3));
    CHECK(run(context, reader.read_some(buffer)) == 1);
    CHECK(run(context, reader.read_some(buffer)) == 0);
    CHECK(as_text(as_bytes(text)) == text);
  }

  TEST_CASE("byte stream: copy cancelled at every step wrote a prefix") {
    auto const data = pattern(40);
    bool ended = false;
    int cancelled = 0;
    for (std::size_t steps = 0; steps < 100 && !ended; ++steps) {
      CAPTURE(steps);
      boost::asio::io_context context;
      PieceReader reader(data, 10);
      TextWriter writer;
      auto body = [&]() -> Task<> { co_await copy(reader, writer, 16); };
      auto ending = run_cancelled_after(context, steps, body());
      CHECK(data.starts_with(writer.text()));
      if (ending == Ending::cancelled) ++cancelled;
      ended = ending == Ending::by_itself;
    }
    CHECK(ended);
    CHECK(cancelled >= 8);
  }
}
