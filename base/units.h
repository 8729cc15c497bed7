#pragma once

#include <compare>
#include <cstdint>
#include <string>

namespace retouchd {

/// A size in memory or on disk.
struct Bytes {
  std::uint64_t value = 0;

  friend constexpr auto operator<=>(Bytes, Bytes) = default;
  friend constexpr Bytes operator+(Bytes a, Bytes b) { return {a.value + b.value}; }
  /// Stops at zero instead of wrapping around.
  friend constexpr Bytes operator-(Bytes a, Bytes b) { return {a.value > b.value ? a.value - b.value : 0}; }
  constexpr Bytes& operator+=(Bytes b) {
    value += b.value;
    return *this;
  }
  constexpr Bytes& operator-=(Bytes b) {
    *this = *this - b;
    return *this;
  }
};

constexpr Bytes kibibytes(std::uint64_t n) { return {n << 10}; }
constexpr Bytes mebibytes(std::uint64_t n) { return {n << 20}; }
constexpr Bytes gibibytes(std::uint64_t n) { return {n << 30}; }

/// "512 B", "1.5 MiB", "4 GiB".
[[nodiscard]] std::string to_string(Bytes bytes);

}  // namespace retouchd
