#include "inference/tensor_cache.h"

#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>

#include <algorithm>

namespace retouchd::inference {
namespace {

/// In front of every block: its size. As large as LibTorch's alignment, so that the data stay aligned.
constexpr std::size_t kHeader = 64;

}  // namespace

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
  void* data = static_cast<char*>(take(bytes)) + kHeader;
  return {data, data, &TensorCache::give_back, c10::Device(c10::DeviceType::CPU)};
}

c10::DeleterFnPtr TensorCache::raw_deleter() const { return &TensorCache::give_back; }

void TensorCache::copy_data(void* to, const void* from, std::size_t bytes) const { default_copy_data(to, from, bytes); }

void* TensorCache::take(std::size_t bytes) {
  {
    const std::lock_guard lock(mutex_);
    in_use_ += bytes;
    most_in_use_ = std::max(most_in_use_, in_use_);
    peak_ = std::max(peak_, in_use_);
    Shelf& shelf = shelves_[bytes];
    shelf.wanted_at = ++now_;
    if (!shelf.blocks.empty()) {
      void* block = shelf.blocks.back();
      shelf.blocks.pop_back();
      kept_ -= bytes;
      return block;
    }
  }
  try {
    void* block = c10::alloc_cpu(kHeader + bytes);
    *static_cast<std::size_t*>(block) = bytes;
    return block;
  } catch (...) {
    const std::lock_guard lock(mutex_);
    in_use_ -= bytes;
    throw;
  }
}

void TensorCache::give_back(void* data) {
  if (data == nullptr) return;
  void* block = static_cast<char*>(data) - kHeader;
  instance().keep(block, *static_cast<std::size_t*>(block));
}

void TensorCache::keep(void* block, std::size_t bytes) {
  std::vector<void*> surplus;
  {
    const std::lock_guard lock(mutex_);
    in_use_ -= bytes;
    kept_ += bytes;
    shelves_[bytes].blocks.push_back(block);
    surplus = overflow();
  }
  for (void* unwanted : surplus) c10::free_cpu(unwanted);
}

std::vector<void*> TensorCache::overflow() {
  std::vector<void*> surplus;
  while (in_use_ + kept_ > most_in_use_ && kept_ > 0) {
    auto oldest = shelves_.end();
    for (auto shelf = shelves_.begin(); shelf != shelves_.end(); ++shelf) {
      if (!shelf->second.blocks.empty() && (oldest == shelves_.end() || shelf->second.wanted_at < oldest->second.wanted_at))
        oldest = shelf;
    }
    surplus.push_back(oldest->second.blocks.back());
    oldest->second.blocks.pop_back();
    kept_ -= oldest->first;
    if (oldest->second.blocks.empty()) shelves_.erase(oldest);
  }
  return surplus;
}

void TensorCache::trim() {
  std::vector<void*> surplus;
  {
    const std::lock_guard lock(mutex_);
    most_in_use_ = in_use_;
    surplus = overflow();
  }
  for (void* unwanted : surplus) c10::free_cpu(unwanted);
}

std::size_t TensorCache::in_use() const {
  const std::lock_guard lock(mutex_);
  return in_use_;
}

std::size_t TensorCache::kept() const {
  const std::lock_guard lock(mutex_);
  return kept_;
}

std::size_t TensorCache::begin_peak() {
  const std::lock_guard lock(mutex_);
  peak_ = in_use_;
  return in_use_;
}

std::size_t TensorCache::peak() const {
  const std::lock_guard lock(mutex_);
  return peak_;
}

std::size_t TensorCache::most_in_use() const {
  const std::lock_guard lock(mutex_);
  return most_in_use_;
}

}  // namespace retouchd::inference
