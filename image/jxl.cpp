// JPEG XL by libjxl: reading. libjxl runs in this thread: it is given no runner.

#include <fmt/format.h>
#include <jxl/decode.h>
#include <lcms2.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <memory>
#include <opencv2/core.hpp>
#include <optional>
#include <string_view>
#include <vector>

#include "image/format_codec.h"
#include "image/iso_boxes.h"
#include "image/samples.h"

namespace retouchd::image {
namespace {

struct DestroyDecoder {
  void operator()(JxlDecoder* decoder) const { JxlDecoderDestroy(decoder); }
};
using Decoder = std::unique_ptr<JxlDecoder, DestroyDecoder>;

Error truncated() { return make_error(ErrorCode::kTruncatedPicture, "the JPEG XL file ends early"); }
Error damaged(std::string_view what = "libjxl refuses it") {
  return make_error(ErrorCode::kCorruptPicture, fmt::format("the JPEG XL file is damaged: {}", what));
}

/// A decoder at the beginning of `data` that stops at `events`; null without memory. It waits for more data at the end: told that
/// there are none, libjxl would call a short file damaged.
Decoder open(ByteSpan data, int events) {
  Decoder decoder(JxlDecoderCreate(nullptr));
  if (!decoder) return nullptr;
  const bool is_ready = JxlDecoderSubscribeEvents(decoder.get(), events) == JXL_DEC_SUCCESS &&
                        JxlDecoderSetKeepOrientation(decoder.get(), JXL_TRUE) == JXL_DEC_SUCCESS &&
                        JxlDecoderSetInput(decoder.get(), data.data(), data.size()) == JXL_DEC_SUCCESS;
  if (!is_ready) return nullptr;
  return decoder;
}

Error cannot_open() { return make_error(ErrorCode::kOverMemoryBudget, "not enough memory to decode the JPEG XL file"); }

/// Runs up to `event`.
Result<void> run_to(JxlDecoder* decoder, JxlDecoderStatus event, ByteSpan data) {
  const JxlDecoderStatus status = JxlDecoderProcessInput(decoder);
  if (status == event) return {};
  const bool is_short = status == JXL_DEC_NEED_MORE_INPUT || is_cut_between_boxes(data);
  return is_short ? truncated() : damaged();
}

struct Layout {
  PictureHeader header;
  JxlBasicInfo info{};
  std::optional<std::uint32_t> alpha;  ///< which extra channel it is
  bool is_premultiplied = false;
  bool has_others = false;  ///< depth, spot colours, ...
};

Result<Layout> layout_of(JxlDecoder* decoder) {
  Layout layout;
  if (JxlDecoderGetBasicInfo(decoder, &layout.info) != JXL_DEC_SUCCESS) return damaged("no header");
  const JxlBasicInfo& info = layout.info;
  for (std::uint32_t i = 0; i < info.num_extra_channels; ++i) {
    JxlExtraChannelInfo extra{};
    if (JxlDecoderGetExtraChannelInfo(decoder, i, &extra) != JXL_DEC_SUCCESS) return damaged("no header of a channel");
    if (extra.type == JXL_CHANNEL_BLACK) {
      return make_error(ErrorCode::kUnsupportedFormat, "the JPEG XL picture is CMYK");
    }
    if (extra.type == JXL_CHANNEL_ALPHA && !layout.alpha) {
      layout.alpha = i;
      layout.is_premultiplied = extra.alpha_premultiplied != 0;
    } else {
      layout.has_others = true;
    }
  }
  PictureHeader& header = layout.header;
  header.format = FileFormat::kJxl;
  header.width = info.xsize;
  header.height = info.ysize;
  header.channels = static_cast<int>(info.num_color_channels) + (layout.alpha ? 1 : 0);
  const bool is_float = info.exponent_bits_per_sample > 0 || info.bits_per_sample > 16;
  header.bits = is_float ? 32 : info.bits_per_sample > 8 ? 16 : 8;
  return layout;
}

/// What libjxl holds besides the planes, measured over its ways to code: 4 to 25 bytes per pixel in colour, 17 in gray, and 28
/// more with alpha. Which way it is, the header does not say.
Bytes working_of(const JxlBasicInfo& info) {
  const std::uint64_t extras = info.num_extra_channels == 0 ? 0 : 28 + 13 * (info.num_extra_channels - 1);
  const std::uint64_t per_pixel = 6 * info.num_color_channels + 12 + extras;
  return Bytes{per_pixel * info.xsize * info.ysize} + mebibytes(16);
}

/// What the decoded pixels are in.
struct Colours {
  ByteVector icc;             ///< empty: sRGB
  bool is_converted = false;  ///< they come as linear sRGB and are to be converted to `icc`
};

bool is_srgb(const JxlColorEncoding& encoding) {
  const bool has_its_primaries = encoding.color_space == JXL_COLOR_SPACE_GRAY || encoding.primaries == JXL_PRIMARIES_SRGB;
  return has_its_primaries && encoding.white_point == JXL_WHITE_POINT_D65 &&
         encoding.transfer_function == JXL_TRANSFER_FUNCTION_SRGB;
}

ByteVector read_icc(JxlDecoder* decoder, JxlColorProfileTarget target, Bytes limit, std::string& warnings) {
  std::size_t size = 0;
  if (JxlDecoderGetICCProfileSize(decoder, nullptr, target, &size) != JXL_DEC_SUCCESS) return {};
  if (!fits_limit(size, limit, "ICC", warnings)) return {};
  ByteVector icc(size);
  if (JxlDecoderGetColorAsICCProfile(decoder, nullptr, target, icc.data(), size) != JXL_DEC_SUCCESS) return {};
  return icc;
}

Colours read_colours(JxlDecoder* decoder, const JxlBasicInfo& info, Bytes limit, std::string& warnings) {
  JxlColorEncoding encoding{};
  const bool is_known =
      JxlDecoderGetColorAsEncodedProfile(decoder, nullptr, JXL_COLOR_PROFILE_TARGET_ORIGINAL, &encoding) == JXL_DEC_SUCCESS;
  if (is_known && is_srgb(encoding)) return {};
  Colours colours;
  colours.icc = read_icc(decoder, JXL_COLOR_PROFILE_TARGET_ORIGINAL, limit, warnings);
  if (is_known || info.uses_original_profile) return colours;
  // The picture is stored in colours of its own, and the profile only says what it once was in: libjxl cannot go back there.
  colours.is_converted = !colours.icc.empty();
  if (!colours.is_converted) {
    JxlColorEncoding srgb{};
    srgb.color_space = info.num_color_channels == 1 ? JXL_COLOR_SPACE_GRAY : JXL_COLOR_SPACE_RGB;
    srgb.white_point = JXL_WHITE_POINT_D65;
    srgb.primaries = JXL_PRIMARIES_SRGB;
    srgb.transfer_function = JXL_TRANSFER_FUNCTION_SRGB;
    srgb.rendering_intent = JXL_RENDERING_INTENT_RELATIVE;
    if (JxlDecoderSetPreferredColorProfile(decoder, &srgb) != JXL_DEC_SUCCESS) {
      add_warning(warnings, "the colours of the JPEG XL file are linear");
    }
  }
  return colours;
}

/// Takes rows of linear sRGB and puts them into a plane in the colours of a profile.
class Converter {
 public:
  Converter(ByteSpan icc, cv::Mat& colour) : colour_(colour) {
    const Handle to(cmsOpenProfileFromMem(icc.data(), static_cast<cmsUInt32Number>(icc.size())));
    const bool is_gray = colour.channels() == 1;
    const bool fits = to && cmsGetColorSpace(to.get()) == (is_gray ? cmsSigGrayData : cmsSigRgbData);
    cmsToneCurve* linear = fits ? cmsBuildGamma(nullptr, 1.0) : nullptr;
    if (linear == nullptr) return;
    constexpr cmsCIExyY kWhite{0.3127, 0.3290, 1.0};
    constexpr cmsCIExyYTRIPLE kPrimaries{{0.640, 0.330, 1.0}, {0.300, 0.600, 1.0}, {0.150, 0.060, 1.0}};
    std::array<cmsToneCurve*, 3> curves{linear, linear, linear};
    const Handle from(is_gray ? cmsCreateGrayProfile(cmsD50_xyY(), linear)
                              : cmsCreateRGBProfile(&kWhite, &kPrimaries, curves.data()));
    const auto format = static_cast<cmsUInt32Number>(is_gray ? TYPE_GRAY_FLT : TYPE_RGB_FLT);
    if (from) {
      transform_.reset(cmsCreateTransform(from.get(), format, to.get(), format, INTENT_RELATIVE_COLORIMETRIC,
                                          cmsFLAGS_BLACKPOINTCOMPENSATION | cmsFLAGS_NOCACHE));
    }
    cmsFreeToneCurve(linear);
    row_.resize(static_cast<std::size_t>(colour.cols) * static_cast<std::size_t>(colour.channels()));
  }

