#pragma once
// What goes wrong on the fake MLflow server, and when: by probability from a seed, or by a script of request
// numbers. Also which features the server lacks.

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <string_view>

namespace mlferry::test {

enum class Fault {
  none,
  throttle,              // 429, not carried out
  throttle_retry_after,  // 429 with Retry-After, not carried out
  error_500,             // 500 with an HTML page, not carried out
  unavailable_503,       // 503, not carried out
  reset_before,          // connection reset before the body is read, not carried out
  reset_after,           // carried out, then reset without an answer: the creator cannot know
  reset_mid_body,        // carried out, the connection is reset in the middle of the answer's body
  short_body,            // carried out, 200, the connection ends in order before Content-Length is reached
  slow_drip,             // carried out, the answer comes in small pieces with pauses
  duplicate_rows,        // a page after the first begins with the last row of the page before
};
inline constexpr int fault_kinds = 11;

// "reset_after" and so on, as the enumerators; nothing for an unknown name.
std::string_view fault_name(Fault fault);
std::optional<Fault> fault_from_name(std::string_view name);

struct Faults {
  std::uint64_t seed = 1;
  // Per request and kind; the sum must not exceed 1.
  std::array<double, fault_kinds> probability{};
  // Request number (the first one is 1) -> fault. Goes before the probabilities.
  std::map<std::uint64_t, Fault> script;
  // When set, only requests for which it says true can have a fault.
  std::function<bool(std::string_view method, std::string_view path)> applies;

  int retry_after_seconds = 1;
  std::chrono::milliseconds drip_pause{2};
  std::size_t drip_pieces = 20;
  std::chrono::milliseconds latency{0};  // of every answer

  bool no_graphql = false;
  bool no_history_bulk = false;
  bool no_logged_models = false;  // then the rules for sources of versions are the old ones, too
  bool no_traces_v3 = false;
  bool no_aliases = false;
  bool no_log_inputs = false;
  bool no_listed_outputs = false;  // runs/search leaves outputs out, as 3.1 to 3.5 do
  bool refuses_known_nan = false;  // a repeated NaN of a metric is 400, as up to 3.1
  bool unknown_fields = false;  // every object of a listing has a field "x_future"
  bool close_each = false;  // "Connection: close" on every answer, as gunicorn servers do
  std::string version = "3.17.2";

  Faults& set(Fault fault, double p) {
    probability[static_cast<std::size_t>(fault)] = p;
    return *this;
  }
  // An old server in some respect: it has no server-info either, so that a client asks for each feature.
  bool lacks_something() const {
    return no_graphql || no_history_bulk || no_logged_models || no_traces_v3 || no_aliases || no_log_inputs;
  }
};

// Draws the faults in the order of the requests: same seed, same sequence.
class FaultDice {
 public:
  explicit FaultDice(std::uint64_t seed) : random_(seed) {}
  Fault draw(const Faults& faults, std::uint64_t number, std::string_view method, std::string_view path);

 private:
  std::mt19937_64 random_;
};

}  // namespace mlferry::test
