#include "image/codec.h"

#include <fmt/format.h>

#include <exception>
#include <new>
#include <opencv2/core.hpp>
#include <utility>

#include "image/format_codec.h"
#include "image/metadata.h"
#include "image/orientation.h"
#include "image/signature.h"

namespace retouchd::image {
namespace {

constexpr int kJpegSide = 65'500;  // JPEG_MAX_DIMENSION of libjpeg
constexpr int kWebpSide = 16'383;  // 14 bits

Result<PictureHeader> read_header_of(FileFormat format, ByteSpan data) {
  switch (format) {
    case FileFormat::kJpeg:
      return read_jpeg_header(data);
    case FileFormat::kPng:
      return read_png_header(data);
    case FileFormat::kTiff:
      return read_tiff_header(data);
    case FileFormat::kWebp:
      return read_webp_header(data);
  }
  return make_error(ErrorCode::kInternal, "no such picture format");
}

Result<StoredPicture> decode_as(FileFormat format, ByteSpan data, const DecodeLimits& limits) {
  switch (format) {
    case FileFormat::kJpeg:
      return decode_jpeg(data, limits);
    case FileFormat::kPng:
      return decode_png(data, limits);
    case FileFormat::kTiff:
      return decode_tiff(data, limits);
    case FileFormat::kWebp:
      return decode_webp(data, limits);
  }
  return make_error(ErrorCode::kInternal, "no such picture format");
}

Result<void> check_limits(const PictureHeader& header, const DecodeLimits& limits) {
  if (header.width == 0 || header.height == 0) {
    return make_error(ErrorCode::kCorruptPicture, fmt::format("the header says {}x{} pixels", header.width, header.height));
  }
  if (header.megapixels() > limits.megapixels) {
    return make_error(ErrorCode::kPictureTooLarge, fmt::format("{}x{} = {:g} MP; limits.megapixels is {:g}", header.width,
                                                               header.height, header.megapixels(), limits.megapixels));
  }
  if (header.width > limits.side || header.height > limits.side) {
    return make_error(ErrorCode::kPictureTooLarge,
                      fmt::format("{}x{} has a side beyond limits.side, which is {}", header.width, header.height, limits.side));
  }
  return {};
}

Picture make_upright(StoredPicture stored, FileFormat format) {
  int orientation = stored.orientation;
  if (orientation == 0 && !stored.metadata.exif.empty()) {
    Result<int> found = read_orientation(stored.metadata.exif);
    if (!found) {
      add_warning(stored.warnings, found.error().message);
      stored.metadata.exif.clear();
    }
    orientation = found.ok() ? *found : 1;
  }
  Picture picture;
  picture.format = format;
  picture.colour = upright(stored.colour, orientation);
  stored.colour.release();
  picture.alpha = upright(stored.alpha, orientation);
  if (swaps_sides(orientation)) std::swap(stored.metadata.dpi_x, stored.metadata.dpi_y);
  if (!stored.metadata.empty()) picture.metadata = std::make_shared<const Metadata>(std::move(stored.metadata));
  picture.metadata_warning = std::move(stored.warnings);
  return picture;
}

bool can_hold(const Picture& picture, FileFormat format) noexcept {
  const int side = std::max(picture.width(), picture.height());
  switch (format) {
    case FileFormat::kJpeg:
      return !picture.is_16_bit() && picture.alpha.empty() && side <= kJpegSide;
    case FileFormat::kWebp:
      return !picture.is_16_bit() && side <= kWebpSide;
    case FileFormat::kPng:
    case FileFormat::kTiff:
      return true;
  }
  return false;
}

Result<void> check_picture(const Picture& picture, FileFormat format) {
  const cv::Mat& colour = picture.colour;
  const bool is_known =
      colour.type() == CV_8UC1 || colour.type() == CV_8UC3 || colour.type() == CV_16UC1 || colour.type() == CV_16UC3;
  const bool alpha_fits =
      picture.alpha.empty() || (picture.alpha.size() == colour.size() && picture.alpha.type() == CV_MAKETYPE(colour.depth(), 1));
  if (colour.empty() || !is_known || !alpha_fits) {
    return make_error(ErrorCode::kInternal, "a picture to encode has planes of unknown type or unequal size");
  }
  if (!can_hold(picture, format)) {
    return make_error(ErrorCode::kInternal,
                      fmt::format("{} cannot hold this picture of {}x{}, {} bits{}", name_of(format), colour.cols, colour.rows,
                                  picture.is_16_bit() ? 16 : 8, picture.alpha.empty() ? "" : ", with alpha"));
  }
  return {};
}

Result<ByteVector> encode_as(const Picture& picture, FileFormat format, const EncodeOptions& options, const Metadata& blocks,
                             std::string& warnings) {
  switch (format) {
    case FileFormat::kJpeg:
      return encode_jpeg(picture, options, blocks, warnings);
    case FileFormat::kPng:
      return encode_png(picture, options, blocks, warnings);
    case FileFormat::kTiff:
      return encode_tiff(picture, options, blocks, warnings);
    case FileFormat::kWebp:
      return encode_webp(picture, options, blocks, warnings);
  }
  return make_error(ErrorCode::kInternal, "no such picture format");
}

/// Runs `work`; what libraries throw becomes an error.
template <class T, class Work>
Result<T> guarded(ErrorCode code, std::string_view what, Work&& work) {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    return make_error(ErrorCode::kOverMemoryBudget, fmt::format("not enough memory to {}", what));
  } catch (const cv::Exception& thrown) {
    const bool is_memory = thrown.code == cv::Error::StsNoMem;
    return make_error(
        is_memory ? ErrorCode::kOverMemoryBudget : ErrorCode::kInternal,
        is_memory ? fmt::format("not enough memory to {}", what) : fmt::format("cannot {}: {}", what, thrown.what()));
  } catch (const std::exception& thrown) {
    return make_error(code, fmt::format("cannot {}: {}", what, thrown.what()));
  }
}

}  // namespace

