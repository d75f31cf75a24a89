#include "cli/report_table.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "engine/objects/object_kind.hpp"

namespace mlferry::cli {

namespace {

using engine::Severity;

std::string one_line(std::string text) {
  for (auto& c : text) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  return text + "\n";
}

std::string workspace_prefix(const std::string& workspace) {
  return workspace.empty() ? std::string() : "[" + workspace + "] ";
}

std::string finding_line(const engine::Finding& finding) {
  std::string subject = fmt::format("{} {}", engine::kind_name(finding.kind), finding.id);
  if (!finding.name.empty() && finding.name != finding.id) subject += fmt::format(" ({})", finding.name);
  return one_line(fmt::format("  {}{}: {}", workspace_prefix(finding.workspace), subject, finding.text));
}

void add_findings(std::string& out, const engine::Report& report, Severity severity, const char* title,
                  std::size_t most) {
  std::size_t n = 0;
  for (auto const& finding : report.findings()) {
    if (finding.severity != severity) continue;
    if (n++ == 0) out += fmt::format("\n{}\n", title);
    if (n <= most) out += finding_line(finding);
  }
  if (n > most) out += fmt::format("  … and {} more (--report FILE has them all)\n", n - most);
}

void add_follow_ups(std::string& out, const engine::Report& report, std::size_t most) {
  auto const& items = report.follow_ups();
  if (items.empty()) return;
  out += "\nLeft for you to do in the destination:\n";
  for (std::size_t i = 0; i < std::min(most, items.size()); ++i)
    out += one_line("  " + workspace_prefix(items[i].workspace) + items[i].action);
  if (items.size() > most)
    out += fmt::format("  … and {} more (--report FILE has them all)\n", items.size() - most);
}

}  // namespace

std::string printable(std::string text) {
  for (auto& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return text;
}

std::string human_bytes(std::uint64_t bytes) {
  constexpr const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < std::size(units)) {
    value /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, units[unit]);
}

std::string report_table(const engine::Report& report, TableKind kind, std::size_t most_findings) {
  std::string out;
  bool const transfer = kind == TableKind::transfer;
  if (report.dry_run) out += "Dry run: nothing was written. What a real run would do:\n";
  out += fmt::format("{}: {}\n{}: {}\n\n", transfer ? "from" : "original", report.source,
                     transfer ? "to  " : "copy    ", report.target);
  out += transfer ? fmt::format("{:<25} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}\n", "", "found", "copied",
                                "created", "skipped", "failed", "verified")
                  : fmt::format("{:<25} {:>9} {:>9} {:>9} {:>9}\n", "", "found", "verified", "different",
                                "skipped");
  for (auto const one : engine::all_kinds) {
    auto const& c = report.counts(one);
    if (c.found == 0 && (engine::is_object_kind(one) || one == engine::Kind::workspace)) continue;  // most servers have none of most of these
    if (transfer) {
      out += fmt::format("{:<25} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}\n", engine::kind_label(one), c.found,
                         c.copied, c.created, c.skipped, c.failed,
                         report.was_verified() ? std::to_string(c.verified) : "-");
    } else {
      out += fmt::format("{:<25} {:>9} {:>9} {:>9} {:>9}\n", engine::kind_label(one), c.found, c.verified,
                         c.different, c.skipped);
    }
  }
  out += fmt::format("\n{} of artifacts in {:.1f} s\n", human_bytes(report.bytes()), report.seconds);
  if (!report.selection.empty()) {
    std::string list;
    for (auto const one : engine::all_kinds) {
      if (auto const n = report.not_selected_count(one); n > 0)
        list += (list.empty() ? "; seen and left out: " : ", ") + fmt::format("{} {}", n, engine::kind_label(one));
    }
    out += one_line("Selected: " + report.selection + list);
  }
  if (!report.not_copied.empty()) {
    std::string list;
    for (auto const& [label, n] : report.not_copied) {
      list += (list.empty() ? "" : ", ") +
              (n < 0 ? "an unknown number of " + label : fmt::format("{} {}", n, label));
    }
    out += fmt::format("{}: {}\n", transfer ? "Not copied yet" : "Not compared", list);
  }
  for (auto const& text : report.hidden) out += "Hidden: " + text + "\n";
  for (auto const& note : report.notes) out += "Note: " + note + "\n";
  add_findings(out, report, Severity::failed, "Failed:", most_findings);
  add_findings(out, report, Severity::difference, "Different:", most_findings);
  add_findings(out, report, Severity::skipped, "Skipped:", most_findings);
  add_findings(out, report, Severity::loss, "Copied, but not all of it can be:", most_findings);
  add_follow_ups(out, report, most_findings);
  return out;
}

}  // namespace mlferry::cli
