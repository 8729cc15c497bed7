#include "image/hevc_plugin.h"

#include <avif/avif.h>
#include <libde265/de265.h>
#include <libheif/heif_plugin.h>

#include <array>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <opencv2/core.hpp>

#include "image/samples.h"

namespace retouchd::image {
namespace {

thread_local HevcScope* current_scope = nullptr;

constexpr heif_error kFine{heif_error_Ok, heif_suberror_Unspecified, "Success"};
constexpr heif_error kOutOfMemory{heif_error_Memory_allocation_error, heif_suberror_Unspecified, "not enough memory"};
constexpr heif_error kTooLarge{heif_error_Memory_allocation_error, heif_suberror_Security_limit_exceeded, "too large"};
constexpr heif_error kCutShort{heif_error_Decoder_plugin_error, heif_suberror_End_of_data, "the HEVC data end early"};
constexpr heif_error kNoPicture{heif_error_Decoder_plugin_error, heif_suberror_Unspecified, "the HEVC data hold no picture"};
constexpr heif_error kNoCodec{heif_error_Unsupported_feature, heif_suberror_Unsupported_codec, "not HEVC"};
constexpr heif_error kNoColours{heif_error_Unsupported_feature, heif_suberror_Unsupported_color_conversion,
                                "brightness and colour of unequal depth, or a matrix that is not known"};

struct ReleaseImage {
  void operator()(heif_image* image) const { heif_image_release(image); }
};
using HeifImage = std::unique_ptr<heif_image, ReleaseImage>;

}  // namespace

struct HevcDecoder {
  HevcDecoder() : context(de265_new_decoder()) {
    if (context == nullptr) throw std::bad_alloc();
    // No de265_start_worker_threads(): all is done in this thread.
    allocation = *de265_get_default_image_allocation_functions();
    allocation.get_buffer = get_buffer;
    de265_set_image_allocation_functions(context, &allocation, this);
  }
  ~HevcDecoder() { de265_free_decoder(context); }
  HevcDecoder(const HevcDecoder&) = delete;
  HevcDecoder& operator=(const HevcDecoder&) = delete;

  /// libde265's: memory for a coded picture, unless it is larger than allowed. 0 refuses.
  static int get_buffer(de265_decoder_context* context, de265_image_spec* spec, de265_image* image, void* /*self*/) {
    HevcScope* scope = current_scope;
    const auto width = static_cast<std::uint64_t>(std::max(spec->width, 0));
    const auto height = static_cast<std::uint64_t>(std::max(spec->height, 0));
    if (scope == nullptr || width > scope->side_ || height > scope->side_ || width * height > scope->pixels_) {
      if (scope != nullptr) scope->was_too_large_ = true;
      return 0;
    }
    const int is_there = de265_get_default_image_allocation_functions()->get_buffer(context, spec, image, nullptr);
    if (is_there == 0) scope->was_out_of_memory_ = true;
    return is_there;
  }

  static heif_error decode(HevcDecoder& decoder, heif_image** out);
  static heif_error convert(const de265_image* coded, HevcScope& scope, HeifImage& image);
  static void note_colours(const de265_image* coded, HevcScope& scope, avifImage& view);

