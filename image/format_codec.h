#pragma once

#include <opencv2/core/mat.hpp>
#include <string>
#include <vector>

#include "base/result.h"
#include "image/codec.h"
#include "image/metadata.h"
#include "image/picture.h"

/// What the file of each format (jpeg.cpp, png.cpp, ...) offers to codec.cpp. Threads: all safe.
namespace retouchd::image {

/// A picture as stored: not yet upright.
struct StoredPicture {
  cv::Mat colour;
  cv::Mat alpha;
  Metadata metadata;
  int orientation = 0;  ///< 1..8 where the format itself says so (TIFF, HEIC: 1, already turned); 0: ask the EXIF
  ValueRange range;     ///< of CV_32F planes
  int file_bits = 0;    ///< as Picture::file_bits; 0: that of the planes
  std::string warnings;
  std::vector<StoredPicture> pages;  ///< of a TIFF, when all were asked for
};

/// Up to what `limits` decides about: which pages are wanted.
[[nodiscard]] Result<PictureHeader> read_jpeg_header(ByteSpan data, const DecodeLimits& limits);
[[nodiscard]] Result<PictureHeader> read_png_header(ByteSpan data, const DecodeLimits& limits);
[[nodiscard]] Result<PictureHeader> read_tiff_header(ByteSpan data, const DecodeLimits& limits);
[[nodiscard]] Result<PictureHeader> read_webp_header(ByteSpan data, const DecodeLimits& limits);
[[nodiscard]] Result<PictureHeader> read_avif_header(ByteSpan data, const DecodeLimits& limits);
[[nodiscard]] Result<PictureHeader> read_heic_header(ByteSpan data, const DecodeLimits& limits);
[[nodiscard]] Result<PictureHeader> read_jxl_header(ByteSpan data, const DecodeLimits& limits);
[[nodiscard]] Result<PictureHeader> read_pnm_header(ByteSpan data, const DecodeLimits& limits);
[[nodiscard]] Result<PictureHeader> read_raw_header(ByteSpan data, const DecodeLimits& limits);

/// Sets up what reading HEIC needs, once per process; afterwards no file is opened for it. For processes that lock themselves in.
void prepare_heic();

/// Only after the header was checked against the limits. Planes lie in `memory` where the codec can write there directly.
[[nodiscard]] Result<StoredPicture> decode_jpeg(ByteSpan data, const DecodeLimits& limits, PlaneMemory& memory);
[[nodiscard]] Result<StoredPicture> decode_png(ByteSpan data, const DecodeLimits& limits, PlaneMemory& memory);
[[nodiscard]] Result<StoredPicture> decode_tiff(ByteSpan data, const DecodeLimits& limits, PlaneMemory& memory);
[[nodiscard]] Result<StoredPicture> decode_webp(ByteSpan data, const DecodeLimits& limits, PlaneMemory& memory);
[[nodiscard]] Result<StoredPicture> decode_avif(ByteSpan data, const DecodeLimits& limits, PlaneMemory& memory);
[[nodiscard]] Result<StoredPicture> decode_heic(ByteSpan data, const DecodeLimits& limits, PlaneMemory& memory);
[[nodiscard]] Result<StoredPicture> decode_jxl(ByteSpan data, const DecodeLimits& limits, PlaneMemory& memory);
[[nodiscard]] Result<StoredPicture> decode_pnm(ByteSpan data, const DecodeLimits& limits, PlaneMemory& memory);
[[nodiscard]] Result<StoredPicture> decode_raw(ByteSpan data, const DecodeLimits& limits, PlaneMemory& memory);

/// `blocks` are embedded as they are; those that the format cannot hold are named in `warnings`.
[[nodiscard]] Result<void> encode_jpeg(const Picture& picture, const EncodeOptions& options, const Metadata& blocks,
                                       OutputFile& file, std::string& warnings);
[[nodiscard]] Result<void> encode_png(const Picture& picture, const EncodeOptions& options, const Metadata& blocks,
                                      OutputFile& file, std::string& warnings);
[[nodiscard]] Result<void> encode_tiff(const Picture& picture, const EncodeOptions& options, const Metadata& blocks,
                                       OutputFile& file, std::string& warnings);
[[nodiscard]] Result<void> encode_webp(const Picture& picture, const EncodeOptions& options, const Metadata& blocks,
                                       OutputFile& file, std::string& warnings);
[[nodiscard]] Result<void> encode_avif(const Picture& picture, const EncodeOptions& options, const Metadata& blocks,
                                       OutputFile& file, std::string& warnings);
[[nodiscard]] Result<void> encode_jxl(const Picture& picture, const EncodeOptions& options, const Metadata& blocks,
                                      OutputFile& file, std::string& warnings);
[[nodiscard]] Result<void> encode_pnm(const Picture& picture, const EncodeOptions& options, const Metadata& blocks,
                                      OutputFile& file, std::string& warnings);

/// Colour and alpha of a picture whose last channel of `interleaved` is alpha (2 or 4 channels), and the reverse.
void split_alpha(const cv::Mat& interleaved, PlaneMemory& memory, cv::Mat& colour, cv::Mat& alpha);
[[nodiscard]] cv::Mat join_alpha(const cv::Mat& colour, const cv::Mat& alpha);

}  // namespace retouchd::image
