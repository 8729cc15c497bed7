#pragma once

#include <c10/core/Allocator.h>

#include <cstdint>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace retouchd::inference {

/// Memory for LibTorch's CPU tensors that is used again instead of going back to the system: a batch allocates the same
/// activations as the batch before it, and fresh pages cost about as much time as the network itself.
///
/// Keeps no more than was ever in use at once; beyond that it gives back blocks of the size that was wanted longest ago, so
/// pictures of changing sizes do not make it grow. Threads: safe.
class TensorCache final : public c10::Allocator {
 public:
  /// The one of this process.
  static TensorCache& instance();
  /// Makes LibTorch use it from now on.
  static void install();

  c10::DataPtr allocate(std::size_t bytes) override;
  c10::DeleterFnPtr raw_deleter() const override;
  void copy_data(void* to, const void* from, std::size_t bytes) const override;

  /// Gives back all that is kept, and forgets how much was ever in use: after loading a network, which needs more than running
  /// it.
  void trim();

  /// In use, and kept for later.
  [[nodiscard]] std::size_t in_use() const;
  [[nodiscard]] std::size_t kept() const;
  /// Begins to look for a new peak; returns what is in use now.
  [[nodiscard]] std::size_t begin_peak();
  /// The most that was in use at once since then.
  [[nodiscard]] std::size_t peak() const;
  /// The bound of both together.
  [[nodiscard]] std::size_t most_in_use() const;

 private:
  /// Blocks of one size that wait to be used again.
  struct Shelf {
    std::vector<void*> blocks;
    std::uint64_t wanted_at = 0;
  };

  TensorCache() = default;
  static void give_back(void* data);

  void* take(std::size_t bytes);
  void keep(void* block, std::size_t bytes);
  /// Blocks to be freed so that the bound holds. With mutex_ held.
  [[nodiscard]] std::vector<void*> overflow();

  mutable std::mutex mutex_;  // guards all below
  std::unordered_map<std::size_t, Shelf> shelves_;
  std::size_t in_use_ = 0;
  std::size_t most_in_use_ = 0;
  std::size_t peak_ = 0;
  std::size_t kept_ = 0;
  std::uint64_t now_ = 0;  ///< counts allocations
};

}  // namespace retouchd::inference
