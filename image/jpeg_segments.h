#pragma once

#include <string>
#include <vector>

#include "base/units.h"
#include "image/metadata.h"

/// The segments of JPEG files that carry metadata: APPn and comments.
namespace retouchd::image {

/// EXIF, XMP with its extended part, IPTC, ICC and comments from the segments before the first scan; blocks beyond `limit` are
/// dropped before they are copied.
void read_jpeg_segments(ByteSpan file, Bytes limit, Metadata& metadata, std::string& warnings);

struct JpegSegment {
  int marker = 0xE0;   ///< 0xE0 + n for APPn, 0xFE for a comment
  ByteVector payload;  ///< at most 65,533 bytes
};

/// The segments that carry `blocks`; EXIF, a comment or a profile that is too large for theirs is left out with a warning.
[[nodiscard]] std::vector<JpegSegment> jpeg_segments_of(const Metadata& blocks, std::string& warnings);

}  // namespace retouchd::image
