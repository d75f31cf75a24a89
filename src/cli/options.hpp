#pragma once
// What every command takes.

#include <cstdint>
#include <optional>
#include <string>

namespace CLI {
class App;
}

namespace mlferry::cli {

struct GlobalOptions {
  std::string jobs = "auto";
  std::uint64_t transfers = 16;
  std::string max_memory = "256M";
  double tpslimit = 0;
  int retries = 8;
  double timeout_seconds = 120;
  bool dry_run = false;
  bool json = false;
  std::string report_file;
  bool no_progress = false;
  bool fail_fast = false;
  bool full = false;
  bool no_marker_tags = false;
  std::string log_level = "warning";
  std::string log_file;
  std::string state_dir;
};

// What every command that asks a server takes: attempts, time-outs, the log.
void add_request_options(CLI::App& app, GlobalOptions& options);
// Requests in flight and a second, for commands that send many.
void add_rate_options(CLI::App& app, GlobalOptions& options);
// Adds the options that all jobs share, these among them; values are checked when they are parsed.
void add_global_options(CLI::App& app, GlobalOptions& options);

// "256M", "1G", "65536", "64KiB" -> bytes; nullopt when it is none of these.
std::optional<std::uint64_t> parse_size(const std::string& text);

// "auto" -> 0; 1..1024; nullopt otherwise.
std::optional<std::uint64_t> parse_jobs(const std::string& text);

// Where ledgers are kept: --state-dir, else $XDG_STATE_HOME/mlferry, else ~/.local/state/mlferry.
std::string state_folder(const GlobalOptions& options);

}  // namespace mlferry::cli
