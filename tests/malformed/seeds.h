#pragma once

#include <string>
#include <vector>

#include "image/metadata.h"
#include "image/picture.h"

namespace retouchd::malformed {

/// A small valid file.
struct Seed {
  std::string name;  ///< "jpeg-progressive": the format, and what is special
  image::FileFormat format = image::FileFormat::kJpeg;
  image::ByteVector file;
};

/// One file of each format and variant that is read, most of them with EXIF, XMP, IPTC and a profile; the same every time. What
/// this build of a codec library cannot write is left out.
[[nodiscard]] std::vector<Seed> make_seeds();

/// Blocks of metadata, each behind a byte that chooses what metadata_fuzz takes it for.
[[nodiscard]] std::vector<Seed> make_metadata_seeds();

}  // namespace retouchd::malformed
