#include "support/fake_state.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace mlferry::test::fake {
namespace {

constexpr std::int64_t generated_epoch = 1'600'000'000'000;

std::uint64_t mix(std::uint64_t x) {  // splitmix64
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

std::string hex64(std::uint64_t value) {
  std::string text(16, '0');
  for (int i = 15; i >= 0; --i, value >>= 4)
    text[static_cast<std::size_t>(i)] = "0123456789abcdef"[value & 15];
  return text;
}

double value_to_sort(const Point& point) {
  return std::isnan(point.value) ? 0.0 : point.value;
}

template <class Map>
auto find_or_null(Map& map, std::string_view key) -> decltype(&map.begin()->second) {
  auto found = map.find(std::string(key));
  return found == map.end() ? nullptr : &found->second;
}

}  // namespace

bool before(const Point& a, const Point& b) {
  auto const order = [](const Point& p) {
    return std::tuple(p.timestamp, p.step, value_to_sort(p), std::isnan(p.value));
  };
  return order(a) < order(b);
}

bool same(const Point& a, const Point& b) {
  return !before(a, b) && !before(b, a);
}

State::State(Generated generated) : generated_(generated) {
  add_experiment("Default");
  if (generated_.runs == 0) return;
  generated_.experiments = std::clamp<std::uint64_t>(generated_.experiments, 1, generated_.runs);
  auto const block = (generated_.runs + generated_.experiments - 1) / generated_.experiments;
  for (std::uint64_t first = 0, i = 0; first < generated_.runs; first += block, ++i) {
    Experiment& experiment = add_experiment("generated-" + std::to_string(i));
    experiment.first_generated = first;
    experiment.generated = std::min(block, generated_.runs - first);
  }
}

std::string State::new_id() {
  ++next_id_;
  return hex64(mix(generated_.seed * 77 + next_id_)) + hex64(next_id_ | (std::uint64_t{1} << 63));
}

Experiment& State::add_experiment(std::string name) {
  auto const number = experiments.empty() ? 0 : experiments.rbegin()->first + 1;
  Experiment& experiment = experiments[number];
  experiment.id = std::to_string(number);
  experiment.name = std::move(name);
  experiment.artifact_location = "mlflow-artifacts:/" + experiment.id;
  experiment.created = experiment.updated = now();
  return experiment;
}

Experiment* State::find_experiment(std::string_view id) {
  std::int64_t number = 0;
  auto const [end, error] = std::from_chars(id.data(), id.data() + id.size(), number);
  if (error != std::errc() || end != id.data() + id.size()) return nullptr;
  auto found = experiments.find(number);
  return found == experiments.end() ? nullptr : &found->second;
}

Experiment* State::find_experiment_by_name(std::string_view name) {
  for (auto& [number, experiment] : experiments) {
    if (experiment.name == name) return &experiment;
  }
  return nullptr;
}

std::optional<std::uint64_t> State::generated_index(std::string_view run_id) const {
  if (run_id.size() != 32) return std::nullopt;
  std::uint64_t index = 0;
  auto const [end, error] = std::from_chars(run_id.data() + 16, run_id.data() + 32, index, 16);
  if (error != std::errc() || end != run_id.data() + 32 || index >= generated_.runs) return std::nullopt;
  if (generated_id(index) != run_id) return std::nullopt;
  return index;
}

std::string State::generated_id(std::uint64_t index) const {
  return hex64(mix(generated_.seed ^ mix(index))) + hex64(index);
}

const Run* State::make_generated(std::uint64_t index) {
  Run run;
  run.id = generated_id(index);
  for (auto& [number, experiment] : experiments) {
    if (index - experiment.first_generated < experiment.generated) {
      run.experiment_id = experiment.id;
      run.deleted = experiment.deleted;
    }
  }
  run.name = "generated-" + std::to_string(index);
  run.user_id = "user-" + std::to_string(index % 7);
  run.status = "FINISHED";
  run.start_time = generated_epoch + static_cast<std::int64_t>(index) * 1000;
  run.end_time = run.start_time + 500;
  run.tags["mlflow.runName"] = run.name;
  for (std::uint64_t i = 0; i < generated_.params; ++i) {
    run.params["p" + std::to_string(i)] = hex64(mix(index * 31 + i));
  }
  for (std::uint64_t i = 0; i < generated_.tags; ++i) {
    run.tags["t" + std::to_string(i)] = hex64(mix(index * 37 + i));
  }
  scratch_ = std::move(run);
  if (generated_.points > 0) {
    for (std::uint64_t i = 0; i < generated_.metrics; ++i) {
      std::string key = "m" + std::to_string(i);
      auto const last = point_at(scratch_, key, generated_.points - 1);
      scratch_.metrics[std::move(key)] = {last};
    }
  }
  return &scratch_;
}

const Run* State::read_run(std::string_view id) {
  if (auto const index = generated_index(id)) return make_generated(*index);
  return find_or_null(runs, id);
}

Run* State::find_run(std::string_view id) {
  if (is_generated(id)) throw Failure{400, "INVALID_PARAMETER_VALUE", "a generated run cannot be changed"};
  return find_or_null(runs, id);
}

std::uint64_t State::run_count(const Experiment& experiment) const {
  return experiment.generated + experiment.run_ids.size();
}

const Run* State::run_at(Experiment& experiment, std::uint64_t n) {
  // Generated experiments take no other runs, so the two kinds never mix.
  if (n < experiment.generated) return make_generated(experiment.first_generated + n);
  if (experiment.sorted_run_ids.size() != experiment.run_ids.size()) {
    experiment.sorted_run_ids = experiment.run_ids;
    std::sort(experiment.sorted_run_ids.begin(), experiment.sorted_run_ids.end(),
              [&](const std::string& a, const std::string& b) {
                return std::pair(runs.at(a).start_time, std::string_view(a)) <
                       std::pair(runs.at(b).start_time, std::string_view(b));
              });
  }
  return &runs.at(experiment.sorted_run_ids[n - experiment.generated]);
}

std::uint64_t State::point_count(const Run& run, const std::string& key) const {
  auto found = run.metrics.find(key);
  if (found == run.metrics.end()) return 0;
  return is_generated(run.id) ? generated_.points : found->second.size();
}

Point State::point_at(const Run& run, const std::string& key, std::uint64_t n) const {
  auto const index = generated_index(run.id);
  if (!index) return run.metrics.at(key)[n];
  std::uint64_t number = 0;
  std::from_chars(key.data() + 1, key.data() + key.size(), number);
  auto const bits = mix(mix(generated_.seed + *index) ^ mix(number * 1'000'003 + n));
  Point point;
  point.value = (static_cast<double>(bits >> 11) * 0x1.0p-53 - 0.5) * 2000;
  point.timestamp = run.start_time + static_cast<std::int64_t>(n);
  point.step = static_cast<std::int64_t>(n);
  return point;
}

void State::set_run_tag(Run& run, const std::string& key, const std::string& value) {
  std::string& stored = run.tags[key];
  if (key == source_tag) {
    auto const [first, last] = runs_by_source.equal_range(stored);
    auto const old = std::find_if(first, last, [&](const auto& entry) { return entry.second == run.id; });
    if (old != last) runs_by_source.erase(old);
    runs_by_source.emplace(value, run.id);
  }
  stored = value;
  if (key == "mlflow.runName") run.name = value;
}

// "<experiment>/<run>/artifacts/file-<n>.bin" -> (run's index, file name)
std::optional<std::pair<std::uint64_t, std::string>> State::generated_file(const std::string& path) {
  if (generated_.files == 0) return std::nullopt;
  std::array<std::string, 4> part;
  std::size_t start = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    auto const end = i == 3 ? path.size() : path.find('/', start);
    if (end == path.npos || start > path.size()) return std::nullopt;
    part[i] = path.substr(start, end - start);
    start = end + 1;
  }
  auto const index = generated_index(part[1]);
  if (!index || part[2] != "artifacts" || make_generated(*index)->experiment_id != part[0])
    return std::nullopt;
  for (std::uint64_t i = 0; i < generated_.files; ++i) {
    if (part[3] == "file-" + std::to_string(i) + ".bin") return std::pair(*index, part[3]);
  }
  return std::nullopt;
}

