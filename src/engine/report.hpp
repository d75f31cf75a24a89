#pragma once
// What a job did, object by object: found = copied + skipped + failed, always. The CLI prints it as a table
// and writes it as JSON.

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <boost/json/object.hpp>

#include "engine/kinds.hpp"

namespace mlferry::engine {

struct Counts {
  std::uint64_t found = 0;
  std::uint64_t copied = 0;   // created or brought up to date
  std::uint64_t created = 0;  // of the copied: new objects in the target
  std::uint64_t skipped = 0;
  std::uint64_t failed = 0;
  std::uint64_t verified = 0;   // compare: equal on both sides
  std::uint64_t different = 0;  // compare: not equal, or on one side only
  friend bool operator==(const Counts&, const Counts&) = default;
};

enum class Severity {
  failed,      // the object is not (wholly) in the target
  skipped,     // left out, with the reason
  difference,  // compare: a field that is not equal
  loss,        // copied, but this part of it the target's API cannot hold
};

struct Finding {
  Severity severity;
  Kind kind;
  std::string id;    // in the source
  std::string name;  // for people; may be empty
  std::string text;
  std::string workspace = {};  // of the source; "" on servers without them
};

// What no API can move, and what an administrator has to do about it in the target.
struct FollowUp {
  Kind kind;
  std::string id;  // in the source
  std::string name;
  std::string action;
  std::string workspace = {};
};

class Report {
 public:
  // Called for every finding as it comes, for logs and --json; may be empty.
  std::function<void(const Finding&)> on_finding;

  // What is told from here on is about this workspace.
  void enter_workspace(std::string name) {
    workspace_ = std::move(name);
    failed_after_.clear();  // names are unique within one only
  }

  void found(Kind kind, std::uint64_t n = 1) { at(kind).found += n; }
  void copied(Kind kind, bool created) {
    ++at(kind).copied;
    if (created) ++at(kind).created;
  }
  // Unchanged objects: skipped without a finding each.
  void unchanged(Kind kind, std::uint64_t n = 1) {
    at(kind).skipped += n;
    unchanged_[static_cast<std::size_t>(kind)] += n;
  }
  void skipped(Kind kind, std::string id, std::string name, std::string reason);
  void failed(Kind kind, std::string id, std::string name, std::string cause);
  // Whether failed() was called for this run or logged model; also when so many failed that not all are
  // remembered.
  bool may_have_failed(Kind kind, const std::string& id) const;
  // An object that was counted already turns out to have failed after all: it counts as failed instead of as
  // copied (or skipped), once, however often it is told.
  void failed_after(Kind kind, std::string id, std::string name, std::string cause);
  void loss(Kind kind, std::string id, std::string name, std::string what);
  void follow_up(Kind kind, std::string id, std::string name, std::string action) {
    follow_ups_.push_back({kind, std::move(id), std::move(name), std::move(action), workspace_});
  }
  void verified(Kind kind) { ++at(kind).verified; }
  void different(Kind kind, std::string id, std::string name, std::vector<std::string> differences);
  // Takes over what a comparison after the job found.
  void take_verification(const Report& comparison);
  bool was_verified() const { return was_verified_; }
  void add_bytes(std::uint64_t n) { bytes_ += n; }

  const Counts& counts(Kind kind) const { return counts_[static_cast<std::size_t>(kind)]; }
  std::uint64_t unchanged_count(Kind kind) const { return unchanged_[static_cast<std::size_t>(kind)]; }
  // A source was opened: the first one names the job, unless the owner has done so; the rest adds up.
  void opened(const std::string& description, const std::map<std::string, std::int64_t>& uncopied,
              const std::vector<std::string>& sentences, const std::vector<std::string>& hidden_parts);

  std::uint64_t total_failed() const;
  std::uint64_t total_different() const;
  std::uint64_t total_created() const;
  std::uint64_t bytes() const { return bytes_; }
  // The first `max_findings` of each severity; the counts go on.
  const std::vector<Finding>& findings() const { return findings_; }
  const std::vector<FollowUp>& follow_ups() const { return follow_ups_; }
  std::uint64_t findings_left_out() const { return left_out_; }

  // Objects that were listed and that the selection left out: part of nothing above. How many the last listing
  // left out of those that every job lists anew.
  void not_selected(Kind kind, std::uint64_t n = 1) { not_selected_[static_cast<std::size_t>(kind)] += n; }
  void set_not_selected(Kind kind, std::uint64_t n) { not_selected_[static_cast<std::size_t>(kind)] = n; }
  std::uint64_t not_selected_count(Kind kind) const { return not_selected_[static_cast<std::size_t>(kind)]; }

  // Kinds that the source holds and that this version does not copy: "traces" -> 12. -1: cannot be counted
  // there.
  std::map<std::string, std::int64_t> not_copied;
  // Plain sentences about the whole job ("run as an administrator: …").
  std::vector<std::string> notes;
  // What a server did not show to the login, a sentence each: the job may have missed objects.
  std::vector<std::string> hidden;
  std::string source;
  std::string target;
  std::string selection;  // as options; "" when everything is taken
  double seconds = 0;
  bool dry_run = false;

  // The document of --report; schema in docs/report.md.
  boost::json::object to_json() const;

  static constexpr std::size_t max_findings = 20'000;

 private:
  Counts& at(Kind kind) { return counts_[static_cast<std::size_t>(kind)]; }
  void add(Finding finding);

  std::array<Counts, kind_count> counts_{};
  std::array<std::uint64_t, kind_count> unchanged_{};
  std::array<std::uint64_t, kind_count> not_selected_{};
  std::set<std::pair<Kind, std::string>> failed_;  // runs and logged models
  std::set<std::pair<Kind, std::string>> failed_after_;
  std::vector<Finding> findings_;
  std::vector<FollowUp> follow_ups_;
  std::string workspace_;
  std::uint64_t left_out_ = 0;
  std::uint64_t bytes_ = 0;
  bool was_verified_ = false;
};

}  // namespace mlferry::engine
