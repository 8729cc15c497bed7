#include "inference/drct/drct_window_shifts.h"

#include <utility>

namespace retouchd::inference {

ShiftedWindows WindowShifts::of(std::int64_t batch, std::int64_t height, std::int64_t width) const {
  const Shape shape{batch, height, width};
  const std::int64_t pixels = batch * height * width;
  // Computing under the lock: another thread that wants the same shape gets it without computing it as well.
  std::unique_lock lock(mutex_);
  if (const auto known = known_.find(shape); known != known_.end()) return known->second;
  if (pixels > most_pixels_ - pixels_) {
    lock.unlock();
    return shift_windows(batch, height, width, window_, shift_, device_);
  }
  ShiftedWindows shifted = shift_windows(batch, height, width, window_, shift_, at::kCPU);
  shifted.pixels = shifted.pixels.to(device_);
  pixels_ += pixels;
  return known_.emplace(shape, std::move(shifted)).first->second;
}

std::int64_t WindowShifts::remembered_pixels() const {
  const std::lock_guard lock(mutex_);
  return pixels_;
}

}  // namespace retouchd::inference
