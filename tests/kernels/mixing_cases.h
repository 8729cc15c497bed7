#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <ostream>
#include <vector>

#include "tests/kernels/reference.h"

namespace retouchd::kernels::reference {

struct MixingCase {
  int pictures = 1;
  int channels = 48;
  int heads = 1;
  int slots = 1;
  double deviation = 1;    ///< of q and k; one channel of either is 0 throughout
  double temperature = 1;  ///< about

  friend std::ostream& operator<<(std::ostream& to, const MixingCase& c) {
    return to << c.pictures << " pictures, " << c.channels << " channels, " << c.heads << " heads, " << c.slots
              << " slots, deviation " << c.deviation;
  }
};

/// The network's channels and heads; from one slot to more than a group of threads has under way; q and k that are 0, tiny (below
/// the least length) or as large as fp32 sums allow, and softmax from flat to sharp.
inline std::vector<MixingCase> mixing_cases() {
  return {
      {1, 48, 1, 1},         {2, 96, 2, 7, 1, 5},      {1, 192, 4, 65, 1e-3}, {1, 384, 8, 3, 30, 20},
      {2, 96, 1, 11, 1, 8},  {1, 48, 1, 264, 1, 3},    {1, 96, 1, 37, 1, 40}, {1, 48, 1, 2, 0},
      {1, 96, 1, 2, 0, 1e4}, {1, 96, 2, 9, 1e15, 1e3}, {1, 96, 1, 9, 1e15},   {1, 48, 1, 5, 1e-15, 10},
  };
}

/// Sums over some pixels' q and k for each slot, and what comes of them in fp64.
struct MixingData {
  Numbers gram;     ///< [pictures][slots][heads][c][c]
  Numbers squares;  ///< [pictures][slots][2 * channels]
  Numbers temperature;
  Numbers project;
  Numbers expected;

  explicit MixingData(const MixingCase& c);

 private:
  void add_pixel(const MixingCase& c, std::size_t slot, const Numbers& q, const Numbers& k);
  void expect(const MixingCase& c, std::size_t picture);
};

inline MixingData::MixingData(const MixingCase& c) {
  const auto channels = static_cast<std::size_t>(c.channels);
  const auto heads = static_cast<std::size_t>(c.heads);
  const auto pictures = static_cast<std::size_t>(c.pictures);
  const std::size_t slots = pictures * static_cast<std::size_t>(c.slots);
  gram.resize(slots * channels * channels / heads);
  squares.resize(slots * 2 * channels);
  project = noise<Bfloat16>(channels * channels, 0.2, 1);
  for (std::size_t head = 0; head < heads; ++head) temperature.push_back(c.temperature * (1 + 0.25 * static_cast<double>(head)));
  constexpr std::uint32_t kPixelsOfSlot = 4;
  for (std::size_t slot = 0; slot < slots; ++slot) {
    for (std::uint32_t pixel = 0; pixel < kPixelsOfSlot; ++pixel) {
      const std::uint32_t seed = 2 * (kPixelsOfSlot * static_cast<std::uint32_t>(slot) + pixel);
      Numbers q = noise<Bfloat16>(channels, 1, seed + 2);
      Numbers k = noise<Bfloat16>(channels, 1, seed + 3);
      // Something in common, so that the map is not all alike.
      for (std::size_t i = 0; i < channels; ++i) k[i] += 0.7 * q[(i + 3) % channels];
      q[5] = 0;
      k[17] = 0;
      for (double& number : q) number *= c.deviation;
      for (double& number : k) number *= c.deviation;
      add_pixel(c, slot, q, k);
    }
  }
  for (Numbers* const numbers : {&gram, &squares}) {
    for (double& number : *numbers) number = static_cast<double>(static_cast<float>(number));
  }
  expected.resize(pictures * channels * channels);
  for (std::size_t picture = 0; picture < pictures; ++picture) expect(c, picture);
}

inline void MixingData::add_pixel(const MixingCase& c, std::size_t slot, const Numbers& q, const Numbers& k) {
  const std::size_t channels = q.size();
  const std::size_t of_head = channels / static_cast<std::size_t>(c.heads);
  for (std::size_t i = 0; i < channels; ++i) {
    for (std::size_t j = 0; j < of_head; ++j) gram[(slot * channels + i) * of_head + j] += q[i] * k[i / of_head * of_head + j];
    squares[slot * 2 * channels + i] += q[i] * q[i];
    squares[(slot * 2 + 1) * channels + i] += k[i] * k[i];
  }
}

inline void MixingData::expect(const MixingCase& c, std::size_t picture) {
  const auto channels = static_cast<std::size_t>(c.channels);
  const std::size_t of_head = channels / static_cast<std::size_t>(c.heads);
  const auto slots = static_cast<std::size_t>(c.slots);
  const auto total = [&](const Numbers& sums, std::size_t of_slot, std::size_t index) {
    double sum = 0;
    for (std::size_t slot = 0; slot < slots; ++slot) sum += sums[(picture * slots + slot) * of_slot + index];
    return sum;
  };
  const auto length = [&](std::size_t index) { return std::max(std::sqrt(total(squares, 2 * channels, index)), 1e-12); };
  for (std::size_t i = 0; i < channels; ++i) {
    const std::size_t first = i / of_head * of_head;
    Numbers row(of_head);
    for (std::size_t j = 0; j < of_head; ++j) {
      row[j] =
          temperature[i / of_head] * total(gram, channels * of_head, i * of_head + j) / length(i) / length(channels + first + j);
    }
    const double largest = *std::max_element(row.begin(), row.end());
    double sum = 0;
    for (double& value : row) sum += value = std::exp(value - largest);
    for (std::size_t out = 0; out < channels; ++out) {
      for (std::size_t j = 0; j < of_head; ++j)
        expected[(picture * channels + out) * channels + first + j] += project[out * channels + i] * row[j] / sum;
    }
  }
}

/// Relative error of the result. `run(call)` executes a call whose pointers are the host's.
template <typename T, typename Run>
double error_of_mixing(const MixingCase& c, const Run& run) {
  const MixingData data(c);
  auto gram = fp32(data.gram);
  auto squares = fp32(data.squares);
  const auto temperature = fp32(data.temperature);
  const auto project = fp32(data.project);
  std::vector<T> mixing(data.expected.size(), T{0xffff});
  MixingCall call;
  call.number = number_of<T>;
  call.pictures = c.pictures;
  call.channels = c.channels;
  call.heads = c.heads;
  call.sums = {c.slots, gram.data(), squares.data()};
  call.temperature = temperature.data();
  call.project = project.data();
  call.mixing = mixing.data();
  run(call);
  return relative_error(read(mixing), data.expected);
}

}  // namespace retouchd::kernels::reference
