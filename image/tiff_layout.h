#pragma once

#include "base/result.h"
#include "image/picture.h"
#include "image/tiff_stream.h"

namespace retouchd::image {

/// How one directory of a TIFF stores its pixels, and what they become.
struct TiffLayout {
  PictureHeader header;  ///< frames, working and more_pages are not set here
  int compression = COMPRESSION_NONE;
  int bits = 8;            ///< of a sample as stored: 1..16, or 16 and 32 for floats
  int samples = 1;         ///< of a pixel as stored
  int stored_colours = 1;  ///< of them: 1 gray or palette, 3 RGB, 4 CMYK
  int colours = 1;         ///< in the plane that they are unpacked into: 1, 3 or, for CMYK, 4
  bool has_alpha = false;
  bool is_premultiplied = false;
  bool is_inverted = false;  ///< zero is white
  bool is_palette = false;
  bool is_planar = false;
  bool is_float = false;
  bool is_tiled = false;
  int block_width = 0;  ///< of a tile, or of a strip: the picture's
  int block_height = 0;

  [[nodiscard]] bool is_cmyk() const noexcept { return stored_colours == 4; }
  [[nodiscard]] int depth() const noexcept;  ///< of the planes: CV_8U, CV_16U or CV_32F
  /// How many samples a row of a strip or tile has for each pixel.
  [[nodiscard]] int samples_in_row() const noexcept { return is_planar ? 1 : samples; }
  [[nodiscard]] std::uint64_t row_bytes() const noexcept;  ///< of a strip or tile, as decoded
  [[nodiscard]] std::uint64_t block_bytes() const noexcept { return row_bytes() * static_cast<std::uint64_t>(block_height); }
  /// Rows are stored as they lie in the colour plane.
  [[nodiscard]] bool is_as_in_memory() const noexcept;
};

/// Of the current directory. kUnsupportedFormat says what it is that we do not restore. Prepares libtiff to give JPEG as RGB.
[[nodiscard]] Result<TiffLayout> read_tiff_layout(const TiffStream& stream);

/// What is held while its pixels are decoded, besides the planes in memory and the file: buffers here and in the decompressors.
[[nodiscard]] Bytes tiff_working(TIFF* tiff, const TiffLayout& layout);

/// Strips larger than this are unpacked row by row.
inline constexpr std::uint64_t kTiffStripBuffer = 4U << 20;

}  // namespace retouchd::image
