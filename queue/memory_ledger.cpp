#include "queue/memory_ledger.h"

#include <utility>

namespace retouchd::queue {

MemoryLedger::Reservation& MemoryLedger::Reservation::operator=(Reservation&& other) noexcept {
  if (this != &other) {
    release();
    ledger_ = std::exchange(other.ledger_, nullptr);
    bytes_ = other.bytes_;
  }
  return *this;
}

void MemoryLedger::Reservation::release() noexcept {
  if (ledger_ == nullptr) return;
  const std::lock_guard lock(ledger_->mutex_);
  ledger_->reserved_ -= bytes_;
  ledger_->changed_.notify_all();
  ledger_ = nullptr;
}

std::optional<MemoryLedger::Reservation> MemoryLedger::reserve(Bytes bytes) {
  if (!fits(bytes)) return std::nullopt;
  std::unique_lock lock(mutex_);
  const std::uint64_t ticket = next_ticket_++;
  changed_.wait(lock, [&] { return closed_ || (ticket == serving_ && reserved_ + bytes <= capacity_); });
  if (closed_) return std::nullopt;
  ++serving_;
  reserved_ += bytes;
  changed_.notify_all();  // the next ticket may fit as well
  return Reservation(this, bytes);
}

void MemoryLedger::close() noexcept {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  changed_.notify_all();
}

Bytes MemoryLedger::reserved() const {
  const std::lock_guard lock(mutex_);
  return reserved_;
}

bool MemoryLedger::is_waited_for() const {
  const std::lock_guard lock(mutex_);
  return serving_ != next_ticket_;
}

}  // namespace retouchd::queue
