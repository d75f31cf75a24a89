// The fake MLflow server as a program of its own, for tests that run the built binary: it prints its port as
// one line and serves until SIGINT or SIGTERM. GET /__fake__/counts tells what it holds and what it was
// asked.

#include <charconv>
#include <csignal>
#include <cstdint>
#include <exception>
#include <functional>
#include <iostream>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

#include "support/fake_mlflow.hpp"

namespace {

using mlferry::test::Fault;

constexpr std::string_view usage = R"(fake_server [options]: an MLflow server for tests, on 127.0.0.1
  --port N               0 (the default): a free one
  --experiments N --runs N --metrics N --points N --params N --tags N --files N --file-size N
                         runs computed on demand: in all, the rest per run (points: per metric)
  --traces N --spans N   traces of that many spans in experiment 0, computed on demand
  --seed N               of generated values and of the faults
  --fault KIND=P         probability of a fault; may be repeated
  --fault-at N=KIND      the fault of request number N (from 1); may be repeated
  --retry-after SECONDS --latency-ms N --drip-ms N
  --no-graphql --no-history-bulk --no-logged-models --close-each
  --mlflow-version TEXT
kinds: throttle throttle_retry_after error_500 unavailable_503 reset_before reset_after reset_mid_body
       short_body slow_drip duplicate_rows
)";

std::uint64_t number(const std::string& option, std::string_view text) {
  std::uint64_t value = 0;
  auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    throw std::invalid_argument(option + ": not a number: " + std::string(text));
  }
  return value;
}

std::pair<std::string, std::string> split(const std::string& option, const std::string& text) {
  auto const equals = text.find('=');
  if (equals == text.npos) throw std::invalid_argument(option + ": no '=' in " + text);
  return {text.substr(0, equals), text.substr(equals + 1)};
}

Fault kind(const std::string& option, const std::string& name) {
  auto const fault = mlferry::test::fault_from_name(name);
  if (!fault) throw std::invalid_argument(option + ": no such fault: " + name);
  return *fault;
}

mlferry::test::FakeOptions parse(int argc, char** argv) {
  mlferry::test::FakeOptions options;
  options.keep_log = false;  // a million requests would fill the memory
  auto& generated = options.generated;
  auto& faults = options.faults;
  std::map<std::string, std::uint64_t*> const numbers = {
      {"--experiments", &generated.experiments},
      {"--runs", &generated.runs},
      {"--metrics", &generated.metrics},
      {"--points", &generated.points},
      {"--params", &generated.params},
      {"--tags", &generated.tags},
      {"--files", &generated.files},
      {"--file-size", &generated.file_size},
      {"--traces", &generated.traces},
      {"--spans", &generated.trace_spans},
  };
  std::map<std::string, bool*> const switches = {
      {"--no-graphql", &faults.no_graphql},
      {"--no-history-bulk", &faults.no_history_bulk},
      {"--no-logged-models", &faults.no_logged_models},
      {"--close-each", &faults.close_each},
  };
  std::map<std::string, std::function<void(const std::string&, const std::string&)>> const others = {
      {"--port",
       [&](auto& option, auto& text) {
         auto const port = number(option, text);
         if (port > 65535) throw std::invalid_argument(option + ": too large");
         options.port = static_cast<std::uint16_t>(port);
       }},
      {"--seed", [&](auto& option, auto& text) { generated.seed = faults.seed = number(option, text); }},
      {"--fault",
       [&](auto& option, auto& text) {
         auto const [name, p] = split(option, text);
         faults.set(kind(option, name), std::stod(p));
       }},
      {"--fault-at",
       [&](auto& option, auto& text) {
         auto const [n, name] = split(option, text);
         faults.script[number(option, n)] = kind(option, name);
       }},
      {"--retry-after",
       [&](auto& option, auto& text) {
         faults.retry_after_seconds = static_cast<int>(number(option, text));
       }},
      {"--latency-ms",
       [&](auto& option, auto& text) { faults.latency = std::chrono::milliseconds(number(option, text)); }},
      {"--drip-ms", [&](auto& option,
                        auto& text) { faults.drip_pause = std::chrono::milliseconds(number(option, text)); }},
      {"--mlflow-version", [&](auto&, auto& text) { faults.version = text; }},
  };
  for (int i = 1; i < argc; ++i) {
    std::string const option = argv[i];
    if (auto found = switches.find(option); found != switches.end()) {
      *found->second = true;
      continue;
    }
    auto const counted = numbers.find(option);
    auto const other = others.find(option);
    if (counted == numbers.end() && other == others.end())
      throw std::invalid_argument("unknown option: " + option);
    if (++i == argc) throw std::invalid_argument(option + ": a value is missing");
    std::string const text = argv[i];
    if (counted != numbers.end()) {
      *counted->second = number(option, text);
    } else {
      other->second(option, text);
    }
  }
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  mlferry::test::FakeOptions options;
  try {
    options = parse(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n" << usage;
    return 2;
  }
  try {
    boost::asio::io_context context(1);
    mlferry::test::FakeMlflow server(context, options);
    boost::asio::signal_set signals(context, SIGINT, SIGTERM);
    signals.async_wait([&](const boost::system::error_code&, int) { context.stop(); });
    std::cout << server.port() << std::endl;
    context.run();
    for (const auto& error : server.protocol_errors()) std::cerr << error << "\n";
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
  return 0;
}
