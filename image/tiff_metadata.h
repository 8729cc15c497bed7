#pragma once

#include "base/units.h"
#include "image/metadata.h"

/// EXIF and IPTC inside TIFF files.
namespace retouchd::image {

/// The EXIF and IPTC inside a TIFF file; tags that describe its strips and samples are left behind. Threads: safe.
void read_tiff_metadata(ByteSpan file, Bytes limit, Metadata& metadata, std::string& warnings);

/// A complete TIFF of one pixel with this EXIF and IPTC. Empty, with a warning, when that cannot be made. Threads: safe.
[[nodiscard]] ByteVector make_metadata_tiff(const Metadata& blocks, std::string& warnings);

}  // namespace retouchd::image
