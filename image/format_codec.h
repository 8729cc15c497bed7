#pragma once

#include <opencv2/core/mat.hpp>
#include <string>

#include "base/result.h"
#include "image/codec.h"
#include "image/metadata.h"
#include "image/picture.h"

/// What jpeg.cpp, png.cpp, tiff.cpp and webp.cpp each offer to codec.cpp. Threads: all safe.
namespace retouchd::image {

/// A picture as stored: not yet upright.
struct StoredPicture {
  cv::Mat colour;
  cv::Mat alpha;
  Metadata metadata;
  int orientation = 0;  ///< 1..8 where the format itself says so (TIFF); 0: ask the EXIF
  std::string warnings;
};

[[nodiscard]] Result<PictureHeader> read_jpeg_header(ByteSpan data);
[[nodiscard]] Result<PictureHeader> read_png_header(ByteSpan data);
[[nodiscard]] Result<PictureHeader> read_tiff_header(ByteSpan data);
[[nodiscard]] Result<PictureHeader> read_webp_header(ByteSpan data);

/// Only after the header was checked against the limits.
[[nodiscard]] Result<StoredPicture> decode_jpeg(ByteSpan data, const DecodeLimits& limits);
[[nodiscard]] Result<StoredPicture> decode_png(ByteSpan data, const DecodeLimits& limits);
[[nodiscard]] Result<StoredPicture> decode_tiff(ByteSpan data, const DecodeLimits& limits);
[[nodiscard]] Result<StoredPicture> decode_webp(ByteSpan data, const DecodeLimits& limits);

/// `blocks` are embedded as they are; those that the format cannot hold are named in `warnings`.
[[nodiscard]] Result<ByteVector> encode_jpeg(const Picture& picture, const EncodeOptions& options, const Metadata& blocks,
                                             std::string& warnings);
[[nodiscard]] Result<ByteVector> encode_png(const Picture& picture, const EncodeOptions& options, const Metadata& blocks,
                                            std::string& warnings);
[[nodiscard]] Result<ByteVector> encode_tiff(const Picture& picture, const EncodeOptions& options, const Metadata& blocks,
                                             std::string& warnings);
[[nodiscard]] Result<ByteVector> encode_webp(const Picture& picture, const EncodeOptions& options, const Metadata& blocks,
                                             std::string& warnings);

/// Colour and alpha of a picture whose last channel of `interleaved` is alpha (2 or 4 channels), and the reverse.
void split_alpha(const cv::Mat& interleaved, cv::Mat& colour, cv::Mat& alpha);
[[nodiscard]] cv::Mat join_alpha(const cv::Mat& colour, const cv::Mat& alpha);

}  // namespace retouchd::image
