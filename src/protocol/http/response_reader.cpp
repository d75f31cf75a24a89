#include "protocol/http/response_reader.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>

#include "protocol/http/error.hpp"

namespace mlferry::http {

namespace beast_http = boost::beast::http;

namespace {

using Parser = beast_http::response_parser<beast_http::buffer_body>;

constexpr int max_interim_answers = 32;
constexpr std::size_t read_size = 16 * 1024;

// Bytes read and not yet used.
class Buffer {
 public:
  std::span<const std::byte> data() const { return std::span(bytes_).subspan(begin_, end_ - begin_); }
  bool empty() const { return begin_ == end_; }
  std::size_t size() const { return end_ - begin_; }
  void consume(std::size_t n) {
    begin_ += n;
    if (begin_ == end_) begin_ = end_ = 0;
  }
  // Room behind the data.
  std::span<std::byte> prepare() {
    if (begin_ != 0) {
      std::memmove(bytes_.data(), bytes_.data() + begin_, size());
      end_ -= begin_;
      begin_ = 0;
    }
    if (bytes_.size() < end_ + read_size) bytes_.resize(end_ + read_size);
    return std::span(bytes_).subspan(end_);
  }
  void commit(std::size_t n) { end_ += n; }

 private:
  std::vector<std::byte> bytes_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

[[noreturn]] void malformed(const std::string& text) {
  throw TransportError(Fault::malformed, false, text);
}

}  // namespace

struct ResponseReader::Impl {
  enum class Framing { none, length, chunked, until_close };

  Impl(Stream& stream, std::size_t max_header_bytes) : stream(stream), max_header_bytes(max_header_bytes) {}

  // Reads more; false at the end of the stream.
  async::Task<bool> fill() {
    auto const n = co_await stream.read_some(buffer.prepare());
    buffer.commit(n);
    received += n;
    if (n != 0) begun = true;
    co_return n != 0;
  }

  std::size_t parse(boost::beast::error_code& error) {
    auto const data = buffer.data();
    auto const used = parser->put(boost::asio::const_buffer(data.data(), data.size()), error);
    buffer.consume(used);
    return used;
  }

  async::Task<> read_one_head(bool no_body) {
    parser.emplace();
    parser->body_limit(boost::none);
    parser->header_limit(static_cast<std::uint32_t>(std::min<std::size_t>(max_header_bytes, UINT32_MAX)));
    if (no_body) parser->skip(true);
    bool need_more = buffer.empty();
    while (!parser->is_header_done()) {
      if (need_more) {
        // The parser's own bound begins anew after the status line.
        if (buffer.size() > max_header_bytes) malformed("the header of the answer is too large");
        auto const more = co_await fill();
        if (!more) {
          throw TransportError(Fault::closed, false,
                               begun ? "the connection ended within the header of the answer"
                                     : "the connection ended before an answer");
        }
      }
      boost::beast::error_code error;
      parse(error);
      need_more = error == beast_http::error::need_more || buffer.empty();
      if (error == beast_http::error::header_limit) {
        malformed("the header of the answer is larger than " + std::to_string(max_header_bytes) + " bytes");
      }
      if (error && error != beast_http::error::need_more) {
        malformed("the answer is not HTTP: " + error.message());
      }
    }
  }

  ResponseHead take_head(bool no_body) {
    ResponseHead head;
    auto const& message = parser->get();
    head.status = static_cast<int>(message.result_int());
    for (auto const& field : message) {
      head.headers.push_back({std::string(field.name_string()), std::string(field.value())});
    }
    if (auto const length = parser->content_length()) head.length = *length;
    bool const without = no_body || parser->is_done() || head.status == 204 || head.status == 304;
    if (without) {
      framing = Framing::none;
    } else if (parser->chunked()) {
      framing = Framing::chunked;
      head.length.reset();
    } else if (head.length) {
      framing = Framing::length;
      remaining = announced = *head.length;
    } else {
      framing = Framing::until_close;
    }
    head.keep_alive = parser->keep_alive() && framing != Framing::until_close;
    done = without || (framing == Framing::length && remaining == 0);
    if (!done) parser->eager(true);
    return head;
  }

