#include "image/output_file.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>

#include "base/file.h"

namespace retouchd::image {

Error OutputFile::error() const {
  if (errno_ == ENOMEM) return make_error(ErrorCode::kOverMemoryBudget, "not enough memory for the encoded picture");
  return error_from_errno(errno_, "cannot write the encoded picture", false);
}

bool MemoryFile::write_at(std::uint64_t offset, std::span<const std::uint8_t> bytes) noexcept {
  if (failed()) return false;
  try {
    if (offset + bytes.size() > bytes_.size()) bytes_.resize(offset + bytes.size());
  } catch (const std::exception&) {
    errno_ = ENOMEM;
    return false;
  }
  if (!bytes.empty()) std::memcpy(bytes_.data() + offset, bytes.data(), bytes.size());
  return true;
}

std::size_t MemoryFile::read_at(std::uint64_t offset, std::span<std::uint8_t> to) noexcept {
  if (offset >= bytes_.size()) return 0;
  const std::size_t count = std::min<std::size_t>(to.size(), bytes_.size() - offset);
  if (count > 0) std::memcpy(to.data(), bytes_.data() + offset, count);
  return count;
}

bool DescriptorFile::write_at(std::uint64_t offset, std::span<const std::uint8_t> bytes) noexcept {
  if (failed()) return false;
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      errno_ = written < 0 ? errno : EIO;
      return false;
    }
    offset += static_cast<std::uint64_t>(written);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  size_ = std::max(size_, offset);
  return true;
}

std::size_t DescriptorFile::read_at(std::uint64_t offset, std::span<std::uint8_t> to) noexcept {
  std::size_t filled = 0;
  while (filled < to.size()) {
    const ssize_t got = ::pread(fd_, to.data() + filled, to.size() - filled, static_cast<off_t>(offset + filled));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    filled += static_cast<std::size_t>(got);
  }
  return filled;
}

}  // namespace retouchd::image
