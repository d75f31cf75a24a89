#pragma once
// Which names a backend takes: the same for all of them, so that an archive can be copied from any to any.

#include <string_view>

namespace mlferry::backend {

// Parts of [A-Za-z0-9._-], joined by '/', none of them "." or "..", at most 512 bytes in all.
bool is_valid_name(std::string_view name);

}  // namespace mlferry::backend
