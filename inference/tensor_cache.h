#pragma once

#include <c10/core/Allocator.h>

#include "inference/kept_blocks.h"

namespace retouchd::inference {

/// Memory for LibTorch's CPU tensors that is used again (kept_blocks.h). Threads: safe.
class TensorCache final : public c10::Allocator {
 public:
  /// The one of this process.
  static TensorCache& instance();
  /// Makes LibTorch use it from now on.
  static void install();

  /// Throws c10::OutOfMemoryError.
  c10::DataPtr allocate(std::size_t bytes) override;
  c10::DeleterFnPtr raw_deleter() const override;
  void copy_data(void* to, const void* from, std::size_t bytes) const override;

  [[nodiscard]] KeptBlocks& blocks() noexcept { return blocks_; }

  /// While it lives, what this thread takes counts as needed beside what exists once (KeptBlocks::take()). One at a time on each
  /// thread.
  class ThreadPeak {
   public:
    ThreadPeak();
    ~ThreadPeak();
    ThreadPeak(const ThreadPeak&) = delete;
    ThreadPeak& operator=(const ThreadPeak&) = delete;

    /// The most at once so far.
    [[nodiscard]] std::size_t bytes() const noexcept { return static_cast<std::size_t>(peak_); }
    void add(std::int64_t bytes) noexcept;

   private:
    std::int64_t in_use_ = 0;
    std::int64_t peak_ = 0;
  };

 private:
  TensorCache();
  static void give_back(void* data);

  KeptBlocks blocks_;
};

}  // namespace retouchd::inference
