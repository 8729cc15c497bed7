// WebP by libwebp: pixels by the decoder, metadata chunks by the demuxer and the muxer.

#include <fmt/format.h>
#include <webp/decode.h>
#include <webp/demux.h>
#include <webp/encode.h>
#include <webp/mux.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <opencv2/core.hpp>

#include "image/format_codec.h"

namespace retouchd::image {
namespace {

Error error_of(VP8StatusCode status) {
  switch (status) {
    case VP8_STATUS_NOT_ENOUGH_DATA:
    case VP8_STATUS_SUSPENDED:
      return make_error(ErrorCode::kTruncatedPicture, "the WebP ends early");
    case VP8_STATUS_OUT_OF_MEMORY:
      return make_error(ErrorCode::kOverMemoryBudget, "not enough memory to decode the WebP");
    case VP8_STATUS_UNSUPPORTED_FEATURE:
      return make_error(ErrorCode::kUnsupportedFormat, "the WebP uses a feature that libwebp does not know");
    default:
      return make_error(ErrorCode::kCorruptPicture, "the WebP is damaged");
  }
}

/// A RIFF file says its own size: after a cut, what is missing may be the metadata at the end, which the decoder would not
/// notice.
bool is_cut(ByteSpan data) {
  if (data.size() < 12) return true;
  std::uint64_t size = 8;
  for (std::size_t i = 0; i < 4; ++i) size += static_cast<std::uint64_t>(data[4 + i]) << (8 * i);
  return size > data.size();
}

Result<WebPBitstreamFeatures> read_features(ByteSpan data) {
  WebPBitstreamFeatures features;
  const VP8StatusCode status = WebPGetFeatures(data.data(), data.size(), &features);
  if (status != VP8_STATUS_OK) return error_of(status);
  if (features.has_animation) {
    return make_error(ErrorCode::kUnsupportedFormat, "the WebP is an animation; only still pictures are restored");
  }
  return features;
}

void read_chunks(ByteSpan data, Bytes limit, StoredPicture& stored) {
  const WebPData file{data.data(), data.size()};
  const std::unique_ptr<WebPDemuxer, decltype(&WebPDemuxDelete)> demuxer(WebPDemux(&file), WebPDemuxDelete);
  if (!demuxer) {
    add_warning(stored.warnings, "the metadata of the WebP could not be read");
    return;
  }
  const auto read = [&](const char* name, std::string_view title) -> ByteSpan {
    WebPChunkIterator chunk{};
    if (!WebPDemuxGetChunk(demuxer.get(), name, 1, &chunk)) return {};
    const ByteSpan bytes(chunk.chunk.bytes, chunk.chunk.size);  // points into `data`
    WebPDemuxReleaseChunkIterator(&chunk);
    return fits_limit(bytes.size(), limit, title, stored.warnings) ? bytes : ByteSpan{};
  };
  ByteSpan exif = read("EXIF", "EXIF");
  // Some writers copy JPEG's segment with its name.
  if (exif.size() >= 6 && std::memcmp(exif.data(), "Exif\0\0", 6) == 0) exif = exif.subspan(6);
  const ByteSpan xmp = read("XMP ", "XMP");
  const ByteSpan icc = read("ICCP", "ICC");
  stored.metadata.exif.assign(exif.begin(), exif.end());
  stored.metadata.xmp.assign(xmp.begin(), xmp.end());
  stored.metadata.icc.assign(icc.begin(), icc.end());
}

/// Frees what libwebp allocated for one picture being encoded.
struct EncodedWebp {
  EncodedWebp() { WebPMemoryWriterInit(&writer); }
  ~EncodedWebp() {
    WebPPictureFree(&picture);
    WebPMemoryWriterClear(&writer);
  }
  EncodedWebp(const EncodedWebp&) = delete;
  EncodedWebp& operator=(const EncodedWebp&) = delete;

