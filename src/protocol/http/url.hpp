#pragma once
// Where a client's requests go: the base URL taken apart, and where a redirect of its server leads. Nothing
// here ever holds credentials.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mlferry::http {

// Two URLs with the same origin are the same server as far as credentials are concerned.
struct Origin {
  bool tls = false;
  std::string host;  // lower case; an IPv6 address without brackets
  std::uint16_t port = 0;
  bool operator==(const Origin&) const = default;
};

struct BaseUrl {
  Origin origin;
  std::string prefix;  // path without a slash at the end; may be empty
  std::string text;    // the whole URL without a slash at the end
};

// Throws TransportError(bad_url): not http(s), no host, with credentials, a query or a fragment.
BaseUrl parse_base_url(std::string_view text);

// "host" or "host:port" when the port is not the scheme's own, brackets around IPv6: for the Host header.
std::string authority(const Origin& origin);
// Always with the port: for CONNECT.
std::string authority_with_port(const Origin& origin);

// Whether path and query can stand in a request line: begins with '/', no blanks, no control characters.
bool is_target(std::string_view target);

// Path and query that `location` leads to, seen from `target` on `origin`. Nothing when it leads to another
// origin or cannot be read.
std::optional<std::string> same_origin_target(const Origin& origin, std::string_view target,
                                              std::string_view location);

// For messages: the URL with a query that may hold a signature or token left out, and cut at 300 bytes.
std::string display_url(const Origin& origin, std::string_view target);

}  // namespace mlferry::http
