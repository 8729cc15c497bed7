#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <opencv2/core/mat.hpp>
#include <span>

#include "base/result.h"
#include "image/plane_memory.h"

namespace retouchd::sandbox {

/// A file in the address space, until destroyed. Movable.
class Mapping {
 public:
  enum class Kind {
    kRead,     ///< shared, to read only
    kShared,   ///< shared, to write
    kPrivate,  ///< writable, but others never see it and nothing of theirs is seen once the file is sealed
  };

  Mapping() = default;
  /// The first `size` bytes of `fd`; size 0 maps nothing. kOverMemoryBudget, kIoError.
  [[nodiscard]] static Result<Mapping> of(int fd, std::uint64_t size, Kind kind);
  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&& other) noexcept;
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping();

  [[nodiscard]] std::span<std::uint8_t> bytes() const noexcept { return {data_, size_}; }
  [[nodiscard]] bool contains(const void* address) const noexcept;
  /// Brings the pages of `part` in with one call instead of one fault each; a hint.
  static void expect_reads(std::span<const std::uint8_t> part) noexcept;

 private:
  std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
};

/// Planes begin at multiples of this.
constexpr std::uint64_t kPlaneAlignment = 64;
[[nodiscard]] constexpr std::uint64_t aligned(std::uint64_t offset) noexcept {
  return (offset + kPlaneAlignment - 1) / kPlaneAlignment * kPlaneAlignment;
}

/// Planes of a picture one behind the other in memory of fixed size. Confined to one thread.
class SharedPlanes final : public image::PlaneMemory {
 public:
  explicit SharedPlanes(std::span<std::uint8_t> memory) noexcept : memory_(memory) {}

  [[nodiscard]] cv::Mat make(cv::Size size, int type) override;
  [[nodiscard]] bool owns(const cv::Mat& plane) const noexcept override;
  [[nodiscard]] std::uint64_t offset_of(const cv::Mat& plane) const noexcept {
    return static_cast<std::uint64_t>(plane.data - memory_.data());
  }
  /// True once more was asked for than there is.
  [[nodiscard]] bool ran_out() const noexcept { return ran_out_; }

 private:
  std::span<std::uint8_t> memory_;
  std::uint64_t used_ = 0;
  bool ran_out_ = false;
};

/// A plane at `offset` of `mapping`, which lives as long as any copy of the plane does. The caller checked that it lies inside.
[[nodiscard]] cv::Mat plane_in(const std::shared_ptr<const Mapping>& mapping, std::uint64_t offset, cv::Size size, int type);

}  // namespace retouchd::sandbox
