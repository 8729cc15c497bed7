#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <optional>
#include <vector>

namespace retouchd::image {

/// A function of one float, as a table of 1024 places an octave from 2^-20 to 4, linear between them: 1e-6 relative for powers.
/// Elsewhere the function itself is asked.
class OctaveTable {
 public:
  explicit OctaveTable(std::function<float(float)> function);
  [[nodiscard]] float operator()(float value) const noexcept;

 private:
  std::function<float(float)> function_;
  float at_zero_;
  std::vector<float> places_;
};

/// Between the space of an ICC profile that is three curves and a matrix, as those of cameras and displays are, and sRGB. The
/// same arithmetic as LittleCMS's for floats, several times as fast. Threads: safe.
class MatrixSpace {
 public:
  /// Handles of LittleCMS; nullopt for other profiles, and for those that have tables too, which go first. `srgb` is a profile of
  /// sRGB. The handles may be closed afterwards, their context not before this.
  [[nodiscard]] static std::optional<MatrixSpace> of(void* profile, void* srgb);

  /// `pixels` of R, G, B; neither way is clipped.
  void to_srgb(const float* from, float* to, std::size_t pixels) const noexcept;
  void from_srgb(const float* from, float* to, std::size_t pixels) const noexcept;

 private:
  using Matrix = std::array<double, 9>;
  using Tables = std::array<OctaveTable, 3>;

  MatrixSpace(Tables to_light, Tables from_light, const Matrix& to_srgb, const Matrix& from_srgb);

  Tables to_light_;
  Tables from_light_;
  OctaveTable srgb_to_light_;
  OctaveTable light_to_srgb_;
  Matrix to_srgb_;  ///< of light
  Matrix from_srgb_;
};

}  // namespace retouchd::image
