#pragma once
// Options in the form of the Python package mlflow-export-import: every one takes a value, switches too.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/options.hpp"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace mlferry::cli {

// "true", "yes", "on", "t", "y", "1" and their opposites, any case; nullopt for other words.
std::optional<bool> parse_bool(const std::string& text);

// `NAME VALUE`, VALUE as above.
CLI::Option* add_bool_value(CLI::App& app, const std::string& name, bool& value, const std::string& help);

// What the package's --use-threads says: true is `--jobs auto`, false is `--jobs 1`; not given, --jobs stands.
// With a value, or as the flag that it is in the prompt commands.
enum class ThreadsForm { value, flag };
void add_use_threads(CLI::App& app, GlobalOptions& global, ThreadsForm form);

// For CLI::Option::check: what is wrong with a value, "" for nothing.
std::string no_empty_text(const std::string& text);

// Throws UsageError: of `option` only the default can be had without a Databricks server.
[[noreturn]] void refuse_databricks(const std::string& option);

// The whole file. Throws UsageError that names the option when it cannot be read or has more than `most` bytes.
std::string read_text_file(const std::string& option, const std::string& path, std::size_t most = 64u << 20);

// "a, b,,c" -> a b c, each once, in their order, without space around them.
std::vector<std::string> split_list(const std::string& text);

// A list as it is given, or the lines of the file when the text ends in ".txt". Throws UsageError that names the
// option when there is nothing in it or the file cannot be read.
std::vector<std::string> list_or_file(const std::string& option, const std::string& text);

}  // namespace mlferry::cli
