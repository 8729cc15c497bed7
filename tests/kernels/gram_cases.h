#pragma once

#include <cstddef>
#include <ostream>
#include <vector>

#include "tests/kernels/reference.h"

// Cases of the kernels in front of channel attention: depthwise_gram and qkv_gram.
namespace retouchd::kernels::reference {

struct GramCase {
  Map map;
  int channels = 48;
  int heads = 1;
  int slots = 1;
  Norm norm = Norm::kCentred;  ///< norm and bias are for qkv_gram only
  bool with_bias = true;

  friend std::ostream& operator<<(std::ostream& to, const GramCase& c) {
    return to << c.map.pictures << "x" << c.map.height << "x" << c.map.width << ", " << c.channels << " channels, " << c.heads
              << " heads, " << c.slots << " slots";
  }
};

inline std::vector<GramCase> depthwise_gram_cases() {
  return {
      {{1, 8, 16}, 48, 1, 1}, {{2, 11, 19}, 48, 1, 3}, {{1, 17, 33}, 96, 2, 2},
      {{1, 9, 23}, 96, 1, 2}, {{2, 1, 7}, 192, 4, 1},  {{1, 10, 5}, 384, 8, 5},  // more slots than tiles
      {{1, 25, 1}, 96, 1, 1}, {{1, 1, 1}, 48, 1, 2},
  };
}

inline std::vector<GramCase> qkv_gram_cases() {
  return {
      {{1, 10, 8}, 48, 1, 1, Norm::kCentred, true},   {{2, 23, 19}, 48, 1, 3, Norm::kUncentred, false},
      {{1, 21, 17}, 96, 2, 2, Norm::kCentred, true},  {{1, 11, 25}, 96, 1, 1, Norm::kCentred, true},
      {{2, 13, 9}, 96, 1, 2, Norm::kUncentred, true}, {{1, 12, 5}, 192, 4, 5, Norm::kCentred, false},  // more slots than tiles
      {{1, 1, 1}, 48, 1, 2, Norm::kCentred, true},    {{1, 3, 31}, 48, 1, 2, Norm::kNone, true},
  };
}

/// What a kernel gave, sums added up over the slots, or what it should have.
struct GramResult {
  Numbers v;
  Numbers gram;     ///< [pictures][heads][c][c]
  Numbers squares;  ///< [pictures][2 * channels]
};

struct GramErrors {
  double v;
  double gram;  ///< of all q_i k_j / (|q_i| |k_j|): relative to the exact ones
  double squares;
};

/// From q, k and v of all pixels.
inline GramResult gram_of(const Picture& qkv, int heads) {
  const int channels = qkv.channels / 3;
  const int c = channels / heads;
  const auto pictures = static_cast<std::size_t>(qkv.map.pictures);
  GramResult result;
  result.gram.resize(pictures * static_cast<std::size_t>(channels * c));
  result.squares.resize(pictures * static_cast<std::size_t>(2 * channels));
  for_each_pixel(qkv.map, [&](int picture, int y, int x) {
    const double* const pixel = &qkv.values[qkv.index(picture, y, x, 0)];
    result.v.insert(result.v.end(), pixel + 2 * channels, pixel + 3 * channels);
    double* const squares = &result.squares[static_cast<std::size_t>(picture * 2 * channels)];
    for (int i = 0; i < 2 * channels; ++i) squares[i] += pixel[i] * pixel[i];
    double* const gram = &result.gram[static_cast<std::size_t>(picture * channels * c)];
    for (int i = 0; i < channels; ++i) {
      for (int j = 0; j < c; ++j) gram[i * c + j] += pixel[i] * pixel[channels + i / c * c + j];
    }
  });
  return result;
}

/// Cosines of q_i and k_j, as channel attention takes them.
inline Numbers cosines(const GramResult& of, const GramCase& c) {
  Numbers values = of.gram;
  const int size = c.channels / c.heads;
  for (std::size_t at = 0; at < values.size(); ++at) {
    const int j = static_cast<int>(at) % size;
    const int row = static_cast<int>(at) / size;  // picture * channels + i
    const int i = row % c.channels;
    const double* const squares = &of.squares[static_cast<std::size_t>(row / c.channels * 2 * c.channels)];
    values[at] /= std::sqrt(squares[i] * squares[c.channels + i / size * size + j]) + 1e-12;
  }
  return values;
}

/// Room for a kernel's results, filled with what it must overwrite.
template <typename T>
class GramMemory {
 public:
  explicit GramMemory(const GramCase& c) : case_(c), v_(pixels() * static_cast<std::size_t>(c.channels), T{0xffff}) {
    const auto parts = static_cast<std::size_t>(c.map.pictures) * static_cast<std::size_t>(c.slots);
    gram_.assign(parts * static_cast<std::size_t>(c.channels * (c.channels / c.heads)), std::nanf(""));
    squares_.assign(parts * static_cast<std::size_t>(2 * c.channels), std::nanf(""));
  }

