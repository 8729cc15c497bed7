#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>

#include "base/units.h"

namespace retouchd::queue {

/// One budget in bytes for everything that pictures in flight hold. Each picture reserves its whole estimate once, before its
/// pixels are decoded, and gives it back when it leaves; nobody reserves twice, so nobody can wait for himself.
///
/// First come, first served: a large picture is not overtaken for ever by small ones.
/// Threads: safe. The ledger must outlive its reservations.
class MemoryLedger {
 public:
  /// Bytes set aside until this goes away.
  class Reservation {
   public:
    Reservation() = default;
    Reservation(Reservation&& other) noexcept : ledger_(other.ledger_), bytes_(other.bytes_) { other.ledger_ = nullptr; }
    Reservation& operator=(Reservation&& other) noexcept;
    Reservation(const Reservation&) = delete;
    Reservation& operator=(const Reservation&) = delete;
    ~Reservation() { release(); }

    [[nodiscard]] Bytes bytes() const noexcept { return ledger_ != nullptr ? bytes_ : Bytes{}; }
    void release() noexcept;

   private:
    friend class MemoryLedger;
    Reservation(MemoryLedger* ledger, Bytes bytes) : ledger_(ledger), bytes_(bytes) {}
    MemoryLedger* ledger_ = nullptr;
    Bytes bytes_;
  };

  explicit MemoryLedger(Bytes capacity) : capacity_(capacity) {}

  /// Waits until `bytes` are free and all who asked earlier were served. nullopt after close(), or at once when `bytes` exceeds
  /// the capacity (ask fits() first to tell the two apart).
  [[nodiscard]] std::optional<Reservation> reserve(Bytes bytes);

  [[nodiscard]] bool fits(Bytes bytes) const noexcept { return bytes <= capacity_; }

  /// Wakes and refuses all who wait.
  void close() noexcept;

  [[nodiscard]] Bytes capacity() const noexcept { return capacity_; }
  [[nodiscard]] Bytes reserved() const;
  /// True while somebody waits for memory.
  [[nodiscard]] bool is_waited_for() const;

 private:
  const Bytes capacity_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Bytes reserved_;
  std::uint64_t next_ticket_ = 0;
  std::uint64_t serving_ = 0;  ///< the ticket whose turn it is
  bool closed_ = false;
};

}  // namespace retouchd::queue
