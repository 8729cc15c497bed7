#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace retouchd::inference {

/// Blocks of memory that are used again instead of going back to the system: the next batch wants the same sizes as the batch
/// before it, or nearly so, and fresh pages cost about as much time as computing.
///
/// Sizes are rounded up by at most an eighth, and a block may serve for half its size, so that tiles of different shapes share
/// them. Keeps no more than was ever in use at once; beyond that it gives back blocks of the size that was wanted longest ago, so
/// pictures of changing sizes do not make it grow. Threads: safe.
class KeptBlocks {
 public:
  /// How memory is had from the system. `allocate` throws when there is none; what is kept is given back before it tries again.
  struct Source {
    void* (*allocate)(std::size_t bytes);
    void (*free)(void* block);
  };

  explicit KeptBlocks(Source source) : source_(source) {}
  KeptBlocks(const KeptBlocks&) = delete;
  KeptBlocks& operator=(const KeptBlocks&) = delete;

  /// `beside`: one of several threads needs it for itself; it does not count for the peak, but see raise_beside().
  [[nodiscard]] void* take(std::size_t bytes, bool beside = false);
  /// `bytes` as with take().
  void give_back(void* block, std::size_t bytes) noexcept;

  /// Gives back all that is kept to the system, and forgets how much was ever in use.
  void trim();

  /// In use, as it was asked for, and kept for later.
  [[nodiscard]] std::size_t in_use() const;
  [[nodiscard]] std::size_t kept() const;
  /// The bound of both together, in whole blocks.
  [[nodiscard]] std::size_t most_in_use() const;

  /// Begins to look for a new peak; returns what is in use now.
  [[nodiscard]] std::size_t begin_peak();
  /// The most that was in use at once since then, plus the most that threads were said to need beside it: not exactly what was
  /// needed at any moment, but never less, the same every time, and a straight line in the size of the picture.
  [[nodiscard]] std::size_t peak() const;
  void raise_beside(std::size_t bytes);

 private:
  /// Blocks of one size that wait to be used again.
  struct Shelf {
    std::vector<void*> blocks;
    std::uint64_t wanted_at = 0;
  };

  /// A kept block that will do, or nullptr. With mutex_ held.
  [[nodiscard]] void* reuse(std::size_t size);
  /// Blocks to be freed so that the bound holds. With mutex_ held.
  [[nodiscard]] std::vector<void*> overflow();
  void free_all(const std::vector<void*>& blocks) const;

  const Source source_;
  mutable std::mutex mutex_;                         // guards all below
  std::map<std::size_t, Shelf> shelves_;             // never empty ones
  std::unordered_map<void*, std::size_t> lent_out_;  // block and its size
  std::size_t in_use_ = 0;                           ///< as asked for
  std::size_t lent_bytes_ = 0;                       ///< of whole blocks
  std::size_t most_in_use_ = 0;                      ///< of lent_bytes_
  std::size_t peak_ = 0;                             ///< without what threads need beside it
  std::size_t beside_ = 0;                           ///< the most of that
  std::size_t kept_ = 0;
  std::uint64_t now_ = 0;  ///< counts allocations
};

}  // namespace retouchd::inference