  [[nodiscard]] T* v() { return v_.data(); }
  [[nodiscard]] GramSums sums() { return {case_.slots, gram_.data(), squares_.data()}; }

  [[nodiscard]] GramResult read() const { return {reference::read(v_), over_slots(gram_), over_slots(squares_)}; }
  /// Bit by bit, slot by slot.
  [[nodiscard]] std::vector<float> everything() const {
    std::vector<float> all = gram_;
    all.insert(all.end(), squares_.begin(), squares_.end());
    for (const T x : v_) all.push_back(to_float(x));
    return all;
  }

 private:
  [[nodiscard]] std::size_t pixels() const { return Picture(case_.map, 1).pixels(); }
  [[nodiscard]] Numbers over_slots(const std::vector<float>& parts) const {
    const auto pictures = static_cast<std::size_t>(case_.map.pictures);
    const auto slots = static_cast<std::size_t>(case_.slots);
    const std::size_t size = parts.size() / pictures / slots;
    Numbers sums(pictures * size);
    for (std::size_t i = 0; i < parts.size(); ++i) sums[i / (slots * size) * size + i % size] += static_cast<double>(parts[i]);
    return sums;
  }

  GramCase case_;
  std::vector<T> v_;
  std::vector<float> gram_;
  std::vector<float> squares_;
};

inline GramErrors errors_of(const GramCase& c, const GramResult& result, const GramResult& expected) {
  return {relative_error(result.v, expected.v), relative_error(cosines(result, c), cosines(expected, c)),
          relative_error(result.squares, expected.squares)};
}

/// q, k and v that resemble each other, so that the Gram matrix is not all noise.
template <typename T>
Picture similar_channels(const Map& map, int channels, std::uint32_t seed) {
  Picture picture(map, channels);
  picture.values = noise<T>(picture.values.size(), 1.5, seed);
  const Numbers common = noise<T>(picture.pixels(), 1, seed + 1);
  for (std::size_t i = 0; i < picture.values.size(); ++i) {
    const double value = picture.values[i] + common[i / static_cast<std::size_t>(channels)];
    picture.values[i] = static_cast<double>(to_float(from_float<T>(static_cast<float>(value))));
  }
  return picture;
}

/// `run(call)` executes a call whose pointers are the host's.
template <typename T, typename Run>
GramErrors errors_of_depthwise_gram(const GramCase& c, const Run& run, std::vector<float>* everything = nullptr) {
  const Picture qkv = similar_channels<T>(c.map, 3 * c.channels, 1);
  const Numbers taps = noise<T>(static_cast<std::size_t>(27 * c.channels), 0.4, 3);
  const GramResult expected = gram_of(depthwise(qkv, taps), c.heads);

  const auto qkv16 = stored<T>(qkv.values);
  const auto taps16 = stored<T>(taps);
  GramMemory<T> memory(c);
  run(DepthwiseGramCall{number_of<T>, c.map, c.channels, c.heads, qkv16.data(), taps16.data(), memory.v(), memory.sums()});
  if (everything != nullptr) *everything = memory.everything();
  return errors_of(c, memory.read(), expected);
}

/// The same of qkv_gram.
template <typename T, typename Run>
GramErrors errors_of_qkv_gram(const GramCase& c, const Run& run, std::vector<float>* everything = nullptr) {
  const auto channels = static_cast<std::size_t>(c.channels);
  const Picture in = similar_channels<T>(c.map, c.channels, 1);
  const Numbers weight = noise<T>(3 * channels * channels, 1 / std::sqrt(static_cast<double>(c.channels)), 3);
  const Numbers bias = c.with_bias ? noise<T>(3 * channels, 0.3, 4) : Numbers();
  const Numbers taps = noise<T>(27 * channels, 0.4, 5);
  const Picture qkv = depthwise(pointwise(normalised(in, c.norm), weight, bias, 3 * c.channels), taps);
  const GramResult expected = gram_of(qkv, c.heads);

  const auto in16 = stored<T>(in.values);
  const auto weight16 = stored<T>(weight);
  const auto bias32 = fp32(bias);
  const auto taps16 = stored<T>(taps);
  GramMemory<T> memory(c);
  run(QkvGramCall{number_of<T>, c.map, c.channels, c.heads, c.norm, in16.data(), weight16.data(),
                  c.with_bias ? bias32.data() : nullptr, taps16.data(), memory.v(), memory.sums()});
  if (everything != nullptr) *everything = memory.everything();
  return errors_of(c, memory.read(), expected);
}

}  // namespace retouchd::kernels::reference
