#pragma once

#include <string>
#include <vector>

#include "base/units.h"
#include "image/metadata.h"

/// The APPn segments of JPEG files that carry metadata.
namespace retouchd::image {

/// EXIF, XMP, IPTC and ICC from the segments before the first scan; blocks beyond `limit` are dropped before they are copied.
void read_jpeg_segments(ByteSpan file, Bytes limit, Metadata& metadata, std::string& warnings);

struct JpegSegment {
  int app = 0;         ///< n of APPn
  ByteVector payload;  ///< at most 65,533 bytes
};

/// The segments that carry `blocks`; what does not fit 64 KiB segments is left out with a warning.
[[nodiscard]] std::vector<JpegSegment> jpeg_segments_of(const Metadata& blocks, std::string& warnings);

}  // namespace retouchd::image
