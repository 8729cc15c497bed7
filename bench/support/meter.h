#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>

#include "stages/observer.h"

namespace retouchd::bench {

/// Sums up what the pipeline tells. Threads: safe.
class Meter final : public stages::PipelineObserver {
 public:
  void batch_finished(const stages::BatchReport& batch) override;
  void device_busy(std::string_view device, stages::Seconds computed) override;
  void device_starved(std::string_view device, stages::StarvedCause cause, stages::Seconds waited) override;
  void stage_finished(std::string_view stage, stages::Seconds took) override;

  /// Everything from here on counts for `has_backlog` or not: how full batches are is judged only while work waits.
  void set_backlog(bool has_backlog);

  struct Sums {
    std::uint64_t tiles = 0;
    std::uint64_t batches = 0;
    std::uint64_t capacity = 0;
    std::uint64_t backlog_tiles = 0;  ///< of batches while there was a backlog
    std::uint64_t backlog_capacity = 0;
    std::uint64_t useful_pixels = 0;
    std::uint64_t computed_pixels = 0;
    double batch_seconds = 0;
    double busy_seconds = 0;  ///< of all devices together
    std::map<std::string, double> starved_seconds;
    std::map<std::string, double> stage_seconds;

    [[nodiscard]] double busy_ratio() const;
    [[nodiscard]] double fill() const;
    [[nodiscard]] double backlog_fill() const;
    [[nodiscard]] nlohmann::json to_json() const;
  };
  [[nodiscard]] Sums sums() const;

 private:
  mutable std::mutex mutex_;
  bool has_backlog_ = true;
  Sums sums_;
};

}  // namespace retouchd::bench
