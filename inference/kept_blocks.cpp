#include "inference/kept_blocks.h"

#include <algorithm>
#include <bit>

namespace retouchd::inference {

namespace {

/// Up to a multiple of an eighth of the power of two below.
std::size_t rounded_up(std::size_t bytes) {
  const std::size_t step = std::max<std::size_t>(64, std::bit_floor(std::max<std::size_t>(bytes, 1)) / 8);
  return (bytes + step - 1) / step * step;
}

}  // namespace

void* KeptBlocks::reuse(std::size_t size) {
  const auto shelf = shelves_.lower_bound(size);
  if (shelf == shelves_.end() || shelf->first > 2 * size) return nullptr;
  shelf->second.wanted_at = ++now_;
  void* block = shelf->second.blocks.back();
  shelf->second.blocks.pop_back();
  kept_ -= shelf->first;
  lent_out_[block] = shelf->first;
  lent_bytes_ += shelf->first;
  if (shelf->second.blocks.empty()) shelves_.erase(shelf);
  return block;
}

void* KeptBlocks::take(std::size_t bytes, bool beside) {
  const std::size_t size = rounded_up(bytes);
  const auto count = [&] {
    in_use_ += bytes;
    most_in_use_ = std::max(most_in_use_, lent_bytes_);
    if (!beside) peak_ = std::max(peak_, in_use_);
  };
  {
    const std::lock_guard lock(mutex_);
    if (void* block = reuse(size)) {
      count();
      return block;
    }
  }
  void* block = nullptr;
  try {
    block = source_.allocate(size);
  } catch (...) {
    // What is kept of other sizes may be what is missing.
    trim();
    block = source_.allocate(size);
  }
  std::vector<void*> surplus;
  {
    const std::lock_guard lock(mutex_);
    lent_out_[block] = size;
    lent_bytes_ += size;
    count();
    surplus = overflow();
  }
  free_all(surplus);
  return block;
}

void KeptBlocks::give_back(void* block, std::size_t bytes) noexcept {
  std::vector<void*> surplus;
  {
    const std::lock_guard lock(mutex_);
    const auto lent = lent_out_.find(block);
    const std::size_t size = lent->second;
    lent_out_.erase(lent);
    in_use_ -= bytes;
    lent_bytes_ -= size;
    kept_ += size;
    Shelf& shelf = shelves_[size];
    shelf.blocks.push_back(block);
    if (shelf.wanted_at == 0) shelf.wanted_at = ++now_;
    surplus = overflow();
  }
  free_all(surplus);
}

std::vector<void*> KeptBlocks::overflow() {
  std::vector<void*> surplus;
  while (lent_bytes_ + kept_ > most_in_use_ && kept_ > 0) {
    auto oldest = shelves_.end();
    for (auto shelf = shelves_.begin(); shelf != shelves_.end(); ++shelf) {
      if (oldest == shelves_.end() || shelf->second.wanted_at < oldest->second.wanted_at) oldest = shelf;
    }
    surplus.push_back(oldest->second.blocks.back());
    oldest->second.blocks.pop_back();
    kept_ -= oldest->first;
    if (oldest->second.blocks.empty()) shelves_.erase(oldest);
  }
  return surplus;
}

void KeptBlocks::free_all(const std::vector<void*>& blocks) const {
  for (void* block : blocks) source_.free(block);
}

void KeptBlocks::trim() {
  std::vector<void*> surplus;
  {
    const std::lock_guard lock(mutex_);
    most_in_use_ = lent_bytes_;
    surplus = overflow();
  }
  free_all(surplus);
}

std::size_t KeptBlocks::in_use() const {
  const std::lock_guard lock(mutex_);
  return in_use_;
}

std::size_t KeptBlocks::kept() const {
  const std::lock_guard lock(mutex_);
  return kept_;
}

std::size_t KeptBlocks::most_in_use() const {
  const std::lock_guard lock(mutex_);
  return most_in_use_;
}

std::size_t KeptBlocks::begin_peak() {
  const std::lock_guard lock(mutex_);
  peak_ = in_use_;
  beside_ = 0;
  return in_use_;
}

std::size_t KeptBlocks::peak() const {
  const std::lock_guard lock(mutex_);
  return peak_ + beside_;
}

void KeptBlocks::raise_beside(std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  beside_ = std::max(beside_, bytes);
}

}  // namespace retouchd::inference
