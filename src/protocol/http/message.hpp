#pragma once
// One HTTP request and its answer, as the rest of the program sees them.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "async/byte_stream.hpp"

namespace mlferry::http {

enum class Method { get, head, post, put, patch, del };

struct Header {
  std::string name;
  std::string value;
};
using Headers = std::vector<Header>;

// The first header of that name (ASCII case ignored), or null.
const std::string* find_header(const Headers& headers, std::string_view name);

// The kinds of work a server answers at different speeds: each has its own limit and its own hold-back.
enum class RequestClass { search, read, write, artifact };
inline constexpr int request_classes = 4;

// What to do when the connection broke after the request was sent, so that nobody knows whether the server
// carried it out.
enum class Repeat {
  safe,      // reads and writes that change nothing when repeated: send it again
  unclear,   // creates: throw TransportError with outcome_unknown, and let the caller look first
};

struct Request {
  Method method = Method::get;
  // Path and query below the base URL, percent-encoded, beginning with '/'.
  std::string target;
  Headers headers;
  // Sent as it is, with Content-Length; empty and no `open_body`: no body.
  std::string body;
  std::string content_type;  // sent when not empty
  // A streamed body of exactly `body_size` bytes, opened again for each attempt. Excludes `body`.
  async::OpenReader open_body;
  std::uint64_t body_size = 0;
  RequestClass request_class = RequestClass::read;
  Repeat repeat = Repeat::safe;
  // A larger answer (after gzip) throws ResponseTooLarge.
  std::size_t max_response_bytes = 64u << 20;
};

struct Response {
  int status = 0;
  Headers headers;
  std::string body;

  bool ok() const { return status >= 200 && status < 300; }
};

}  // namespace mlferry::http
