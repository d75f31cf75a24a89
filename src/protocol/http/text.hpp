#pragma once
// Small facts about the text of HTTP headers: ASCII case, tokens, blanks.

#include <string>
#include <string_view>

namespace mlferry::http {

// Equal when ASCII case is ignored.
bool same_ignoring_case(std::string_view a, std::string_view b);
std::string lower_case(std::string_view text);
// Without blanks and tabs at both ends.
std::string_view trimmed(std::string_view text);
// RFC 9110 token: what a header's name may be.
bool is_token(std::string_view text);
// No control character but the tab: cannot end a header line.
bool is_header_value(std::string_view text);

}  // namespace mlferry::http
