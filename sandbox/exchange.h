#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/result.h"
#include "image/codec.h"
#include "image/picture.h"
#include "sandbox/description.h"

/// The daemon's side of pictures that cross to a worker and back: their pixels and their description, in memory files.
namespace retouchd::sandbox {

/// Room for a picture that a worker decodes. Confined to one thread.
class DecodedPlanes {
 public:
  DecodedPlanes(const image::PictureHeader& header, const image::DecodeLimits& limits) noexcept;

  /// Fresh memory, which cannot shrink or grow; the files to send with that of the picture. kOverMemoryBudget, kIoError.
  [[nodiscard]] Result<std::vector<int>> make(int file);
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
  [[nodiscard]] std::uint64_t most_described() const noexcept;

  /// Reads the picture. Its pixels are sealed, so that nobody changes them any more, or copied from `arena`. What no honest
  /// worker would have left there is the reason that is returned. May throw for want of memory.
  [[nodiscard]] std::optional<std::string> take(std::uint64_t described, std::span<const std::uint8_t> arena);
  /// After take(). kInputChanged when it is not the picture of the header.
  [[nodiscard]] Result<image::Picture> picture();

 private:
  [[nodiscard]] bool is_of_header() const noexcept;
  [[nodiscard]] std::optional<std::string> read(std::span<const std::uint8_t> description, const PlaneAt& plane_at);

  image::PictureHeader header_;
  image::DecodeLimits limits_;
  std::uint64_t size_;
  UniqueFd pixels_;
  UniqueFd description_;
  image::Picture picture_;
};

/// A picture for a worker to encode: a copy of its pixels. Confined to one thread.
class EncodedPlanes {
 public:
  /// `picture` must outlive it.
  explicit EncodedPlanes(const image::Picture& picture);

  /// Copies the pixels, into `arena` if they fit; the files to send. kOverMemoryBudget, kIoError.
  [[nodiscard]] Result<std::vector<int>> put(std::span<std::uint8_t> arena);
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
  [[nodiscard]] std::uint64_t description_size() const noexcept { return description_.size(); }
  /// What its file takes at most: no codec of ours makes noise larger than this.
  [[nodiscard]] std::uint64_t most_written() const noexcept;
  [[nodiscard]] double megapixels() const noexcept { return megapixels_; }  ///< of all planes

 private:
  struct Place {
    const cv::Mat* plane;
    std::uint64_t offset;
  };
  [[nodiscard]] Result<void> write_files();

  std::vector<Place> places_;
  std::vector<std::uint8_t> description_;
  std::uint64_t size_ = 0;
  double megapixels_ = 0;
  UniqueFd pixels_file_;
  UniqueFd description_file_;
};

/// An empty file that a worker may write until it has answered. Confined to one thread.
class LentFile {
 public:
  /// `fd` stays the caller's, and open to read and write.
  explicit LentFile(int fd) noexcept : fd_(fd) {}

  /// Empties the file, of what an earlier attempt wrote; get() is to be sent. kIoError, kDiskFull.
  [[nodiscard]] Result<void> lend();
  [[nodiscard]] int get() const noexcept { return lent_.valid() ? lent_.get() : fd_; }
  /// Takes it back. False when somebody can still write it: then the worker must end before the file is used. Memory files are
  /// sealed. True where the file system cannot tell.
  [[nodiscard]] bool take_back() noexcept;

 private:
  int fd_;
  UniqueFd lent_;
};

}  // namespace retouchd::sandbox
