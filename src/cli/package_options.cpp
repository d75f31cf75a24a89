#include "cli/package_options.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "cli/server_options.hpp"

namespace mlferry::cli {

namespace {

std::string trimmed(std::string_view text) {
  auto const space = [](char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; };
  while (!text.empty() && space(text.front())) text.remove_prefix(1);
  while (!text.empty() && space(text.back())) text.remove_suffix(1);
  return std::string(text);
}

void add_once(std::vector<std::string>& items, std::string item) {
  if (item.empty() || std::find(items.begin(), items.end(), item) != items.end()) return;
  items.push_back(std::move(item));
}

std::vector<std::string> lines_of(const std::string& option, const std::string& file) {
  std::istringstream text(read_text_file(option, file));
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) add_once(lines, trimmed(line));
  return lines;
}

}  // namespace

std::string no_empty_text(const std::string& text) {
  return text.empty() ? "is empty" : "";
}

void refuse_databricks(const std::string& option) {
  throw UsageError(option + " needs a Databricks server, which this version does not speak yet");
}

std::optional<bool> parse_bool(const std::string& text) {
  std::string word = text;
  for (auto& c : word) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  for (auto const* yes : {"true", "1", "yes", "on", "t", "y"}) {
    if (word == yes) return true;
  }
  for (auto const* no : {"false", "0", "no", "off", "f", "n"}) {
    if (word == no) return false;
  }
  return std::nullopt;
}

CLI::Option* add_bool_value(CLI::App& app, const std::string& name, bool& value, const std::string& help) {
  auto const set = [&value, name](const std::string& text) {
    auto const given = parse_bool(text);
    if (!given) throw CLI::ValidationError(name, "'" + text + "' is neither true nor false");
    value = *given;
  };
  return app.add_option_function<std::string>(name, set, help)
      ->type_name("BOOL")
      ->default_str(value ? "true" : "false");
}

void add_use_threads(CLI::App& app, GlobalOptions& global, ThreadsForm form) {
  auto* jobs = app.get_option("--jobs");
  if (form == ThreadsForm::flag) {
    app.add_flag_callback(
           "--use-threads", [&global] { global.jobs = "auto"; }, "Many requests at once: as --jobs auto")
        ->excludes(jobs);
    return;
  }
  auto const set = [&global](const std::string& text) {
    auto const given = parse_bool(text);
    if (!given) throw CLI::ValidationError("--use-threads", "'" + text + "' is neither true nor false");
    global.jobs = *given ? "auto" : "1";
  };
  app.add_option_function<std::string>("--use-threads", set, "true: as --jobs auto; false: as --jobs 1")
      ->type_name("BOOL")
      ->excludes(jobs);
}

std::vector<std::string> split_list(const std::string& text) {
  std::vector<std::string> items;
  std::size_t at = 0;
  while (at <= text.size()) {
    auto const end = std::min(text.find(',', at), text.size());
    add_once(items, trimmed(std::string_view(text).substr(at, end - at)));
    at = end + 1;
  }
  return items;
}

std::string read_text_file(const std::string& option, const std::string& path, std::size_t most) {
  std::ifstream file(path, std::ios::binary);
  if (!file || std::filesystem::is_directory(path))
    throw UsageError(option + ": cannot read the file " + path);
  std::string text;
  char buffer[64 * 1024];
  while (file.read(buffer, sizeof buffer) || file.gcount() > 0) {
    text.append(buffer, static_cast<std::size_t>(file.gcount()));
    if (text.size() > most)
      throw UsageError(option + ": " + path + " is larger than " + std::to_string(most >> 20) + " MiB");
  }
  if (file.bad()) throw UsageError(option + ": cannot read the file " + path);
  return text;
}

std::vector<std::string> list_or_file(const std::string& option, const std::string& text) {
  auto items = text.ends_with(".txt") ? lines_of(option, text) : split_list(text);
  if (items.empty()) throw UsageError(option + ": '" + text + "' names nothing");
  return items;
}

}  // namespace mlferry::cli
