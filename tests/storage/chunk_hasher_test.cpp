#include "storage/archive/chunk_hasher.hpp"

#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <doctest/doctest.h>

#include "async/task_group.hpp"
#include "protocol/digest/sha256.hpp"
#include "storage/archive/context.hpp"
#include "support/archive_fixture.hpp"
#include "support/run.hpp"

using namespace mlferry;

namespace {

struct Bench {
  explicit Bench(std::size_t threads) : pool(threads), hasher(context.get_executor(), pool) {
    for (std::size_t i = 0; i < 11; ++i) texts.push_back(test::random_bytes(i * 70'001 % 400'000, i));
  }
  async::Task<> one(std::size_t i) {
    auto const digest =
        co_await archive::shielded(context.get_executor(), hasher.hash(async::as_bytes(texts[i])));
    if (digest == digest::sha256(texts[i])) ++right;
    ++returned;
  }
  async::Task<> all(bool cancel) {
    async::TaskGroup group(context.get_executor());
    for (std::size_t i = 0; i < texts.size(); ++i) group.spawn(one(i));
    if (cancel) group.cancel();
    co_await group.join();
  }

  boost::asio::io_context context;
  async::WorkerPool pool;
  archive::ChunkHasher hasher;
  std::vector<std::string> texts;
  std::size_t right = 0, returned = 0;
};

}  // namespace

TEST_SUITE("storage") {
  TEST_CASE("chunk hasher: those that wait together get each its own digest") {
    for (std::size_t threads : {1u, 2u, 4u}) {
      CAPTURE(threads);
      Bench bench(threads);
      for (int round = 0; round < 20; ++round) test::run(bench.context, bench.all(false));
      CHECK(bench.right == 20 * bench.texts.size());
    }
  }

  TEST_CASE("chunk hasher: callers that are cancelled leave no other without its digest") {
    Bench bench(2);
    for (int round = 0; round < 20; ++round) {
      auto const cancelled = [&]() -> async::Task<> {
        async::TaskGroup kept(bench.context.get_executor());
        for (std::size_t i = 0; i < bench.texts.size(); ++i) kept.spawn(bench.one(i));
        try {
          co_await bench.all(true);
        } catch (const boost::system::system_error&) {
        }
        co_await kept.join();
      };
      auto const before = bench.right;
      test::run(bench.context, cancelled());
      CHECK(bench.right >= before + bench.texts.size());
      CHECK(bench.right == bench.returned);
    }
  }
}
