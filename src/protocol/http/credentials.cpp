// Percent coding, Basic authorization, and the credentials that a URL may hold.
#include <openssl/evp.h>

#include <optional>

#include "protocol/http/client.hpp"

namespace mlferry::http {
namespace {

bool is_unreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
         c == '_' || c == '~';
}

std::string encode(std::string_view text, bool keep_slash) {
  constexpr char digits[] = "0123456789ABCDEF";
  std::string result;
  result.reserve(text.size());
  for (char const c : text) {
    if (is_unreserved(c) || (keep_slash && c == '/')) {
      result += c;
    } else {
      auto const code = static_cast<unsigned char>(c);
      result += '%';
      result += digits[code >> 4];
      result += digits[code & 15];
    }
  }
  return result;
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::string percent_encode(std::string_view text) {
  return encode(text, false);
}
std::string percent_encode_path(std::string_view path) {
  return encode(path, true);
}

// A '%' that begins no code stays: people paste passwords as they are.
std::string percent_decode(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex_value(text[i + 1]) >= 0 && hex_value(text[i + 2]) >= 0) {
      result += static_cast<char>(hex_value(text[i + 1]) * 16 + hex_value(text[i + 2]));
      i += 2;
    } else {
      result += text[i];
    }
  }
  return result;
}

std::string basic_authorization(std::string_view user, std::string_view password) {
  std::string plain(user);
  plain.append(":").append(password);
  std::string coded((plain.size() + 2) / 3 * 4 + 1, '\0');  // EVP_EncodeBlock ends it with a zero byte
  auto const size =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(coded.data()),
                      reinterpret_cast<const unsigned char*>(plain.data()), static_cast<int>(plain.size()));
  coded.resize(static_cast<std::size_t>(size));
  return "Basic " + coded;
}

SplitUrl split_credentials(std::string_view url) {
  SplitUrl result;
  auto const scheme = url.find("://");
  auto const begin = scheme == url.npos ? 0 : scheme + 3;
  auto const end = std::min(url.find_first_of("/?#", begin), url.size());
  auto const authority = url.substr(begin, end - begin);
  auto const at = authority.rfind('@');  // the last one: a password may hold '@'
  if (at == authority.npos) {
    result.url = url;
    return result;
  }
  auto const info = authority.substr(0, at);
  auto const colon = info.find(':');
  result.user = percent_decode(info.substr(0, colon));
  if (colon != info.npos) result.password = percent_decode(info.substr(colon + 1));
  result.url.append(url.substr(0, begin)).append(authority.substr(at + 1)).append(url.substr(end));
  return result;
}

}  // namespace mlferry::http
