#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>

namespace retouchd::queue {

/// What each client got of the device, in tensor pixels: the measure by which bins of equal rank take turns, so that a client
/// whose tiles have a bin of their own gets as much as one that shares its bin with many.
///
/// Start-time fair queueing (P. Goyal, H. Vin, H. Cheng, 1996): who begins to wait starts at the level of the one served last,
/// so that neither absence nor novelty earns an advantage; who waits keeps an advantage of at most 64 tiles' worth.
///
/// Confined to the scheduler's lock.
class ClientAccounts {
 public:
  using Time = std::chrono::steady_clock::time_point;

  void tile_came(const std::string& client);
  void tile_left(const std::string& client);

  /// Pixels so far, from where it began; the lowest one goes first.
  [[nodiscard]] std::uint64_t level(const std::string& client) const;
  /// Where a new picture of that client begins.
  [[nodiscard]] std::uint64_t picture_level(const std::string& client) const;
  /// The level of a picture in comparisons: who has waited for long keeps a small advantage only.
  [[nodiscard]] std::uint64_t picture_level(const std::string& client, std::uint64_t level) const;

  /// It is the turn of that client and of its picture at `picture_level`: who comes now begins there.
  void begin_turn(const std::string& client, std::uint64_t picture_level);
  void charge(const std::string& client, std::uint64_t pixels, Time now);

  /// Pixels of about the last minute (they fade with a time constant of 60 s) and whether tiles wait.
  struct Recent {
    double pixels = 0;
    bool is_waiting = false;
  };
  [[nodiscard]] std::map<std::string, Recent> recent(Time now) const;

 private:
  struct Account {
    std::size_t waiting = 0;
    std::uint64_t level = 0;
    std::uint64_t picture_level = 0;  // of the picture whose turn it was last
    double recent = 0;                // as of `charged_at`
    Time charged_at{};
  };
  [[nodiscard]] std::uint64_t level_of(const Account& account) const;
  void forget_idle(Time now);

  std::unordered_map<std::string, Account> accounts_;
  std::uint64_t level_ = 0;  // of the client whose turn it was last
  std::size_t forget_at_ = 1024;
};

}  // namespace retouchd::queue
