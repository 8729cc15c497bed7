// AVIF by libavif and dav1d: reading. Turning and cropping are stated in boxes of the container, which libavif only reports.

#include <avif/avif.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>
#include <opencv2/core.hpp>
#include <optional>

#include "image/cicp.h"
#include "image/format_codec.h"
#include "image/iso_boxes.h"
#include "image/samples.h"

namespace retouchd::image {
namespace {

struct DestroyDecoder {
  void operator()(avifDecoder* decoder) const { avifDecoderDestroy(decoder); }
};
using Decoder = std::unique_ptr<avifDecoder, DestroyDecoder>;

constexpr std::uint32_t kMostPixels = AVIF_DEFAULT_IMAGE_SIZE_LIMIT;  // libavif 0.11 knows no larger limit
constexpr std::uint32_t kMostPictures = 100'000;                      // of an animation: a table entry each

Error error_of(avifResult result, const avifDecoder& decoder, ByteSpan data) {
  const bool is_cut = is_cut_heif(data);
  switch (result) {
    case AVIF_RESULT_OUT_OF_MEMORY:
      return make_error(ErrorCode::kOverMemoryBudget, "not enough memory to decode the AVIF");
    case AVIF_RESULT_TRUNCATED_DATA:
    case AVIF_RESULT_IO_ERROR:
    case AVIF_RESULT_WAITING_ON_IO:
      return make_error(ErrorCode::kTruncatedPicture, "the AVIF ends early");
    case AVIF_RESULT_NOT_IMPLEMENTED:
    case AVIF_RESULT_UNSUPPORTED_DEPTH:
    case AVIF_RESULT_NO_CODEC_AVAILABLE:
    case AVIF_RESULT_NO_AV1_ITEMS_FOUND:
      if (!is_cut) {
        return make_error(ErrorCode::kUnsupportedFormat,
                          fmt::format("the AVIF cannot be read by libavif: {}", avifResultToString(result)));
      }
      break;
    default:
      break;
  }
  if (is_cut) return make_error(ErrorCode::kTruncatedPicture, "the AVIF ends early");
  return make_error(ErrorCode::kCorruptPicture, fmt::format("the AVIF is damaged: {}{}{}", avifResultToString(result),
                                                            decoder.diag.error[0] != '\0' ? ", " : "", decoder.diag.error));
}

/// A decoder that has read all boxes.
Result<Decoder> parse(ByteSpan data, std::uint32_t most_pixels) {
  Decoder decoder(avifDecoderCreate());
  if (!decoder) return make_error(ErrorCode::kOverMemoryBudget, "not enough memory to decode the AVIF");
  decoder->maxThreads = 1;
  decoder->imageSizeLimit = most_pixels;
  decoder->imageDimensionLimit = 0;  // limits.side is checked with the header
  decoder->imageCountLimit = kMostPictures;
  decoder->strictFlags = AVIF_STRICT_DISABLED;  // what it objects to, older writers left out and the picture does not need
  avifResult result = avifDecoderSetIOMemory(decoder.get(), data.data(), data.size());
  if (result == AVIF_RESULT_OK) result = avifDecoderParse(decoder.get());
  if (result != AVIF_RESULT_OK) return error_of(result, *decoder, data);
  return decoder;
}

/// The part that a `clap` box leaves, which is applied before the turns; all of it where there is none, or a senseless one.
avifCropRect crop_of(const avifImage& image, std::string* warnings) {
  const avifCropRect whole{0, 0, image.width, image.height};
  if ((image.transformFlags & AVIF_TRANSFORM_CLAP) == 0) return whole;
  avifCropRect crop{};
  avifDiagnostics diagnostics{};
  // As of 4:4:4: odd edges of the others are no problem here.
  if (avifCropRectConvertCleanApertureBox(&crop, &image.clap, image.width, image.height, AVIF_PIXEL_FORMAT_YUV444,
                                          &diagnostics) &&
      crop.width > 0 && crop.height > 0 && crop.x < image.width && crop.y < image.height && crop.width <= image.width - crop.x &&
      crop.height <= image.height - crop.y) {
    return crop;
  }
  if (warnings != nullptr) add_warning(*warnings, "the AVIF states a cut of its edges that makes no sense and is not made");
  return whole;
}

/// `irot` and `imir` as EXIF says the same: turned anticlockwise first, then mirrored (MIAF, 7.3.6.7).
int orientation_of(const avifImage& image) {
  constexpr std::array<std::array<int, 4>, 3> kOrientations{{{1, 8, 3, 6},    // by quarter turns, not mirrored
                                                             {4, 5, 2, 7},    // top and bottom change places
                                                             {2, 7, 4, 5}}};  // left and right do
  const std::size_t turns = (image.transformFlags & AVIF_TRANSFORM_IROT) != 0 ? image.irot.angle & 3U : 0;
  const std::size_t mirror = (image.transformFlags & AVIF_TRANSFORM_IMIR) != 0 ? 1 + (image.imir.mode & 1U) : 0;
  return kOrientations[mirror][turns];
}

PictureHeader header_of(const avifDecoder& decoder) {
  const avifImage& image = *decoder.image;
  const avifCropRect crop = crop_of(image, nullptr);
  PictureHeader header;
  header.format = FileFormat::kAvif;
  header.width = crop.width;
  header.height = crop.height;
  header.channels = (image.yuvFormat == AVIF_PIXEL_FORMAT_YUV400 ? 1 : 3) + (decoder.alphaPresent ? 1 : 0);
  header.bits = image.depth > 8 ? 16 : 8;
  header.frames = std::max(decoder.imageCount, 1);
  return header;
}

/// What libavif and dav1d hold besides the planes: the decoded samples, measured as those and 0.6 bytes per pixel, and once more
/// those of a picture put together from tiles, or with film grain.
Bytes working_of(const avifDecoder& decoder) {
  const avifImage& image = *decoder.image;
  avifPixelFormatInfo info{};
  avifGetPixelFormatInfo(image.yuvFormat, &info);
  const double chroma = image.yuvFormat == AVIF_PIXEL_FORMAT_YUV400 ? 0.0 : 2.0 / (1 << (info.chromaShiftX + info.chromaShiftY));
  const double samples = 1.0 + chroma + (decoder.alphaPresent ? 1.0 : 0.0);
  const double per_pixel = (2.0 * samples + 1.0) * (image.depth > 8 ? 2.0 : 1.0);
  return Bytes{static_cast<std::uint64_t>(per_pixel * image.width * image.height)} + mebibytes(16);
}

/// `image` cut to `crop`, and without alpha: libavif would multiply the colours by it. Its planes stay where they are.
avifImage colour_view(const avifImage& image, const avifCropRect& crop) {
  avifImage view = image;
  view.alphaPlane = nullptr;
  view.alphaRowBytes = 0;
  view.alphaPremultiplied = AVIF_FALSE;
  view.width = crop.width;
  view.height = crop.height;
  avifPixelFormatInfo info{};
  avifGetPixelFormatInfo(image.yuvFormat, &info);
  const std::uint32_t bytes = image.depth > 8 ? 2 : 1;
  for (std::size_t plane = 0; plane < AVIF_PLANE_COUNT_YUV; ++plane) {
    if (view.yuvPlanes[plane] == nullptr) continue;
    const int shift_x = plane == AVIF_CHAN_Y ? 0 : info.chromaShiftX;
    const int shift_y = plane == AVIF_CHAN_Y ? 0 : info.chromaShiftY;
    view.yuvPlanes[plane] += static_cast<std::size_t>(crop.y >> shift_y) * view.yuvRowBytes[plane] + (crop.x >> shift_x) * bytes;
  }
  return view;
}

avifResult convert(const avifImage& view, cv::Mat& colour) {
  if (view.yuvFormat == AVIF_PIXEL_FORMAT_YUV400) {
    const SampleRange range = view.yuvRange == AVIF_RANGE_LIMITED ? SampleRange::kLimited : SampleRange::kFull;
    spread_samples(view.yuvPlanes[AVIF_CHAN_Y], view.yuvRowBytes[AVIF_CHAN_Y], static_cast<int>(view.depth), range,
                   colour.depth() == CV_16U ? 16 : 8, colour);
    return AVIF_RESULT_OK;
  }
  avifRGBImage rgb;
  avifRGBImageSetDefaults(&rgb, &view);
  rgb.format = AVIF_RGB_FORMAT_RGB;
  rgb.chromaUpsampling = AVIF_CHROMA_UPSAMPLING_BEST_QUALITY;
  rgb.avoidLibYUV = AVIF_TRUE;  // it rounds more coarsely
  rgb.pixels = colour.data;
  rgb.rowBytes = static_cast<std::uint32_t>(colour.step);
  const avifResult result = avifImageYUVToRGB(&view, &rgb);
  if (result == AVIF_RESULT_OK && view.depth > 8) spread_in_place(colour, static_cast<int>(view.depth));
  return result;
}

void read_blocks(const avifImage& image, bool is_gray, Bytes limit, StoredPicture& stored) {
  const ByteSpan exif = tiff_in_exif_item({image.exif.data, image.exif.size});
  if (image.exif.size > 0 && exif.empty()) add_warning(stored.warnings, "the EXIF of the AVIF cannot be read");
  if (fits_limit(exif.size(), limit, "EXIF", stored.warnings)) stored.metadata.exif.assign(exif.begin(), exif.end());
  if (fits_limit(image.xmp.size, limit, "XMP", stored.warnings)) {
    stored.metadata.xmp.assign(image.xmp.data, image.xmp.data + image.xmp.size);
  }
  if (image.icc.size > 0) {
    if (fits_limit(image.icc.size, limit, "ICC", stored.warnings)) {
      stored.metadata.icc.assign(image.icc.data, image.icc.data + image.icc.size);
    }
  } else {
    stored.metadata.icc = profile_of({image.colorPrimaries, image.transferCharacteristics}, is_gray, stored.warnings);
  }
}

}  // namespace

Result<PictureHeader> read_avif_header(ByteSpan data, const DecodeLimits& /*limits*/) {
  Result<Decoder> decoder = parse(data, kMostPixels);
  if (!decoder) return decoder.error();
  PictureHeader header = header_of(**decoder);
  header.working = working_of(**decoder);
  return header;
}

Result<StoredPicture> decode_avif(ByteSpan data, const DecodeLimits& limits, PlaneMemory& memory) {
  const double most = std::clamp(limits.megapixels * 1e6, 1.0, static_cast<double>(kMostPixels));
  Result<Decoder> parsed = parse(data, static_cast<std::uint32_t>(most));
  if (!parsed) return parsed.error();
  avifDecoder& decoder = **parsed;
  const PictureHeader header = header_of(decoder);
  const avifResult result = avifDecoderNextImage(&decoder);
  if (result != AVIF_RESULT_OK) return error_of(result, decoder, data);
  // The AV1 data may say something else than the boxes.
  const avifImage& image = *decoder.image;
  const PictureHeader found = header_of(decoder);
  if (found.width != header.width || found.height != header.height || found.bits != header.bits ||
      found.channels != header.channels || (decoder.alphaPresent && image.alphaPlane == nullptr)) {
    return make_error(ErrorCode::kCorruptPicture, "the AVIF is damaged: its picture is not what its header says");
  }

  StoredPicture stored;
  const avifCropRect crop = crop_of(image, &stored.warnings);
  const cv::Size size(static_cast<int>(crop.width), static_cast<int>(crop.height));
  const bool is_gray = header.channels <= 2;
  const int depth = header.bits == 16 ? CV_16U : CV_8U;
  stored.colour = memory.make(size, CV_MAKETYPE(depth, is_gray ? 1 : 3));
  if (const avifResult converted = convert(colour_view(image, crop), stored.colour); converted != AVIF_RESULT_OK) {
    return make_error(converted == AVIF_RESULT_OUT_OF_MEMORY ? ErrorCode::kOverMemoryBudget : ErrorCode::kUnsupportedFormat,
                      fmt::format("the colours of the AVIF cannot be converted: {}", avifResultToString(converted)));
  }
  if (decoder.alphaPresent) {
    stored.alpha = memory.make(size, depth);
    const std::size_t bytes = image.depth > 8 ? 2 : 1;
    const std::uint8_t* first = image.alphaPlane + std::size_t{crop.y} * image.alphaRowBytes + crop.x * bytes;
    spread_samples(first, image.alphaRowBytes, static_cast<int>(image.depth), SampleRange::kFull, header.bits, stored.alpha);
    if (image.alphaPremultiplied) unpremultiply(stored.colour, stored.alpha);
  }
  stored.orientation = orientation_of(image);  // the boxes' word counts, EXIF's informs
  stored.file_bits = header.bits;
  read_blocks(image, is_gray, limits.metadata, stored);
  if (header.frames > 1) {
    add_warning(stored.warnings,
                fmt::format("the AVIF is an animation of {} pictures, of which only the first one is restored", header.frames));
  }
  return stored;
}

}  // namespace retouchd::image
