#include "support/fake_faults.hpp"

namespace mlferry::test {
namespace {

constexpr std::array<std::string_view, fault_kinds> names = {
    "none",        "throttle",       "throttle_retry_after", "error_500", "unavailable_503", "reset_before",
    "reset_after", "reset_mid_body", "short_body",           "slow_drip", "duplicate_rows",
};

}  // namespace

std::string_view fault_name(Fault fault) {
  return names[static_cast<std::size_t>(fault)];
}

std::optional<Fault> fault_from_name(std::string_view name) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] == name) return static_cast<Fault>(i);
  }
  return std::nullopt;
}

Fault FaultDice::draw(const Faults& faults, std::uint64_t number, std::string_view method,
                      std::string_view path) {
  // Drawn for every request, so that the script and the filter do not shift the sequence.
  double roll = static_cast<double>(random_() >> 11) * 0x1.0p-53;
  if (faults.applies && !faults.applies(method, path)) return Fault::none;
  if (auto found = faults.script.find(number); found != faults.script.end()) return found->second;
  for (std::size_t i = 1; i < faults.probability.size(); ++i) {
    if (roll < faults.probability[i]) return static_cast<Fault>(i);
    roll -= faults.probability[i];
  }
  return Fault::none;
}

}  // namespace mlferry::test
