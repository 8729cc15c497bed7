#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "image/output_file.h"
#include "image/picture.h"
#include "image/plane_memory.h"

namespace retouchd::image {

/// What a file may ask of us, checked from its header before memory is touched; and what of it is wanted.
struct DecodeLimits {
  double megapixels = 400.0;       ///< of all pages that are wanted
  std::uint32_t side = 65'500;     ///< pixels
  Bytes metadata = mebibytes(16);  ///< larger EXIF/XMP/ICC blocks are dropped with a warning
  int jpeg_scans = 100;
  int frames = 1000;       ///< pages or pictures of an animation in one file
  bool all_pages = false;  ///< of a TIFF; false: the first one
  /// kExtendedSrgb: pictures with another ICC profile are converted, so that a network which knows only sRGB sees true colours.
  WorkingSpace space = WorkingSpace::kFile;
};

struct EncodeOptions {
  int jpeg_quality = 95;  ///< 1..100; 4:4:4 from 90 up, else 4:2:0
  int png_level = 3;      ///< zlib, 0..9
  int webp_quality = 95;  ///< 1..100; 100 is lossless
  int avif_quality = 80;  ///< 1..100; 100 is lossless
  int avif_speed = 8;     ///< 0 (slow, small) .. 10
  int jxl_quality = 90;   ///< 1..100 as JPEG's; 100 is lossless
  int jxl_effort = 4;     ///< 1 (fast) .. 9
  enum class TiffCompression { kNone, kLzw, kDeflate } tiff_compression = TiffCompression::kDeflate;
  enum class Metadata { kKeep, kStrip } metadata = Metadata::kKeep;
};

/// The type by its first bytes; the suffix is never asked. kInputEmpty, or kUnsupportedFormat naming what it
/// looks like where we know ("a PDF document", "a GIF picture", ...).
[[nodiscard]] Result<FileFormat> sniff(std::span<const std::uint8_t> data);

/// The header of a file, checked against `limits`: kPictureTooLarge with the numbers. `data` is the whole file.
[[nodiscard]] Result<PictureHeader> read_header(std::span<const std::uint8_t> data, const DecodeLimits& limits);

/// Decodes one picture: orientation applied, gray stays one channel, 16-bit stays 16-bit, floats become 0..1 with their range
/// beside them, palettes and 1/2/4-bit become 8-bit, alpha apart; CMYK is converted to sRGB through its ICC profile, and refused
/// without one (kUnsupportedFormat). kTruncatedPicture when the data end early, kCorruptPicture otherwise.
/// Unreadable metadata is a warning on the picture, never a failure. Threads: safe.
[[nodiscard]] Result<Picture> decode(std::span<const std::uint8_t> data, const DecodeLimits& limits);
/// The same into planes of `memory`, which has room for header.decoded_bytes().
[[nodiscard]] Result<Picture> decode(std::span<const std::uint8_t> data, const DecodeLimits& limits, PlaneMemory& memory);

/// Whether `format` can be written and keeps every channel, bit and page of `picture`.
[[nodiscard]] bool can_hold(const Picture& picture, FileFormat format) noexcept;

/// The format that can hold `picture` and is nearest to `wanted` (docs/formats.md): JPEG for HEIC, 16-bit TIFF for camera raw,
/// PNG where alpha or 16 bits do not fit, TIFF for floats and several pages.
[[nodiscard]] FileFormat format_for(const Picture& picture, FileFormat wanted) noexcept;

/// Writes a complete file with the picture's metadata: orientation tag set to 1, pixel size tags updated, an embedded thumbnail
/// replaced, ICC attached, provenance in XMP. `format` must be able to hold the picture (format_for). `warning`, if given,
/// receives what of the metadata could not be kept. Threads: safe.
[[nodiscard]] Result<void> encode(const Picture& picture, FileFormat format, const EncodeOptions& options, OutputFile& file,
                                  std::string* warning = nullptr);
/// The same in memory.
[[nodiscard]] Result<std::vector<std::uint8_t>> encode(const Picture& picture, FileFormat format, const EncodeOptions& options,
                                                       std::string* warning = nullptr);

}  // namespace retouchd::image
