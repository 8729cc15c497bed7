#include "inference/tensor_cache.h"

#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>

#include <algorithm>

namespace retouchd::inference {
namespace {

/// In front of every block: what was asked for. As large as LibTorch's alignment, so that the data stay aligned.
constexpr std::size_t kHeader = 64;

thread_local TensorCache::ThreadPeak* thread_peak = nullptr;

void* allocate_block(std::size_t bytes) { return c10::alloc_cpu(kHeader + bytes); }

}  // namespace

TensorCache::TensorCache() : blocks_({&allocate_block, &c10::free_cpu}) {}

TensorCache& TensorCache::instance() {
  static auto* cache = new TensorCache;  // tensors may outlive every static object
  return *cache;
}

void TensorCache::install() {
  constexpr std::uint8_t kAboveTheDefault = 1;
  c10::SetCPUAllocator(&instance(), kAboveTheDefault);
}

c10::DataPtr TensorCache::allocate(std::size_t bytes) {
  if (bytes == 0) return {nullptr, nullptr, &TensorCache::give_back, c10::Device(c10::DeviceType::CPU)};
  void* block = nullptr;
  try {
    block = blocks_.take(bytes, thread_peak != nullptr);
  } catch (const std::exception&) {
    TORCH_CHECK_WITH(OutOfMemoryError, false, "no memory for a tensor of ", bytes, " bytes");
  }
  *static_cast<std::size_t*>(block) = bytes;
  if (thread_peak != nullptr) thread_peak->add(static_cast<std::int64_t>(bytes));
  void* data = static_cast<char*>(block) + kHeader;
  return {data, data, &TensorCache::give_back, c10::Device(c10::DeviceType::CPU)};
}

c10::DeleterFnPtr TensorCache::raw_deleter() const { return &TensorCache::give_back; }

void TensorCache::copy_data(void* to, const void* from, std::size_t bytes) const { default_copy_data(to, from, bytes); }

void TensorCache::give_back(void* data) {
  if (data == nullptr) return;
  void* block = static_cast<char*>(data) - kHeader;
  const std::size_t bytes = *static_cast<std::size_t*>(block);
  if (thread_peak != nullptr) thread_peak->add(-static_cast<std::int64_t>(bytes));
  instance().blocks_.give_back(block, bytes);
}

TensorCache::ThreadPeak::ThreadPeak() { thread_peak = this; }
TensorCache::ThreadPeak::~ThreadPeak() { thread_peak = nullptr; }

void TensorCache::ThreadPeak::add(std::int64_t bytes) noexcept {
  in_use_ += bytes;
  peak_ = std::max(peak_, in_use_);
}

}  // namespace retouchd::inference
