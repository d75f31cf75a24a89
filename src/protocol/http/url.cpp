#include "protocol/http/url.hpp"

#include <algorithm>

#include <boost/url/parse.hpp>
#include <boost/url/url.hpp>
#include <boost/url/url_view.hpp>

#include "protocol/http/error.hpp"
#include "protocol/http/text.hpp"

namespace mlferry::http {

namespace urls = boost::urls;

namespace {

[[noreturn]] void bad(const std::string& why) {
  throw TransportError(Fault::bad_url, false, why);
}

std::uint16_t default_port(bool tls) {
  return tls ? 443 : 80;
}

// Nothing when scheme, host or port cannot be used.
std::optional<Origin> origin_of(const urls::url_view_base& url) {
  Origin origin;
  if (url.scheme_id() == urls::scheme::https) {
    origin.tls = true;
  } else if (url.scheme_id() != urls::scheme::http) {
    return std::nullopt;
  }
  std::string host = lower_case(url.host());
  if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
  if (host.empty() || host.find_first_of(" /\\@?#\r\n\t") != std::string::npos || !is_header_value(host)) {
    return std::nullopt;
  }
  origin.host = host;
  origin.port = default_port(origin.tls);
  if (url.has_port() && !url.port().empty()) {
    if (url.port_number() == 0) return std::nullopt;  // also what Boost.URL answers for more than 65535
    origin.port = url.port_number();
  }
  return origin;
}

std::string bracketed(const std::string& host) {
  return host.find(':') == std::string::npos ? host : "[" + host + "]";
}

bool may_hold_a_secret(std::string_view query) {
  auto const text = lower_case(query);
  for (std::string_view word : {"signature", "sig=", "token", "credential", "password", "secret", "key="}) {
    if (text.find(word) != std::string::npos) return true;
  }
  return false;
}

}  // namespace

BaseUrl parse_base_url(std::string_view text) {
  // The text may hold a password, so no message repeats it.
  auto const parsed = urls::parse_uri({text.data(), text.size()});
  if (!parsed) bad("the server URL cannot be read: expected http(s)://host[:port][/prefix]");
  urls::url_view const url = *parsed;
  if (url.has_userinfo()) bad("the server URL holds credentials: they have to be split off before");
  if (url.has_query() || url.has_fragment()) bad("the server URL has a query or a fragment");
  auto origin = origin_of(url);
  if (!origin) bad("the server URL needs http or https, a host and a port from 1 to 65535");

  BaseUrl base;
  base.origin = *origin;
  base.prefix.assign(url.encoded_path().data(), url.encoded_path().size());
  while (!base.prefix.empty() && base.prefix.back() == '/') base.prefix.pop_back();
  if (!base.prefix.empty() && !is_target(base.prefix)) bad("the server URL has a path that cannot be used");
  base.text = (origin->tls ? "https://" : "http://") + authority(*origin) + base.prefix;
  return base;
}

std::string authority(const Origin& origin) {
  if (origin.port == default_port(origin.tls)) return bracketed(origin.host);
  return authority_with_port(origin);
}

std::string authority_with_port(const Origin& origin) {
  return bracketed(origin.host) + ":" + std::to_string(origin.port);
}

bool is_target(std::string_view target) {
  if (target.empty() || target.front() != '/') return false;
  return std::none_of(target.begin(), target.end(), [](char c) {
    auto const code = static_cast<unsigned char>(c);
    return code <= 0x20 || code >= 0x7f || c == '#';
  });
}

std::optional<std::string> same_origin_target(const Origin& origin, std::string_view target,
                                              std::string_view location) {
  std::string const here = (origin.tls ? "https://" : "http://") + authority(origin) + std::string(target);
  auto const base = urls::parse_uri(here);
  auto const reference = urls::parse_uri_reference({location.data(), location.size()});
  if (!base || !reference) return std::nullopt;
  urls::url there;
  if (!urls::resolve(*base, *reference, there)) return std::nullopt;
  if (there.has_userinfo()) return std::nullopt;
  auto const destination = origin_of(there);
  if (!destination || !(*destination == origin)) return std::nullopt;
  std::string result(there.encoded_target().data(), there.encoded_target().size());
  if (result.empty() || result.front() != '/') result.insert(result.begin(), '/');
  if (!is_target(result)) return std::nullopt;
  return result;
}

std::string display_url(const Origin& origin, std::string_view target) {
  std::string text = (origin.tls ? "https://" : "http://") + authority(origin);
  auto const question = target.find('?');
  if (question != target.npos && may_hold_a_secret(target.substr(question))) {
    text.append(target.substr(0, question)).append("?...");
  } else {
    text.append(target);
  }
  constexpr std::size_t limit = 300;
  if (text.size() > limit) {
    text.resize(limit);
    text += "...";
  }
  // A target is refused before it is sent when it holds these, and that message shows it too.
  std::replace_if(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }, '?');
  return text;
}

}  // namespace mlferry::http
