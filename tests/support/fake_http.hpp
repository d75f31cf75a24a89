#pragma once
// HTTP/1.1 for the fake server: reads requests from a socket and writes answers, with the faults. Its own
// small code, so that a mistake of the client under test cannot hide behind the same mistake here.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/asio/ip/tcp.hpp>

#include "async/task.hpp"

namespace mlferry::test::fake {

struct HttpRequest {
  std::string method;
  std::string target;                                      // as sent
  std::string path;                                        // percent-encoded, without the query
  std::vector<std::pair<std::string, std::string>> query;  // decoded, in order
  std::map<std::string, std::string> headers;              // names in lower case
  std::string body;
  bool keep_alive = true;

  // The first of that name, or "".
  std::string_view parameter(std::string_view name) const;
  std::string_view header(std::string_view lower_case_name) const;
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
};

// Splits target into path and query. '+' in a query is a space.
void split_target(HttpRequest& request);
std::string percent_decode(std::string_view text, bool plus_is_space);
std::string_view status_text(int status);

// Reads requests off one connection. Bytes that came with the last one stay for the next.
class RequestReader {
 public:
  explicit RequestReader(boost::asio::ip::tcp::socket& socket) : socket_(socket) {}

  // The head alone; nothing when the client closed between requests. Throws runtime_error for what is not
  // HTTP/1.1.
  async::Task<std::optional<HttpRequest>> read_head();
  // Content-Length and chunked; answers "Expect: 100-continue".
  async::Task<> read_body(HttpRequest& request);

 private:
  async::Task<bool> more();
  async::Task<std::string> take(std::size_t size);
  async::Task<std::string> take_line();

  boost::asio::ip::tcp::socket& socket_;
  std::string buffer_;
};

// Status line, headers and body as bytes.
std::string response_head(const HttpResponse& response, bool keep_alive);

// Closes so that the peer sees a reset, not an end.
void reset(boost::asio::ip::tcp::socket& socket);

}  // namespace mlferry::test::fake
