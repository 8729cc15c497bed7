// Forward passes recorded as CUDA graphs: the part that needs CUDA's and LibTorch's CUDA headers, in a module of its own
// (libretouchd_cuda.so), so that the programs start where neither a driver nor libtorch_cuda.so is.
//
// Recorded passes use addresses that must stay theirs: what is allocated while recording comes from a pool of the device's
// allocator that nobody else gets memory from. All passes of a device share one pool, so together they take as much as the
// largest of them; a replay may overwrite what another one left, which is why a result is copied out at once, on the same stream.
//
// at::cuda::CUDAGraph does the same, but leaves the allocator in the middle of a recording when one fails, and networks that
// cannot be recorded must not spoil the device for the others. Random numbers, the other thing that it takes care of, no network
// here uses.
#include "inference/cuda/graphs.h"

#include <ATen/DeviceAccelerator.h>
#include <ATen/Functions.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>

#include <exception>
#include <memory>
#include <utility>

namespace retouchd::inference {
namespace {

namespace allocator = c10::cuda::CUDACachingAllocator;

/// One user of a pool. What is in the pool goes back when its last user does, and the allocator refuses it from then on: hence an
/// id that lives as long as its users.
class Pool {
 public:
  using Id = std::shared_ptr<const c10::MempoolId_t>;

  Pool(c10::DeviceIndex device, Id id) : device_(device), id_(std::move(id)) {}
  ~Pool() {
    if (!is_used_) return;
    try {
      allocator::releasePool(device_, *id_);
    } catch (const std::exception&) {
      // A device that failed cannot be told; its memory goes with the process.
    }
  }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  /// Allocations for `stream` come from the pool from here to end().
  void begin(cudaStream_t stream) {
    allocator::beginAllocateToPool(device_, *id_, [stream](cudaStream_t other) { return other == stream; });
    is_used_ = true;
  }
  void end() { allocator::endAllocateToPool(device_, *id_); }

 private:
  const c10::DeviceIndex device_;
  const Id id_;
  bool is_used_ = false;
};

/// A recording in progress; given up unless it is finished.
class Recording {
 public:
  Recording(Pool& pool, cudaStream_t stream) : pool_(pool), stream_(stream) {
    pool_.begin(stream_);
    // Not the global mode: other threads copy other batches meanwhile, and may allocate for it.
    if (const cudaError_t error = cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal); error != cudaSuccess) {
      pool_.end();
      C10_CUDA_CHECK(error);
    }
  }
  ~Recording() {
    if (is_over_) return;
    try {
      if (cudaGraph_t graph = end().first) static_cast<void>(cudaGraphDestroy(graph));
    } catch (const std::exception&) {
      // What ended the recording is under way already, and says more.
    }
  }
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

  /// The caller's.
  [[nodiscard]] cudaGraph_t finish() {
    const auto [graph, error] = end();
    C10_CUDA_CHECK(error);
    TORCH_CHECK(graph != nullptr, "nothing was recorded");
    return graph;
  }

 private:
  std::pair<cudaGraph_t, cudaError_t> end() {
    is_over_ = true;
    cudaGraph_t graph = nullptr;
    const cudaError_t error = cudaStreamEndCapture(stream_, &graph);
    static_cast<void>(cudaGetLastError());  // or the next kernel's check would find it and blame that kernel
    pool_.end();
    return {graph, error};
  }

  Pool& pool_;
  const cudaStream_t stream_;
  bool is_over_ = false;
};

class CudaGraph final : public RecordedForward {
 public:
  CudaGraph(c10::DeviceIndex device, Pool::Id pool) : device_(device), pool_(device, std::move(pool)) {}
  ~CudaGraph() override {
    if (executable_ == nullptr) return;
    if (stream_ != nullptr) static_cast<void>(cudaStreamSynchronize(stream_));
    static_cast<void>(cudaGraphExecDestroy(executable_));
  }
  CudaGraph(const CudaGraph&) = delete;
  CudaGraph& operator=(const CudaGraph&) = delete;

  void record(const at::Tensor& input, const Forward& forward) {
    const c10::cuda::CUDAStream stream = c10::cuda::getCurrentCUDAStream(device_);
    input_ = input.clone();
    // What eager runs left unused is as much as the pool is about to ask for.
    stream.synchronize();
    allocator::emptyCache();
    const std::int64_t before = reserved();
    cudaGraph_t graph = nullptr;
    {
      Recording recording(pool_, stream.stream());
      output_ = forward(input_);
      graph = recording.finish();
    }
    const cudaError_t error = cudaGraphInstantiateWithFlags(&executable_, graph, 0);
    static_cast<void>(cudaGraphDestroy(graph));
    C10_CUDA_CHECK(error);
    const std::int64_t grown = reserved() - before;
    held_ = Bytes{input_.nbytes() + static_cast<std::uint64_t>(grown > 0 ? grown : 0)};
  }

  [[nodiscard]] at::Tensor replay(const at::Tensor& input) override {
    const c10::DeviceGuard on_device(input.device());
    input_.copy_(input, /*non_blocking=*/true);
    stream_ = c10::cuda::getCurrentCUDAStream(device_).stream();
    C10_CUDA_CHECK(cudaGraphLaunch(executable_, stream_));
    return output_.clone();
  }

  [[nodiscard]] Bytes held() const override { return held_; }

 private:
  /// What the allocator has of the device.
  [[nodiscard]] std::int64_t reserved() const { return at::accelerator::getDeviceStats(device_).reserved_bytes.at(0).current; }

  const c10::DeviceIndex device_;
  Pool pool_;  // goes after the tensors in it
  at::Tensor input_;
  at::Tensor output_;
  cudaGraphExec_t executable_ = nullptr;
  cudaStream_t stream_ = nullptr;  ///< of the last replay
  Bytes held_;
};

class CudaGraphs final : public GraphBackend {
 public:
  explicit CudaGraphs(c10::DeviceIndex device) : device_(device) {}

  [[nodiscard]] std::unique_ptr<RecordedForward> record(const at::Tensor& input, const Forward& forward) override {
    const c10::DeviceGuard on_device(input.device());
    Pool::Id pool = pool_.lock();
    if (!pool) pool_ = pool = std::make_shared<const c10::MempoolId_t>(at::cuda::graph_pool_handle());
    auto graph = std::make_unique<CudaGraph>(device_, std::move(pool));
    graph->record(input, forward);
    return graph;
  }

 private:
  const c10::DeviceIndex device_;
  std::weak_ptr<const c10::MempoolId_t> pool_;
};

}  // namespace

GraphBackend* retouchd_cuda_graphs(int version, int device) {
  return version == kGraphsVersion ? new CudaGraphs(static_cast<c10::DeviceIndex>(device)) : nullptr;
}

}  // namespace retouchd::inference
