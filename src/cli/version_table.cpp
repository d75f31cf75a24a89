#include "cli/version_table.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "cli/report_table.hpp"
#include "engine/endpoints/version_lister.hpp"
#include "protocol/http/client.hpp"

namespace mlferry::cli {

namespace {

std::array<std::string, 7> cells_of(const VersionRow& row) {
  return {row.model, row.version, row.stage, row.status, row.aliases, row.run_id, row.source};
}

}  // namespace

std::string public_uri(std::string_view uri) {
  bool const server = uri.starts_with("http://") || uri.starts_with("https://");
  auto url = server ? http::split_credentials(uri).url : std::string(uri);
  // In "wasbs://box@account" the box is no secret; "name:key@" is one everywhere.
  auto const host = url.find("://");
  if (host != url.npos) {
    auto const end = std::min(url.find('/', host + 3), url.size());
    auto const at = url.substr(0, end).rfind('@');
    if (at != url.npos && at > host && url.substr(host + 3, at - host - 3).find(':') != url.npos) url.erase(host + 3, at - host - 2);
  }
  return url.substr(0, url.find('?'));
}

std::string version_table(const std::vector<VersionRow>& rows) {
  std::vector<std::array<std::string, 7>> lines{
      {"model", "version", "stage", "status", "aliases", "run", "source"}};
  for (auto const& row : rows) lines.push_back(cells_of(row));
  std::array<std::size_t, 7> widths{};
  for (auto& line : lines) {
    for (std::size_t i = 0; i < line.size(); ++i) {
      line[i] = printable(std::move(line[i]));
      widths[i] = std::max(widths[i], line[i].size());
    }
  }
  std::string out;
  for (auto const& line : lines) {
    for (std::size_t i = 0; i + 1 < line.size(); ++i) out += fmt::format("{:<{}}  ", line[i], widths[i]);
    out += line.back() + "\n";
  }
  return out;
}

async::Task<std::vector<VersionRow>> version_rows(mlflow::Client& server, std::string model) {
  std::vector<VersionRow> rows;
  auto const found = co_await server.get_registered_model(model);
  if (!found) co_return rows;
  auto const versions = co_await engine::list_versions(server, *found);
  for (auto const& version : versions) {
    auto const number = std::to_string(version.number());
    VersionRow row{model,
                   number,
                   version.stage().empty() ? "None" : std::string(version.stage()),
                   std::string(version.status()),
                   "",
                   std::string(version.run_id()),
                   public_uri(version.source())};
    for (auto const& [alias, of] : found->aliases()) {
      if (of == number) row.aliases += (row.aliases.empty() ? "" : ",") + alias;
    }
    rows.push_back(std::move(row));
  }
  co_return rows;
}

}  // namespace mlferry::cli