Result<FileFormat> sniff(std::span<const std::uint8_t> data) {
  if (data.empty()) return make_error(ErrorCode::kInputEmpty, "the file is empty");
  const Signature signature = signature_of(data);
  if (signature.format) return *signature.format;
  if (signature.is_cut) {
    return make_error(ErrorCode::kTruncatedPicture, fmt::format("the file ends after {} bytes", data.size()));
  }
  if (!signature.looks_like.empty()) {
    return make_error(ErrorCode::kUnsupportedFormat, fmt::format("this is {}, whatever its name says", signature.looks_like));
  }
  return make_error(ErrorCode::kUnsupportedFormat, "this is not a JPEG, PNG, TIFF or WebP picture");
}

Result<PictureHeader> read_header(std::span<const std::uint8_t> data, const DecodeLimits& limits) {
  return guarded<PictureHeader>(ErrorCode::kCorruptPicture, "read the header", [&]() -> Result<PictureHeader> {
    Result<FileFormat> format = sniff(data);
    if (!format) return format.error();
    Result<PictureHeader> header = read_header_of(*format, data);
    if (!header) return header;
    if (Result<void> checked = check_limits(*header, limits); !checked) return checked.error();
    return header;
  });
}

Result<Picture> decode(std::span<const std::uint8_t> data, const DecodeLimits& limits) {
  return guarded<Picture>(ErrorCode::kCorruptPicture, "decode the picture", [&]() -> Result<Picture> {
    Result<PictureHeader> header = read_header(data, limits);
    if (!header) return header.error();
    Result<StoredPicture> stored = decode_as(header->format, data, limits);
    if (!stored) return stored.error();
    return make_upright(std::move(stored).value(), header->format);
  });
}

FileFormat format_for(const Picture& picture, FileFormat wanted) noexcept {
  return can_hold(picture, wanted) ? wanted : FileFormat::kPng;
}

Result<std::vector<std::uint8_t>> encode(const Picture& picture, FileFormat format, const EncodeOptions& options,
                                         std::string* warning) {
  return guarded<ByteVector>(ErrorCode::kInternal, "encode the picture", [&]() -> Result<ByteVector> {
    if (Result<void> checked = check_picture(picture, format); !checked) return checked.error();
    Metadata source = picture.metadata ? *picture.metadata : Metadata{};
    if (options.metadata == EncodeOptions::Metadata::kStrip) {
      source.exif.clear();
      source.xmp.clear();
      source.iptc.clear();
    }
    // WebP knows no gray: its pixels are written as colour, and so must its profile be.
    const int channels = format == FileFormat::kWebp ? 3 : picture.colour.channels();
    std::string warnings;
    const Metadata blocks = prepare_for(source, format, picture.width(), picture.height(), channels, warnings);
    Result<ByteVector> file = encode_as(picture, format, options, blocks, warnings);
    if (warning != nullptr) *warning = std::move(warnings);
    return file;
  });
}

}  // namespace retouchd::image
