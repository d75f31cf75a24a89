#include "support/fake_http.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <stdexcept>

#include <boost/asio/buffer.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

namespace mlferry::test::fake {

namespace asio = boost::asio;

namespace {

constexpr std::size_t max_head = 1 << 20;
constexpr std::size_t max_body = std::size_t{1} << 30;

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return result;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::size_t parse_size(std::string_view text, int base) {
  std::size_t value = 0;
  auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size() || value > max_body) {
    throw std::runtime_error("fake server: a body length that cannot be");
  }
  return value;
}

}  // namespace

std::string_view HttpRequest::parameter(std::string_view name) const {
  for (const auto& [key, value] : query) {
    if (key == name) return value;
  }
  return {};
}

std::string_view HttpRequest::header(std::string_view lower_case_name) const {
  auto found = headers.find(std::string(lower_case_name));
  return found == headers.end() ? std::string_view{} : std::string_view(found->second);
}

std::string percent_decode(std::string_view text, bool plus_is_space) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0) {
      result += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
      i += 2;
    } else {
      result += plus_is_space && text[i] == '+' ? ' ' : text[i];
    }
  }
  return result;
}

void split_target(HttpRequest& request) {
  std::string_view const target = request.target;
  auto const mark = target.find('?');
  request.path = target.substr(0, mark);
  request.query.clear();
  if (mark == target.npos) return;
  std::string_view rest = target.substr(mark + 1);
  while (!rest.empty()) {
    auto const end = std::min(rest.find('&'), rest.size());
    auto const pair = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    auto const equals = std::min(pair.find('='), pair.size());
    auto const value = equals < pair.size() ? pair.substr(equals + 1) : std::string_view{};
    request.query.emplace_back(percent_decode(pair.substr(0, equals), true), percent_decode(value, true));
  }
}

std::string_view status_text(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 206:
      return "Partial Content";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 416:
      return "Range Not Satisfiable";
    case 429:
      return "Too Many Requests";
    case 500:
      return "Internal Server Error";
    case 503:
      return "Service Unavailable";
    default:
      return "Status";
  }
}

async::Task<bool> RequestReader::more() {
  std::array<char, 65536> piece;
  boost::system::error_code error;
  auto const n =
      co_await socket_.async_read_some(asio::buffer(piece), asio::redirect_error(asio::use_awaitable, error));
  if (error || n == 0) co_return false;
  buffer_.append(piece.data(), n);
  co_return true;
}

async::Task<std::string> RequestReader::take(std::size_t size) {
  while (buffer_.size() < size) {
    // A body that ends early is a client that was killed, not one that speaks badly.
    if (!co_await more()) throw boost::system::system_error(asio::error::eof);
  }
  std::string result = buffer_.substr(0, size);
  buffer_.erase(0, size);
  co_return result;
}

async::Task<std::string> RequestReader::take_line() {
  std::size_t end = 0;
  while ((end = buffer_.find("\r\n")) == buffer_.npos) {
    if (buffer_.size() > max_head) throw std::runtime_error("fake server: a line without end");
    // A body that ends early is a client that was killed, not one that speaks badly.
    if (!co_await more()) throw boost::system::system_error(asio::error::eof);
  }
  std::string line = buffer_.substr(0, end);
  buffer_.erase(0, end + 2);
  co_return line;
}

async::Task<std::optional<HttpRequest>> RequestReader::read_head() {
  std::size_t end = 0;
  while ((end = buffer_.find("\r\n\r\n")) == buffer_.npos) {
    if (buffer_.size() > max_head) throw std::runtime_error("fake server: request head too large");
    if (!co_await more()) {
      if (buffer_.empty()) co_return std::nullopt;
      throw std::runtime_error("fake server: the request's head is short");
    }
  }
  std::string const head = buffer_.substr(0, end + 2);
  buffer_.erase(0, end + 4);

  HttpRequest request;
  std::string_view rest = head;
  auto const line_end = rest.find("\r\n");
  std::string_view const line = rest.substr(0, line_end);
  rest.remove_prefix(line_end + 2);
  auto const first = line.find(' ');
  auto const last = line.rfind(' ');
  if (first == line.npos || first == last || line.substr(last + 1) != "HTTP/1.1") {
    throw std::runtime_error("fake server: not an HTTP/1.1 request line");
  }
  request.method = line.substr(0, first);
  request.target = line.substr(first + 1, last - first - 1);
  if (request.target.find(' ') != request.target.npos || !request.target.starts_with('/')) {
    throw std::runtime_error("fake server: a target that is not encoded");
  }
  while (!rest.empty()) {
    auto const field_end = rest.find("\r\n");
    auto const field = rest.substr(0, field_end);
    rest.remove_prefix(field_end + 2);
    auto const colon = field.find(':');
    if (colon == field.npos || colon == 0) throw std::runtime_error("fake server: a header without a name");
    auto const inserted =
        request.headers.emplace(lower(field.substr(0, colon)), trim(field.substr(colon + 1)));
    if (!inserted.second && inserted.first->first == "content-length") {
      throw std::runtime_error("fake server: two Content-Length headers");
    }
  }
  if (!request.headers.contains("host")) throw std::runtime_error("fake server: no Host header");
  if (request.headers.contains("content-length") && request.headers.contains("transfer-encoding")) {
    throw std::runtime_error("fake server: Content-Length and Transfer-Encoding");
  }
  request.keep_alive = lower(request.header("connection")) != "close";
  split_target(request);
  co_return request;
}

async::Task<> RequestReader::read_body(HttpRequest& request) {
  if (lower(request.header("expect")) == "100-continue") {
    std::string const go_on = "HTTP/1.1 100 Continue\r\n\r\n";
    co_await asio::async_write(socket_, asio::buffer(go_on), asio::use_awaitable);
  }
  if (lower(request.header("transfer-encoding")) == "chunked") {
    while (true) {
      std::string const line = co_await take_line();
      auto const size = parse_size(trim(line.substr(0, line.find(';'))), 16);
      if (request.body.size() + size > max_body) throw std::runtime_error("fake server: body too large");
      if (size == 0) break;
      request.body += co_await take(size);
      std::string const end = co_await take(2);
      if (end != "\r\n") throw std::runtime_error("fake server: a chunk without end");
    }
    while (true) {  // trailers
      std::string const line = co_await take_line();
      if (line.empty()) break;
    }
  } else if (auto const length = request.header("content-length"); !length.empty()) {
    request.body = co_await take(parse_size(length, 10));
  }
}

std::string response_head(const HttpResponse& response, bool keep_alive) {
  std::string head = "HTTP/1.1 " + std::to_string(response.status) + " ";
  head += status_text(response.status);
  head += "\r\nserver: fake\r\ncontent-type: " + response.content_type;
  head += "\r\ncontent-length: " + std::to_string(response.body.size());
  for (const auto& [name, value] : response.headers) head += "\r\n" + name + ": " + value;
  if (!keep_alive) head += "\r\nconnection: close";
  head += "\r\n\r\n";
  return head;
}

void reset(asio::ip::tcp::socket& socket) {
  boost::system::error_code ignored;
  socket.set_option(asio::socket_base::linger(true, 0), ignored);
  socket.close(ignored);
}

}  // namespace mlferry::test::fake
