#pragma once

#include <algorithm>
#include <chrono>

#include "base/units.h"

namespace retouchd::cloud {

/// How much to send or ask for at once: as much as takes about two seconds at the pace of the chunk before, or a fourth of the
/// patience with an answer if that is less.
class ChunkSize {
 public:
  static constexpr Bytes kLeast = kibibytes(64);
  static constexpr Bytes kMost = mebibytes(1);

  explicit ChunkSize(std::chrono::milliseconds patience)
      : wished_(std::min(std::chrono::duration<double>(2), std::chrono::duration<double>(patience) / 4)) {}

  [[nodiscard]] Bytes next() const noexcept { return size_; }

  void went(Bytes chunk, std::chrono::nanoseconds took) noexcept {
    const double seconds = std::max(1e-6, std::chrono::duration<double>(took).count());
    const double fits = static_cast<double>(chunk.value) / seconds * wished_.count();
    const double twice = 2.0 * static_cast<double>(size_.value);
    set(std::min(fits, twice));
  }

  void lost() noexcept { set(static_cast<double>(size_.value) / 2); }

 private:
  void set(double bytes) noexcept {
    size_.value =
        static_cast<std::uint64_t>(std::clamp(bytes, static_cast<double>(kLeast.value), static_cast<double>(kMost.value)));
  }

  std::chrono::duration<double> wished_;
  Bytes size_ = kibibytes(256);
};

}  // namespace retouchd::cloud
