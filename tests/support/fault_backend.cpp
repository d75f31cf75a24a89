#include "fault_backend.hpp"

#include <system_error>

namespace mlferry::test {

namespace {

[[noreturn]] void fail(std::errc error) {
  throw std::system_error(std::make_error_code(error), "injected fault");
}

class FaultUpload final : public backend::Upload {
 public:
  FaultUpload(FaultBackend& owner, std::unique_ptr<backend::Upload> inner)
      : owner_(owner), inner_(std::move(inner)) {}
  async::Task<> write(std::span<const std::byte> data) override {
    owner_.before();
    owner_.take_room(data.size());
    co_await inner_->write(data);
    owner_.after();
  }
  async::Task<> commit(std::string name, bool replace) override {
    owner_.before();
    co_await inner_->commit(std::move(name), replace);
    owner_.after();
  }

 private:
  FaultBackend& owner_;
  std::unique_ptr<backend::Upload> inner_;
};

}  // namespace

void FaultBackend::before() {
  bool const dead = triggered_ && fault_ != Fault::once;
  bool const now = steps_ == at_ && fault_ != Fault::after_step;
  if (!dead && !now) return;
  ++steps_;
  triggered_ = true;
  fail(std::errc::io_error);
}

void FaultBackend::after() {
  if (steps_++ != at_) return;
  triggered_ = true;
  fail(std::errc::io_error);
}

void FaultBackend::take_room(std::uint64_t bytes) {
  if (bytes > room_) {
    triggered_ = true;
    fail(std::errc::no_space_on_device);
  }
  room_ -= bytes;
}

async::Task<std::unique_ptr<backend::Upload>> FaultBackend::begin() {
  before();
  auto upload = co_await inner_->begin();
  after();
  co_return std::make_unique<FaultUpload>(*this, std::move(upload));
}

async::Task<> FaultBackend::remove(std::string name) {
  before();
  co_await inner_->remove(std::move(name));
  after();
}

}  // namespace mlferry::test