  [[nodiscard]] bool is_ready() const noexcept { return transform_ != nullptr; }

  /// libjxl's callback; nothing in it throws.
  static void put(void* self, std::size_t x, std::size_t y, std::size_t count, const void* pixels) {
    static_cast<Converter*>(self)->put(static_cast<int>(x), static_cast<int>(y), count, pixels);
  }

 private:
  struct CloseProfile {
    void operator()(void* profile) const { cmsCloseProfile(profile); }
  };
  struct DeleteTransform {
    void operator()(void* transform) const { cmsDeleteTransform(transform); }
  };
  using Handle = std::unique_ptr<void, CloseProfile>;

  void put(int x, int y, std::size_t count, const void* pixels) {
    cmsDoTransform(transform_.get(), pixels, row_.data(), static_cast<cmsUInt32Number>(count));
    const std::size_t samples = count * static_cast<std::size_t>(colour_.channels());
    switch (colour_.depth()) {
      case CV_8U:
        return round_to(colour_.ptr<std::uint8_t>(y, x), samples, 255.0F);
      case CV_16U:
        return round_to(colour_.ptr<std::uint16_t>(y, x), samples, 65'535.0F);
      default:
        std::memcpy(colour_.ptr<float>(y, x), row_.data(), samples * sizeof(float));
    }
  }

  template <class Value>
  void round_to(Value* to, std::size_t samples, float most) const {
    for (std::size_t i = 0; i < samples; ++i) to[i] = static_cast<Value>(std::clamp(row_[i], 0.0F, 1.0F) * most + 0.5F);
  }

  cv::Mat& colour_;
  std::unique_ptr<void, DeleteTransform> transform_;
  std::vector<float> row_;
};

/// What is no number would spread over everything that a network sees around it.
bool replace_non_finite(cv::Mat& plane) {
  bool was_any = false;
  for (int row = 0; row < plane.rows; ++row) {
    auto* values = plane.ptr<float>(row);
    for (int i = 0; i < plane.cols * plane.channels(); ++i) {
      if (std::isfinite(values[i])) continue;
      values[i] = 0.0F;
      was_any = true;
    }
  }
  return was_any;
}

/// The content of the box that the decoder stands at, decompressed; nothing when it is larger than `limit`. `status` becomes that
/// of the next stop.
std::optional<ByteVector> read_box(JxlDecoder* decoder, Bytes limit, JxlDecoderStatus& status) {
  constexpr std::size_t kStep = 64 * 1024;
  ByteVector content;
  std::size_t used = 0;
  do {
    if (used > limit.value) return std::nullopt;
    content.resize(used + kStep + used / 2);
    if (JxlDecoderSetBoxBuffer(decoder, content.data() + used, content.size() - used) != JXL_DEC_SUCCESS) return std::nullopt;
    status = JxlDecoderProcessInput(decoder);
    used = content.size() - JxlDecoderReleaseBoxBuffer(decoder);
  } while (status == JXL_DEC_BOX_NEED_MORE_OUTPUT);
  content.resize(used);
  return content;
}

void read_boxes(ByteSpan data, Bytes limit, StoredPicture& stored) {
  if (JxlSignatureCheck(data.data(), data.size()) != JXL_SIG_CONTAINER) return;
  const Decoder decoder = open(data, JXL_DEC_BOX);
  if (!decoder || JxlDecoderSetDecompressBoxes(decoder.get(), JXL_TRUE) != JXL_DEC_SUCCESS) {
    return add_warning(stored.warnings, "the metadata of the JPEG XL file could not be read");
  }
  JxlDecoderCloseInput(decoder.get());  // the last box may reach to the end without saying so
  JxlDecoderStatus status = JxlDecoderProcessInput(decoder.get());
  while (status == JXL_DEC_BOX) {
    JxlBoxType type{};
    if (JxlDecoderGetBoxType(decoder.get(), type, JXL_TRUE) != JXL_DEC_SUCCESS) break;
    const std::string_view name(type, sizeof type);
    const bool is_exif = name == "Exif" && stored.metadata.exif.empty();
    const bool is_xmp = name == "xml " && stored.metadata.xmp.empty();
    if (!is_exif && !is_xmp) {
      status = JxlDecoderProcessInput(decoder.get());
      continue;
    }
    const std::optional<ByteVector> content = read_box(decoder.get(), limit, status);
    if (!content || !fits_limit(content->size(), limit, is_exif ? "EXIF" : "XMP", stored.warnings)) {
      if (!content) {
        add_warning(stored.warnings, fmt::format("the {} of the JPEG XL file is larger than limits.metadata, which is {}, and is "
                                                 "not kept; nor is what comes behind it",
                                                 is_exif ? "EXIF" : "XMP", to_string(limit)));
        return;
      }
    } else if (is_exif) {
      const ByteSpan exif = tiff_in_exif_item(*content);
      if (exif.empty()) add_warning(stored.warnings, "the EXIF of the JPEG XL file cannot be read");
      stored.metadata.exif.assign(exif.begin(), exif.end());
    } else {
      stored.metadata.xmp.assign(content->begin(), content->end());
    }
  }
  if (status == JXL_DEC_ERROR) add_warning(stored.warnings, "not all metadata of the JPEG XL file could be read");
}

/// Displayed pictures, counted by their headers; no more than one beyond `most`.
Result<int> count_frames(ByteSpan data, int most) {
  const Decoder decoder = open(data, JXL_DEC_FRAME);
  if (!decoder) return cannot_open();
  int frames = 0;
  JxlDecoderStatus status = JxlDecoderProcessInput(decoder.get());
  for (; status == JXL_DEC_FRAME && frames <= most; status = JxlDecoderProcessInput(decoder.get())) ++frames;
  return std::max(frames, 1);  // what is missing or damaged shows when the pixels are read
}

}  // namespace

Result<PictureHeader> read_jxl_header(ByteSpan data, const DecodeLimits& limits) {
  const Decoder decoder = open(data, JXL_DEC_BASIC_INFO);
  if (!decoder) return cannot_open();
  if (Result<void> ran = run_to(decoder.get(), JXL_DEC_BASIC_INFO, data); !ran) return ran.error();
  Result<Layout> layout = layout_of(decoder.get());
  if (!layout) return layout.error();
  PictureHeader header = layout->header;
  if (layout->info.have_animation) {
    Result<int> frames = count_frames(data, limits.frames);
    if (!frames) return frames.error();
    header.frames = *frames;
  }
  header.working = working_of(layout->info);
  return header;
}

Result<StoredPicture> decode_jxl(ByteSpan data, const DecodeLimits& limits, PlaneMemory& memory) {
  if (is_cut_between_boxes(data)) return truncated();
  const Decoder owner = open(data, JXL_DEC_BASIC_INFO | JXL_DEC_COLOR_ENCODING | JXL_DEC_FULL_IMAGE);
  JxlDecoder* const decoder = owner.get();
  if (decoder == nullptr) return cannot_open();
  if (Result<void> ran = run_to(decoder, JXL_DEC_BASIC_INFO, data); !ran) return ran.error();
  Result<Layout> layout = layout_of(decoder);
  if (!layout) return layout.error();
  const PictureHeader& header = layout->header;
  if (Result<void> ran = run_to(decoder, JXL_DEC_COLOR_ENCODING, data); !ran) return ran.error();
  StoredPicture stored;
  Colours colours = read_colours(decoder, layout->info, limits.metadata, stored.warnings);
  if (Result<void> ran = run_to(decoder, JXL_DEC_NEED_IMAGE_OUT_BUFFER, data); !ran) return ran.error();

  const cv::Size size(static_cast<int>(header.width), static_cast<int>(header.height));
  const int depth = header.bits == 32 ? CV_32F : header.bits == 16 ? CV_16U : CV_8U;
  const JxlDataType type = header.bits == 32 ? JXL_TYPE_FLOAT : header.bits == 16 ? JXL_TYPE_UINT16 : JXL_TYPE_UINT8;
  const std::uint32_t channels = layout->info.num_color_channels;
  JxlPixelFormat format{channels, type, JXL_NATIVE_ENDIAN, 0};
  const auto bytes_of = [](const cv::Mat& plane) { return plane.step * static_cast<std::size_t>(plane.rows); };
  stored.colour = memory.make(size, CV_MAKETYPE(depth, static_cast<int>(channels)));
  std::optional<Converter> converter;
  if (colours.is_converted) converter.emplace(colours.icc, stored.colour);
  JxlDecoderStatus status = JXL_DEC_SUCCESS;
  if (converter && converter->is_ready()) {
    format.data_type = JXL_TYPE_FLOAT;
    status = JxlDecoderSetImageOutCallback(decoder, &format, Converter::put, &*converter);
    format.data_type = type;
  } else {
    if (converter) {
      add_warning(stored.warnings, "the ICC profile of the JPEG XL file cannot be used and is not kept; the colours are linear");
      colours.icc.clear();
    }
    status = JxlDecoderSetImageOutBuffer(decoder, &format, stored.colour.data, bytes_of(stored.colour));
  }
  if (status == JXL_DEC_SUCCESS && layout->alpha) {
    stored.alpha = memory.make(size, depth);
    format.num_channels = 1;
    status = JxlDecoderSetExtraChannelBuffer(decoder, &format, stored.alpha.data, bytes_of(stored.alpha), *layout->alpha);
  }
  if (status != JXL_DEC_SUCCESS) return damaged("its size changes");
  if (Result<void> ran = run_to(decoder, JXL_DEC_FULL_IMAGE, data); !ran) return ran.error();

  if (depth == CV_16U && layout->info.uses_original_profile) {
    // libjxl scales 9 to 15 bits in floats, and misses some values by one.
    const auto bits = static_cast<int>(layout->info.bits_per_sample);
    snap_to_bits(stored.colour, bits);
    if (!stored.alpha.empty()) snap_to_bits(stored.alpha, bits);
  }
  if (layout->is_premultiplied) unpremultiply(stored.colour, stored.alpha);
  if (depth == CV_32F) {
    bool was_any = replace_non_finite(stored.colour);
    if (!stored.alpha.empty()) was_any = replace_non_finite(stored.alpha) || was_any;
    if (was_any) add_warning(stored.warnings, "samples that are no numbers became 0");
  }
  stored.metadata.icc = std::move(colours.icc);
  stored.orientation = static_cast<int>(layout->info.orientation);  // the codestream's word counts, EXIF's informs
  stored.file_bits = header.bits;
  read_boxes(data, limits.metadata, stored);
  if (layout->has_others) add_warning(stored.warnings, "channels of the JPEG XL file besides colour and alpha are not kept");
  if (layout->info.have_animation) {
    add_warning(stored.warnings, "the JPEG XL file is an animation, of which only the first picture is restored");
  }
  return stored;
}

}  // namespace retouchd::image
