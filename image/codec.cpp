#include "image/codec.h"

#include <fmt/format.h>

#include <exception>
#include <new>
#include <opencv2/core.hpp>
#include <utility>

#include "image/colour.h"
#include "image/format_codec.h"
#include "image/jpeg_segments.h"
#include "image/metadata.h"
#include "image/orientation.h"
#include "image/signature.h"

namespace retouchd::image {
namespace {

constexpr int kJpegSide = 65'500;  // JPEG_MAX_DIMENSION of libjpeg
constexpr int kWebpSide = 16'383;  // 14 bits
constexpr int kAvifSide = 65'535;

Result<PictureHeader> read_header_of(FileFormat format, ByteSpan data, const DecodeLimits& limits) {
  switch (format) {
    case FileFormat::kJpeg:
      return read_jpeg_header(data, limits);
    case FileFormat::kPng:
      return read_png_header(data, limits);
    case FileFormat::kTiff:
      return read_tiff_header(data, limits);
    case FileFormat::kWebp:
      return read_webp_header(data, limits);
    case FileFormat::kAvif:
      return read_avif_header(data, limits);
    case FileFormat::kHeic:
      return read_heic_header(data, limits);
    case FileFormat::kJxl:
      return read_jxl_header(data, limits);
    case FileFormat::kPnm:
      return read_pnm_header(data, limits);
    case FileFormat::kRaw:
      return read_raw_header(data, limits);
  }
  return make_error(ErrorCode::kInternal, "no such picture format");
}

Result<StoredPicture> decode_as(FileFormat format, ByteSpan data, const DecodeLimits& limits, PlaneMemory& memory) {
  switch (format) {
    case FileFormat::kJpeg:
      return decode_jpeg(data, limits, memory);
    case FileFormat::kPng:
      return decode_png(data, limits, memory);
    case FileFormat::kTiff:
      return decode_tiff(data, limits, memory);
    case FileFormat::kWebp:
      return decode_webp(data, limits, memory);
    case FileFormat::kAvif:
      return decode_avif(data, limits, memory);
    case FileFormat::kHeic:
      return decode_heic(data, limits, memory);
    case FileFormat::kJxl:
      return decode_jxl(data, limits, memory);
    case FileFormat::kPnm:
      return decode_pnm(data, limits, memory);
    case FileFormat::kRaw:
      return decode_raw(data, limits, memory);
  }
  return make_error(ErrorCode::kInternal, "no such picture format");
}

/// Pixels that a byte of a genuine picture stands for at most; what packs more is a bomb (or a blank page: small ones may).
constexpr double kMostPixelsPerByte = 2000.0;
constexpr double kAlwaysFine = 16.0;  // MP

Result<void> check_limits(const PictureHeader& header, std::size_t file, const DecodeLimits& limits) {
  const auto too_large = [&](std::string_view reason) {
    return make_error(ErrorCode::kPictureTooLarge, fmt::format("{}x{} {}", header.width, header.height, reason));
  };
  if (header.width == 0 || header.height == 0) {
    return make_error(ErrorCode::kCorruptPicture, fmt::format("the header says {}x{} pixels", header.width, header.height));
  }
  if (header.megapixels() > limits.megapixels) {
    return too_large(fmt::format("= {:g} MP; limits.megapixels is {:g}", header.megapixels(), limits.megapixels));
  }
  if (header.width > limits.side || header.height > limits.side) {
    return too_large(fmt::format("has a side beyond limits.side, which is {}", limits.side));
  }
  if (header.megapixels() > kAlwaysFine && header.megapixels() * 1e6 > kMostPixelsPerByte * static_cast<double>(file)) {
    return too_large(fmt::format("in a file of {} is a decompression bomb", to_string(Bytes{file})));
  }
  if (header.frames > limits.frames) {
    return make_error(ErrorCode::kPictureTooLarge,
                      fmt::format("the file has {} pictures; limits.frames is {}", header.frames, limits.frames));
  }
  return {};
}

/// `stored` turned by `orientation`, in `memory`.
cv::Mat upright_in(PlaneMemory& memory, cv::Mat& stored, int orientation) {
  if (stored.empty()) return {};
  const bool is_turned = orientation >= 2 && orientation <= 8;
  if (!is_turned && memory.owns(stored)) return stored;
  const cv::Size size = swaps_sides(orientation) ? cv::Size(stored.rows, stored.cols) : stored.size();
  if (!memory.owns(stored)) {
    cv::Mat place = memory.make(size, stored.type());
    upright(stored, orientation).copyTo(place);
    return place;
  }
  cv::Mat turned = upright(stored, orientation);
  if (dynamic_cast<HeapPlanes*>(&memory) != nullptr) return turned;
  // Its room is there already, in another shape.
  cv::Mat place(size, stored.type(), stored.data);
  turned.copyTo(place);
  return place;
}

int orientation_of_jpeg(ByteSpan data, Bytes limit) {
  Metadata metadata;
  std::string ignored;
  read_jpeg_segments(data, limit, metadata, ignored);
  if (metadata.exif.empty()) return 1;
  const Result<int> orientation = read_orientation(metadata.exif);
  return orientation.ok() ? *orientation : 1;
}

Picture make_upright(StoredPicture stored, FileFormat format, PlaneMemory& memory) {
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
  picture.colour = upright_in(memory, stored.colour, orientation);
  stored.colour.release();
  picture.alpha = upright_in(memory, stored.alpha, orientation);
  stored.alpha.release();
  picture.orientation = orientation >= 1 && orientation <= 8 ? orientation : 1;
  picture.range = stored.range;
  picture.file_bits = stored.file_bits > 0 ? stored.file_bits : static_cast<int>(picture.colour.elemSize1()) * 8;
  if (swaps_sides(orientation)) std::swap(stored.metadata.dpi_x, stored.metadata.dpi_y);
  if (!stored.metadata.empty()) picture.metadata = std::make_shared<const Metadata>(std::move(stored.metadata));
  picture.metadata_warning = std::move(stored.warnings);
  for (StoredPicture& page : stored.pages) picture.pages.push_back(make_upright(std::move(page), format, memory));
  return picture;
}

/// Depth of the planes as the file gets them.
int depth_in_file(const Picture& picture) noexcept {
  if (picture.space == WorkingSpace::kFile) return picture.colour.depth();
  return picture.file_bits == 8 ? CV_8U : picture.file_bits == 16 ? CV_16U : CV_32F;
}

bool is_known_type(int type) noexcept {
  const int depth = CV_MAT_DEPTH(type);
  const int channels = CV_MAT_CN(type);
  return (depth == CV_8U || depth == CV_16U || depth == CV_32F) && (channels == 1 || channels == 3);
}

Result<void> check_picture(const Picture& picture, FileFormat format) {
  const cv::Mat& colour = picture.colour;
  const bool alpha_fits =
      picture.alpha.empty() || (picture.alpha.size() == colour.size() && picture.alpha.type() == CV_MAKETYPE(colour.depth(), 1));
  if (colour.empty() || !is_known_type(colour.type()) || !alpha_fits) {
    return make_error(ErrorCode::kInternal, "a picture to encode has planes of unknown type or unequal size");
  }
  if (!can_hold(picture, format)) {
    return make_error(ErrorCode::kInternal,
                      fmt::format("{} cannot hold this picture of {}x{}, {} bits{}", name_of(format), colour.cols, colour.rows,
                                  8 * colour.elemSize1(), picture.alpha.empty() ? "" : ", with alpha"));
  }
  return {};
}

Result<void> encode_as(const Picture& picture, FileFormat format, const EncodeOptions& options, const Metadata& blocks,
                       OutputFile& file, std::string& warnings) {
  switch (format) {
    case FileFormat::kJpeg:
      return encode_jpeg(picture, options, blocks, file, warnings);
    case FileFormat::kPng:
      return encode_png(picture, options, blocks, file, warnings);
    case FileFormat::kTiff:
      return encode_tiff(picture, options, blocks, file, warnings);
    case FileFormat::kWebp:
      return encode_webp(picture, options, blocks, file, warnings);
    case FileFormat::kAvif:
      return encode_avif(picture, options, blocks, file, warnings);
    case FileFormat::kJxl:
      return encode_jxl(picture, options, blocks, file, warnings);
    case FileFormat::kPnm:
      return encode_pnm(picture, options, blocks, file, warnings);
    case FileFormat::kHeic:
    case FileFormat::kRaw:
      break;
  }
  return make_error(ErrorCode::kInternal, fmt::format("{} is not written", name_of(format)));
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

/// Without the orientation, which decoding finds by itself.
Result<PictureHeader> checked_header(ByteSpan data, const DecodeLimits& limits) {
  Result<FileFormat> format = sniff(data);
  if (!format) return format.error();
  Result<PictureHeader> header = read_header_of(*format, data, limits);
  if (!header) return header;
  if (Result<void> checked = check_limits(*header, data.size(), limits); !checked) return checked.error();
  if (limits.space == WorkingSpace::kExtendedSrgb) header->bits = 32;  // should its profile ask for it
  return header;
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
  return make_error(ErrorCode::kUnsupportedFormat, "this is not a picture of a kind that is read (docs/formats.md)");
}

Result<PictureHeader> read_header(std::span<const std::uint8_t> data, const DecodeLimits& limits) {
  return guarded<PictureHeader>(ErrorCode::kCorruptPicture, "read the header", [&]() -> Result<PictureHeader> {
    Result<PictureHeader> header = checked_header(data, limits);
    if (header && header->format == FileFormat::kJpeg) header->orientation = orientation_of_jpeg(data, limits.metadata);
    return header;
  });
}

Result<Picture> decode(std::span<const std::uint8_t> data, const DecodeLimits& limits) {
  HeapPlanes memory;
  return decode(data, limits, memory);
}

Result<Picture> decode(std::span<const std::uint8_t> data, const DecodeLimits& limits, PlaneMemory& memory) {
  return guarded<Picture>(ErrorCode::kCorruptPicture, "decode the picture", [&]() -> Result<Picture> {
    Result<PictureHeader> header = checked_header(data, limits);
    if (!header) return header.error();
    const bool is_converted = limits.space == WorkingSpace::kExtendedSrgb;
    HeapPlanes heap;
    Result<StoredPicture> stored = decode_as(header->format, data, limits, is_converted ? heap : memory);
    if (!stored) return stored.error();
    if (!is_converted) return make_upright(std::move(stored).value(), header->format, memory);
    Picture picture = make_upright(std::move(stored).value(), header->format, heap);
    to_extended_srgb(picture, memory);
    return picture;
  });
}

bool can_hold(const Picture& picture, FileFormat format) noexcept {
  const int side = std::max(picture.width(), picture.height());
  const int depth = depth_in_file(picture);
  if (format == FileFormat::kTiff) return true;
  if (!picture.pages.empty()) return false;
  switch (format) {
    case FileFormat::kJpeg:
      return depth == CV_8U && picture.alpha.empty() && side <= kJpegSide;
    case FileFormat::kWebp:
      return depth == CV_8U && side <= kWebpSide;
    case FileFormat::kAvif:
      return depth == CV_8U && side <= kAvifSide;
    case FileFormat::kPnm:
      return depth != CV_32F && picture.alpha.empty();
    case FileFormat::kPng:
      return depth != CV_32F;
    case FileFormat::kJxl:
      return true;
    default:
      return false;
  }
}

FileFormat format_for(const Picture& picture, FileFormat wanted) noexcept {
  if (wanted == FileFormat::kRaw) return FileFormat::kTiff;
  if (wanted == FileFormat::kHeic) wanted = FileFormat::kJpeg;
  if (can_hold(picture, wanted)) return wanted;
  return can_hold(picture, FileFormat::kPng) ? FileFormat::kPng : FileFormat::kTiff;
}

Result<void> encode(const Picture& picture, FileFormat format, const EncodeOptions& options, OutputFile& file,
                    std::string* warning) {
  return guarded<void>(ErrorCode::kInternal, "encode the picture", [&]() -> Result<void> {
    if (Result<void> checked = check_picture(picture, format); !checked) return checked;
    Picture converted;
    if (picture.space == WorkingSpace::kExtendedSrgb) {
      Result<Picture> back = to_file_space(picture);
      if (!back) return back.error();
      converted = *std::move(back);
    }
    const Picture& ready = picture.space == WorkingSpace::kExtendedSrgb ? converted : picture;
    Metadata source = ready.metadata ? *ready.metadata : Metadata{};
    if (options.metadata == EncodeOptions::Metadata::kStrip) {
      source.exif.clear();
      source.xmp.clear();
      source.iptc.clear();
      source.comment.clear();
      source.texts.clear();
    }
    // WebP knows no gray: its pixels are written as colour, and so must its profile be.
    const int channels = format == FileFormat::kWebp ? 3 : ready.colour.channels();
    std::string warnings;
    const Metadata blocks = prepare_for(source, format, ready, channels, warnings);
    Result<void> encoded = encode_as(ready, format, options, blocks, file, warnings);
    if (warning != nullptr) *warning = std::move(warnings);
    return encoded;
  });
}

Result<std::vector<std::uint8_t>> encode(const Picture& picture, FileFormat format, const EncodeOptions& options,
                                         std::string* warning) {
  MemoryFile file;
  if (Result<void> encoded = encode(picture, format, options, file, warning); !encoded) return encoded.error();
  return file.take();
}

}  // namespace retouchd::image
