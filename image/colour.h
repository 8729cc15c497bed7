#pragma once

#include <cstddef>
#include <memory>

#include "base/result.h"
#include "image/format_codec.h"
#include "image/picture.h"

/// ICC profiles by LittleCMS. Profiles come from files and are believed in nothing: a bad one is an error or a warning.
namespace retouchd::image {

/// Takes CMYK pixels to sRGB by relative colorimetric intent with black point compensation: paper becomes white, full black
/// becomes black. Threads: confined to one at a time.
class CmykConverter {
 public:
  /// `depth`: CV_8U or CV_16U, of both sides. kUnsupportedFormat without a usable CMYK profile, naming the reason.
  [[nodiscard]] static Result<CmykConverter> open(ByteSpan icc, int depth);
  CmykConverter(CmykConverter&&) noexcept;
  CmykConverter& operator=(CmykConverter&&) noexcept;
  ~CmykConverter();

  /// `inks`: C, M, Y, K for each pixel, 0 is no ink. `rgb`: room for three samples for each; must not overlap.
  void convert(const void* inks, void* rgb, std::size_t pixels) const noexcept;

 private:
  struct Transform;
  explicit CmykConverter(std::unique_ptr<Transform> transform) noexcept;
  std::unique_ptr<Transform> transform_;
};

/// CMYK pixels (CV_8UC4 or CV_16UC4, 0 is no ink) through `icc` to sRGB of the same depth, in `memory`. As CmykConverter for a
/// whole picture. Threads: safe.
[[nodiscard]] Result<cv::Mat> cmyk_to_srgb(const cv::Mat& cmyk, ByteSpan icc, PlaneMemory& memory);

/// Whether a colour library can go through `icc` to sRGB and back, for gray or RGB pixels. Encoders that use profiles, not just
/// carry them, must be given no other. Threads: safe.
[[nodiscard]] bool is_usable_profile(ByteSpan icc, bool is_gray);

/// The sRGB profile, for pictures that were converted to it; the same bytes every time.
[[nodiscard]] ByteVector srgb_profile();

/// What `picture` and its pages become when a network wants sRGB: CV_32F, kExtendedSrgb, alpha CV_32F too. Their colours are
/// those of the ICC profile or, without one, of PNG's gamma and chromaticities; gray stays one channel with sRGB's curve.
/// Relative colorimetric, not clipped, so that nothing of a wider gamut is lost. A picture keeps its pixels when it says nothing
/// of its colours, when they are sRGB already, or, with a warning, when its profile cannot be used or leads back to other values
/// than it came from. All planes end up in `memory`. Threads: safe.
void to_extended_srgb(Picture& picture, PlaneMemory& memory);

/// The reverse, for those that were converted: planes of the file's own space with file_bits, rounded and clamped (floats:
/// neither). Threads: safe.
[[nodiscard]] Result<Picture> to_file_space(const Picture& picture);

}  // namespace retouchd::image
