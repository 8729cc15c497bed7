#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "queue/decision.h"

namespace retouchd::stages {

using Seconds = std::chrono::duration<double>;

/// Why a device had nothing to compute.
enum class StarvedCause {
  kNoWork,   ///< no job is in flight
  kDecode,   ///< pictures are being read
  kPreview,  ///< pictures wait for their previews
  kUpload,   ///< the next batch is being copied to the device
  kMerge,    ///< finished tiles wait to be merged
  kEncode,   ///< results wait to be written, and hold the memory of what could come next
  kMemory,   ///< the next picture waits for memory
};

[[nodiscard]] std::string_view name_of(StarvedCause cause) noexcept;  ///< "no_work", "decode", ...

/// Why a tile was computed again.
enum class RerunReason {
  kNotFinite,  ///< NaN or infinity
  kRange,      ///< far outside [0, 1]
  kConstant,   ///< one colour, although the picture is not
  kOutOfMemory,
  kDeviceLost,
};

[[nodiscard]] std::string_view name_of(RerunReason reason) noexcept;  ///< "not_finite", "range", ...

/// One batch that went through a device.
struct BatchReport {
  std::string device;
  std::size_t tiles = 0;
  std::size_t capacity = 0;           ///< tiles that it could have held
  std::size_t pictures = 0;           ///< different ones
  std::uint64_t useful_pixels = 0;    ///< of pictures, each counted once
  std::uint64_t computed_pixels = 0;  ///< with overlap and padding
  Seconds took{0};                    ///< from pulling it to its results
};

/// What the pipeline tells whoever measures it. Every method may be called from any stage's thread and must return quickly.
/// The base class ignores everything.
class PipelineObserver {
 public:
  virtual ~PipelineObserver() = default;

  /// One picture (or, for "infer", one batch; for "merge", one tile) went through a stage.
  virtual void stage_finished(std::string_view stage, Seconds took) { (void)stage, (void)took; }
  virtual void batch_finished(const BatchReport& batch) { (void)batch; }
  virtual void tile_finished(bool preview) { (void)preview; }
  /// Time that the device computed, as a share of all its lanes: two of four CPU lanes for 1 s are 0.5 s.
  virtual void device_busy(std::string_view device, Seconds computed) { (void)device, (void)computed; }
  /// ... and time that it did not, by cause, in the same measure. Both come several times a second.
  virtual void device_starved(std::string_view device, StarvedCause cause, Seconds waited) {
    (void)device, (void)cause, (void)waited;
  }
  virtual void device_up(std::string_view device, bool is_up) { (void)device, (void)is_up; }
  virtual void tiles_rerun(std::string_view device, RerunReason reason, std::size_t tiles) {
    (void)device, (void)reason, (void)tiles;
  }
  /// Tiles of an earlier attempt that need not be computed again.
  virtual void tiles_resumed(std::size_t tiles) { (void)tiles; }
  /// The seam ratio (seam_meter.h) of a picture that was put together from several tiles.
  virtual void seams_measured(double ratio) { (void)ratio; }
  /// Where a picture is restored; told once an attempt that decides.
  virtual void routed(const queue::Decision& decision) { (void)decision; }
  virtual void preview_ready(Seconds since_accepted) { (void)since_accepted; }
  virtual void job_done(Seconds since_accepted) { (void)since_accepted; }
  virtual void job_retried(ErrorCode code) { (void)code; }
};

}  // namespace retouchd::stages
