#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "image/metadata.h"

namespace retouchd::malformed {

/// A number in a file that means something to a reader: a length, an offset, a count, a type, a side.
struct Field {
  std::size_t at = 0;
  int size = 1;  ///< bytes: 1, 2, 4 or 8
  bool is_little = false;
};

/// Where the structure of a picture file is.
struct Layout {
  std::vector<Field> fields;
  std::vector<std::size_t> borders;  ///< where segments, chunks, boxes, directories and strips begin and end; sorted
};

/// Of JPEG, PNG, TIFF (and what is built like it: DNG, EXIF), RIFF (WebP), ISO base media boxes (AVIF, HEIC, JPEG XL), PNM and
/// ICC profiles, with the EXIF and ICC inside. Of anything else the first bytes are fields. Never reads beyond `file`, whatever
/// it says.
[[nodiscard]] Layout layout_of(image::ByteSpan file);

/// Makes the CRCs of a PNG's chunks right, as far as its lengths lead.
void repair_png(image::ByteVector& file);

}  // namespace retouchd::malformed
