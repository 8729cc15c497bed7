// JPEG XL by libjxl: writing. libjxl runs in this thread: it is given no runner.

#include <fmt/format.h>
#include <jxl/encode.h>

#include <algorithm>
#include <memory>
#include <opencv2/core.hpp>
#include <vector>

#include "image/colour.h"
#include "image/format_codec.h"
#include "image/iso_boxes.h"

namespace retouchd::image {
namespace {

struct DestroyEncoder {
  void operator()(JxlEncoder* encoder) const { JxlEncoderDestroy(encoder); }
};
using Encoder = std::unique_ptr<JxlEncoder, DestroyEncoder>;

constexpr int kLossless = 100;

/// libjxl's own translation of JPEG's quality into Butteraugli distance: straight from 100 (0.1) to 30 (6.4), and a parabola
/// below.
float distance_of(int quality) {
  const auto q = static_cast<float>(quality);
  return quality >= 30 ? 0.1F + (100.0F - q) * 0.09F : 53.0F / 3000.0F * q * q - 23.0F / 20.0F * q + 25.0F;
}

Error error_of(JxlEncoder* encoder) {
  const JxlEncoderError code = encoder != nullptr ? JxlEncoderGetError(encoder) : JXL_ENC_ERR_OOM;
  const bool is_memory = code == JXL_ENC_ERR_OOM;
  return make_error(is_memory ? ErrorCode::kOverMemoryBudget : ErrorCode::kInternal,
                    is_memory ? std::string("not enough memory to encode the JPEG XL file")
                              : fmt::format("cannot encode the JPEG XL file (libjxl's error {})", static_cast<int>(code)));
}

JxlBasicInfo info_of(const Picture& picture, bool is_lossless) {
  JxlBasicInfo info;
  JxlEncoderInitBasicInfo(&info);
  info.xsize = static_cast<std::uint32_t>(picture.width());
  info.ysize = static_cast<std::uint32_t>(picture.height());
  info.bits_per_sample = static_cast<std::uint32_t>(8 * picture.colour.elemSize1());
  info.exponent_bits_per_sample = picture.is_float() ? 8 : 0;
  info.num_color_channels = static_cast<std::uint32_t>(picture.colour.channels());
  if (!picture.alpha.empty()) {
    info.num_extra_channels = 1;
    info.alpha_bits = info.bits_per_sample;
    info.alpha_exponent_bits = info.exponent_bits_per_sample;
  }
  info.uses_original_profile = is_lossless ? JXL_TRUE : JXL_FALSE;
  return info;
}

bool set_colours(JxlEncoder* encoder, const ByteVector& icc, bool is_gray, std::string& warnings) {
  if (!icc.empty()) {
    // libjxl aborts when it meets a bad one while it encodes.
    if (is_usable_profile(icc, is_gray) && JxlEncoderSetICCProfile(encoder, icc.data(), icc.size()) == JXL_ENC_SUCCESS)
      return true;
    add_warning(warnings, "the ICC profile cannot be used in JPEG XL and is not kept");
  }
  JxlColorEncoding srgb{};
  JxlColorEncodingSetToSRGB(&srgb, is_gray ? JXL_TRUE : JXL_FALSE);
  return JxlEncoderSetColorEncoding(encoder, &srgb) == JXL_ENC_SUCCESS;
}

bool add_boxes(JxlEncoder* encoder, const Metadata& blocks) {
  if (blocks.exif.empty() && blocks.xmp.empty()) return true;
  if (JxlEncoderUseContainer(encoder, JXL_TRUE) != JXL_ENC_SUCCESS || JxlEncoderUseBoxes(encoder) != JXL_ENC_SUCCESS)
    return false;
  bool is_added = true;
  if (!blocks.exif.empty()) {
    const ByteVector item = exif_item_of(blocks.exif);
    is_added = JxlEncoderAddBox(encoder, "Exif", item.data(), item.size(), JXL_FALSE) == JXL_ENC_SUCCESS;
  }
  if (!blocks.xmp.empty()) {
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(blocks.xmp.data());
    is_added = JxlEncoderAddBox(encoder, "xml ", bytes, blocks.xmp.size(), JXL_FALSE) == JXL_ENC_SUCCESS && is_added;
  }
  JxlEncoderCloseBoxes(encoder);
  return is_added;
}

bool add_pixels(JxlEncoder* encoder, const Picture& picture, const EncodeOptions& options, bool is_lossless) {
  JxlEncoderFrameSettings* settings = JxlEncoderFrameSettingsCreate(encoder, nullptr);
  if (settings == nullptr) return false;
  const auto set = [&](JxlEncoderFrameSettingId id, std::int64_t value) {
    return JxlEncoderFrameSettingsSetOption(settings, id, value) == JXL_ENC_SUCCESS;
  };
  const bool is_set =
      set(JXL_ENC_FRAME_SETTING_EFFORT, std::clamp(options.jxl_effort, 1, 9)) &&
      set(JXL_ENC_FRAME_SETTING_KEEP_INVISIBLE, 1) &&  // colours under transparent pixels stay
      (is_lossless
           ? JxlEncoderSetFrameLossless(settings, JXL_TRUE)
           : JxlEncoderSetFrameDistance(settings, distance_of(std::clamp(options.jxl_quality, 1, kLossless)))) == JXL_ENC_SUCCESS;
  if (!is_set) return false;
  const int depth = picture.colour.depth();
  JxlPixelFormat format{static_cast<std::uint32_t>(picture.colour.channels()),
                        depth == CV_32F   ? JXL_TYPE_FLOAT
                        : depth == CV_16U ? JXL_TYPE_UINT16
                                          : JXL_TYPE_UINT8,
                        JXL_NATIVE_ENDIAN, 0};
  const auto whole = [](const cv::Mat& plane) { return plane.isContinuous() ? plane : plane.clone(); };
  const cv::Mat colour = whole(picture.colour);
  if (JxlEncoderAddImageFrame(settings, &format, colour.data, colour.total() * colour.elemSize()) != JXL_ENC_SUCCESS)
    return false;
  if (picture.alpha.empty()) return true;
  const cv::Mat alpha = whole(picture.alpha);
  format.num_channels = 1;
  return JxlEncoderSetExtraChannelBuffer(settings, &format, alpha.data, alpha.total() * alpha.elemSize(), 0) == JXL_ENC_SUCCESS;
}

}  // namespace

Result<void> encode_jxl(const Picture& picture, const EncodeOptions& options, const Metadata& blocks, OutputFile& file,
                        std::string& warnings) {
  const Encoder owner(JxlEncoderCreate(nullptr));
  JxlEncoder* const encoder = owner.get();
  if (encoder == nullptr) return error_of(encoder);
  const bool is_lossless = options.jxl_quality >= kLossless;
  const JxlBasicInfo info = info_of(picture, is_lossless);
  if (JxlEncoderSetBasicInfo(encoder, &info) != JXL_ENC_SUCCESS) return error_of(encoder);
  if (!picture.alpha.empty()) {
    JxlExtraChannelInfo alpha;
    JxlEncoderInitExtraChannelInfo(JXL_CHANNEL_ALPHA, &alpha);
    alpha.bits_per_sample = info.alpha_bits;
    alpha.exponent_bits_per_sample = info.alpha_exponent_bits;
    if (JxlEncoderSetExtraChannelInfo(encoder, 0, &alpha) != JXL_ENC_SUCCESS) return error_of(encoder);
  }
  if (!set_colours(encoder, blocks.icc, picture.is_gray(), warnings) || !add_boxes(encoder, blocks) ||
      !add_pixels(encoder, picture, options, is_lossless)) {
    return error_of(encoder);
  }
  JxlEncoderCloseInput(encoder);

  std::vector<std::uint8_t> piece(256 * 1024);
  JxlEncoderStatus status = JXL_ENC_NEED_MORE_OUTPUT;
  while (status == JXL_ENC_NEED_MORE_OUTPUT) {
    std::uint8_t* next = piece.data();
    std::size_t room = piece.size();
    status = JxlEncoderProcessOutput(encoder, &next, &room);
    if (!file.append({piece.data(), piece.size() - room})) return file.error();
  }
  if (status != JXL_ENC_SUCCESS) return error_of(encoder);
  if (picture.is_float() && (picture.range.low != 0.0F || picture.range.high != 1.0F)) {
    // Its floats are relative to white; readers would show the others clipped.
    add_warning(warnings, fmt::format("values from {:g} to {:g} are written into JPEG XL as 0 to 1", picture.range.low,
                                      picture.range.high));
  }
  return {};
}

}  // namespace retouchd::image
