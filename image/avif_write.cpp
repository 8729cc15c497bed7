// AVIF by libavif and libaom: writing.

#include <avif/avif.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <opencv2/core.hpp>

#include "image/cicp.h"
#include "image/format_codec.h"

namespace retouchd::image {
namespace {

struct DestroyImage {
  void operator()(avifImage* image) const { avifImageDestroy(image); }
};
using Image = std::unique_ptr<avifImage, DestroyImage>;

struct DestroyEncoder {
  void operator()(avifEncoder* encoder) const { avifEncoderDestroy(encoder); }
};
using Encoder = std::unique_ptr<avifEncoder, DestroyEncoder>;

struct EncodedAvif {
  EncodedAvif() = default;
  ~EncodedAvif() { avifRWDataFree(&data); }
  EncodedAvif(const EncodedAvif&) = delete;
  EncodedAvif& operator=(const EncodedAvif&) = delete;

  avifRWData data = AVIF_DATA_EMPTY;
};

constexpr int kLossless = 100;
constexpr int kFullColourFrom = 90;  // as JPEG: 4:4:4, below that 4:2:0

Error error_of(avifResult result, std::string_view detail) {
  const bool is_memory = result == AVIF_RESULT_OUT_OF_MEMORY;
  return make_error(is_memory ? ErrorCode::kOverMemoryBudget : ErrorCode::kInternal,
                    is_memory ? std::string("not enough memory to encode the AVIF")
                              : fmt::format("cannot encode the AVIF: {} {}", avifResultToString(result), detail));
}

/// 100 -> 0 (lossless), 0 -> 63 (worst), as libavif 1.0 translates its own quality.
int quantizer_of(int quality) { return ((100 - quality) * AVIF_QUANTIZER_WORST_QUALITY + 50) / 100; }

void set_colours(avifImage& image, const Metadata& blocks, bool is_lossless, bool is_gray) {
  image.yuvRange = AVIF_RANGE_FULL;
  image.colorPrimaries = AVIF_COLOR_PRIMARIES_BT709;
  image.transferCharacteristics = AVIF_TRANSFER_CHARACTERISTICS_SRGB;
  image.matrixCoefficients = is_lossless && !is_gray ? AVIF_MATRIX_COEFFICIENTS_IDENTITY : AVIF_MATRIX_COEFFICIENTS_BT601;
  if (blocks.icc.empty()) return;
  avifImageSetProfileICC(&image, blocks.icc.data(), blocks.icc.size());
  const Cicp cicp = cicp_of(blocks.icc);
  image.colorPrimaries = static_cast<avifColorPrimaries>(cicp.primaries);
  image.transferCharacteristics = static_cast<avifTransferCharacteristics>(cicp.transfer);
}

avifResult set_pixels(avifImage& image, const Picture& picture) {
  // libavif copies planes that it does not own before it changes them; it changes none.
  if (picture.is_gray()) {
    image.yuvPlanes[AVIF_CHAN_Y] = picture.colour.data;
    image.yuvRowBytes[AVIF_CHAN_Y] = static_cast<std::uint32_t>(picture.colour.step);
  } else {
    avifRGBImage rgb;
    avifRGBImageSetDefaults(&rgb, &image);
    rgb.format = AVIF_RGB_FORMAT_RGB;
    rgb.chromaDownsampling = AVIF_CHROMA_DOWNSAMPLING_BEST_QUALITY;
    rgb.avoidLibYUV = AVIF_TRUE;
    rgb.pixels = picture.colour.data;
    rgb.rowBytes = static_cast<std::uint32_t>(picture.colour.step);
    if (const avifResult result = avifImageRGBToYUV(&image, &rgb); result != AVIF_RESULT_OK) return result;
  }
  if (!picture.alpha.empty()) {
    image.alphaPlane = picture.alpha.data;
    image.alphaRowBytes = static_cast<std::uint32_t>(picture.alpha.step);
  }
  return AVIF_RESULT_OK;
}

}  // namespace

Result<void> encode_avif(const Picture& picture, const EncodeOptions& options, const Metadata& blocks, OutputFile& file,
                         std::string& /*warnings*/) {
  const int quality = std::clamp(options.avif_quality, 0, kLossless);
  const bool is_lossless = quality == kLossless;
  const bool is_gray = picture.is_gray();
  const avifPixelFormat format = is_gray                      ? AVIF_PIXEL_FORMAT_YUV400
                                 : quality >= kFullColourFrom ? AVIF_PIXEL_FORMAT_YUV444
                                                              : AVIF_PIXEL_FORMAT_YUV420;
  const Image image(
      avifImageCreate(static_cast<std::uint32_t>(picture.width()), static_cast<std::uint32_t>(picture.height()), 8, format));
  const Encoder encoder(avifEncoderCreate());
  if (!image || !encoder) return error_of(AVIF_RESULT_OUT_OF_MEMORY, "");
  set_colours(*image, blocks, is_lossless, is_gray);
  if (const avifResult result = set_pixels(*image, picture); result != AVIF_RESULT_OK) return error_of(result, "");
  if (!blocks.exif.empty()) avifImageSetMetadataExif(image.get(), blocks.exif.data(), blocks.exif.size());
  if (!blocks.xmp.empty()) {
    avifImageSetMetadataXMP(image.get(), reinterpret_cast<const std::uint8_t*>(blocks.xmp.data()), blocks.xmp.size());
  }
  image->transformFlags = AVIF_TRANSFORM_NONE;  // the pixels are upright, whatever the EXIF says

  const int quantizer = quantizer_of(quality);
  encoder->maxThreads = 1;
  encoder->speed = std::clamp(options.avif_speed, AVIF_SPEED_SLOWEST, AVIF_SPEED_FASTEST);
  encoder->minQuantizer = is_lossless ? AVIF_QUANTIZER_LOSSLESS : std::max(quantizer - 4, 1);
  encoder->maxQuantizer = is_lossless ? AVIF_QUANTIZER_LOSSLESS : std::min(quantizer + 4, AVIF_QUANTIZER_WORST_QUALITY);
  encoder->minQuantizerAlpha = AVIF_QUANTIZER_LOSSLESS;
  encoder->maxQuantizerAlpha = AVIF_QUANTIZER_LOSSLESS;
  if (!is_lossless) {
    avifEncoderSetCodecSpecificOption(encoder.get(), "color:end-usage", "q");
    avifEncoderSetCodecSpecificOption(encoder.get(), "color:cq-level", std::to_string(quantizer).c_str());
  }
  EncodedAvif encoded;
  if (const avifResult result = avifEncoderWrite(encoder.get(), image.get(), &encoded.data); result != AVIF_RESULT_OK) {
    return error_of(result, encoder->diag.error);
  }
  if (!file.append({encoded.data.data, encoded.data.size})) return file.error();
  return {};
}

}  // namespace retouchd::image
