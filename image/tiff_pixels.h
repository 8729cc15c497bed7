#pragma once

#include <opencv2/core/mat.hpp>

#include "base/result.h"
#include "image/tiff_layout.h"
#include "image/tiff_stream.h"

namespace retouchd::image {

/// The planes that the pixels of one directory go into: `layout.colours` channels, and `alpha` where there is some.
struct TiffPlanes {
  cv::Mat colour;
  cv::Mat alpha;
};

/// Decodes all strips or tiles of the current directory: full range, R,G,B, alpha not yet divided out, CMYK as it is. Holds no
/// more than tiff_working() says. kTruncatedPicture when the file ends before a strip does.
[[nodiscard]] Result<void> read_tiff_pixels(const TiffStream& stream, const TiffLayout& layout, TiffPlanes& planes);

}  // namespace retouchd::image
