#include "protocol/http/resuming_reader.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <new>
#include <vector>

#include "async/sleep.hpp"
#include "protocol/http/text.hpp"

namespace mlferry::http {
namespace {

constexpr std::size_t skip_buffer_size = 256 * 1024;

// A weak ETag promises the same meaning, not the same bytes.
std::string strong_etag(const Headers& headers) {
  auto const* const found = find_header(headers, "ETag");
  if (found == nullptr) return {};
  auto const text = trimmed(*found);
  return text.size() > 2 && text.front() == '"' && text.back() == '"' ? std::string(text) : std::string();
}

std::optional<std::uint64_t> take_number(std::string_view& text) {
  std::uint64_t value = 0;
  auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

bool take(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

std::optional<ContentRange> content_range(const Headers& headers) {
  auto const* const found = find_header(headers, "Content-Range");
  return found == nullptr ? std::nullopt : parse_content_range(*found);
}

}  // namespace

std::optional<ContentRange> parse_content_range(std::string_view text) {
  text = trimmed(text);
  if (!take(text, "bytes ")) return std::nullopt;
  ContentRange range;
  auto const first = take_number(text);
  if (!first || !take(text, "-")) return std::nullopt;
  auto const last = take_number(text);
  if (!last || *last < *first || !take(text, "/")) return std::nullopt;
  range.first = *first;
  range.last = *last;
  if (text == "*") return range;
  range.total = take_number(text);
  if (!range.total || !text.empty() || *range.total <= range.last) return std::nullopt;
  return range;
}

struct ResumingReader::Digest {
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  Digest() : context(EVP_MD_CTX_new()) {
    if (!context || EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) != 1) throw std::bad_alloc();
  }
  void add(std::span<const std::byte> data) { EVP_DigestUpdate(context.get(), data.data(), data.size()); }
  // Of everything so far; more may be added after.
  std::array<unsigned char, 32> value() const {
    std::array<unsigned char, 32> result{};
    std::unique_ptr<EVP_MD_CTX, Free> copy(EVP_MD_CTX_new());
    if (!copy || EVP_MD_CTX_copy_ex(copy.get(), context.get()) != 1 ||
        EVP_DigestFinal_ex(copy.get(), result.data(), nullptr) != 1) {
      throw std::bad_alloc();
    }
    return result;
  }
  std::unique_ptr<EVP_MD_CTX, Free> context;
};

ResumingReader::ResumingReader(std::shared_ptr<Session> session, Request request, Answer first)
    : session_(std::move(session)),
      request_(std::move(request)),
      live_(std::move(first.live)),
      status_(first.status),
      etag_(strong_etag(first.headers)),
      range_(content_range(first.headers)),
      size_(first.length) {
  state_.attempts = 1;
  bool const resumable = request_.method == Method::get;
  if (resumable && etag_.empty()) digest_ = std::make_unique<Digest>();
}

ResumingReader::~ResumingReader() = default;

async::Task<std::size_t> ResumingReader::read_some(std::span<std::byte> buffer) {
  while (true) {
    std::size_t n = 0;
    Attempt failed;
    std::string text;
    try {
      if (!live_ && !ended_) co_await resume();
      if (ended_) co_return 0;
      n = co_await live_->read_some(buffer);
    } catch (const TransportError& failure) {
      // What resume() throws has been through the retries, and names the request.
      if (!live_) throw;
      failed.fault = failure.fault();
      text = failure.what();
    }
    if (!failed.fault) {
      if (digest_) digest_->add(std::span<const std::byte>(buffer.first(n)));
      delivered_ += n;
      co_return n;
    }

    live_.reset();
    bool const progress = delivered_ > delivered_at_failure_;
    delivered_at_failure_ = delivered_;
    if (progress) {
      // Only time in trouble counts. The attempts begin anew where the rest alone is asked for; everything
      // again and again would never end.
      state_.started = std::chrono::steady_clock::now();
      if (!etag_.empty()) state_.attempts = 1;
    }
    failed.method = request_.method;
    failed.repeat = request_.repeat;
    if (request_.method != Method::get) session_->fail(request_, *failed.fault, text, state_);
    auto const verdict = session_->judge(failed, state_, request_.request_class);
    if (verdict.next != Next::repeat) {
      session_->fail(request_, *failed.fault, text + ", after " + std::to_string(delivered_) + " bytes",
                     state_);
    }
    if (verdict.wait.count() > 0) co_await async::sleep_for(verdict.wait);
  }
}

async::Task<> ResumingReader::resume() {
  auto request = request_;
  bool const ask_for_rest = !etag_.empty() && delivered_ > 0 && (status_ == 200 || range_);
  if (ask_for_rest) {
    std::erase_if(request.headers, [](const Header& header) {
      return same_ignoring_case(header.name, "Range") || same_ignoring_case(header.name, "If-Range");
    });
    auto const first = (range_ ? range_->first : 0) + delivered_;
    auto const last = range_ ? std::to_string(range_->last) : std::string();
    request.headers.push_back({"Range", "bytes=" + std::to_string(first) + "-" + last});
    request.headers.push_back({"If-Range", etag_});
  }
  auto answer = co_await session_->run(std::move(request), state_, Wanted::live);
  if (ask_for_rest && answer.status == 416) {
    // Beyond the end: of a body without announced length everything had come but its end. If-Range says that
    // it is still the same file.
    auto const* const end = find_header(answer.headers, "Content-Range");
    auto const all = (range_ ? range_->first : 0) + delivered_;
    if (end != nullptr && *end == "bytes */" + std::to_string(all)) {
      ended_ = true;
      co_return;
    }
  }
  auto const why = refusal(answer);
  if (!why.empty()) {
    session_->fail(request_, Fault::changed,
                   "the file cannot be read on after " + std::to_string(delivered_) + " bytes: " + why,
                   state_);
  }
  auto const got = content_range(answer.headers);
  auto const start = range_ ? range_->first : 0;
  bool const is_rest = answer.status == 206 && got && got->first == start + delivered_ && delivered_ > 0;
  live_ = std::move(answer.live);
  if (!is_rest) co_await skip_delivered(etag_.empty());
}

// Why the answer does not carry the same file on; empty when it does.
std::string ResumingReader::refusal(const Answer& answer) const {
  if (!answer.live) return "the server answered " + std::to_string(answer.status);
  if (strong_etag(answer.headers) != etag_) return "it has changed (another ETag)";
  if (answer.status == 206) {
    auto const got = content_range(answer.headers);
    auto const start = range_ ? range_->first : 0;
    bool const again = range_ && got && got->first == start;
    bool const rest = got && !etag_.empty() && got->first == start + delivered_;
    if (!again && !rest) return "the server sent another range";
    auto const missing = size_ ? std::optional(*size_ - (rest ? delivered_ : 0)) : std::nullopt;
    if (missing && got->last - got->first + 1 != *missing) return "it has changed (another size)";
    if (missing && answer.length && *answer.length != *missing) return "it has changed (another size)";
    return {};
  }
  if (answer.status != status_) return "the server answered " + std::to_string(answer.status);
  if (answer.length != size_) return "it has changed (another size)";
  return {};
}

// Reads again what was delivered, and makes sure that it is the same.
async::Task<> ResumingReader::skip_delivered(bool check) {
  Digest digest;
  std::vector<std::byte> buffer(
      static_cast<std::size_t>(std::clamp<std::uint64_t>(delivered_, 1, skip_buffer_size)));
  std::uint64_t left = delivered_;
  while (left > 0) {
    auto const piece =
        std::span(buffer).first(static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), left)));
    auto const n = co_await live_->read_some(piece);
    if (n == 0) break;
    if (check) digest.add(std::span<const std::byte>(piece.first(n)));
    left -= n;
  }
  if (left == 0 && (!check || digest.value() == digest_->value())) co_return;
  live_.reset();
  session_->fail(request_, Fault::changed,
                 "the file changed while it was read: its first " + std::to_string(delivered_) +
                     " bytes are not the same any more",
                 state_);
}

}  // namespace mlferry::http
