#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "image/metadata.h"

/// Camera raw files made up for tests: little-endian TIFF structures with 16-bit samples behind them, uncompressed.
namespace retouchd::image::testing {

/// One entry of a TIFF directory: numbers of 1, 2, 4 or (RATIONAL, two numbers a value) 8 bytes.
struct TiffEntry {
  int tag = 0;
  int type = 3;  ///< TIFF's: 1 BYTE, 2 ASCII, 3 SHORT, 4 LONG, 5 RATIONAL, 10 SRATIONAL
  std::vector<std::int64_t> values;
};
using TiffEntries = std::vector<TiffEntry>;

TiffEntry text_entry(int tag, const std::string& text);
/// In ten-thousandths.
TiffEntry rational_entry(int tag, const std::vector<double>& values);

/// A file of these directories: the first, and those of its SubIFDs. Those that have StripOffsets (273, any value) get it set to
/// the place of `pixels`. `mark` stands between header and first directory.
ByteVector write_directories(TiffEntries first, std::vector<TiffEntries> inner, const std::vector<std::uint16_t>& pixels,
                             const std::string& mark = {});

/// Of a sensor with a RGGB filter whose colours are those of linear sRGB.
struct Sensor {
  int width = 128;
  int height = 96;
  int white = 16'383;
  int black = 512;
  std::array<double, 3> neutral{0.5, 1.0, 0.7};  ///< what it says of a gray
  /// Light at a place, linear sRGB 0..1.
  std::function<std::array<double, 3>(int x, int y)> light;

  [[nodiscard]] std::vector<std::uint16_t> samples() const;
};

/// The directory of a DNG.
TiffEntries dng_entries(const Sensor& sensor, int orientation = 1);
ByteVector write_dng(const Sensor& sensor, int orientation = 1);

}  // namespace retouchd::image::testing
