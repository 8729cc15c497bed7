#include <fmt/format.h>
#include <tiffio.h>

#include <algorithm>
#include <opencv2/core.hpp>
#include <vector>

#include "image/format_codec.h"
#include "image/tiff_stream.h"

namespace retouchd::image {
namespace {

constexpr std::uint64_t kStripBytes = 256U << 10;

/// Deflate never grows data by more than this, so that a classic TIFF with its 32-bit offsets is enough below.
bool needs_big_tiff(std::uint64_t pixel_bytes) { return pixel_bytes + pixel_bytes / 100 + (64U << 20) > 0xFFFF'FFFFU; }

void set_tags(TIFF* tiff, const Picture& picture, int channels, std::size_t row_bytes, const Metadata& blocks) {
  const bool is_gray = picture.is_gray();
  TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, static_cast<std::uint32_t>(picture.width()));
  TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, static_cast<std::uint32_t>(picture.height()));
  TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, picture.is_16_bit() ? 16 : 8);
  TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, channels);
  TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, is_gray ? PHOTOMETRIC_MINISBLACK : PHOTOMETRIC_RGB);
  TIFFSetField(tiff, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
  TIFFSetField(tiff, TIFFTAG_ORIENTATION, ORIENTATION_TOPLEFT);
  TIFFSetField(tiff, TIFFTAG_COMPRESSION, COMPRESSION_ADOBE_DEFLATE);
  TIFFSetField(tiff, TIFFTAG_PREDICTOR, PREDICTOR_HORIZONTAL);
  TIFFSetField(tiff, TIFFTAG_ROWSPERSTRIP, static_cast<std::uint32_t>(std::max<std::uint64_t>(1, kStripBytes / row_bytes)));
  if (!picture.alpha.empty()) {
    const std::uint16_t kind = EXTRASAMPLE_UNASSALPHA;
    TIFFSetField(tiff, TIFFTAG_EXTRASAMPLES, 1, &kind);
  }
  if (!blocks.icc.empty()) {
    TIFFSetField(tiff, TIFFTAG_ICCPROFILE, static_cast<std::uint32_t>(blocks.icc.size()), blocks.icc.data());
  }
  if (!blocks.xmp.empty()) {
    TIFFSetField(tiff, TIFFTAG_XMLPACKET, static_cast<std::uint32_t>(blocks.xmp.size()), blocks.xmp.data());
  }
  if (blocks.dpi_x && blocks.dpi_y) {
    TIFFSetField(tiff, TIFFTAG_RESOLUTIONUNIT, RESUNIT_INCH);
    TIFFSetField(tiff, TIFFTAG_XRESOLUTION, *blocks.dpi_x);
    TIFFSetField(tiff, TIFFTAG_YRESOLUTION, *blocks.dpi_y);
  }
}

}  // namespace

Result<ByteVector> encode_tiff(const Picture& picture, const EncodeOptions& /*options*/, const Metadata& blocks,
                               std::string& warnings) {
  const cv::Mat pixels = join_alpha(picture.colour, picture.alpha);
  const std::size_t row_bytes = pixels.elemSize() * static_cast<std::size_t>(pixels.cols);
  const bool is_big = needs_big_tiff(static_cast<std::uint64_t>(row_bytes) * static_cast<std::uint64_t>(pixels.rows));
  TiffStream stream(is_big);
  const auto failed = [&] {
    return make_error(ErrorCode::kInternal, fmt::format("cannot encode the TIFF: {}", stream.complaint()));
  };
  TIFF* tiff = stream.get();
  if (tiff == nullptr) return failed();
  set_tags(tiff, picture, pixels.channels(), row_bytes, blocks);
  // libtiff applies the predictor in place.
  std::vector<std::uint8_t> row(row_bytes);
  for (int y = 0; y < pixels.rows; ++y) {
    std::copy_n(pixels.ptr(y), row_bytes, row.begin());
    if (TIFFWriteScanline(tiff, row.data(), static_cast<std::uint32_t>(y), 0) != 1) return failed();
  }
  ByteVector file = stream.finish();
  if (file.empty()) return failed();
  if (blocks.exif.empty() && blocks.iptc.empty()) return file;
  if (is_big) {
    add_warning(warnings, "EXIF and IPTC cannot be put into a BigTIFF and are not kept");
  } else {
    embed_in_tiff(file, blocks, warnings);
  }
  return file;
}

}  // namespace retouchd::image
