#include "protocol/http/proxy.hpp"

#include <charconv>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/network_v4.hpp>
#include <boost/asio/ip/network_v6.hpp>

#include "protocol/http/error.hpp"
#include "protocol/http/text.hpp"

namespace mlferry::http {

namespace ip = boost::asio::ip;

namespace {

std::optional<ip::address> address_of(std::string_view text) {
  boost::system::error_code failed;
  auto address = ip::make_address(std::string(text), failed);
  if (failed) return std::nullopt;
  return address;
}

template <class Network, class Address>
bool holds(const Network& network, const Address& address, unsigned short length) {
  return network.canonical() == Network(address, length).canonical();
}

bool in_range(std::string_view range, const ip::address& address) {
  boost::system::error_code failed;
  if (address.is_v4()) {
    auto const network = ip::make_network_v4(std::string(range), failed);
    return !failed && holds(network, address.to_v4(), network.prefix_length());
  }
  auto const network = ip::make_network_v6(std::string(range), failed);
  return !failed && holds(network, address.to_v6(), network.prefix_length());
}

// Takes ":port" off the entry; nothing when there is none. An IPv6 address has a port only in brackets.
std::optional<std::uint16_t> take_port(std::string_view& entry) {
  auto const colon = entry.rfind(':');
  if (colon == entry.npos) return std::nullopt;
  bool const in_brackets = entry.front() == '[';
  if (in_brackets ? entry[colon - 1] != ']' : entry.find(':') != colon) return std::nullopt;
  std::uint16_t port = 0;
  auto const digits = entry.substr(colon + 1);
  auto const [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  entry = entry.substr(0, colon);
  return port;
}

bool covers(std::string_view entry, std::string_view host, std::uint16_t port) {
  if (entry == "*") return true;
  auto const wanted_port = take_port(entry);
  if (wanted_port && *wanted_port != port) return false;
  if (entry.size() > 2 && entry.front() == '[' && entry.back() == ']')
    entry = entry.substr(1, entry.size() - 2);
  if (auto const address = address_of(host)) {
    if (entry.find('/') != entry.npos) return in_range(entry, *address);
    auto const other = address_of(entry);
    return other && *other == *address;
  }
  if (entry.starts_with("*.")) entry.remove_prefix(2);
  if (entry.starts_with(".")) entry.remove_prefix(1);
  if (entry.empty() || host.size() < entry.size()) return false;
  if (!same_ignoring_case(host.substr(host.size() - entry.size()), entry)) return false;
  return host.size() == entry.size() || host[host.size() - entry.size() - 1] == '.';
}

}  // namespace

bool bypasses_proxy(std::string_view no_proxy, std::string_view host, std::uint16_t port) {
  if (host.ends_with('.')) host.remove_suffix(1);
  while (!no_proxy.empty()) {
    auto const end = std::min(no_proxy.find_first_of(", \t"), no_proxy.size());
    auto const entry = no_proxy.substr(0, end);
    if (!entry.empty() && covers(entry, host, port)) return true;
    no_proxy.remove_prefix(std::min(end + 1, no_proxy.size()));
  }
  return false;
}

std::optional<Proxy> choose_proxy(const ProxyOptions& options, const Origin& origin) {
  auto const& text = origin.tls ? options.https_proxy : options.http_proxy;
  if (text.empty() || bypasses_proxy(options.no_proxy, origin.host, origin.port)) return std::nullopt;
  auto const split = split_credentials(text.find("://") == text.npos ? "http://" + text : text);
  std::string const name = origin.tls ? "the proxy for https URLs" : "the proxy for http URLs";
  BaseUrl url;
  try {
    url = parse_base_url(split.url);
  } catch (const TransportError&) {
    throw TransportError(Fault::bad_url, false,
                         name + " cannot be read: expected http://[user:password@]host:port");
  }
  if (url.origin.tls) throw TransportError(Fault::bad_url, false, name + " must be an http:// URL");
  Proxy proxy{url.origin.host, url.origin.port, {}};
  if (!split.user.empty() || !split.password.empty()) {
    proxy.authorization = basic_authorization(split.user, split.password);
  }
  return proxy;
}

}  // namespace mlferry::http
