#pragma once
// A backend that fails at the n-th step of writing, or when the disk is full. For tests that try every n.

#include <cstdint>
#include <limits>
#include <memory>
#include <string>

#include "storage/backend/backend.hpp"

namespace mlferry::test {

enum class Fault {
  once,        // this step fails with EIO, later ones work
  for_ever,    // this step and all later ones fail: the process has died
  after_step,  // the step is done, then as for_ever: it died before it knew
};

class FaultBackend final : public backend::Backend {
 public:
  // Steps are begin, write, commit and remove, counted from 0.
  FaultBackend(std::shared_ptr<backend::Backend> inner, Fault fault, std::uint64_t at)
      : inner_(std::move(inner)), fault_(fault), at_(at) {}
  // ENOSPC once so many bytes have been written.
  FaultBackend(std::shared_ptr<backend::Backend> inner, std::uint64_t room)
      : inner_(std::move(inner)), at_(std::numeric_limits<std::uint64_t>::max()), room_(room) {}

  bool triggered() const { return triggered_; }
  std::uint64_t steps() const { return steps_; }

  async::Task<std::unique_ptr<backend::Upload>> begin() override;
  async::Task<> remove(std::string name) override;
  async::Task<std::unique_ptr<async::ByteReader>> open(std::string name, std::uint64_t offset,
                                                       std::uint64_t length) override {
    return inner_->open(std::move(name), offset, length);
  }
  async::Task<std::optional<std::uint64_t>> size(std::string name) override {
    return inner_->size(std::move(name));
  }
  async::Task<std::vector<backend::Entry>> list(std::string prefix) override {
    return inner_->list(std::move(prefix));
  }
  async::Task<> clean_up() override { return inner_->clean_up(); }
  async::Task<std::string> local_path(std::string name) override {
    return inner_->local_path(std::move(name));
  }
  async::Task<std::string> scratch_path() override { return inner_->scratch_path(); }
  async::Task<std::shared_ptr<void>> lock_for_writing() override { return inner_->lock_for_writing(); }
  std::string describe() const override { return inner_->describe(); }

  // For the uploads: before and after a step.
  void before();
  void after();
  void take_room(std::uint64_t bytes);

 private:
  std::shared_ptr<backend::Backend> inner_;
  Fault fault_ = Fault::once;
  std::uint64_t at_ = 0;
  std::uint64_t room_ = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t steps_ = 0;
  bool triggered_ = false;
};

}  // namespace mlferry::test
