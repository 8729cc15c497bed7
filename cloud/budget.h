#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/units.h"
#include "cloud/token_bucket.h"

namespace retouchd::cloud {

/// What may be spent on escalations: pictures and bytes per hour. Kept in a small file that every spending replaces (not synced:
/// a power cut may give back the last seconds), so that a restart does not fill it up.
///
/// A file that cannot be read counts as an empty budget, with a warning in the log: money is not spent twice by mistake. A
/// missing one is a full budget.
///
/// Threads: confined to one, or guarded by the caller.
class Budget {
 public:
  /// Bounds of 0: none. `file` empty: not kept.
  Budget(int escalations_per_hour, Bytes bytes_per_hour, std::filesystem::path file, UnixMillis now);

  /// Takes one escalation and `size` when both are there.
  [[nodiscard]] bool take(Bytes size, UnixMillis now);
  /// Takes more bytes, if need be into debt.
  void charge(Bytes more, UnixMillis now);
  /// From when on take() would succeed.
  [[nodiscard]] UnixMillis ready_at(Bytes size, UnixMillis now) const;

  [[nodiscard]] std::optional<int> escalations_left(UnixMillis now) const;  ///< nullopt: no bound
  [[nodiscard]] std::optional<Bytes> bytes_left(UnixMillis now) const;

  void set_bounds(int escalations_per_hour, Bytes bytes_per_hour, UnixMillis now);

 private:
  void load(UnixMillis now);
  void save(UnixMillis now) const;

  std::filesystem::path file_;
  TokenBucket escalations_;
  TokenBucket bytes_;
};

}  // namespace retouchd::cloud
