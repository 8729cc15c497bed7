#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Stream.h>

#include <functional>
#include <mutex>
#include <optional>
#include <vector>

#include "inference/compute_turn.h"
#include "inference/device.h"

namespace retouchd::inference {

/// Takes batches through a GPU so that one computes while another one is copied:
///
///     call 1   upload | compute          | download
///     call 2            upload | (waits) | compute          | download
///
/// Each call copies on a stream of its own; all compute on one stream, one at a time, so that activations exist once. Devices
/// without streams of ours (Metal) do one call after the other. Threads: safe.
class DeviceStreams {
 public:
  explicit DeviceStreams(at::Device device) : device_(device) {}

  /// Whether input should be in pinned memory, so that copying overlaps. LibTorch keeps such memory for the next batch.
  [[nodiscard]] bool pinned() const noexcept { return device_.is_cuda(); }

  /// `input` (CPU) -> what `compute` makes of it (CPU, contiguous). Throws what LibTorch throws, as the device's
  /// errors do by the time this returns.
  at::Tensor run(const at::Tensor& input, const std::function<at::Tensor(const at::Tensor&)>& compute,
                 const RestoreOptions& options);

 private:
  /// A copy stream that no other call uses.
  class CopyStream;

  at::Tensor run_overlapped(const at::Tensor& input, const std::function<at::Tensor(const at::Tensor&)>& compute,
                            const RestoreOptions& options);

  const at::Device device_;
  ComputeTurn computing_;
  std::mutex mutex_;  // guards both below
  std::optional<c10::Stream> compute_stream_;
  std::vector<c10::Stream> idle_copy_streams_;
};

}  // namespace retouchd::inference
