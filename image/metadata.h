#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "image/picture.h"

namespace retouchd::image {

using ByteVector = std::vector<std::uint8_t>;
using ByteSpan = std::span<const std::uint8_t>;

/// PNG's keyword, which further comments have among Metadata::texts.
inline constexpr const char* kCommentKeyword = "Comment";

/// What a file says about its picture besides the pixels: plain blocks, so that they can cross a process boundary.
///
/// As read, `exif` and `xmp` are untouched; prepare_for() makes the blocks that may stand beside restored pixels.
class Metadata {
 public:
  ByteVector exif;                                         ///< a TIFF structure, without the "Exif\0\0" of JPEG
  std::string xmp;                                         ///< one packet
  ByteVector iptc;                                         ///< IIM records
  ByteVector icc;                                          ///< a profile
  std::string comment;                                     ///< JPEG's COM, PNG's "Comment"; UTF-8, or as old files have it
  std::vector<std::pair<std::string, std::string>> texts;  ///< PNG's others, further comments: Latin-1 keyword -> UTF-8
  std::optional<double> dpi_x;                             ///< of the upright picture; set together with dpi_y
  std::optional<double> dpi_y;

  /// PNG's own colour chunks, in its units (1/100,000); they count only where there is no ICC profile.
  std::optional<std::int32_t> gamma;
  std::optional<std::array<std::int32_t, 8>> chromaticities;  ///< white, red, green, blue: x, y each
  std::optional<int> srgb_intent;

  [[nodiscard]] bool empty() const noexcept {
    return exif.empty() && xmp.empty() && iptc.empty() && icc.empty() && comment.empty() && texts.empty() && !dpi_x && !gamma &&
           !chromaticities && !srgb_intent;
  }
};

/// Sentences for the user, joined by "; ".
void add_warning(std::string& warnings, std::string_view sentence);

/// False, with a warning that names the block, when it is larger than `limit`.
[[nodiscard]] bool fits_limit(std::size_t size, Bytes limit, std::string_view block, std::string& warnings);

/// EXIF's orientation, 1..8; 1 when there is none. kCorruptPicture when the block cannot be parsed. Threads: safe.
[[nodiscard]] Result<int> read_orientation(ByteSpan exif);

/// IPTC's records from Photoshop's resource blocks (JPEG APP13, PNG text), and the reverse. Threads: safe.
[[nodiscard]] ByteVector iptc_from_photoshop(ByteSpan resources);
[[nodiscard]] ByteVector photoshop_from_iptc(ByteSpan iptc);

/// The EXIF, XMP and IPTC of a camera's raw file: maker, lens, exposure, place, dates. What describes the sensor, the raw pixels
/// or a preview is left behind. Threads: safe.
void read_raw_metadata(ByteSpan file, Bytes limit, Metadata& metadata, std::string& warnings);

/// The blocks to embed beside the upright pixels of `picture` in `format`, whose pixels have `channels` (1 or 3) there:
/// orientation 1, size tags updated, an embedded thumbnail replaced by one of these pixels, an ICC profile of another colour
/// space dropped, picture.provenance in the XMP; IPTC becomes XMP in formats without a place for it. What cannot be kept is a
/// warning. Threads: safe.
[[nodiscard]] Metadata prepare_for(const Metadata& metadata, FileFormat format, const Picture& picture, int channels,
                                   std::string& warnings);

}  // namespace retouchd::image
