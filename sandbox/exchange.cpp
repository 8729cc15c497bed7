#include "sandbox/exchange.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <map>
#include <memory>
#include <new>
#include <span>
#include <utility>
#include <vector>

#include "sandbox/description.h"
#include "sandbox/mapping.h"
#include "sandbox/protocol.h"

namespace retouchd::sandbox {
namespace {

constexpr std::uint64_t kPlanesOfAPage = 2;

std::uint64_t bytes_of_plane(cv::Size size, int type) noexcept {
  return static_cast<std::uint64_t>(size.width) * static_cast<std::uint64_t>(size.height) * CV_ELEM_SIZE(type);
}

Result<UniqueFd> memory_of(const char* name, std::uint64_t size) {
  auto fd = memory_file(name);
  if (!fd) return fd;
  if (::ftruncate(fd->get(), static_cast<off_t>(size)) != 0)
    return error_from_errno(errno, "cannot make memory for a picture", false);
  return fd;
}

Result<void> write_at(int fd, std::uint64_t offset, std::span<const std::uint8_t> bytes) {
  image::DescriptorFile file(fd);
  if (!file.write_at(offset, bytes)) return file.error();
  return {};
}

/// All rows at once where nothing lies between them.
Result<void> write_plane(int fd, std::uint64_t offset, const cv::Mat& plane) {
  const std::size_t row = static_cast<std::size_t>(plane.cols) * plane.elemSize();
  if (plane.isContinuous()) return write_at(fd, offset, {plane.data, row * static_cast<std::size_t>(plane.rows)});
  for (int y = 0; y < plane.rows; ++y) {
    if (auto written = write_at(fd, offset + static_cast<std::uint64_t>(y) * row, {plane.ptr(y), row}); !written) return written;
  }
  return {};
}

/// The planes of a picture and of its pages, in order.
void collect(const image::Picture& picture, std::vector<const cv::Mat*>& planes) {
  for (const cv::Mat* plane : {&picture.colour, &picture.alpha}) {
    if (!plane->empty()) planes.push_back(plane);
  }
  for (const image::Picture& page : picture.pages) collect(page, planes);
}

}  // namespace

DecodedPlanes::DecodedPlanes(const image::PictureHeader& header, const image::DecodeLimits& limits) noexcept
    : header_(header),
      limits_(limits),
      size_(header.decoded_bytes().value +
            kPlaneAlignment * kPlanesOfAPage * static_cast<std::uint64_t>(std::max(header.frames, 1))) {}

std::uint64_t DecodedPlanes::most_described() const noexcept {
  return sandbox::most_described(limits_.metadata, limits_.all_pages ? header_.frames : 1).value;
}

Result<std::vector<int>> DecodedPlanes::make(int file) {
  auto description = memory_file("decoded picture's description");
  if (!description) return description.error();
  description_ = *std::move(description);
  std::vector files{file, description_.get()};
  if (fits_arena(size_)) return files;
  auto pixels = memory_of("decoded picture", size_);
  if (!pixels) return pixels.error();
  if (::fcntl(pixels->get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0) {
    return error_from_errno(errno, "cannot seal the memory of a picture", false);
  }
  pixels_ = *std::move(pixels);
  files.push_back(pixels_.get());
  return files;
}

std::optional<std::string> DecodedPlanes::take(std::uint64_t described, std::span<const std::uint8_t> arena) {
  if (described > most_described()) return "describes a picture at too great length";
  // Copied: what was checked must stay what it is.
  std::vector<std::uint8_t> description(described);
  image::DescriptorFile file(description_.get());
  if (file.read_at(0, description) != described) return "left out a part of the description";

  const auto lies_inside = [&](std::uint64_t offset, cv::Size size, int type) {
    const std::uint64_t bytes = bytes_of_plane(size, type);
    return offset % kPlaneAlignment == 0 && offset <= size_ && bytes <= size_ - offset;
  };
  if (fits_arena(size_)) {
    return read(description, [&](std::uint64_t offset, cv::Size size, int type) -> cv::Mat {
      if (!lies_inside(offset, size, type)) return {};
      cv::Mat plane(size, type);
      std::memcpy(plane.data, arena.data() + offset, bytes_of_plane(size, type));
      return plane;
    });
  }
  // Refused while anybody has the memory mapped to write.
  if (::fcntl(pixels_.get(), F_ADD_SEALS, F_SEAL_WRITE) != 0) return "does not let go of the pixels";
  auto mapped = Mapping::of(pixels_.get(), size_, Mapping::Kind::kPrivate);
  if (!mapped) throw std::bad_alloc();
  const auto mapping = std::make_shared<const Mapping>(*std::move(mapped));
  return read(description, [&](std::uint64_t offset, cv::Size size, int type) -> cv::Mat {
    if (!lies_inside(offset, size, type)) return {};
    Mapping::expect_reads(mapping->bytes().subspan(offset, bytes_of_plane(size, type)));
    return plane_in(mapping, offset, size, type);
  });
}

std::optional<std::string> DecodedPlanes::read(std::span<const std::uint8_t> description, const PlaneAt& plane_at) {
  // So that a lie about many planes in one place does not take more than there was room for.
  std::uint64_t left = size_;
  auto picture = picture_from(description, [&](std::uint64_t offset, cv::Size size, int type) -> cv::Mat {
    const std::uint64_t bytes = bytes_of_plane(size, type);
    if (bytes > left) return {};
    left -= bytes;
    return plane_at(offset, size, type);
  });
  if (!picture) return "answered with " + picture.error().message;
  picture_ = *std::move(picture);
  const auto pages = static_cast<std::uint64_t>(limits_.all_pages ? header_.frames : 1);
  if (picture_.pages.size() >= std::max<std::uint64_t>(pages, 1)) return "answered with pages that were not there";
  return std::nullopt;
}

bool DecodedPlanes::is_of_header() const noexcept {
  const auto width = static_cast<std::uint32_t>(picture_.width());
  const auto height = static_cast<std::uint32_t>(picture_.height());
  const bool has_size =
      (width == header_.width && height == header_.height) || (width == header_.height && height == header_.width);
  return has_size && picture_.format == header_.format;
}

Result<image::Picture> DecodedPlanes::picture() {
  if (!is_of_header()) return make_error(ErrorCode::kInputChanged, "the file has become another picture while it was read");
  return std::move(picture_);
}

EncodedPlanes::EncodedPlanes(const image::Picture& picture) {
  std::vector<const cv::Mat*> planes;
  collect(picture, planes);
  std::map<const cv::Mat*, std::uint64_t> offsets;
  for (const cv::Mat* plane : planes) {
    const std::uint64_t offset = aligned(size_);
    places_.push_back({plane, offset});
    offsets[plane] = offset;
    size_ = offset + bytes_of_plane(plane->size(), plane->type());
    megapixels_ += static_cast<double>(plane->total()) / 1e6;
  }
  description_ = describe(picture, [&](const cv::Mat& plane) { return offsets[&plane]; });
}

Result<std::vector<int>> EncodedPlanes::put(std::span<std::uint8_t> arena) {
  if (!description_file_.valid()) {
    if (auto written = write_files(); !written) return written.error();
  }
  std::vector files{description_file_.get()};
  if (!fits_arena(size_)) {
    files.push_back(pixels_file_.get());
    return files;
  }
  for (const auto& [plane, offset] : places_) {
    cv::Mat copy(plane->size(), plane->type(), arena.data() + offset);
    plane->copyTo(copy);
  }
  return files;
}

Result<void> EncodedPlanes::write_files() {
  auto description = memory_file("picture to encode, description");
  if (!description) return description.error();
  if (auto written = write_at(description->get(), 0, description_); !written) return written;
  if (!fits_arena(size_)) {
    auto pixels = memory_of("picture to encode", size_);
    if (!pixels) return pixels.error();
    for (const auto& [plane, offset] : places_) {
      if (auto written = write_plane(pixels->get(), offset, *plane); !written) return written;
    }
    pixels_file_ = *std::move(pixels);
  }
  description_file_ = *std::move(description);
  return {};
}

Result<void> LentFile::lend() {
  if (::ftruncate(fd_, 0) != 0) return error_from_errno(errno, "cannot empty the encoded picture's file", false);
  // Opened once more, so that it can be told apart from ours. Where that is not allowed ours is lent.
  lent_ = UniqueFd(::open(fmt::format("/proc/self/fd/{}", fd_).c_str(), O_RDWR | O_CLOEXEC));
  return {};
}

bool LentFile::take_back() noexcept {
  if (!lent_.valid()) return true;
  lent_ = UniqueFd();
  const int seals = ::fcntl(fd_, F_GET_SEALS);
  if (seals >= 0 && (seals & F_SEAL_SEAL) == 0) {
    return ::fcntl(fd_, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW) == 0;
  }
  // A write lease is granted only while nobody else has the file open. Should somebody open it in this very moment, the signal is
  // one that nobody minds (the lease's own would end this process).
  ::fcntl(fd_, F_SETSIG, SIGURG);
  if (::fcntl(fd_, F_SETLEASE, F_WRLCK) != 0) return errno != EAGAIN;
  ::fcntl(fd_, F_SETLEASE, F_UNLCK);
  return true;
}

std::uint64_t EncodedPlanes::most_written() const noexcept { return 2 * (size_ + description_.size()) + mebibytes(64).value; }

}  // namespace retouchd::sandbox
