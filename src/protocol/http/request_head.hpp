#pragma once
// The request line and headers as they go over the wire. All text from outside is checked here, so that no
// value can end a line and begin another.

#include <string>

#include "protocol/http/client.hpp"
#include "protocol/http/url.hpp"

namespace mlferry::http {

std::string_view method_name(Method method);
inline bool only_reads(Method method) {
  return method == Method::get || method == Method::head;
}

// What is the same for all requests of a client.
struct HeadContext {
  const ClientOptions* options = nullptr;
  Origin origin;
  bool absolute_form = false;       // through a proxy for http URLs
  std::string proxy_authorization;  // only with absolute_form
};

// Throws TransportError(malformed) for a header that cannot be sent: a bad name or value, or one that this
// client writes itself (Host, Content-Length, Transfer-Encoding, Connection). The text never holds the value.
void check_headers(const Headers& headers);

// `target`: path and query from the root. A header of the request replaces one of the same name from the
// options. Throws TransportError(bad_url) for a target and (malformed) for a header that cannot be sent.
std::string request_head(const HeadContext& context, const Request& request, const std::string& target,
                         bool accept_gzip);

}  // namespace mlferry::http
