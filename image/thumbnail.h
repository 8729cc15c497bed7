#pragma once

#include "image/metadata.h"
#include "image/picture.h"

namespace retouchd::image {

/// A JPEG of `picture` in sRGB (or gray) for its EXIF: `longest_side` pixels at most and never enlarged, alpha left out. Threads:
/// safe. Empty when it could not be made.
[[nodiscard]] ByteVector make_thumbnail(const Picture& picture, int longest_side);

/// The longer side that a JPEG's header names; 0 when it has none.
[[nodiscard]] int longest_side_of_jpeg(ByteSpan file) noexcept;

}  // namespace retouchd::image
