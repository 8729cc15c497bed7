#pragma once

#include <chrono>
#include <cstddef>
#include <string_view>

#include "base/error.h"

namespace retouchd::stages {

using Seconds = std::chrono::duration<double>;

/// Why a device had nothing to do.
enum class StarvedCause { kNoWork, kDecode, kPreview, kMemory, kMerge };

[[nodiscard]] std::string_view name_of(StarvedCause cause) noexcept;  ///< "no_work", "decode", ...

/// What the pipeline tells whoever measures it. Every method may be called from any stage's thread and must return quickly.
/// The base class ignores everything.
class PipelineObserver {
 public:
  virtual ~PipelineObserver() = default;

  /// One picture (or, for "infer", one batch; for "merge", one tile) went through a stage.
  virtual void stage_finished(std::string_view stage, Seconds took) { (void)stage, (void)took; }
  virtual void batch_finished(std::string_view device, std::size_t tiles, std::size_t capacity, std::size_t pictures,
                              Seconds busy) {
    (void)device, (void)tiles, (void)capacity, (void)pictures, (void)busy;
  }
  virtual void tile_finished(bool preview) { (void)preview; }
  virtual void device_starved(std::string_view device, StarvedCause cause, Seconds waited) {
    (void)device, (void)cause, (void)waited;
  }
  virtual void preview_ready(Seconds since_accepted) { (void)since_accepted; }
  virtual void job_done(Seconds since_accepted) { (void)since_accepted; }
  virtual void job_retried(ErrorCode code) { (void)code; }
};

}  // namespace retouchd::stages
