#include "protocol/http/tls.hpp"

#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include <algorithm>
#include <filesystem>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

#include "async/with_timeout.hpp"
#include "protocol/http/error.hpp"

namespace mlferry::http {

namespace asio = boost::asio;
namespace ssl = boost::asio::ssl;

namespace {

constexpr auto as_tuple = asio::as_tuple(asio::use_awaitable);

[[noreturn]] void refuse(const std::string& text) {
  throw TransportError(Fault::tls, false, text);
}

void check(const boost::system::error_code& error, const std::string& what) {
  if (error) refuse(what + ": " + error.message());
}

class TlsStream final : public Stream {
 public:
  TlsStream(std::shared_ptr<SocketLink> link, ssl::context& context)
      : link_(std::move(link)), stream_(link_->socket, context) {}

  async::Task<std::size_t> read_some(std::span<std::byte> buffer) override {
    auto const link = link_;
    link->acknowledge_at_once();
    auto [error, n] = co_await stream_.async_read_some(asio::buffer(buffer.data(), buffer.size()), as_tuple);
    if (error == asio::error::eof) co_return 0;
    if (error) link->fail(error, "read");
    link->moved();
    co_return n;
  }

  async::Task<std::size_t> write_some(std::span<const std::byte> data) override {
    auto const link = link_;
    auto [error, n] = co_await stream_.async_write_some(asio::buffer(data.data(), data.size()), as_tuple);
    if (error) link->fail(error, "write");
    link->moved();
    co_return n;
  }

  void start_watch() override { link_->start_watch(); }
  void stop_watch() override { link_->stop_watch(); }
  void pause_watch(bool paused) override { link_->pause_watch(paused); }
  bool quiet() override { return SSL_pending(stream_.native_handle()) == 0 && link_->quiet(); }

  // What a verified certificate must name.
  void expect_host(const std::string& host) {
    SSL* const handle = stream_.native_handle();
    boost::system::error_code not_an_address;
    asio::ip::make_address(host, not_an_address);
    if (!not_an_address) {
      if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(handle), host.c_str()) != 1)
        refuse("cannot verify " + host);
      return;  // SNI is for names only
    }
    if (SSL_set_tlsext_host_name(handle, host.c_str()) != 1) refuse("cannot announce the host name " + host);
    SSL_set_hostflags(handle, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (SSL_set1_host(handle, host.c_str()) != 1) refuse("cannot verify the host name " + host);
  }

  async::Task<boost::system::error_code> shake_hands() {
    auto [error] = co_await stream_.async_handshake(ssl::stream_base::client, as_tuple);
    co_return error;
  }

  // Why verification failed, or nothing when it did not.
  std::string verify_failure() {
    auto const result = SSL_get_verify_result(stream_.native_handle());
    return result == X509_V_OK ? std::string() : X509_verify_cert_error_string(result);
  }

 private:
  std::shared_ptr<SocketLink> link_;
  ssl::stream<asio::ip::tcp::socket&> stream_;
};

}  // namespace

struct TlsContext::Impl {
  ssl::context context{ssl::context::tls_client};
  bool insecure = false;
};

TlsContext::TlsContext(const TlsOptions& options) : impl_(std::make_unique<Impl>()) {
  auto& context = impl_->context;
  boost::system::error_code error;
  SSL_CTX_set_min_proto_version(context.native_handle(), TLS1_2_VERSION);
  SSL_CTX_set_mode(context.native_handle(), SSL_MODE_RELEASE_BUFFERS);

  impl_->insecure = options.insecure;
  context.set_verify_mode(options.insecure ? ssl::verify_none : ssl::verify_peer);
  if (options.ca_file.empty()) {
    context.set_default_verify_paths(error);
    check(error, "cannot load the system's certificate authorities");
  } else if (std::error_code ignored; std::filesystem::is_directory(options.ca_file, ignored)) {
    context.add_verify_path(options.ca_file, error);
    check(error, "cannot use the certificate folder " + options.ca_file);
  } else {
    context.load_verify_file(options.ca_file, error);
    check(error, "cannot read the certificate file " + options.ca_file);
  }

  if (options.client_cert_file.empty()) {
    if (!options.client_key_file.empty()) refuse("a client key needs a client certificate");
    return;
  }
  // OpenSSL would ask on the terminal for the password of an encrypted key.
  context.set_password_callback([](std::size_t, ssl::context::password_purpose) { return std::string(); },
                                error);
  check(error, "cannot prepare the client certificate");
  context.use_certificate_chain_file(options.client_cert_file, error);
  check(error, "cannot read the client certificate " + options.client_cert_file);
  auto const& key = options.client_key_file.empty() ? options.client_cert_file : options.client_key_file;
  context.use_private_key_file(key, ssl::context::pem, error);
  check(error, "cannot read the client key " + key + " (an encrypted key must be decrypted first)");
  if (SSL_CTX_check_private_key(context.native_handle()) != 1) {
    refuse("the client key " + key + " does not belong to the certificate " + options.client_cert_file);
  }
}

TlsContext::~TlsContext() = default;

async::Task<std::unique_ptr<Stream>> TlsContext::handshake(std::unique_ptr<TcpStream> connected,
                                                           std::string host,
                                                           std::chrono::steady_clock::time_point deadline) {
  auto stream = std::make_unique<TlsStream>(connected->link(), impl_->context);
  stream->expect_host(host);
  auto const left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
  auto const result =
      co_await async::with_timeout(stream->shake_hands(), std::max(left, std::chrono::milliseconds(1)));
  co_await throw_if_cancelled();
  if (!result) throw TransportError(Fault::timeout, false, "the TLS handshake took too long");
  auto const error = *result;
  if (!error) co_return stream;

  auto const why = stream->verify_failure();
  if (!impl_->insecure && !why.empty()) {
    refuse("the certificate of " + host + " is not trusted: " + why +
           " (an own authority is named by --ca-file)");
  }
  if (error.category() == asio::error::get_ssl_category()) refuse("TLS handshake failed: " + error.message());
  throw TransportError(Fault::closed, false, "the connection ended in the TLS handshake: " + error.message());
}

}  // namespace mlferry::http
