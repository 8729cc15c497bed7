#include "image/matrix_space.h"

#include <lcms2.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <memory>
#include <utility>

namespace retouchd::image {
namespace {

constexpr int kPlaceBits = 10;  // of the mantissa
constexpr int kRestBits = 23 - kPlaceBits;
constexpr float kLow = 0x1p-20F;
constexpr float kHigh = 4.0F;
constexpr std::uint32_t kFirst = std::bit_cast<std::uint32_t>(kLow) >> kRestBits;
constexpr std::uint32_t kLast = std::bit_cast<std::uint32_t>(kHigh) >> kRestBits;

// IEC 61966-2-1, and straight on below 0.
float srgb_to_light(float value) noexcept {
  return value <= 0.04045F ? value / 12.92F : static_cast<float>(std::pow((value + 0.055) / 1.055, 2.4));
}
float light_to_srgb(float light) noexcept {
  return light <= 0.0031308F ? light * 12.92F : static_cast<float>(1.055 * std::pow(light, 1 / 2.4) - 0.055);
}

using Curve = std::shared_ptr<cmsToneCurve>;

OctaveTable table_of(cmsToneCurve* curve) {
  const Curve owned(curve, cmsFreeToneCurve);
  return OctaveTable([owned](float value) { return cmsEvalToneCurveFloat(owned.get(), value); });
}

/// The primaries of a profile, one a column.
std::optional<std::array<double, 9>> primaries_of(cmsHPROFILE profile) {
  std::array<double, 9> matrix{};
  std::size_t column = 0;
  for (const cmsTagSignature tag : {cmsSigRedColorantTag, cmsSigGreenColorantTag, cmsSigBlueColorantTag}) {
    const auto* xyz = static_cast<const cmsCIEXYZ*>(cmsReadTag(profile, tag));
    if (xyz == nullptr) return std::nullopt;
    matrix[column] = xyz->X;
    matrix[column + 3] = xyz->Y;
    matrix[column + 6] = xyz->Z;
    ++column;
  }
  return matrix;
}

/// The inverse of `a` times `b`; nullopt when there is none.
std::optional<std::array<double, 9>> divide(const std::array<double, 9>& a, const std::array<double, 9>& b) {
  const auto minor = [&a](std::size_t row, std::size_t column) {
    const std::size_t r = (row + 1) % 3;
    const std::size_t s = (row + 2) % 3;
    const std::size_t c = (column + 1) % 3;
    const std::size_t d = (column + 2) % 3;
    return a[3 * r + c] * a[3 * s + d] - a[3 * r + d] * a[3 * s + c];
  };
  const double determinant = a[0] * minor(0, 0) + a[1] * minor(0, 1) + a[2] * minor(0, 2);
  if (!(std::abs(determinant) > 1e-6)) return std::nullopt;
  std::array<double, 9> quotient{};
  for (std::size_t row = 0; row < 3; ++row) {
    for (std::size_t column = 0; column < 3; ++column) {
      for (std::size_t k = 0; k < 3; ++k) quotient[3 * row + column] += minor(k, row) / determinant * b[3 * k + column];
    }
  }
  return quotient;
}

std::array<float, 3> multiply(const std::array<double, 9>& m, float a, float b, float c) noexcept {
  return {static_cast<float>(m[0] * a + m[1] * b + m[2] * c), static_cast<float>(m[3] * a + m[4] * b + m[5] * c),
          static_cast<float>(m[6] * a + m[7] * b + m[8] * c)};
}

}  // namespace

OctaveTable::OctaveTable(std::function<float(float)> function) : function_(std::move(function)), at_zero_(function_(0.0F)) {
  for (std::uint32_t place = kFirst; place <= kLast; ++place)
    places_.push_back(function_(std::bit_cast<float>(place << kRestBits)));
}

float OctaveTable::operator()(float value) const noexcept {
  if (value == 0.0F) return at_zero_;
  if (!(value >= kLow && value < kHigh)) return function_(value);
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::size_t place = (bits >> kRestBits) - kFirst;
  const float rest = static_cast<float>(bits & ((1U << kRestBits) - 1)) * (1.0F / (1U << kRestBits));
  return places_[place] + rest * (places_[place + 1] - places_[place]);
}

MatrixSpace::MatrixSpace(Tables to_light, Tables from_light, const Matrix& to_srgb, const Matrix& from_srgb)
    : to_light_(std::move(to_light)),
      from_light_(std::move(from_light)),
      srgb_to_light_(image::srgb_to_light),
      light_to_srgb_(image::light_to_srgb),
      to_srgb_(to_srgb),
      from_srgb_(from_srgb) {}

std::optional<MatrixSpace> MatrixSpace::of(void* profile, void* srgb) {
  if (!cmsIsMatrixShaper(profile) || cmsGetPCS(profile) != cmsSigXYZData) return std::nullopt;
  for (const cmsTagSignature tag : {cmsSigAToB0Tag, cmsSigAToB1Tag, cmsSigDToB0Tag, cmsSigDToB1Tag, cmsSigBToA0Tag,
                                    cmsSigBToA1Tag, cmsSigBToD0Tag, cmsSigBToD1Tag}) {
    if (cmsIsTag(profile, tag)) return std::nullopt;
  }
  const auto its = primaries_of(profile);
  const auto of_srgb = primaries_of(srgb);
  if (!its || !of_srgb) return std::nullopt;
  const auto to_srgb = divide(*of_srgb, *its);
  const auto from_srgb = divide(*its, *of_srgb);
  if (!to_srgb || !from_srgb) return std::nullopt;
  std::vector<OctaveTable> there;
  std::vector<OctaveTable> back;
  for (const cmsTagSignature tag : {cmsSigRedTRCTag, cmsSigGreenTRCTag, cmsSigBlueTRCTag}) {
    const auto* curve = static_cast<const cmsToneCurve*>(cmsReadTag(profile, tag));
    if (curve == nullptr) return std::nullopt;
    cmsToneCurve* const copy = cmsDupToneCurve(curve);
    cmsToneCurve* const reverse = cmsReverseToneCurve(curve);
    if (copy != nullptr) there.push_back(table_of(copy));
    if (reverse != nullptr) back.push_back(table_of(reverse));
    if (copy == nullptr || reverse == nullptr) return std::nullopt;
  }
  return MatrixSpace({there[0], there[1], there[2]}, {back[0], back[1], back[2]}, *to_srgb, *from_srgb);
}

void MatrixSpace::to_srgb(const float* from, float* to, std::size_t pixels) const noexcept {
  for (const float* const end = from + 3 * pixels; from != end; from += 3, to += 3) {
    const auto light = multiply(to_srgb_, to_light_[0](from[0]), to_light_[1](from[1]), to_light_[2](from[2]));
    for (std::size_t c = 0; c < 3; ++c) to[c] = light_to_srgb_(light[c]);
  }
}

void MatrixSpace::from_srgb(const float* from, float* to, std::size_t pixels) const noexcept {
  for (const float* const end = from + 3 * pixels; from != end; from += 3, to += 3) {
    const auto light = multiply(from_srgb_, srgb_to_light_(from[0]), srgb_to_light_(from[1]), srgb_to_light_(from[2]));
    for (std::size_t c = 0; c < 3; ++c) to[c] = from_light_[c](light[c]);
  }
}

}  // namespace retouchd::image