std::optional<std::string> State::read_file(const std::string& path) {
  if (auto found = files.find(path); found != files.end()) return found->second;
  auto const made = generated_file(path);
  if (!made) return std::nullopt;
  std::string bytes(generated_.file_size, '\0');
  std::uint64_t x = mix(made->first * 131 + std::hash<std::string>{}(made->second));
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i % 8 == 0) x = mix(x);
    bytes[i] = static_cast<char>(x >> (i % 8 * 8));
  }
  return bytes;
}

std::map<std::string, State::Entry> State::list_folder(const std::string& path) {
  std::map<std::string, Entry> result;
  std::string const prefix = path.empty() ? "" : path + "/";
  for (auto it = files.lower_bound(prefix); it != files.end() && it->first.starts_with(prefix);) {
    auto const slash = it->first.find('/', prefix.size());
    std::string const name = it->first.substr(prefix.size(), slash - prefix.size());
    if (slash == std::string::npos) {
      result[name] = Entry{false, it->second.size()};
      ++it;
    } else {
      result[name] = Entry{true, 0};
      it = files.lower_bound(prefix + name + static_cast<char>('/' + 1));  // past everything in it
    }
  }
  if (generated_.files > 0 && path.ends_with("/artifacts")) {
    for (std::uint64_t i = 0; i < generated_.files; ++i) {
      std::string const name = "file-" + std::to_string(i) + ".bin";
      if (generated_file(prefix + name)) result[name] = Entry{false, generated_.file_size};
    }
  }
  return result;
}

}  // namespace mlferry::test::fake
