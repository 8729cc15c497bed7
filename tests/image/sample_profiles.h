#pragma once

#include <array>
#include <cstdint>

#include "image/metadata.h"

/// ICC profiles made up for tests by LittleCMS.
namespace retouchd::image::testing {

/// White, red, green and blue as x, y; the curve is a power, or sRGB's own for 0.
struct RgbSpace {
  std::array<double, 8> xy{0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06};
  double gamma = 0;
};

inline constexpr RgbSpace kSrgbLike{};
inline constexpr RgbSpace kAdobeRgbLike{{0.3127, 0.3290, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06}, 2.19921875};
inline constexpr RgbSpace kDisplayP3Like{{0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060}, 0};
inline constexpr RgbSpace kProPhotoLike{{0.3457, 0.3585, 0.734699, 0.265301, 0.159597, 0.840403, 0.036598, 0.000105}, 1.8};

/// A matrix profile.
ByteVector make_rgb_profile(const RgbSpace& space);

/// A profile for gray pixels of this power.
ByteVector make_gray_profile(double gamma);

/// A profile of four inks with tables of 9^4 colours: each ink takes away what its name says, K everything down to 2 %.
ByteVector make_cmyk_profile();

/// A profile that leads from Lab to Lab and describes no device.
ByteVector make_link_profile();

}  // namespace retouchd::image::testing
