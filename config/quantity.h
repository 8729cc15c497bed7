#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "base/units.h"

namespace retouchd::config {

/// "5ms", "2s", "1m", "24h", "30d": a whole number and a unit, which is never left out. Nothing for anything else, for negative
/// numbers and for more than about 290 million years.
[[nodiscard]] std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

/// The same with the largest unit that fits exactly: 300,000 ms is "5m".
[[nodiscard]] std::string to_text(std::chrono::milliseconds duration);

/// "512MiB", "4GiB", "65536": a whole number and KiB, MiB, GiB, TiB, B or nothing. Nothing for anything else, for negative
/// numbers and from 2^64 bytes.
[[nodiscard]] std::optional<Bytes> parse_size(std::string_view text);

/// The same with the largest unit that fits exactly.
[[nodiscard]] std::string to_text(Bytes size);

}  // namespace retouchd::config
