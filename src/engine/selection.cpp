#include "engine/selection.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>

namespace mlferry::engine {

namespace {

constexpr std::array members{Kind::run,          Kind::logged_model, Kind::trace, Kind::label_schema,
                             Kind::scorer,       Kind::issue,        Kind::review_queue,
                             Kind::evaluation_dataset};

// Kinds that are deleted or not; all others are only there or not.
constexpr std::array staged{Kind::experiment, Kind::run, Kind::logged_model, Kind::trace};

constexpr std::size_t most_described = 200;  // characters of a list of ids

template <class List>
bool contains(const List& list, Kind kind) {
  return std::find(list.begin(), list.end(), kind) != list.end();
}

bool takes_any_member(const Selection& selection) {
  return std::any_of(members.begin(), members.end(), [&](Kind kind) { return selection.takes_kind(kind); });
}

Kind owner_kind(Kind kind) {
  if (kind == Kind::model_version) return Kind::registered_model;
  if (kind == Kind::prompt_version) return Kind::prompt;
  return kind;
}

// The set that begins behind '[': whether `c` is in it, and where it ends; npos when it never does.
std::pair<bool, std::size_t> in_set(std::string_view glob, std::size_t at, char c) {
  bool const negated = at < glob.size() && (glob[at] == '!' || glob[at] == '^');
  if (negated) ++at;
  bool found = false;
  for (bool first = true; at < glob.size(); first = false) {
    if (glob[at] == ']' && !first) return {found != negated, at + 1};
    if (glob[at] == '\\' && at + 1 < glob.size()) ++at;
    char const low = glob[at++];
    char high = low;
    if (at + 1 < glob.size() && glob[at] == '-' && glob[at + 1] != ']') {
      high = glob[at + 1];
      at += 2;
    }
    auto const byte = static_cast<unsigned char>(c);
    if (static_cast<unsigned char>(low) <= byte && byte <= static_cast<unsigned char>(high)) found = true;
  }
  return {false, std::string_view::npos};
}

// One element of the glob at `at` against one character: where the next element begins, or npos.
std::size_t match_one(std::string_view glob, std::size_t at, char c) {
  if (glob[at] == '?') return at + 1;
  if (glob[at] == '[') {
    auto const [found, end] = in_set(glob, at + 1, c);
    if (end != std::string_view::npos) return found ? end : std::string_view::npos;
  }
  if (glob[at] == '\\' && at + 1 < glob.size()) ++at;
  return glob[at] == c ? at + 1 : std::string_view::npos;
}

std::string lower_with_underscores(std::string_view word) {
  std::string out(word);
  for (auto& c : out) {
    if (c == '-' || c == ' ') c = '_';
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

// Reads digits and separators from the left of a time; throws on anything else.
class TimeReader {
 public:
  explicit TimeReader(std::string_view text) : text_(text), rest_(text) {}

  int number(std::size_t digits) {
    int value = 0;
    if (rest_.size() < digits) fail();
    auto const [end, error] = std::from_chars(rest_.data(), rest_.data() + digits, value);
    if (error != std::errc() || end != rest_.data() + digits || value < 0) fail();
    rest_.remove_prefix(digits);
    return value;
  }
  bool take(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void want(char c) {
    if (!take(c)) fail();
  }
  // Digits behind a decimal point, as ms.
  int milliseconds() {
    int value = 0, digits = 0;
    for (; !rest_.empty() && rest_.front() >= '0' && rest_.front() <= '9'; ++digits) {
      if (digits < 3) value = value * 10 + (rest_.front() - '0');
      rest_.remove_prefix(1);
    }
    if (digits == 0 || digits > 9) fail();
    for (; digits < 3; ++digits) value *= 10;
    return value;
  }
  bool at_end() const { return rest_.empty(); }
  [[noreturn]] void fail() const {
    throw SelectionError("'" + std::string(text_) +
                         "' is no time: give 2026-11-24, 2026-11-24T10:00, 2026-11-24T10:00:00Z or milliseconds since 1970");
  }

 private:
  std::string_view text_, rest_;
};

}  // namespace

bool glob_matches(std::string_view glob, std::string_view text) {
  std::size_t g = 0, t = 0;
  std::size_t star = std::string_view::npos, star_text = 0;  // where to go back to: one more byte for the last '*'
  while (t < text.size()) {
    if (g < glob.size() && glob[g] == '*') {
      star = g++;
      star_text = t;
      continue;
    }
    auto const next = g < glob.size() ? match_one(glob, g, text[t]) : std::string_view::npos;
    if (next != std::string_view::npos) {
      g = next;
      ++t;
    } else if (star != std::string_view::npos) {
      g = star + 1;
      t = ++star_text;
    } else {
      return false;
    }
  }
  while (g < glob.size() && glob[g] == '*') ++g;
  return g == glob.size();
}

std::optional<Kind> selectable_kind(std::string_view word) {
  auto const wanted = lower_with_underscores(word);
  if (wanted == "model" || wanted == "models") return Kind::registered_model;
  for (auto const& names : kind_names) {
    if (names.kind == Kind::artifact || names.kind == Kind::workspace || owner_kind(names.kind) != names.kind) continue;
    if (wanted == names.name || wanted == lower_with_underscores(names.label)) return names.kind;
  }
  return std::nullopt;
}

bool is_member_of_experiment(Kind kind) {
  return contains(members, kind);
}

bool SelectionRule::matches(Kind of, std::string_view id, std::string_view name) const {
  return of == kind && ((on != On::id && glob_matches(glob, name)) ||
                        (on != On::name && !id.empty() && glob_matches(glob, id)));
}

bool SelectionRule::is_exact() const {
  return glob.find_first_of("*?[\\") == glob.npos;
}

std::string SelectionRule::text() const {
  return std::string(kind_name(kind)) + ":" + (on == On::id ? "id:" : on == On::name ? "name:" : "") + glob;
}

SelectionRule selection_rule_for(Kind kind, std::string_view text) {
  if (text.starts_with("id:")) return {kind, std::string(text.substr(3)), SelectionRule::On::id};
  if (text.starts_with("name:")) return {kind, std::string(text.substr(5)), SelectionRule::On::name};
  return {kind, std::string(text)};
}

SelectionRule parse_selection_rule(std::string_view text) {
  auto const colon = text.find(':');
  auto const word = text.substr(0, colon);
  auto const kind = selectable_kind(word);
  if (!kind) {
    std::string known;
    for (auto const& names : kind_names) {
      if (selectable_kind(names.name)) known += (known.empty() ? "" : ", ") + std::string(names.name);
    }
    throw SelectionError("'" + std::string(text) + "': '" + std::string(word) +
                         "' is no kind that can be selected; write KIND or KIND:GLOB with one of " + known);
  }
  auto const glob = colon == std::string_view::npos ? std::string_view("*") : text.substr(colon + 1);
  if (glob.empty()) throw SelectionError("'" + std::string(text) + "': nothing stands behind the colon");
  return selection_rule_for(*kind, glob);
}

std::int64_t parse_time(std::string_view text, bool end) {
  using namespace std::chrono;
  if (!text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; })) {
    std::int64_t ms = 0;
    auto const [rest, error] = std::from_chars(text.data(), text.data() + text.size(), ms);
    if (error == std::errc() && rest == text.data() + text.size() && text.size() > 8) return ms;
  }
  TimeReader reader(text);
  int const y = reader.number(4);
  reader.want('-');
  int const m = reader.number(2);
  reader.want('-');
  int const d = reader.number(2);
  year_month_day const date{year(y), month(static_cast<unsigned>(m)), day(static_cast<unsigned>(d))};
  if (!date.ok()) reader.fail();
  auto const midnight = duration_cast<milliseconds>(sys_days(date).time_since_epoch()).count();
  if (reader.at_end()) return end ? midnight + 86'400'000 - 1 : midnight;
  if (!reader.take('T')) reader.want(' ');
  int const hours = reader.number(2);
  reader.want(':');
  int const minutes = reader.number(2);
  int seconds = 0, ms = 0;
  std::int64_t unit = 60'000;
  if (reader.take(':')) {
    seconds = reader.number(2);
    unit = 1000;
    if (reader.take('.')) {
      ms = reader.milliseconds();
      unit = 1;
    }
  }
  if (hours > 23 || minutes > 59 || seconds > 60) reader.fail();
  std::int64_t offset = 0;
  if (!reader.take('Z')) {
    bool const plus = reader.take('+');
    if (plus || reader.take('-')) {
      offset = reader.number(2) * 60;
      reader.take(':');
      offset += reader.number(2);
      if (!plus) offset = -offset;
    }
  }
  if (!reader.at_end()) reader.fail();
  auto const start = midnight + hours * 3'600'000LL + minutes * 60'000LL + seconds * 1000LL + ms - offset * 60'000;
  return end ? start + unit - 1 : start;
}

std::optional<std::string> canonical_stage(std::string_view word) {
  auto const wanted = lower_with_underscores(word);
  for (auto const* stage : {"Production", "Staging", "Archived", "None"}) {
    if (lower_with_underscores(stage) == wanted) return stage;
  }
  return std::nullopt;
}

std::vector<std::size_t> VersionChoice::choose(const std::vector<mlflow::ModelVersion>& versions) const {
  auto const stage_of = [](const mlflow::ModelVersion& version) {
    return version.stage().empty() ? std::string("None") : std::string(version.stage());
  };
  std::map<std::string, std::int64_t> newest;
  for (auto const& version : versions) {
    auto& number = newest[stage_of(version)];
    number = std::max(number, version.number());
  }
  std::vector<std::size_t> chosen;
  for (std::size_t i = 0; i < versions.size(); ++i) {
    auto const number = versions[i].number();
    auto const stage = stage_of(versions[i]);
    bool const taken = (stages.empty() || stages.contains(stage)) && (numbers.empty() || numbers.contains(number)) &&
                       (!latest || newest.at(stage) == number);
    if (taken) chosen.push_back(i);
  }
  return chosen;
}

bool Selection::everything() const {
  return kinds.empty() && include.empty() && exclude.empty() && !since && !until && lifecycle == Lifecycle::all &&
         ids.empty() && !with_runs && model_versions.all() && prompt_versions.all();
}

const std::set<std::string>* Selection::exact_ids(Kind kind) const {
  auto const found = ids.find(kind);
  if (found == ids.end() || (with_runs && kind != Kind::run && contains(members, kind))) return nullptr;
  return &found->second;
}

bool Selection::takes_kind(Kind kind) const {
  if (kind == Kind::artifact || kind == Kind::workspace) return true;
  kind = owner_kind(kind);
  if (lifecycle == Lifecycle::deleted && !contains(staged, kind)) return false;
  if (kind == Kind::experiment) {
    if (!kinds.empty() && !kinds.contains(kind) && !takes_any_member(*this)) return false;
    return include.empty() || std::any_of(include.begin(), include.end(), [](const SelectionRule& rule) {
             return rule.kind == Kind::experiment || is_member_of_experiment(rule.kind);
           });
  }
  if (!kinds.empty() && !kinds.contains(kind)) return false;
  if (include.empty()) return true;
  bool experiments = false, some_members = false;
  for (auto const& rule : include) {
    if (rule.kind == kind) return true;
    experiments = experiments || rule.kind == Kind::experiment;
    some_members = some_members || is_member_of_experiment(rule.kind);
  }
  return is_member_of_experiment(kind) && experiments && !some_members;
}

bool Selection::takes(Kind kind, std::string_view id, std::string_view name) const {
  if (!takes_kind(kind)) return false;
  if (auto const* exact = exact_ids(kind)) {
    bool const named = kind == Kind::registered_model || kind == Kind::prompt;
    if (!exact->contains(std::string(named ? name : id))) return false;
  }
  bool ruled = false, included = false;
  for (std::size_t i = 0; i < include.size(); ++i) {
    ruled = ruled || include[i].kind == kind;
    if (!include[i].matches(kind, id, name)) continue;
    included = true;
    matched->insert(i);
  }
  if (ruled && !included) return false;
  return std::none_of(exclude.begin(), exclude.end(),
                      [&](const SelectionRule& rule) { return rule.matches(kind, id, name); });
}

std::vector<SelectionRule> Selection::unmatched() const {
  std::vector<SelectionRule> rules;
  for (std::size_t i = 0; i < include.size(); ++i) {
    if (!matched->contains(i)) rules.push_back(include[i]);
  }
  return rules;
}

bool Selection::takes_experiment(std::string_view id, std::string_view name, bool deleted) const {
  if (lifecycle != Lifecycle::all && !ids.contains(Kind::experiment)) {
    // An active one may hold what is deleted.
    if (lifecycle == Lifecycle::active ? deleted : (!deleted && !takes_any_member(*this))) return false;
  }
  return takes(Kind::experiment, id, name);
}

bool Selection::takes_time(std::optional<std::int64_t> ms) const {
  if (!since && !until) return true;
  if (!ms) return false;
  return (!since || *ms >= *since) && (!until || *ms <= *until);
}

std::string Selection::time_filter(std::string_view field) const {
  std::string filter;
  if (since) filter = std::string(field) + " >= " + std::to_string(*since);
  if (since && until) filter += " AND ";
  if (until) filter += std::string(field) + " <= " + std::to_string(*until);
  return filter;
}

bool Selection::takes_stage(bool deleted) const {
  return lifecycle == Lifecycle::all || (lifecycle == Lifecycle::deleted) == deleted;
}

bool Selection::takes_shared(Kind kind, std::string_view id, std::string_view name, bool with_experiment) const {
  if (!takes(kind, id, name)) return false;
  auto const names_it = [kind](const SelectionRule& rule) { return rule.kind == kind; };
  return with_experiment || include.empty() || std::any_of(include.begin(), include.end(), names_it);
}

bool Selection::takes_run(const mlflow::Run& run, bool experiment_deleted) const {
  return takes(Kind::run, run.id(), run.name()) && takes_time(run.start_time()) &&
         takes_stage(run.deleted() || experiment_deleted);
}

bool Selection::takes_by_time(std::optional<std::int64_t> ms, std::optional<bool> run_taken) const {
  if (!with_runs) return takes_time(ms);
  if (run_taken) return *run_taken;
  return !ids.contains(Kind::run) && takes_time(ms);
}

bool Selection::takes_logged_model(const mlflow::LoggedModel& model, bool deleted, bool experiment_deleted,
                                   std::optional<bool> run_taken) const {
  if (!takes(Kind::logged_model, model.id(), model.name()) || !takes_stage(deleted || experiment_deleted)) return false;
  if (auto const named = ids.find(Kind::logged_model); with_runs && named != ids.end()) {
    if (named->second.contains(std::string(model.id()))) return true;
  }
  return takes_by_time(mlflow::get_int(model.info(), "creation_timestamp_ms"), run_taken);
}

bool Selection::takes_trace(const mlflow::Trace& trace, bool experiment_deleted, std::optional<bool> run_taken) const {
  if (!takes(Kind::trace, trace.id(), trace.tag("mlflow.traceName")) || !takes_stage(experiment_deleted)) return false;
  auto const time = mlflow::get_string(trace.doc, "request_time");
  std::optional<std::int64_t> ms;
  try {
    if (since || until) ms = parse_time(time, false);
  } catch (const SelectionError&) {  // a trace without a time is in no window
  }
  return takes_by_time(ms, run_taken);
}

std::string Selection::describe() const {
  if (!text.empty()) return text;
  std::string out;
  auto const add = [&out](std::string_view option, std::string_view value) {
    out += (out.empty() ? "" : " ") + std::string(option) + " " + std::string(value);
  };
  std::string list;
  for (auto const kind : kinds) list += (list.empty() ? "" : ",") + std::string(kind_name(kind));
  if (!list.empty()) add("--kinds", list);
  for (auto const& rule : include) add("--include", rule.text());
  for (auto const& rule : exclude) add("--exclude", rule.text());
  // With runs: the options of the package mlflow-export-import, whose upper bound is exclusive.
  if (since) add(with_runs ? "--run-start-time" : "--since", std::to_string(*since));
  if (until) add(with_runs ? "--runs-until" : "--until", std::to_string(with_runs ? *until + 1 : *until));
  if (lifecycle == Lifecycle::active) add("--lifecycle", "active");
  if (lifecycle == Lifecycle::deleted) add("--lifecycle", "deleted");
  for (auto const& [kind, exact] : ids) {
    std::string some;
    for (auto const& id : exact) {
      if (some.size() > most_described) break;
      some += (some.empty() ? "" : ",") + id;
    }
    add(std::string(kind_name(kind)) + " (" + std::to_string(exact.size()) + ")", some);
  }
  for (auto const* choice : {&model_versions, &prompt_versions}) {
    std::string stages;
    for (auto const& stage : choice->stages) stages += (stages.empty() ? "" : ",") + stage;
    if (!stages.empty()) add("--stages", stages);
    std::string numbers;
    for (auto const number : choice->numbers) numbers += (numbers.empty() ? "" : ",") + std::to_string(number);
    if (!numbers.empty()) add("--versions", numbers);
    if (choice->latest) add("--export-latest-versions", "true");
  }
  return out;
}

}  // namespace mlferry::engine
