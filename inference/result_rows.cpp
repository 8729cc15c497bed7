#include "inference/result_rows.h"

#include <algorithm>
#include <bit>
#include <limits>

#define RETOUCHD_INLINE [[gnu::always_inline]] static inline

namespace retouchd::inference {
namespace {

using Lanes = ResultRows::Lanes;
constexpr std::size_t kLanes = ResultRows::kLanes;

RETOUCHD_INLINE void store(float value, float* to) { *to = value; }

/// Rounds to the nearest of 0 ... full scale, halves up. NaN becomes 0.
template <class Whole>
RETOUCHD_INLINE void store(float value, Whole* to) {
  constexpr auto kFull = static_cast<float>(std::numeric_limits<Whole>::max());
  const float above = value > 0.0F ? value : 0.0F;
  const float clamped = above < 1.0F ? above : 1.0F;
  *to = static_cast<Whole>(static_cast<std::int32_t>(clamped * kFull + 0.5F));
}

/// The numbers of all lanes; written so that the compiler makes vectors of it.
template <class To>
RETOUCHD_INLINE void convert_lanes(const float* from, float factor, To* to, Lanes& lanes) {
  for (std::size_t i = 0; i < kLanes; ++i) {
    const float value = from[i] * factor;
    lanes.least[i] = value < lanes.least[i] ? value : lanes.least[i];
    lanes.most[i] = value > lanes.most[i] ? value : lanes.most[i];
    // An exponent of all ones carries into the sign.
    lanes.not_finite[i] |= (std::bit_cast<std::uint32_t>(value) & 0x7FFF'FFFFU) + 0x0080'0000U;
    store(value, to + i);
  }
}

template <class To>
RETOUCHD_INLINE void convert_row(const float* from, std::size_t count, float factor, To* to, Lanes& lanes) {
  std::size_t i = 0;
  Lanes local = lanes;
  for (; i + kLanes <= count; i += kLanes) convert_lanes(from + i, factor, to + i, local);
  if (i < count) {
    std::array<float, kLanes> last;
    std::array<To, kLanes> converted;
    last.fill(from[count - 1]);
    std::copy(from + i, from + count, last.begin());
    convert_lanes(last.data(), factor, converted.data(), local);
    std::copy_n(converted.begin(), count - i, to + i);
  }
  lanes = local;
}

struct Generic {
  template <class To>
  static void run(const float* from, std::size_t count, float factor, To* to, Lanes& lanes) {
    convert_row(from, count, factor, to, lanes);
  }
};

#if defined(__x86_64__)
struct Avx2 {
  template <class To>
  [[gnu::target("avx2")]] static void run(const float* from, std::size_t count, float factor, To* to, Lanes& lanes) {
    convert_row(from, count, factor, to, lanes);
  }
};
#endif

template <class To>
void run(const float* from, std::size_t count, float factor, uchar* to, Lanes& lanes) {
  auto* pixels = reinterpret_cast<To*>(to);
#if defined(__x86_64__)
  static const bool has_avx2 = (__builtin_cpu_init(), __builtin_cpu_supports("avx2") != 0);
  if (has_avx2) return Avx2::run(from, count, factor, pixels, lanes);
#endif
  Generic::run(from, count, factor, pixels, lanes);
}

}  // namespace

ResultRows::ResultRows(float factor, int depth) : factor_(factor), depth_(depth) {
  lanes_.least.fill(std::numeric_limits<float>::max());
  lanes_.most.fill(std::numeric_limits<float>::lowest());
}

void ResultRows::convert(const float* from, std::size_t count, uchar* to) {
  if (depth_ == CV_8U) return run<std::uint8_t>(from, count, factor_, to, lanes_);
  if (depth_ == CV_16U) return run<std::uint16_t>(from, count, factor_, to, lanes_);
  run<float>(from, count, factor_, to, lanes_);
}

Values ResultRows::values() const {
  constexpr std::uint32_t kSign = 0x8000'0000U;
  Values values;
  values.least = *std::min_element(lanes_.least.begin(), lanes_.least.end());
  values.most = *std::max_element(lanes_.most.begin(), lanes_.most.end());
  values.is_finite =
      std::none_of(lanes_.not_finite.begin(), lanes_.not_finite.end(), [](std::uint32_t bits) { return (bits & kSign) != 0; });
  return values;
}

}  // namespace retouchd::inference
