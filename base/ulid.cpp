#include "base/ulid.h"

#include <sys/random.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <mutex>
#include <system_error>

namespace retouchd {
namespace {

constexpr std::string_view kAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";  // without I, L, O, U
constexpr int kTimeBytes = 6;

using Bits = std::array<std::uint8_t, 16>;  // most significant first

Bits fresh(std::int64_t ms) {
  Bits bits{};
  for (int i = 0; i < kTimeBytes; ++i) bits[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(ms >> (40 - 8 * i));
  // So few bytes come at once or not at all.
  if (::getrandom(bits.data() + kTimeBytes, bits.size() - kTimeBytes, 0) < 0) {
    throw std::system_error(errno, std::generic_category(), "the system has no random bytes");
  }
  return bits;
}

void increment(Bits& bits) {
  for (auto byte = bits.rbegin(); byte != bits.rend() && ++*byte == 0; ++byte) {
  }
}

std::string text_of(const Bits& bits) {
  // 128 bits are 26 digits of 5 bits, of which the first has only 3.
  std::string text;
  unsigned pending = 0;
  int count = 2;
  for (const std::uint8_t byte : bits) {
    pending = pending << 8 | byte;
    count += 8;
    while (count >= 5) {
      count -= 5;
      text.push_back(kAlphabet[pending >> count & 31U]);
    }
  }
  return text;
}

}  // namespace

std::string new_ulid(UnixMillis now) {
  static std::mutex mutex;
  static std::int64_t last_ms = -1;
  static Bits last{};
  const std::int64_t ms = now.time_since_epoch().count();
  const std::lock_guard lock(mutex);
  if (ms == last_ms) {
    increment(last);
  } else {
    last = fresh(ms);
    last_ms = ms;
  }
  return text_of(last);
}

}  // namespace retouchd
