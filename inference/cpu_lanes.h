#pragma once

#include <atomic>

namespace retouchd::inference {

/// Shares the cores between calls that compute on the CPU at the same time: a lone one has all threads, full lanes have one each,
/// so that small batches at the end of a picture do not leave cores idle. Threads: safe.
class CpuLanes {
 public:
  CpuLanes(int threads, bool deterministic) : threads_(threads), deterministic_(deterministic) {}

  /// While it lives, its thread computes with its share of the threads, found when it began.
  class Share {
   public:
    explicit Share(CpuLanes& lanes);
    ~Share();
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;

   private:
    CpuLanes& lanes_;
  };

 private:
  const int threads_;
  const bool deterministic_;
  std::atomic<int> inside_{0};
};

}  // namespace retouchd::inference
