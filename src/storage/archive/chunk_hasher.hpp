#pragma once
// SHA-256 of chunks on the worker pool. One thread computes those that wait at the same time side by side, which takes
// it little longer than one alone.

#include <algorithm>
#include <cstddef>
#include <exception>
#include <list>
#include <span>

#include <boost/asio/steady_timer.hpp>

#include "async/semaphore.hpp"
#include "async/task.hpp"
#include "async/worker_pool.hpp"
#include "storage/archive/format.hpp"

namespace mlferry::archive {

class ChunkHasher {
 public:
  // On half of the pool's threads at most, so that chunks wait for each other under load.
  ChunkHasher(async::Executor executor, async::WorkerPool& pool)
      : executor_(executor), pool_(pool), turn_(executor, std::max<std::size_t>(pool.threads() / 2, 1)) {}

  // `bytes` must stay until it returns. May not be cancelled: call it through shielded(); it computes, and waits for
  // nothing but the processor.
  async::Task<Digest> hash(std::span<const std::byte> bytes);

 private:
  struct Wish {
    Wish(const async::Executor& executor, std::span<const std::byte> bytes) : bytes(bytes), wake(executor) {}
    std::span<const std::byte> bytes;
    Digest digest{};
    std::exception_ptr failure;
    bool begun = false, ended = false;
    boost::asio::steady_timer wake;
  };
  async::Task<> compute();

  async::Executor executor_;
  async::WorkerPool& pool_;
  async::Semaphore turn_;
  std::list<Wish*> waiting_;
};

}  // namespace mlferry::archive
