#include "engine/report.hpp"

#include <algorithm>

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

namespace mlferry::engine {

namespace json = boost::json;

namespace {

std::string_view severity_name(Severity severity) {
  switch (severity) {
    case Severity::failed:
      return "failed";
    case Severity::skipped:
      return "skipped";
    case Severity::difference:
      return "difference";
    case Severity::loss:
      return "loss";
  }
  return "";
}

}  // namespace

void Report::add(Finding finding) {
  if (finding.workspace.empty()) finding.workspace = workspace_;
  if (on_finding) on_finding(finding);
  if (findings_.size() < max_findings) {
    findings_.push_back(std::move(finding));
  } else {
    ++left_out_;
  }
}

void Report::skipped(Kind kind, std::string id, std::string name, std::string reason) {
  ++at(kind).skipped;
  add({Severity::skipped, kind, std::move(id), std::move(name), std::move(reason)});
}

void Report::failed(Kind kind, std::string id, std::string name, std::string cause) {
  ++at(kind).failed;
  if ((kind == Kind::run || kind == Kind::logged_model) && failed_.size() < max_findings)
    failed_.emplace(kind, id);
  add({Severity::failed, kind, std::move(id), std::move(name), std::move(cause)});
}

bool Report::may_have_failed(Kind kind, const std::string& id) const {
  return failed_.size() >= max_findings || failed_.contains({kind, id});
}

void Report::failed_after(Kind kind, std::string id, std::string name, std::string cause) {
  if (failed_after_.emplace(kind, id).second) {
    auto& counts = at(kind);
    auto& unchanged = unchanged_[static_cast<std::size_t>(kind)];
    if (counts.copied > 0) {
      --counts.copied;
      counts.created = std::min(counts.created, counts.copied);
      ++counts.failed;
    } else if (unchanged > 0) {
      --unchanged;
      --counts.skipped;
      ++counts.failed;
    }
  }
  add({Severity::failed, kind, std::move(id), std::move(name), std::move(cause)});
}

void Report::loss(Kind kind, std::string id, std::string name, std::string what) {
  add({Severity::loss, kind, std::move(id), std::move(name), std::move(what)});
}

void Report::different(Kind kind, std::string id, std::string name, std::vector<std::string> differences) {
  ++at(kind).different;
  for (auto& text : differences) add({Severity::difference, kind, id, name, std::move(text)});
}

void Report::take_verification(const Report& comparison) {
  was_verified_ = true;
  for (auto const kind : all_kinds) {
    at(kind).verified += comparison.counts(kind).verified;
    at(kind).different += comparison.counts(kind).different;
  }
  for (auto const& finding : comparison.findings()) {
    if (finding.severity == Severity::difference) add(finding);
  }
  left_out_ += comparison.findings_left_out();
  for (auto const& text : comparison.hidden) {
    if (std::find(hidden.begin(), hidden.end(), text) == hidden.end()) hidden.push_back(text);
  }
}

void Report::opened(const std::string& description, const std::map<std::string, std::int64_t>& uncopied,
                    const std::vector<std::string>& sentences, const std::vector<std::string>& hidden_parts) {
  if (source.empty()) source = description;
  for (auto const& [label, n] : uncopied) {
    auto& sum = not_copied[label];
    sum = sum < 0 || n < 0 ? -1 : sum + n;
  }
  auto const add_once = [](std::vector<std::string>& texts, std::string text) {
    if (std::find(texts.begin(), texts.end(), text) == texts.end()) texts.push_back(std::move(text));
  };
  for (auto const& sentence : sentences)
    add_once(notes, workspace_.empty() ? sentence : "[" + workspace_ + "] " + sentence);
  for (auto const& text : hidden_parts) add_once(hidden, text);
}

std::uint64_t Report::total_failed() const {
  std::uint64_t n = 0;
  for (auto const& counts : counts_) n += counts.failed;
  return n;
}

std::uint64_t Report::total_different() const {
  std::uint64_t n = 0;
  for (auto const& counts : counts_) n += counts.different;
  return n;
}

std::uint64_t Report::total_created() const {
  std::uint64_t n = 0;
  for (auto const& counts : counts_) n += counts.created;
  return n;
}

json::object Report::to_json() const {
  json::object kinds;
  for (auto const kind : all_kinds) {
    auto const& c = counts(kind);
    kinds[kind_name(kind)] = json::object{{"found", c.found},
                                          {"copied", c.copied},
                                          {"created", c.created},
                                          {"skipped", c.skipped},
                                          {"unchanged", unchanged_count(kind)},
                                          {"failed", c.failed},
                                          {"verified", c.verified},
                                          {"different", c.different}};
  }
  json::array findings;
  for (auto const& finding : findings_) {
    json::object item{{"severity", severity_name(finding.severity)},
                      {"kind", kind_name(finding.kind)},
                      {"id", finding.id},
                      {"name", finding.name},
                      {"text", finding.text}};
    if (!finding.workspace.empty()) item["workspace"] = finding.workspace;
    findings.push_back(std::move(item));
  }
  json::array follow_ups;
  for (auto const& item : follow_ups_) {
    json::object one{
        {"kind", kind_name(item.kind)}, {"id", item.id}, {"name", item.name}, {"action", item.action}};
    if (!item.workspace.empty()) one["workspace"] = item.workspace;
    follow_ups.push_back(std::move(one));
  }
  json::object uncopied;
  for (auto const& [kind, n] : not_copied) uncopied[kind] = n;
  json::object left_out;
  for (auto const kind : all_kinds) {
    if (not_selected_count(kind) > 0) left_out[kind_name(kind)] = not_selected_count(kind);
  }
  json::array sentences;
  for (auto const& note : notes) sentences.emplace_back(note);
  json::array unseen;
  for (auto const& text : hidden) unseen.emplace_back(text);
  return json::object{{"schema", 1},
                      {"source", source},
                      {"target", target},
                      {"dry_run", dry_run},
                      {"seconds", seconds},
                      {"bytes", bytes_},
                      {"kinds", std::move(kinds)},
                      {"not_copied", std::move(uncopied)},
                      {"selection", selection},
                      {"not_selected", std::move(left_out)},
                      {"notes", std::move(sentences)},
                      {"hidden", std::move(unseen)},
                      {"findings", std::move(findings)},
                      {"findings_left_out", left_out_},
                      {"follow_up", std::move(follow_ups)}};
}

}  // namespace mlferry::engine