  // From what was read with the header, else from the stream; 0 at its end. `promised`: all of `out` will come.
  async::Task<std::size_t> read_raw(std::span<std::byte> out, bool promised) {
    if (buffer.empty()) {
      auto const n = co_await (promised ? stream.read_promised(out) : stream.read_some(out));
      received += n;
      co_return n;
    }
    auto const n = std::min(out.size(), buffer.size());
    std::memcpy(out.data(), buffer.data().data(), n);
    buffer.consume(n);
    co_return n;
  }

  async::Task<std::size_t> read_length(std::span<std::byte> out) {
    auto const wanted = static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), remaining));
    auto const n = co_await read_raw(out.first(wanted), true);
    if (n == 0) {
      throw TransportError(Fault::short_body, false,
                           "the body ended after " + std::to_string(announced - remaining) + " of " +
                               std::to_string(announced) + " bytes");
    }
    remaining -= n;
    done = remaining == 0;
    co_return n;
  }

  async::Task<std::size_t> read_chunked(std::span<std::byte> out) {
    auto& body = parser->get().body();
    body.data = out.data();
    body.size = out.size();
    bool need_more = buffer.empty();
    while (true) {
      if (need_more) {
        if (buffer.size() > max_header_bytes) malformed("a chunk header or trailer is too large");
        auto const more = co_await fill();
        if (!more) throw TransportError(Fault::short_body, false, "the body ended before its last chunk");
      }
      boost::beast::error_code error;
      parse(error);
      auto const produced = out.size() - body.size;
      if (error && error != beast_http::error::need_more && error != beast_http::error::need_buffer) {
        malformed("the chunks of the body cannot be read: " + error.message());
      }
      done = parser->is_done();
      if (produced > 0 || done) co_return produced;
      need_more = error == beast_http::error::need_more || buffer.empty();
    }
  }

  Stream& stream;
  std::size_t max_header_bytes;
  Buffer buffer;
  std::optional<Parser> parser;
  Framing framing = Framing::none;
  std::uint64_t announced = 0;
  std::uint64_t remaining = 0;
  std::uint64_t received = 0;
  bool begun = false;
  bool done = true;
};

ResponseReader::ResponseReader(Stream& stream, std::size_t max_header_bytes)
    : impl_(std::make_unique<Impl>(stream, max_header_bytes)) {}
ResponseReader::~ResponseReader() = default;

async::Task<ResponseHead> ResponseReader::read_head(bool no_body) {
  impl_->begun = false;
  impl_->done = false;
  for (int interim = 0; interim <= max_interim_answers; ++interim) {
    co_await impl_->read_one_head(no_body);
    auto const status = impl_->parser->get().result_int();
    if (status == 101) malformed("the server switched protocols without being asked");
    if (status >= 200) co_return impl_->take_head(no_body);
  }
  malformed("too many 1xx answers");
}

async::Task<std::size_t> ResponseReader::read_body(std::span<std::byte> buffer) {
  if (impl_->done) co_return 0;
  if (impl_->framing == Impl::Framing::length) {
    auto const n = co_await impl_->read_length(buffer);
    co_return n;
  }
  if (impl_->framing == Impl::Framing::chunked) {
    auto const n = co_await impl_->read_chunked(buffer);
    co_return n;
  }
  auto const n = co_await impl_->read_raw(buffer, false);
  impl_->done = n == 0;
  co_return n;
}

bool ResponseReader::begun() const {
  return impl_->begun;
}
bool ResponseReader::finished() const {
  return impl_->done && impl_->buffer.empty();
}
std::uint64_t ResponseReader::bytes_received() const {
  return impl_->received;
}

}  // namespace mlferry::http
