#pragma once
// What a job is doing, on stderr: a block that is drawn again and again on a terminal, one line in a while in
// a pipe.

#include <chrono>
#include <functional>
#include <string>

#include "async/task.hpp"
#include "engine/report.hpp"

namespace mlferry::cli {

struct ProgressNumbers {
  std::uint64_t requests_in_flight = 0;
  std::uint64_t memory_used = 0;
};

class ProgressView {
 public:
  explicit ProgressView(const engine::Report& report);

  // Runs until it is cancelled; then a terminal's block is wiped off.
  async::Task<> run(std::function<ProgressNumbers()> numbers);

  // The block's lines; pure but for the report. `seconds` since the start.
  std::string render(const ProgressNumbers& numbers, double seconds, std::size_t width) const;

 private:
  void draw(const std::string& text);
  void wipe();

  const engine::Report& report_;
  bool terminal_;
  std::size_t lines_ = 0;
};

}  // namespace mlferry::cli
