#pragma once
// System calls with RAII and errors that name the file and the operation. Blocking; no symbolic link is
// followed below the folder that a walk begins with.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace mlferry::backend {

// Closes the descriptor when destroyed.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept;
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;
  ~FileDescriptor();
  int get() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }
  void close();

 private:
  int fd_ = -1;
};

// Throws std::system_error: "<path>: <operation>: <why>".
[[noreturn]] void throw_errno(int error, std::string_view operation, const std::string& path);

// The folder, made with its parents when missing (each new one made durable in its parent).
FileDescriptor make_folder(const std::string& path);
// Nothing when it does not exist.
std::optional<FileDescriptor> open_folder(const std::string& path);
// The folder `name` (parts joined by '/', or "" for itself) below `root`. `make`: made when missing. Nothing
// when missing. `path` is the root's, for messages.
std::optional<FileDescriptor> walk(const FileDescriptor& root, std::string_view name, bool make,
                                   const std::string& path);

void write_all(const FileDescriptor& file, std::span<const std::byte> data, const std::string& path);
std::size_t read_at(const FileDescriptor& file, std::span<std::byte> buffer, std::uint64_t offset,
                    const std::string& path);
void sync(const FileDescriptor& file, const std::string& path);
// Gives the file `from` in `from_folder` the name `to` in `to_folder`. False when that name is taken and
// `replace` is not set; then nothing has changed.
bool rename_file(const FileDescriptor& from_folder, const std::string& from, const FileDescriptor& to_folder,
                 const std::string& to, bool replace, const std::string& path);

// Calls `take(name, is_folder, size)` for each regular file and folder, in no order.
void read_folder(
    const FileDescriptor& folder, const std::string& path,
    const std::function<void(const std::string& name, bool is_folder, std::uint64_t size)>& take);

}  // namespace mlferry::backend
