#include "async/sleep.hpp"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace mlferry::async {

Task<> sleep_for(std::chrono::nanoseconds duration) {
  auto executor = co_await boost::asio::this_coro::executor;
  boost::asio::steady_timer timer(executor,
                                  std::chrono::duration_cast<boost::asio::steady_timer::duration>(duration));
  co_await timer.async_wait(boost::asio::use_awaitable);
}

}  // namespace mlferry::async
