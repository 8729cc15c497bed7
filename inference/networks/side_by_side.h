#pragma once

#include <cstdint>
#include <functional>

namespace retouchd::inference {

/// Threads that parts of one forward pass can be spread over: 1 on a thread of a parallel region.
[[nodiscard]] std::int64_t threads_side_by_side();

/// Calls `work(i)` for i in [0, count), on several threads at once under InferenceMode, and waits.
///
/// For TensorCache's peak every thread counts with the most that it needs (KeptBlocks::peak()), so that measurements do not
/// depend on which of them happen to run together. Throws what `work` throws.
void run_side_by_side(std::int64_t count, const std::function<void(std::int64_t)>& work);

}  // namespace retouchd::inference
