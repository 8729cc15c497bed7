#include "inference/networks/side_by_side.h"

#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <atomic>

#include "inference/tensor_cache.h"

namespace retouchd::inference {

std::int64_t threads_side_by_side() { return at::in_parallel_region() ? 1 : at::get_num_threads(); }

void run_side_by_side(std::int64_t count, const std::function<void(std::int64_t)>& work) {
  if (count == 1 || threads_side_by_side() == 1) {
    for (std::int64_t i = 0; i < count; ++i) work(i);
    return;
  }
  std::atomic<std::size_t> peaks{0};
  at::parallel_for(0, count, 1, [&](std::int64_t begin, std::int64_t end) {
    const c10::InferenceMode inference;  // each thread has its own mode
    const TensorCache::ThreadPeak peak;
    for (std::int64_t i = begin; i < end; ++i) work(i);
    peaks += peak.bytes();
  });
  TensorCache::instance().blocks().raise_beside(peaks);
}

}  // namespace retouchd::inference