  WebPPicture picture{};
  WebPMemoryWriter writer{};
};

cv::Mat to_colour(const cv::Mat& colour) {
  if (colour.channels() == 3) return colour;
  cv::Mat three;
  cv::merge(std::array{colour, colour, colour}, three);
  return three;
}

/// The bitstream as a file with these chunks, appended to `file`.
Result<void> append_with_chunks(ByteSpan image, const Metadata& blocks, OutputFile& file, std::string& warnings) {
  const std::unique_ptr<WebPMux, decltype(&WebPMuxDelete)> mux(WebPMuxNew(), WebPMuxDelete);
  const WebPData bitstream{image.data(), image.size()};
  if (!mux || WebPMuxSetImage(mux.get(), &bitstream, 0) != WEBP_MUX_OK) {
    return make_error(ErrorCode::kInternal, "cannot put the WebP together");
  }
  const auto set = [&](const char* name, std::string_view title, const void* bytes, std::size_t size) {
    if (size == 0) return;
    const WebPData chunk{static_cast<const std::uint8_t*>(bytes), size};
    if (WebPMuxSetChunk(mux.get(), name, &chunk, 0) != WEBP_MUX_OK) {
      add_warning(warnings, fmt::format("{} could not be written into the WebP", title));
    }
  };
  set("ICCP", "ICC", blocks.icc.data(), blocks.icc.size());
  set("EXIF", "EXIF", blocks.exif.data(), blocks.exif.size());
  set("XMP ", "XMP", blocks.xmp.data(), blocks.xmp.size());
  WebPData assembled{};
  if (WebPMuxAssemble(mux.get(), &assembled) != WEBP_MUX_OK)
    return make_error(ErrorCode::kInternal, "cannot put the WebP together");
  const bool is_written = file.append({assembled.bytes, assembled.size});
  WebPDataClear(&assembled);
  if (!is_written) return file.error();
  return {};
}

/// libwebp's own copy of the pixels; ours, where alpha or gray needs one, is gone when this returns.
bool import_pixels(const Picture& picture, WebPPicture& to) {
  const cv::Mat pixels = join_alpha(to_colour(picture.colour), picture.alpha);
  const int stride = static_cast<int>(pixels.step);
  return picture.alpha.empty() ? WebPPictureImportRGB(&to, pixels.data, stride) != 0
                               : WebPPictureImportRGBA(&to, pixels.data, stride) != 0;
}

}  // namespace

Result<PictureHeader> read_webp_header(ByteSpan data, const DecodeLimits& /*limits*/) {
  Result<WebPBitstreamFeatures> features = read_features(data);
  if (!features) return features.error();
  PictureHeader header;
  header.format = FileFormat::kWebp;
  header.width = static_cast<std::uint32_t>(features->width);
  header.height = static_cast<std::uint32_t>(features->height);
  header.channels = features->has_alpha ? 4 : 3;
  // Lossless pictures are decoded whole, lossy ones by rows, their alpha whole; alpha comes between the colours, as we ask for
  // it.
  const std::uint64_t pixels = static_cast<std::uint64_t>(header.width) * header.height;
  constexpr int kLossless = 2;
  const std::uint64_t inside = features->format == kLossless ? 4 : features->has_alpha ? 1 : 0;
  constexpr std::uint64_t kRows = 64;
  header.working = Bytes{pixels * (inside + (features->has_alpha ? 4 : 0)) + kRows * 4 * header.width} + mebibytes(2);
  return header;
}

Result<StoredPicture> decode_webp(ByteSpan data, const DecodeLimits& limits, PlaneMemory& memory) {
  if (is_cut(data)) return error_of(VP8_STATUS_NOT_ENOUGH_DATA);
  Result<WebPBitstreamFeatures> features = read_features(data);
  if (!features) return features.error();

  const cv::Size size(features->width, features->height);
  cv::Mat pixels = features->has_alpha ? cv::Mat(size, CV_8UC4) : memory.make(size, CV_8UC3);
  WebPDecoderConfig config;
  if (!WebPInitDecoderConfig(&config)) return make_error(ErrorCode::kInternal, "libwebp has another version than its header");
  config.output.colorspace = features->has_alpha ? MODE_RGBA : MODE_RGB;
  config.output.is_external_memory = 1;
  config.output.u.RGBA = {pixels.data, static_cast<int>(pixels.step), pixels.step * static_cast<std::size_t>(pixels.rows)};
  const VP8StatusCode status = WebPDecode(data.data(), data.size(), &config);
  WebPFreeDecBuffer(&config.output);
  if (status != VP8_STATUS_OK) return error_of(status);

  StoredPicture stored;
  if (features->has_alpha) {
    split_alpha(pixels, memory, stored.colour, stored.alpha);
  } else {
    stored.colour = pixels;
  }
  read_chunks(data, limits.metadata, stored);
  return stored;
}

Result<void> encode_webp(const Picture& picture, const EncodeOptions& options, const Metadata& blocks, OutputFile& file,
                         std::string& warnings) {
  WebPConfig config;
  EncodedWebp encoded;
  if (!WebPConfigInit(&config) || !WebPPictureInit(&encoded.picture)) {
    return make_error(ErrorCode::kInternal, "libwebp has another version than its header");
  }
  config.lossless = options.webp_quality == 100 ? 1 : 0;
  config.quality = config.lossless ? 75.0F : static_cast<float>(options.webp_quality);  // lossless: effort, not loss
  config.method = 4;
  config.exact = 1;  // colours under transparent pixels stay

  encoded.picture.use_argb = config.lossless;
  encoded.picture.width = picture.width();
  encoded.picture.height = picture.height();
  encoded.picture.writer = WebPMemoryWrite;
  encoded.picture.custom_ptr = &encoded.writer;
  if (!import_pixels(picture, encoded.picture) || !WebPEncode(&config, &encoded.picture)) {
    const WebPEncodingError code = encoded.picture.error_code;
    const bool is_memory = code == VP8_ENC_ERROR_OUT_OF_MEMORY || code == VP8_ENC_ERROR_BITSTREAM_OUT_OF_MEMORY;
    return make_error(is_memory ? ErrorCode::kOverMemoryBudget : ErrorCode::kInternal,
                      fmt::format("cannot encode the WebP (libwebp's error {})", static_cast<int>(code)));
  }
  WebPPictureFree(&encoded.picture);  // before the file is put together
  return append_with_chunks({encoded.writer.mem, encoded.writer.size}, blocks, file, warnings);
}

}  // namespace retouchd::image
