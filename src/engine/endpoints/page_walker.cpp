#include "engine/endpoints/page_walker.hpp"

#include <algorithm>

namespace mlferry::engine {

namespace {

std::string base64(std::string_view text) {
  static constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < text.size(); i += 3) {
    unsigned word = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      word = word << 8 | (i + k < text.size() ? static_cast<unsigned char>(text[i + k]) : 0u);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      out += i + k <= text.size() ? digits[(word >> (18 - 6 * k)) & 63] : '=';
    }
  }
  return out;
}

}  // namespace

std::string PageWalker::token() const {
  return offset_ == 0 ? std::string() : base64("{\"offset\": " + std::to_string(offset_) + "}");
}

std::vector<std::size_t> PageWalker::take(const std::vector<std::string>& ids, bool more) {
  bool const meets = !ids.empty() && seen_.contains(ids.front());
  if (overlapping_ && !meets && offset_ > 0) {
    // Rows before us are gone, so rows that we have not seen moved to before our place: go back and look.
    offset_ = offset_ > step_back_ ? offset_ - step_back_ : 0;
    step_back_ *= 2;
    return {};
  }
  std::vector<std::size_t> fresh;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (seen_.insert(ids[i]).second) fresh.push_back(i);
  }
  step_back_ = 16;
  if (!more || ids.empty()) {
    done_ = true;
  } else {
    // A page of one row cannot overlap and advance.
    overlapping_ = ids.size() > 1;
    offset_ += overlapping_ ? ids.size() - 1 : 1;
  }
  return fresh;
}

}  // namespace mlferry::engine
