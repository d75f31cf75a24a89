#include "storage/archive/chunk_hasher.hpp"

#include <vector>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "protocol/digest/sha256.hpp"
#include "protocol/digest/sha256_lanes.hpp"

namespace mlferry::archive {

async::Task<Digest> ChunkHasher::hash(std::span<const std::byte> bytes) {
  Wish wish(executor_, bytes);
  waiting_.push_back(&wish);
  {
    auto const turn = co_await turn_.acquire();
    while (!wish.begun) co_await compute();
  }
  while (!wish.ended) {  // in the hands of another call
    wish.wake.expires_at(boost::asio::steady_timer::time_point::max());
    co_await wish.wake.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
  }
  if (wish.failure) std::rethrow_exception(wish.failure);
  co_return wish.digest;
}

// Those that have waited longest, as many as one thread computes at once.
async::Task<> ChunkHasher::compute() {
  std::vector<Wish*> wishes;
  std::vector<std::span<const std::byte>> data;
  while (!waiting_.empty() && wishes.size() < digest::most_lanes) {
    auto* const wish = wishes.emplace_back(waiting_.front());
    waiting_.pop_front();
    wish->begun = true;
    data.push_back(wish->bytes);
  }
  std::vector<Digest> digests(data.size());
  std::exception_ptr failure;
  try {
    co_await pool_.run([&] { digest::sha256_each(data, digests); });
  } catch (...) {
    failure = std::current_exception();
  }
  for (std::size_t i = 0; i < wishes.size(); ++i) {
    wishes[i]->digest = digests[i];
    wishes[i]->failure = failure;
    wishes[i]->ended = true;
    wishes[i]->wake.cancel();
  }
}

}  // namespace mlferry::archive
