#include "cli/progress_view.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include <fmt/format.h>

#include "async/sleep.hpp"
#include "cli/report_table.hpp"

namespace mlferry::cli {

namespace {

constexpr auto terminal_interval = std::chrono::milliseconds(200);
constexpr auto pipe_interval = std::chrono::seconds(30);

std::size_t terminal_width() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

}  // namespace

ProgressView::ProgressView(const engine::Report& report)
    : report_(report), terminal_(::isatty(STDERR_FILENO) == 1) {}

std::string ProgressView::render(const ProgressNumbers& numbers, double seconds, std::size_t width) const {
  std::string text;
  std::uint64_t done = 0, failed = 0;
  for (auto const kind : engine::all_kinds) {
    auto const& c = report_.counts(kind);
    auto const finished = c.copied + c.skipped + c.failed + c.verified + c.different;
    done += finished;
    failed += c.failed + c.different;
    if (c.found == 0) continue;
    text += fmt::format("{:<25} {:>8} of {:<8}", engine::kind_label(kind), finished, c.found);
    if (c.failed + c.different > 0) text += fmt::format(" {} failed", c.failed + c.different);
    text += '\n';
  }
  auto const rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
  text += fmt::format("{:.0f} s, {:.0f} objects/s, {} ({}/s), {} requests in flight, {} failed\n", seconds,
                      rate, human_bytes(report_.bytes()),
                      human_bytes(static_cast<std::uint64_t>(
                          seconds > 0 ? static_cast<double>(report_.bytes()) / seconds : 0)),
                      numbers.requests_in_flight, failed);
  std::string cut;
  std::size_t from = 0;
  while (from < text.size()) {
    auto const end = text.find('\n', from);
    cut += text.substr(from, std::min(end - from, width > 1 ? width - 1 : 1)) + "\n";
    from = end + 1;
  }
  return cut;
}

void ProgressView::wipe() {
  if (lines_ > 0) std::fputs(fmt::format("\x1b[{}A\x1b[J", lines_).c_str(), stderr);
  lines_ = 0;
}

void ProgressView::draw(const std::string& text) {
  wipe();
  std::fputs(text.c_str(), stderr);
  std::fflush(stderr);
  lines_ = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

async::Task<> ProgressView::run(std::function<ProgressNumbers()> numbers) {
  auto const start = std::chrono::steady_clock::now();
  struct Wiped {
    ProgressView& view;
    ~Wiped() {
      if (view.terminal_) view.wipe();
      std::fflush(stderr);
    }
  } wiped{*this};
  while (true) {
    if (terminal_) {
      co_await async::sleep_for(terminal_interval);
    } else {
      co_await async::sleep_for(pipe_interval);
    }
    auto const seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    auto text = render(numbers(), seconds, terminal_ ? terminal_width() : 400);
    if (terminal_) {
      draw(text);
    } else {
      std::replace(text.begin(), text.end() - 1, '\n', ';');
      std::fputs(text.c_str(), stderr);
    }
  }
}

}  // namespace mlferry::cli
