#include "config/quantity.h"

#include <array>
#include <charconv>
#include <cstdint>
#include <limits>
#include <span>

#include <fmt/format.h>

namespace retouchd::config {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

// Smallest first; the empty name, where there is one, comes first too.
constexpr std::array kTimes{Unit{"ms", 1}, Unit{"s", 1'000}, Unit{"m", 60'000}, Unit{"h", 3'600'000}, Unit{"d", 86'400'000}};
constexpr std::array kSizes{Unit{"", 1},
                            Unit{"B", 1},
                            Unit{"KiB", 1ULL << 10},
                            Unit{"MiB", 1ULL << 20},
                            Unit{"GiB", 1ULL << 30},
                            Unit{"TiB", 1ULL << 40}};

std::optional<std::uint64_t> parse(std::string_view text, std::span<const Unit> units, std::uint64_t limit) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{}) return std::nullopt;
  const std::string_view name = text.substr(static_cast<std::size_t>(end - text.data()));
  for (const Unit& unit : units) {
    if (unit.name != name) continue;
    if (number > limit / unit.factor) return std::nullopt;
    return number * unit.factor;
  }
  return std::nullopt;
}

std::string print(std::uint64_t value, std::span<const Unit> units, const Unit& smallest) {
  Unit best = smallest;
  for (const Unit& unit : units) {
    if (unit.factor > best.factor && value > 0 && value % unit.factor == 0) best = unit;
  }
  return fmt::format("{}{}", value / best.factor, best.name);
}

}  // namespace

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
  const auto value = parse(text, kTimes, static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()));
  if (!value) return std::nullopt;
  return std::chrono::milliseconds(static_cast<std::int64_t>(*value));
}

std::string to_text(std::chrono::milliseconds duration) {
  if (duration.count() == 0) return "0s";
  return print(static_cast<std::uint64_t>(duration.count()), kTimes, kTimes.front());
}

std::optional<Bytes> parse_size(std::string_view text) {
  const auto value = parse(text, kSizes, std::numeric_limits<std::uint64_t>::max());
  if (!value) return std::nullopt;
  return Bytes{*value};
}

std::string to_text(Bytes size) { return print(size.value, kSizes, kSizes.front()); }

}  // namespace retouchd::config
