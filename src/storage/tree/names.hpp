#pragma once
// Names of folders in a tree, made of names that anybody may have chosen.

#include <string>
#include <string_view>

namespace mlferry::tree {

// One part of a path that stays where it is put: not empty, "." or "..", no '/' or NUL, at most 255 bytes.
bool is_plain_part(std::string_view part);
// Plain parts joined by '/'.
bool is_plain_path(std::string_view path);

// The name itself where it can be a folder's, as the Python package has it; else '/', '\', control
// characters, a leading '.' and any '%' that begins an escape become %XX, and what is longer than 200 bytes
// is cut and ends in
// '~' and a hash. Different names have different folders. "" becomes "%".
std::string safe_name(std::string_view name);

}  // namespace mlferry::tree
