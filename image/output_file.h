#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"

namespace retouchd::image {

/// Where an encoder puts a file. Nothing here throws, so that C libraries' callbacks can call it. Confined to one thread.
class OutputFile {
 public:
  virtual ~OutputFile() = default;

  /// Writes behind what is there. False after a failure, which error() tells.
  bool append(std::span<const std::uint8_t> bytes) noexcept { return write_at(size(), bytes); }
  virtual bool write_at(std::uint64_t offset, std::span<const std::uint8_t> bytes) noexcept = 0;
  /// How many bytes were read: fewer than asked for at the end.
  virtual std::size_t read_at(std::uint64_t offset, std::span<std::uint8_t> to) noexcept = 0;
  [[nodiscard]] virtual std::uint64_t size() const noexcept = 0;

  [[nodiscard]] bool failed() const noexcept { return errno_ != 0; }
  /// kDiskFull, kOutputDenied, kOverMemoryBudget, kIoError.
  [[nodiscard]] Error error() const;

 protected:
  int errno_ = 0;  ///< of the first failure
};

class MemoryFile final : public OutputFile {
 public:
  bool write_at(std::uint64_t offset, std::span<const std::uint8_t> bytes) noexcept override;
  std::size_t read_at(std::uint64_t offset, std::span<std::uint8_t> to) noexcept override;
  [[nodiscard]] std::uint64_t size() const noexcept override { return bytes_.size(); }
  [[nodiscard]] std::vector<std::uint8_t> take() noexcept { return std::move(bytes_); }

 private:
  std::vector<std::uint8_t> bytes_;
};

/// An open file that was empty. The descriptor stays the caller's.
class DescriptorFile final : public OutputFile {
 public:
  explicit DescriptorFile(int fd) noexcept : fd_(fd) {}
  bool write_at(std::uint64_t offset, std::span<const std::uint8_t> bytes) noexcept override;
  std::size_t read_at(std::uint64_t offset, std::span<std::uint8_t> to) noexcept override;
  [[nodiscard]] std::uint64_t size() const noexcept override { return size_; }

 private:
  int fd_;
  std::uint64_t size_ = 0;
};

}  // namespace retouchd::image
