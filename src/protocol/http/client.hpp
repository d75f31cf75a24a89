#pragma once
// An HTTP/1.1 client for one server: keep-alive pool, TLS, proxies, time-outs, bounds, gzip, and the program's
// only retry layer.

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <functional>
#include <string>

#include "async/byte_stream.hpp"
#include "async/task.hpp"
#include "protocol/http/admission.hpp"
#include "protocol/http/error.hpp"
#include "protocol/http/message.hpp"

namespace mlferry::http {

struct TlsOptions {
  std::string ca_file;           // PEM file, or folder of hashed PEM files, trusted in place of the system's
  std::string client_cert_file;  // PEM with certificate chain and, unless client_key_file is set, the key
  std::string client_key_file;
  bool insecure = false;  // accept any certificate: only by the user's explicit wish
};

struct ProxyOptions {
  std::string http_proxy;   // http://[user:password@]host:port, for http URLs; empty: none
  std::string https_proxy;  // the same, for https URLs, by CONNECT
  std::string no_proxy;     // comma-separated host suffixes, IPs, "host:port" or "*"
};

struct RetryOptions {
  int attempts = 8;  // of one request, in all
  // Backoff: random in [0, min(base * 2^i, max_delay)]; after 429 and 503 the base is ten times base_delay.
  std::chrono::milliseconds base_delay{100};
  std::chrono::milliseconds max_delay{20'000};
  std::chrono::milliseconds max_retry_after{120'000};  // a longer Retry-After is cut to this
  std::chrono::seconds give_up_after{900};             // wall time spent on one request, pauses included
  // Budget shared by all requests of the client: a retry takes one token, a success without retry gives
  // `refill` back. When it is empty, a retry first waits max_delay, so that a broken server is probed, not stormed.
  double budget = 100;
  double refill = 0.1;
};

struct ClientOptions {
  std::string base_url;       // http(s)://host[:port][/prefix], no credentials in it
  std::string authorization;  // value of the Authorization header; never logged, never sent to another host
  Headers headers;            // sent with every request (X-MLFLOW-WORKSPACE)
  std::string user_agent = "mlferry";
  TlsOptions tls;
  ProxyOptions proxy;
  RetryOptions retry;
  // Whether a failure that is not 429 or 503 means the same: too much at once. May be empty.
  std::function<bool(int status, std::string_view body)> overloaded;
  std::chrono::milliseconds connect_timeout{15'000};
  std::chrono::milliseconds idle_timeout{120'000};  // without one byte moving in either direction
  std::size_t max_header_bytes = 64 * 1024;
  std::size_t max_idle_connections = 64;  // for writes, and as many for all else
  // New connections are made this far apart, while the server keeps them alive. Workers that share a listening socket
  // would else do unequal work: the first to wake takes all that wait (asyncio accepts as many as its backlog has).
  std::chrono::milliseconds between_connects{5};
  std::uint64_t random_seed = 0;  // for jitter; 0: from the system
};

// What a client did, for reports and tests.
struct Counters {
  std::uint64_t requests = 0;  // attempts sent, by any method
  std::uint64_t write_requests = 0;  // attempts with POST, PUT, PATCH or DELETE
  std::uint64_t retries = 0;
  std::uint64_t connections = 0;
  std::uint64_t bytes_received = 0;
  std::uint64_t bytes_sent = 0;
};

// A response whose body is pulled by the caller. Destroying it early closes the connection.
struct Download {
  int status = 0;
  Headers headers;
  std::optional<std::uint64_t> size;  // of the whole body, when announced
  // On a failure in the middle the reader asks again for the rest (Range with If-Range where the server gave
  // an ETag, else from the start, skipping what was delivered after checking that its SHA-256 is the same), up to the retry limits.
  std::unique_ptr<async::ByteReader> body;
};

class Client {
 public:
  // `admission` may be null (no limit) and must outlive the client. Throws TransportError(bad_url) for a base
  // URL that cannot be used and TransportError(tls) for certificate files that cannot be read.
  Client(async::Executor executor, ClientOptions options, Admission* admission);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Sends the request and reads the whole answer. Retries on lost connections, 429, 502, 503, 504, and 500
  // whose body is not JSON; other statuses are returned as they are, and so is the last answer when attempts run out. Redirects are
  // followed only to the same origin and only for GET and HEAD (308 for all), at most 5. Cancelled: the
  // request may have been carried out.
  async::Task<Response> send(Request request);

  // As send, but returns once the header has arrived with a status of 2xx; the admission permit is held by the
  // download until its body ends. With any other status the body (at most 64 KiB) is read and
  // thrown away into `error_body`.
  struct Opened {
    Download download;       // body is null unless the status is 2xx
    std::string error_body;
  };
  async::Task<Opened> open(Request request);

  const Counters& counters() const;
  // Base URL without credentials, without a slash at the end.
  const std::string& base_url() const;
  // The value of that header where the options send it with every request (not Authorization), else "".
  std::string header(std::string_view name) const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

// RFC 3986: everything but unreserved characters as %XX, byte by byte.
std::string percent_encode(std::string_view text);
// The same for a path: '/' stays.
std::string percent_encode_path(std::string_view path);
std::string percent_decode(std::string_view text);

// "Basic base64(user:password)".
std::string basic_authorization(std::string_view user, std::string_view password);

// Splits user and password off a URL: {"https://u:p@h/x"} -> {"https://h/x", "u", "p"}, percent-decoded.
struct SplitUrl {
  std::string url;
  std::string user;
  std::string password;
};
SplitUrl split_credentials(std::string_view url);

}  // namespace mlferry::http
