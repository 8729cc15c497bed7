#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "stages/observer.h"

namespace retouchd::daemon {

/// Every StarvedCause, in the order in which people should read them.
inline constexpr std::array kStarvedCauses{
    stages::StarvedCause::kNoWork, stages::StarvedCause::kDecode, stages::StarvedCause::kPreview, stages::StarvedCause::kUpload,
    stages::StarvedCause::kMerge,  stages::StarvedCause::kEncode, stages::StarvedCause::kMemory};

/// What a device did in the last minute.
struct DeviceLoad {
  double busy_ratio = 0;                                  ///< computing time of all time that was reported; 0 when none was
  std::array<double, kStarvedCauses.size()> starved_s{};  ///< idle time by cause, in the order of kStarvedCauses
  double tiles_per_s = 0;
  std::optional<double> batch_fill;   ///< tiles against the capacity of their batches; nullopt without a batch
  std::optional<double> waste_ratio;  ///< pixels computed for each useful one; nullopt without useful ones
};

/// How busy the devices are, over a minute that slides on second by second.
///
/// A ring of 60 one-second buckets: what was reported in a second is forgotten a minute later as a whole, so a figure covers
/// between 59 and 60 seconds. Its size does not depend on how much is reported.
///
/// Threads: safe.
class Saturation {
 public:
  static constexpr std::int64_t kSeconds = 60;

  /// `clock` must outlive it.
  explicit Saturation(const Clock& clock);

  // As in stages::PipelineObserver.
  void device_busy(std::string_view device, stages::Seconds computed);
  void device_starved(std::string_view device, stages::StarvedCause cause, stages::Seconds waited);
  void batch_finished(const stages::BatchReport& batch);
  void job_done();

  [[nodiscard]] DeviceLoad of(std::string_view device) const;  ///< all zero for a device that never reported
  [[nodiscard]] DeviceLoad all() const;                        ///< of all devices together
  [[nodiscard]] std::uint64_t jobs_done() const;               ///< in the last minute

 private:
  struct Work {
    double busy_s = 0;
    std::array<double, kStarvedCauses.size()> starved_s{};
    std::uint64_t tiles = 0;
    std::uint64_t capacity = 0;
    std::uint64_t useful_pixels = 0;
    std::uint64_t computed_pixels = 0;

    Work& operator+=(const Work& other);
  };

  template <class T>
  class Ring {
   public:
    T& at(std::int64_t second) {
      Bucket& bucket = buckets_[static_cast<std::size_t>(second % kSeconds)];
      if (bucket.second != second) bucket = {second, T{}};
      return bucket.sum;
    }
    [[nodiscard]] T sum(std::int64_t now) const {
      T all{};
      for (const Bucket& bucket : buckets_) {
        if (bucket.second > now - kSeconds) all += bucket.sum;
      }
      return all;
    }

   private:
    struct Bucket {
      std::int64_t second = -kSeconds;
      T sum{};
    };
    std::array<Bucket, kSeconds> buckets_{};
  };

  [[nodiscard]] std::chrono::duration<double> age() const { return clock_.steady_now() - start_; }
  [[nodiscard]] std::int64_t second() const { return std::chrono::floor<std::chrono::seconds>(age()).count(); }
  [[nodiscard]] Work& now_of(std::string_view device);
  [[nodiscard]] DeviceLoad load_of(const Work& work) const;

  const Clock& clock_;
  const std::chrono::steady_clock::time_point start_;
  mutable std::mutex mutex_;
  std::map<std::string, Ring<Work>, std::less<>> devices_;
  Ring<std::uint64_t> jobs_done_;
};

}  // namespace retouchd::daemon
