#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>

#include "base/units.h"

namespace retouchd::inference {

using Forward = std::function<at::Tensor(const at::Tensor& input)>;

/// A forward pass for one shape, recorded once: a replay starts all its kernels with one call. It holds its own input, its result
/// and everything between. Weights, and whatever else the network keeps from call to call, are read where they lay when it was
/// recorded: they must stay there.
class RecordedForward {
 public:
  virtual ~RecordedForward() = default;

  /// What the recorded pass makes of `input` (of the recorded shape, type and device), in memory of its own. On the calling
  /// thread's current stream, without waiting for it. Throws what LibTorch throws.
  [[nodiscard]] virtual at::Tensor replay(const at::Tensor& input) = 0;

  /// Device memory that is taken for its sake. Recorded passes share what is between input and result, so the sum over all
  /// counts.
  [[nodiscard]] virtual Bytes held() const = 0;
};

/// Records forward passes on one device. Threads: one at a time, recorded passes included.
class GraphBackend {
 public:
  virtual ~GraphBackend() = default;

  /// Records what `forward` does with tensors like `input` on the current stream, which must not be the default one, without
  /// computing anything. `forward` must have run with that shape on this thread before: what libraries do once (choosing an
  /// algorithm, taking workspace) cannot be recorded. Throws what LibTorch throws, c10::OutOfMemoryError among it; the device is
  /// as before then.
  [[nodiscard]] virtual std::unique_ptr<RecordedForward> record(const at::Tensor& input, const Forward& forward) = 0;
};

}  // namespace retouchd::inference
