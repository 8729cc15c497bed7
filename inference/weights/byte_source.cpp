#include "inference/weights/byte_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "inference/weights/malformed_weights.h"

namespace retouchd::inference {
namespace {

constexpr std::size_t kStep = 64U << 10U;

void expect_inside(std::uint64_t offset, std::uint64_t count, std::uint64_t size) {
  if (offset > size || count > size - offset) throw MalformedWeights("it is cut short");
}

}  // namespace

std::vector<std::uint8_t> ByteSource::bytes(std::uint64_t offset, std::uint64_t count) const {
  expect_inside(offset, count, size());
  std::vector<std::uint8_t> data(count);
  read(offset, data);
  return data;
}

Result<FileSource> FileSource::open(const std::filesystem::path& path) {
  const auto refused = [&path](int error) {
    return make_error(ErrorCode::kBadWeights, "cannot open " + path.string() + ": " + std::strerror(error));
  };
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat info {};
  if (!fd.valid() || ::fstat(fd.get(), &info) != 0) return refused(errno);
  if (S_ISDIR(info.st_mode)) return refused(EISDIR);
  if (!S_ISREG(info.st_mode)) return make_error(ErrorCode::kBadWeights, path.string() + " is not a regular file");
  return FileSource(path.string(), std::move(fd), static_cast<std::uint64_t>(info.st_size));
}

void FileSource::read(std::uint64_t offset, std::span<std::uint8_t> into) const {
  expect_inside(offset, into.size(), size_);
  while (!into.empty()) {
    const ssize_t got = ::pread(fd_.get(), into.data(), into.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw MalformedWeights(std::string("it cannot be read: ") + std::strerror(errno));
    if (got == 0) throw MalformedWeights("it was cut short while it was read");
    into = into.subspan(static_cast<std::size_t>(got));
    offset += static_cast<std::uint64_t>(got);
  }
}

void MemorySource::read(std::uint64_t offset, std::span<std::uint8_t> into) const {
  expect_inside(offset, into.size(), data_.size());
  std::copy_n(data_.begin() + static_cast<std::ptrdiff_t>(offset), into.size(), into.begin());
}

std::span<const std::uint8_t> ByteCursor::take(std::size_t count) {
  if (count > remaining()) throw MalformedWeights("it ends too early");
  if (position_ < buffer_begin_ || position_ + count > buffer_begin_ + buffer_.size()) {
    buffer_ = source_.bytes(position_, std::min<std::uint64_t>(remaining(), std::max(count, kStep)));
    buffer_begin_ = position_;
  }
  const auto taken = std::span<const std::uint8_t>(buffer_).subspan(position_ - buffer_begin_, count);
  position_ += count;
  return taken;
}

std::uint8_t ByteCursor::byte() { return take(1)[0]; }

std::uint64_t ByteCursor::little_endian(unsigned count) { return inference::little_endian(take(count)); }

std::string ByteCursor::text(std::size_t length) {
  const auto taken = take(length);
  return {taken.begin(), taken.end()};
}

std::string ByteCursor::line(std::size_t longest) {
  std::string text;
  for (std::uint8_t next = byte(); next != '\n'; next = byte()) {
    if (text.size() == longest) throw MalformedWeights("a line of its pickle is too long");
    text += static_cast<char>(next);
  }
  return text;
}

void ByteCursor::skip(std::uint64_t count) {
  if (count > remaining()) throw MalformedWeights("it ends too early");
  position_ += count;
}

std::uint64_t little_endian(std::span<const std::uint8_t> bytes) noexcept {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) value |= static_cast<std::uint64_t>(bytes[i]) << (8U * i);
  return value;
}

}  // namespace retouchd::inference
