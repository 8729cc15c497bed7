#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "image/picture.h"

namespace retouchd::image {

using ByteVector = std::vector<std::uint8_t>;
using ByteSpan = std::span<const std::uint8_t>;

/// What a file says about its picture besides the pixels: plain blocks, so that they can cross a process boundary.
///
/// As read, `exif` and `xmp` are untouched; prepare_for() makes the blocks that may stand beside restored pixels.
class Metadata {
 public:
  ByteVector exif;              ///< a TIFF structure, without the "Exif\0\0" of JPEG
  std::string xmp;              ///< one packet
  ByteVector iptc;              ///< IIM records
  ByteVector icc;               ///< a profile
  std::optional<double> dpi_x;  ///< of the upright picture; set together with dpi_y
  std::optional<double> dpi_y;

  /// PNG's own colour chunks, in its units (1/100,000); they count only where there is no ICC profile.
  std::optional<std::int32_t> gamma;
  std::optional<std::array<std::int32_t, 8>> chromaticities;  ///< white, red, green, blue: x, y each
  std::optional<int> srgb_intent;

  [[nodiscard]] bool empty() const noexcept {
    return exif.empty() && xmp.empty() && iptc.empty() && icc.empty() && !dpi_x && !gamma && !chromaticities && !srgb_intent;
  }
};

/// Sentences for the user, joined by "; ".
void add_warning(std::string& warnings, std::string_view sentence);

/// False, with a warning that names the block, when it is larger than `limit`.
[[nodiscard]] bool fits_limit(std::size_t size, Bytes limit, std::string_view block, std::string& warnings);

/// EXIF's orientation, 1..8; 1 when there is none. kCorruptPicture when the block cannot be parsed. Threads: safe.
[[nodiscard]] Result<int> read_orientation(ByteSpan exif);

/// The EXIF and IPTC inside a TIFF file; tags that describe its strips and samples are left behind. Threads: safe.
void read_tiff_metadata(ByteSpan file, Bytes limit, Metadata& metadata, std::string& warnings);

/// IPTC's records from Photoshop's resource blocks (JPEG APP13, PNG text), and the reverse. Threads: safe.
[[nodiscard]] ByteVector iptc_from_photoshop(ByteSpan resources);
[[nodiscard]] ByteVector photoshop_from_iptc(ByteSpan iptc);

/// The blocks to embed beside `width` x `height` upright pixels of `channels` (1 or 3) in `format`: orientation 1, size tags
/// updated, thumbnails dropped, an ICC profile of another colour space dropped. What cannot be kept is a warning. Threads: safe.
[[nodiscard]] Metadata prepare_for(const Metadata& metadata, FileFormat format, int width, int height, int channels,
                                   std::string& warnings);

/// Puts EXIF, XMP and IPTC into a complete TIFF file, whose pixels and structural tags stay. On failure `file` is as it was, and
/// a warning says why. Threads: safe.
void embed_in_tiff(ByteVector& file, const Metadata& blocks, std::string& warnings);

}  // namespace retouchd::image
