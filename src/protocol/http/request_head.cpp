#include "protocol/http/request_head.hpp"

#include <algorithm>

#include "protocol/http/error.hpp"
#include "protocol/http/text.hpp"

namespace mlferry::http {
namespace {

bool written_by_us(std::string_view name) {
  for (std::string_view own :
       {"host", "content-length", "transfer-encoding", "connection", "proxy-authorization"}) {
    if (same_ignoring_case(name, own)) return true;
  }
  return false;
}

void append(std::string& head, std::string_view name, std::string_view value) {
  head.append(name).append(": ").append(value).append("\r\n");
}

}  // namespace

std::string_view method_name(Method method) {
  switch (method) {
    case Method::get:
      return "GET";
    case Method::head:
      return "HEAD";
    case Method::post:
      return "POST";
    case Method::put:
      return "PUT";
    case Method::patch:
      return "PATCH";
    case Method::del:
      return "DELETE";
  }
  return "GET";
}

void check_headers(const Headers& headers) {
  for (auto const& header : headers) {
    if (!is_token(header.name))
      throw TransportError(Fault::malformed, false, "a header has a name that cannot be sent");
    if (!is_header_value(header.value)) {
      throw TransportError(
          Fault::malformed, false,
          "the value of header " + header.name + " has a line end or another control character");
    }
    if (written_by_us(header.name)) {
      throw TransportError(Fault::malformed, false, "header " + header.name + " is not the caller's to set");
    }
  }
}

std::string request_head(const HeadContext& context, const Request& request, const std::string& target,
                         bool accept_gzip) {
  auto const& options = *context.options;
  if (!is_target(target)) {
    throw TransportError(Fault::bad_url, false,
                         "path or query has a blank or another byte that must be encoded");
  }
  check_headers(request.headers);
  if (!is_header_value(request.content_type)) {
    throw TransportError(Fault::malformed, false, "the content type has a control character");
  }

  std::string head;
  head.reserve(512 + target.size());
  head.append(method_name(request.method)).append(" ");
  if (context.absolute_form) head.append("http://").append(authority(context.origin));
  head.append(target).append(" HTTP/1.1\r\n");
  append(head, "Host", authority(context.origin));

  // Which names have been written: a caller's header stands before the client's.
  Headers defaults;
  if (!options.user_agent.empty()) defaults.push_back({"User-Agent", options.user_agent});
  defaults.push_back({"Accept", "*/*"});
  // Said, because without the header a server may choose any coding.
  defaults.push_back({"Accept-Encoding", accept_gzip ? "gzip" : "identity"});
  if (!options.authorization.empty()) defaults.push_back({"Authorization", options.authorization});
  if (!request.content_type.empty()) defaults.push_back({"Content-Type", request.content_type});
  for (auto const& header : options.headers) {
    std::erase_if(defaults, [&](const Header& other) { return same_ignoring_case(other.name, header.name); });
    defaults.push_back(header);
  }
  for (auto const& header : defaults) {
    if (find_header(request.headers, header.name) == nullptr) append(head, header.name, header.value);
  }
  for (auto const& header : request.headers) append(head, header.name, header.value);
  if (!context.proxy_authorization.empty()) append(head, "Proxy-Authorization", context.proxy_authorization);

  bool const has_body = !request.body.empty() || request.open_body;
  if (has_body || !only_reads(request.method)) {
    append(head, "Content-Length",
           std::to_string(request.open_body ? request.body_size : request.body.size()));
  }
  head.append("\r\n");
  return head;
}

}  // namespace mlferry::http
