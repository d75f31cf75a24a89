#pragma once
// Which proxy, if any, stands between a client and its server.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/http/client.hpp"
#include "protocol/http/url.hpp"

namespace mlferry::http {

struct Proxy {
  std::string host;
  std::uint16_t port = 0;
  std::string authorization;  // value of Proxy-Authorization, or empty; a secret
};

// Whether `no_proxy` (entries between commas or blanks) covers the host: "*", a name (it and everything below
// it, with or without a dot in front), an address, an address range "10.0.0.0/8", each with ":port" or
// without.
bool bypasses_proxy(std::string_view no_proxy, std::string_view host, std::uint16_t port);

// The proxy for requests to `origin`. Throws TransportError(bad_url) for a proxy URL that cannot be used.
std::optional<Proxy> choose_proxy(const ProxyOptions& options, const Origin& origin);

}  // namespace mlferry::http
