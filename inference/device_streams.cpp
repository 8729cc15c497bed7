#include "inference/device_streams.h"

#include <ATen/DeviceAccelerator.h>
#include <ATen/Functions.h>
#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <exception>

#include "inference/computing_scope.h"

namespace retouchd::inference {
namespace {

c10::Stream new_stream(const at::Device& device) { return c10::impl::VirtualGuardImpl(device.type()).getNewStream(device); }

}  // namespace

class DeviceStreams::CopyStream {
 public:
  explicit CopyStream(DeviceStreams& owner) : owner_(owner), stream_(take(owner)) {}
  ~CopyStream() {
    const std::lock_guard lock(owner_.mutex_);
    owner_.idle_copy_streams_.push_back(stream_);
  }
  CopyStream(const CopyStream&) = delete;
  CopyStream& operator=(const CopyStream&) = delete;

  [[nodiscard]] const c10::Stream& get() const noexcept { return stream_; }

 private:
  static c10::Stream take(DeviceStreams& owner) {
    const std::lock_guard lock(owner.mutex_);
    if (!owner.compute_stream_) owner.compute_stream_ = new_stream(owner.device_);
    if (owner.idle_copy_streams_.empty()) return new_stream(owner.device_);
    const c10::Stream stream = owner.idle_copy_streams_.back();
    owner.idle_copy_streams_.pop_back();
    return stream;
  }

  DeviceStreams& owner_;
  const c10::Stream stream_;
};

void DeviceStreams::alone(const std::function<void()>& what) {
  const ComputeTurn::Guard turn(computing_, false);
  // A call that threw left what it had begun to the device.
  try {
    at::accelerator::synchronizeDevice(device_.index());
  } catch (const std::exception&) {
    // A device that failed says so to whoever uses it next.
  }
  what();
}

std::vector<at::Tensor> DeviceStreams::run(const at::Tensor& input, const Compute& compute, const RestoreOptions& options) {
  if (device_.is_cuda()) return run_overlapped(input, compute, options);
  const ComputeTurn::Guard turn(computing_, options.urgent);
  const ComputingScope scope(options.computing);
  std::vector<at::Tensor> results = compute(input.to(device_));
  for (at::Tensor& result : results) result = result.to(at::kCPU);
  return results;
}

std::vector<at::Tensor> DeviceStreams::run_overlapped(const at::Tensor& input, const Compute& compute,
                                                      const RestoreOptions& options) {
  const CopyStream copy(*this);
  at::Tensor there;
  c10::Event uploaded(device_.type());
  {
    const c10::StreamGuard on_copy(copy.get());
    there = input.to(device_, /*non_blocking=*/true);
    uploaded.record(copy.get());
  }
  std::vector<at::Tensor> results;
  {
    const ComputeTurn::Guard turn(computing_, options.urgent);
    const ComputingScope scope(options.computing);
    const c10::StreamGuard on_compute(*compute_stream_);
    uploaded.block(*compute_stream_);
    results = compute(there);
    // Waiting here, under the lock, costs the few microseconds until the next call's first kernel. In return nobody uses
    // memory of this batch any more when it goes back, whichever stream it came from, and `computing` tells the truth.
    compute_stream_->synchronize();
  }
  there.reset();
  const c10::StreamGuard on_copy(copy.get());
  std::vector<at::Tensor> here;
  for (const at::Tensor& result : results) {
    here.push_back(at::empty(result.sizes(), result.options().device(at::kCPU).pinned_memory(true)));
    here.back().copy_(result, /*non_blocking=*/true);
  }
  copy.get().synchronize();
  return here;
}

}  // namespace retouchd::inference
