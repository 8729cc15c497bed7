#pragma once

#include <chrono>

#include "base/clock.h"

namespace retouchd::intake {

/// Time that only moves when told to.
class HandClock : public Clock {
 public:
  [[nodiscard]] UnixMillis now() const override {
    return UnixMillis{std::chrono::duration_cast<std::chrono::milliseconds>(time_)};
  }
  [[nodiscard]] std::chrono::steady_clock::time_point steady_now() const override {
    return std::chrono::steady_clock::time_point{time_};
  }
  void advance(std::chrono::milliseconds by) { time_ += by; }

 private:
  std::chrono::nanoseconds time_{std::chrono::hours(1)};
};

}  // namespace retouchd::intake
