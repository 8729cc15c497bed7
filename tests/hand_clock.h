#pragma once

#include <atomic>
#include <chrono>

#include "base/clock.h"

namespace retouchd {

/// Time that only moves when told to. Threads: safe.
class HandClock final : public Clock {
 public:
  [[nodiscard]] UnixMillis now() const override { return UnixMillis(std::chrono::milliseconds(ms_.load())); }
  [[nodiscard]] std::chrono::steady_clock::time_point steady_now() const override {
    return std::chrono::steady_clock::time_point(std::chrono::milliseconds(ms_.load()));
  }
  void advance(std::chrono::milliseconds by) { ms_ += by.count(); }

 private:
  std::atomic<std::int64_t> ms_{1'800'000'000'000};
};

}  // namespace retouchd
