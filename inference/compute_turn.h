#pragma once

#include <condition_variable>
#include <mutex>

namespace retouchd::inference {

/// Lets one batch compute at a time, urgent ones before others that wait. Threads: safe.
class ComputeTurn {
 public:
  /// Holds the turn until it goes.
  class Guard {
   public:
    Guard(ComputeTurn& turn, bool urgent) : turn_(turn) { turn_.take(urgent); }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;
    ~Guard() { turn_.give_back(); }

   private:
    ComputeTurn& turn_;
  };

 private:
  void take(bool urgent) {
    std::unique_lock lock(mutex_);
    urgent_waiting_ += urgent ? 1 : 0;
    free_.wait(lock, [&] { return !taken_ && (urgent || urgent_waiting_ == 0); });
    urgent_waiting_ -= urgent ? 1 : 0;
    taken_ = true;
  }
  void give_back() {
    {
      const std::lock_guard lock(mutex_);
      taken_ = false;
    }
    free_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable free_;
  bool taken_ = false;
  int urgent_waiting_ = 0;
};

}  // namespace retouchd::inference
