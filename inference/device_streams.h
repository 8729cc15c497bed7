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
///
/// Two calls at once are enough while a call's time outside the computing (tensors and pictures made by the processor, both
/// copies) is no longer than its computing. A batch of 16 tiles of 512x512 in 8 bits is 13 MB each way, a millisecond over PCIe 3
/// x16, and some milliseconds of copying by the processor, so this holds for every network that computes fewer than about a
/// thousand tiles a second. A third call would help small networks, and hide a processor that is late, for the memory of one more
/// batch; that is arithmetic, not measured.
class DeviceStreams {
 public:
  explicit DeviceStreams(at::Device device) : device_(device) {}

  /// Whether input should be in pinned memory, so that copying overlaps. LibTorch keeps such memory, in blocks of powers of two,
  /// and hands a block out again when the copies that used it are done; as run() waits for them, that is at once, and no call
  /// needs more than the calls before it did.
  [[nodiscard]] bool pinned() const noexcept { return device_.is_cuda(); }

  /// What is done with a batch on the device. Its results are contiguous.
  using Compute = std::function<std::vector<at::Tensor>(const at::Tensor& input)>;

  /// `input` (CPU) -> what `compute` makes of it (CPU, contiguous). Throws what LibTorch throws, as the device's
  /// errors do by the time this returns.
  std::vector<at::Tensor> run(const at::Tensor& input, const Compute& compute, const RestoreOptions& options);

  /// Does `what` while nobody computes (or records a pass, which no call that waits for the whole device may meet), and after all
  /// that the device was told to do is done.
  void alone(const std::function<void()>& what);

 private:
  /// A copy stream that no other call uses.
  class CopyStream;

  std::vector<at::Tensor> run_overlapped(const at::Tensor& input, const Compute& compute, const RestoreOptions& options);

  const at::Device device_;
  ComputeTurn computing_;
  std::mutex mutex_;  // guards both below
  std::optional<c10::Stream> compute_stream_;
  std::vector<c10::Stream> idle_copy_streams_;
};

}  // namespace retouchd::inference
