#pragma once

#include <cstdint>
#include <functional>
#include <opencv2/core.hpp>
#include <string>
#include <string_view>

#include "image/metadata.h"

/// Files that our own encoders never write, made by the codec libraries or by hand.
namespace retouchd::image::testing {

enum class JpegKind {
  kBaseline,
  kProgressive,
  kCmyk,       ///< stored as it is, without Adobe's marker: 0 is no ink
  kAdobeCmyk,  ///< with Adobe's marker, which turns it round: 255 is no ink
  kAdobeYcck,  ///< the same as brightness, colours and black
  kArithmetic
};

/// `pixels` (CV_8UC1, CV_8UC3, or CV_8UC4 for the three CMYK kinds: 0 is no ink) as a JPEG of quality 95 with `icc`, if any. For
/// CMYK from three channels a fourth is made up.
ByteVector write_jpeg(const cv::Mat& pixels, JpegKind kind, const ByteVector& icc = {});

/// One PNG chunk with its CRC.
ByteVector png_chunk(std::string_view name, const ByteVector& data);

struct PngHeader {
  std::uint32_t width = 1;
  std::uint32_t height = 1;
  int bits = 8;
  int colour_type = 0;
};

/// A PNG with these chunks between header and pixels; `rows` are filter bytes and samples as stored.
ByteVector write_png(const PngHeader& header, const ByteVector& chunks, const ByteVector& rows);

/// What zlib makes of `data`.
ByteVector deflated(const ByteVector& data);

struct TiffKind {
  int compression = 1;
  int photometric = 2;
  int bits = 8;
  int samples = 3;
  int planar = 1;
  int tile_side = 0;  ///< 0: strips
  int rows_per_strip = 7;
  int orientation = 1;
  int extra_sample = -1;  ///< the tag's value; -1: no tag
  int sample_format = 1;
  bool is_big_endian = false;
  bool is_big_tiff = false;
  int pages = 1;
  const std::uint16_t* palette = nullptr;                 ///< all reds, greens, blues
  std::function<void(void* tiff, int page)> more_tags{};  ///< called with the TIFF* of each page, before its pixels
};

/// A TIFF whose rows (or rows of one plane, or of a tile) `row` hands out as stored: (plane, y, x of the first pixel, pixels).
ByteVector write_tiff(int width, int height, const TiffKind& kind,
                      const std::function<ByteVector(int plane, int y, int x, int count)>& row);

/// The same from `pixels` with as many channels as samples.
ByteVector write_tiff(const cv::Mat& pixels, const TiffKind& kind);

}  // namespace retouchd::image::testing