  de265_decoder_context* context;
  de265_image_allocation allocation{};
};

/// Fills in what the colours of `view` mean.
void HevcDecoder::note_colours(const de265_image* coded, HevcScope& scope, avifImage& view) {
  Cicp cicp{de265_get_image_colour_primaries(coded), de265_get_image_transfer_characteristics(coded)};
  int matrix = de265_get_image_matrix_coefficients(coded);
  bool is_full = de265_get_image_full_range_flag(coded) != 0;
  if (scope.colours_ != nullptr) {
    cicp = {scope.colours_->color_primaries, scope.colours_->transfer_characteristics};
    matrix = scope.colours_->matrix_coefficients;
    is_full = scope.colours_->full_range_flag != 0;
  }
  if (!scope.has_cicp_) scope.cicp_ = cicp;
  scope.has_cicp_ = true;
  view.colorPrimaries = static_cast<avifColorPrimaries>(cicp.primaries);
  view.transferCharacteristics = static_cast<avifTransferCharacteristics>(cicp.transfer);
  view.matrixCoefficients = static_cast<avifMatrixCoefficients>(matrix);
  view.yuvRange = is_full ? AVIF_RANGE_FULL : AVIF_RANGE_LIMITED;
}

/// Gray as one plane of brightness; anything else as planes of R, G and B, so that libheif has nothing to convert. Alpha comes
/// this way too: where it is coded with (neutral) colour, libheif takes the R of it.
heif_error HevcDecoder::convert(const de265_image* coded, HevcScope& scope, HeifImage& image) {
  const de265_chroma chroma = de265_get_chroma_format(coded);
  const bool is_gray = chroma == de265_chroma_mono;
  const int bits = de265_get_bits_per_pixel(coded, 0);
  const int width = de265_get_image_width(coded, 0);
  const int height = de265_get_image_height(coded, 0);
  if (width <= 0 || height <= 0 || bits < 8 || bits > 16) return kNoPicture;
  if (!is_gray && (de265_get_bits_per_pixel(coded, 1) != bits || de265_get_bits_per_pixel(coded, 2) != bits)) return kNoColours;

  avifImage view{};
  view.width = static_cast<std::uint32_t>(width);
  view.height = static_cast<std::uint32_t>(height);
  view.depth = static_cast<std::uint32_t>(bits);
  view.yuvFormat = chroma == de265_chroma_444   ? AVIF_PIXEL_FORMAT_YUV444
                   : chroma == de265_chroma_422 ? AVIF_PIXEL_FORMAT_YUV422
                                                : AVIF_PIXEL_FORMAT_YUV420;
  note_colours(coded, scope, view);
  for (int plane = 0; plane < (is_gray ? 1 : 3); ++plane) {
    int stride = 0;
    // libavif reads them only.
    view.yuvPlanes[plane] = const_cast<std::uint8_t*>(de265_get_image_plane(coded, plane, &stride));
    view.yuvRowBytes[plane] = static_cast<std::uint32_t>(stride);
    if (view.yuvPlanes[plane] == nullptr) return kNoPicture;
  }

  const int depth = bits > 8 ? CV_16U : CV_8U;
  heif_image* created = nullptr;
  if (const heif_error error = heif_image_create(width, height, is_gray ? heif_colorspace_monochrome : heif_colorspace_RGB,
                                                 is_gray ? heif_chroma_monochrome : heif_chroma_444, &created);
      error.code != heif_error_Ok) {
    return error;
  }
  image.reset(created);
  constexpr std::array kColours{heif_channel_R, heif_channel_G, heif_channel_B};
  std::array<cv::Mat, 3> planes;
  for (std::size_t i = 0; i < (is_gray ? 1U : 3U); ++i) {
    const heif_channel channel = is_gray ? heif_channel_Y : kColours[i];
    if (const heif_error error = heif_image_add_plane(created, channel, width, height, bits); error.code != heif_error_Ok) {
      return error;
    }
    int stride = 0;
    std::uint8_t* rows = heif_image_get_plane(created, channel, &stride);
    if (rows == nullptr) return kOutOfMemory;
    planes[i] = cv::Mat(height, width, depth, rows, static_cast<std::size_t>(stride));
  }
  if (is_gray) {
    spread_samples(view.yuvPlanes[0], view.yuvRowBytes[0], bits,
                   view.yuvRange == AVIF_RANGE_FULL ? SampleRange::kFull : SampleRange::kLimited, bits, planes[0]);
    return kFine;
  }
  cv::Mat pixels(height, width, CV_MAKETYPE(depth, 3));
  avifRGBImage rgb;
  avifRGBImageSetDefaults(&rgb, &view);
  rgb.format = AVIF_RGB_FORMAT_RGB;
  rgb.depth = view.depth;
  rgb.chromaUpsampling = AVIF_CHROMA_UPSAMPLING_BEST_QUALITY;
  rgb.avoidLibYUV = AVIF_TRUE;
  rgb.pixels = pixels.data;
  rgb.rowBytes = static_cast<std::uint32_t>(pixels.step);
  if (avifImageYUVToRGB(&view, &rgb) != AVIF_RESULT_OK) return kNoColours;
  cv::split(pixels, planes.data());
  return kFine;
}

heif_error HevcDecoder::decode(HevcDecoder& decoder, heif_image** out) {
  HevcScope* scope = current_scope;
  if (scope == nullptr) return kNoPicture;
  de265_flush_data(decoder.context);
  int more = 1;
  while (more != 0) {
    const de265_error error = de265_decode(decoder.context, &more);
    if (const de265_image* coded = de265_get_next_picture(decoder.context)) {
      HeifImage image;
      const heif_error converted = convert(coded, *scope, image);
      if (converted.code != heif_error_Ok) return converted;
      while (de265_error warning = de265_get_warning(decoder.context)) {
        // Of headers and timing nothing shows in a still picture; of its slices all does.
        scope->was_damaged_ = scope->was_damaged_ || warning == DE265_WARNING_PREMATURE_END_OF_SLICE_SEGMENT ||
                              warning == DE265_WARNING_SLICEHEADER_INVALID || warning == DE265_WARNING_CTB_OUTSIDE_IMAGE_AREA ||
                              warning == DE265_WARNING_EOSS_BIT_NOT_SET;
      }
      *out = image.release();
      return kFine;
    }
    if (error == DE265_ERROR_OUT_OF_MEMORY) scope->was_out_of_memory_ = true;
    if (error != DE265_OK) break;
  }
  if (scope->was_too_large_) return kTooLarge;
  if (scope->was_out_of_memory_) return kOutOfMemory;
  return kNoPicture;
}

namespace {

/// libheif calls from C++ that must not see exceptions of ours.
template <class Step>
heif_error guarded(Step&& step) noexcept {
  try {
    return step();
  } catch (...) {  // std::bad_alloc and OpenCV's
    if (current_scope != nullptr) return kOutOfMemory;
    return kNoPicture;
  }
}

const char* name() { return "retouchd"; }
void nothing() {}

/// AV1 too, which is then refused: libheif's decoders of it start threads. AVIF goes through libavif.
int does_support(heif_compression_format format) {
  constexpr int kBeforeAllOthers = 10'000;
  return format == heif_compression_HEVC || format == heif_compression_AV1 ? kBeforeAllOthers : 0;
}

heif_error new_decoder(void** decoder) {
  return guarded([&] {
    *decoder = new HevcDecoder;
    return kFine;
  });
}

void free_decoder(void* decoder) { delete static_cast<HevcDecoder*>(decoder); }

/// NAL units behind four bytes of length each.
heif_error push_data(void* decoder, const void* data, std::size_t size) {
  auto* context = static_cast<HevcDecoder*>(decoder)->context;
  const auto* at = static_cast<const std::uint8_t*>(data);
  while (size > 0) {
    if (size < 4) return kCutShort;
    const std::uint32_t length = static_cast<std::uint32_t>(at[0]) << 24 | static_cast<std::uint32_t>(at[1]) << 16 |
                                 static_cast<std::uint32_t>(at[2]) << 8 | at[3];
    at += 4;
    size -= 4;
    if (length > size || length > 0x7FFF'FFFF) return kCutShort;
    if (de265_push_NAL(context, at, static_cast<int>(length), 0, nullptr) == DE265_ERROR_OUT_OF_MEMORY) return kOutOfMemory;
    at += length;
    size -= length;
  }
  return kFine;
}

heif_error decode_image(void* decoder, heif_image** out) {
  *out = nullptr;
  return guarded([&] { return HevcDecoder::decode(*static_cast<HevcDecoder*>(decoder), out); });
}

void set_strict(void* /*decoder*/, int /*flag*/) {}

constexpr heif_decoder_plugin kPlugin{3,         name,         nothing,    nothing,   does_support, new_decoder, free_decoder,
                                      push_data, decode_image, set_strict, "retouchd"};

}  // namespace

HevcScope::HevcScope(const heif_color_profile_nclx* colours, std::uint64_t pixels, std::uint32_t side)
    : colours_(colours), pixels_(pixels), side_(side) {
  current_scope = this;
}

HevcScope::~HevcScope() { current_scope = nullptr; }

void register_hevc_plugin() {
  static std::once_flag once;
  std::call_once(once, [] {
    heif_init(nullptr);
    heif_register_decoder_plugin(&kPlugin);
  });
}

}  // namespace retouchd::image
