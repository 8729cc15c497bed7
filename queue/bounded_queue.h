#pragma once

#include <concepts>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "base/units.h"

namespace retouchd::queue {

/// What can wait in a BoundedQueue: `bytes_of(item)`, found beside the type, says what it holds in memory.
template <class T>
concept Sized = requires(const T& item) {
  { bytes_of(item) } -> std::convertible_to<Bytes>;
};

/// A first-in first-out queue of at most `capacity` items between two stages. Bytes are counted here and limited by the memory
/// ledger (memory_ledger.h): a picture holds its reservation from decode to encode, wherever it waits.
///
/// Producers block (backpressure) while the queue is full; consumers block while it is empty.
///
/// Threads: any number of producers and consumers. The queue must outlive them.
/// Shutdown: after close(), push() refuses and pop() hands out what is left, then std::nullopt.
template <Sized T>
class BoundedQueue {
 public:
  BoundedQueue(std::string name, std::size_t capacity) : name_(std::move(name)), capacity_(capacity) {}

  /// Waits for room. False when the queue was closed; `item` is then left as it was.
  [[nodiscard]] bool push(T& item) {
    std::unique_lock lock(mutex_);
    room_.wait(lock, [this] { return closed_ || items_.size() < capacity_; });
    if (closed_) return false;
    const Bytes bytes = bytes_of(item);
    items_.push_back({std::move(item), bytes});
    bytes_ += bytes;
    filled_.notify_one();
    return true;
  }

  /// The oldest item, or nullopt once closed and empty.
  [[nodiscard]] std::optional<T> pop() {
    std::unique_lock lock(mutex_);
    filled_.wait(lock, [this] { return closed_ || !items_.empty(); });
    if (items_.empty()) return std::nullopt;
    std::optional<T> item(std::move(items_.front().item));
    bytes_ -= items_.front().bytes;
    items_.pop_front();
    room_.notify_one();
    return item;
  }

  void close() noexcept {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    room_.notify_all();
    filled_.notify_all();
  }

  [[nodiscard]] std::size_t depth() const {
    const std::lock_guard lock(mutex_);
    return items_.size();
  }

  [[nodiscard]] Bytes bytes() const {
    const std::lock_guard lock(mutex_);
    return bytes_;
  }

  [[nodiscard]] const std::string& name() const noexcept { return name_; }

 private:
  struct Entry {
    T item;
    Bytes bytes;  ///< when it was pushed
  };

  const std::string name_;
  const std::size_t capacity_;
  mutable std::mutex mutex_;
  std::condition_variable room_;
  std::condition_variable filled_;
  std::deque<Entry> items_;
  Bytes bytes_;
  bool closed_ = false;
};

}  // namespace retouchd::queue
