#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/result.h"

namespace retouchd::inference {

/// Bytes that are read at any position: a file, or memory in tests. Threads: safe for reading.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  /// For messages: the file's path.
  [[nodiscard]] virtual std::string name() const = 0;
  [[nodiscard]] virtual std::uint64_t size() const noexcept = 0;
  /// Fills `into`; throws MalformedWeights when it reaches beyond the end or cannot be read.
  virtual void read(std::uint64_t offset, std::span<std::uint8_t> into) const = 0;

  /// The same into fresh memory; only for sizes that have been checked.
  [[nodiscard]] std::vector<std::uint8_t> bytes(std::uint64_t offset, std::uint64_t count) const;
};

/// A regular file, read by pread(), never mapped (one that is cut short meanwhile must not raise SIGBUS).
class FileSource : public ByteSource {
 public:
  /// kBadWeights when it is missing, unreadable or not a regular file.
  [[nodiscard]] static Result<FileSource> open(const std::filesystem::path& path);

  [[nodiscard]] std::string name() const override { return name_; }
  [[nodiscard]] std::uint64_t size() const noexcept override { return size_; }
  void read(std::uint64_t offset, std::span<std::uint8_t> into) const override;

 private:
  FileSource(std::string name, UniqueFd fd, std::uint64_t size) : name_(std::move(name)), fd_(std::move(fd)), size_(size) {}

  std::string name_;
  UniqueFd fd_;
  std::uint64_t size_;
};

/// Somebody else's memory, which must outlive it.
class MemorySource : public ByteSource {
 public:
  MemorySource(std::string name, std::span<const std::uint8_t> data) : name_(std::move(name)), data_(data) {}

  [[nodiscard]] std::string name() const override { return name_; }
  [[nodiscard]] std::uint64_t size() const noexcept override { return data_.size(); }
  void read(std::uint64_t offset, std::span<std::uint8_t> into) const override;

 private:
  std::string name_;
  std::span<const std::uint8_t> data_;
};

/// Goes through a part of a source from front to back in 64 KiB steps. Every function throws MalformedWeights at the part's end.
class ByteCursor {
 public:
  /// `begin` <= `end` <= source.size(). The source must outlive it.
  ByteCursor(const ByteSource& source, std::uint64_t begin, std::uint64_t end) : source_(source), position_(begin), end_(end) {}

  [[nodiscard]] std::uint64_t position() const noexcept { return position_; }
  [[nodiscard]] std::uint64_t remaining() const noexcept { return end_ - position_; }

  std::uint8_t byte();
  /// `count` bytes, little-endian.
  std::uint64_t little_endian(unsigned count);
  std::string text(std::size_t length);
  /// Up to a newline, which is taken, too; at most `longest` bytes.
  std::string line(std::size_t longest);
  void skip(std::uint64_t count);

 private:
  std::span<const std::uint8_t> take(std::size_t count);

  const ByteSource& source_;
  std::uint64_t position_;
  std::uint64_t end_;
  std::vector<std::uint8_t> buffer_;
  std::uint64_t buffer_begin_ = 0;
};

/// Little-endian number of up to 8 bytes.
[[nodiscard]] std::uint64_t little_endian(std::span<const std::uint8_t> bytes) noexcept;

}  // namespace retouchd::inference
