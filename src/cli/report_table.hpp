#pragma once
// The report for people: a table of kinds, and what needs their attention.

#include <string>

#include "engine/report.hpp"

namespace mlferry::cli {

enum class TableKind { transfer, verification };

// `most_findings`: of each severity; what is left out is counted.
std::string report_table(const engine::Report& report, TableKind kind, std::size_t most_findings = 20);

// Names from outside, for a terminal: "?" for control characters.
std::string printable(std::string text);

// 1536 -> "1.5 KiB".
std::string human_bytes(std::uint64_t bytes);

}  // namespace mlferry::cli
