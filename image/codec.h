#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "image/picture.h"

namespace retouchd::image {

/// What a file may ask of us, checked from its header before memory is touched.
struct DecodeLimits {
  double megapixels = 100.0;
  std::uint32_t side = 65'500;     ///< pixels
  Bytes metadata = mebibytes(16);  ///< larger EXIF/XMP/ICC blocks are dropped with a warning
  int jpeg_scans = 100;
};

struct EncodeOptions {
  int jpeg_quality = 95;  ///< 1..100; 4:4:4 from 90 up, else 4:2:0
  int png_level = 3;      ///< zlib, 0..9
  int webp_quality = 95;  ///< 1..100; 100 is lossless
  enum class Metadata { kKeep, kStrip } metadata = Metadata::kKeep;
};

/// The type by its first bytes; the suffix is never asked. kInputEmpty, or kUnsupportedFormat naming what it
/// looks like where we know ("a PDF document", "a HEIC picture", ...).
[[nodiscard]] Result<FileFormat> sniff(std::span<const std::uint8_t> data);

/// The header of a JPEG, PNG, TIFF or WebP file, checked against `limits`: kPictureTooLarge with the numbers.
/// `data` is the whole file, or at least its beginning.
[[nodiscard]] Result<PictureHeader> read_header(std::span<const std::uint8_t> data, const DecodeLimits& limits);

/// Decodes one picture: orientation applied, gray stays one channel, 16-bit stays 16-bit, palettes and 1/2/4-bit become 8-bit,
/// alpha apart, CMYK refused (kUnsupportedFormat). kTruncatedPicture when the data end early, kCorruptPicture otherwise.
/// Unreadable metadata is a warning on the picture, never a failure. Threads: safe.
[[nodiscard]] Result<Picture> decode(std::span<const std::uint8_t> data, const DecodeLimits& limits);

/// The format that can hold `picture` and is nearest to `wanted`: JPEG cannot hold alpha or 16 bits (PNG can),
/// WebP cannot hold 16 bits (PNG can), the others hold all.
[[nodiscard]] FileFormat format_for(const Picture& picture, FileFormat wanted) noexcept;

/// A complete file in memory with the picture's metadata: orientation tag set to 1, pixel size tags updated, stale EXIF thumbnail
/// dropped, ICC attached. `format` must be able to hold the picture (format_for). `warning`, if given, receives what of the
/// metadata could not be kept. Threads: safe.
[[nodiscard]] Result<std::vector<std::uint8_t>> encode(const Picture& picture, FileFormat format, const EncodeOptions& options,
                                                       std::string* warning = nullptr);

}  // namespace retouchd::image
