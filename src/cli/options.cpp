#include "cli/options.hpp"

#include <CLI/CLI.hpp>

#include <cctype>
#include <charconv>
#include <cstdlib>

namespace mlferry::cli {

namespace {

CLI::Validator check(const char* what, std::function<bool(const std::string&)> good) {
  return CLI::Validator(
      [what, good = std::move(good)](std::string& text) -> std::string {
        return good(text) ? std::string() : "'" + text + "' is not " + what;
      },
      "", "");
}

}  // namespace

std::optional<std::uint64_t> parse_size(const std::string& text) {
  std::uint64_t number = 0;
  auto const* end = text.data() + text.size();
  auto const [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc()) return std::nullopt;
  std::string unit(rest, end);
  for (auto& c : unit) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  std::uint64_t factor = 0;
  if (unit.empty() || unit == "B") factor = 1;
  if (unit == "K" || unit == "KIB") factor = 1ull << 10;
  if (unit == "M" || unit == "MIB") factor = 1ull << 20;
  if (unit == "G" || unit == "GIB") factor = 1ull << 30;
  if (factor == 0 || number > (1ull << 50) / factor) return std::nullopt;
  return number * factor;
}

std::optional<std::uint64_t> parse_jobs(const std::string& text) {
  if (text == "auto") return 0;
  std::uint64_t number = 0;
  auto const [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || rest != text.data() + text.size() || number < 1 || number > 1024)
    return std::nullopt;
  return number;
}

void add_rate_options(CLI::App& app, GlobalOptions& options) {
  auto const jobs = check("'auto' or a number from 1 to 1024",
                          [](const std::string& text) { return parse_jobs(text).has_value(); });
  app.add_option("-j,--jobs", options.jobs,
                 "Requests in flight at each server: a number, or 'auto' to adapt to it")
      ->envname("MLFERRY_JOBS")
      ->check(jobs)
      ->capture_default_str();
  app.add_option("--tpslimit", options.tpslimit, "Most requests a second to each server; 0: no limit")
      ->envname("MLFERRY_TPSLIMIT")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
}

void add_request_options(CLI::App& app, GlobalOptions& options) {
  app.add_option("--retries", options.retries, "Attempts for one request, in all")
      ->envname("MLFERRY_RETRIES")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  app.add_option("--timeout", options.timeout_seconds,
                 "Seconds without one byte moving after which a connection is given up")
      ->envname("MLFERRY_TIMEOUT")
      ->check(CLI::Range(0.1, 86400.0))
      ->capture_default_str();
  app.add_option("--log-level", options.log_level, "debug, info, warning or error")
      ->envname("MLFERRY_LOG_LEVEL")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}))
      ->capture_default_str();
  app.add_option("--log-file", options.log_file, "Write the log to this file, not to stderr")
      ->envname("MLFERRY_LOG_FILE");
}

void add_global_options(CLI::App& app, GlobalOptions& options) {
  auto const size = check("a size (256M, 1G), at least 64M", [](const std::string& text) {
    auto const bytes = parse_size(text);
    return bytes && *bytes >= (64u << 20);
  });
  add_rate_options(app, options);
  app.add_option("--transfers", options.transfers, "Files in flight")
      ->envname("MLFERRY_TRANSFERS")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  app.add_option("--max-memory", options.max_memory, "Memory that the process may use for data")
      ->envname("MLFERRY_MAX_MEMORY")
      ->check(size)
      ->capture_default_str();
  add_request_options(app, options);
  app.add_flag("-n,--dry-run", options.dry_run, "Read and decide, write nothing")->envname("MLFERRY_DRY_RUN");
  app.add_flag("--json", options.json, "JSON lines on stdout: findings as they come, the report at the end")
      ->envname("MLFERRY_JSON");
  app.add_option("--report", options.report_file, "Write the report to this file as JSON")
      ->envname("MLFERRY_REPORT");
  app.add_flag("--no-progress", options.no_progress, "No progress view or progress lines")
      ->envname("MLFERRY_NO_PROGRESS");
  app.add_flag("--fail-fast", options.fail_fast, "End the job at the first object that fails")
      ->envname("MLFERRY_FAIL_FAST");
  app.add_flag("--full", options.full, "Read everything again, also what seems unchanged since the last time")
      ->envname("MLFERRY_FULL");
  app.add_flag("--no-marker-tags", options.no_marker_tags,
               "Put no mlferry.* tags on copies; then only the state folder protects from duplicates")
      ->envname("MLFERRY_NO_MARKER_TAGS");
  app.add_option("--state-dir", options.state_dir,
                 "Folder of the jobs' ledgers (default: ~/.local/state/mlferry)")
      ->envname("MLFERRY_STATE_DIR");
}

std::string state_folder(const GlobalOptions& options) {
  if (!options.state_dir.empty()) return options.state_dir;
  if (auto const* state = std::getenv("XDG_STATE_HOME"); state != nullptr && *state != '\0')
    return std::string(state) + "/mlferry";
  if (auto const* home = std::getenv("HOME"); home != nullptr && *home != '\0')
    return std::string(home) + "/.local/state/mlferry";
  return ".mlferry-state";
}

}  // namespace mlferry::cli
