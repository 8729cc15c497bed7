// TIFF by libtiff, strip by strip into the output. EXIF, GPS and IPTC, which libtiff knows little of, come from Exiv2: it makes a
// TIFF of one pixel, with which the output begins and to whose directory libtiff then gives the real pixels:
//
//   | header | Exiv2's directory | EXIF, GPS, maker note | pixel | strips ... | directory as it counts |
//
// so that whatever Exiv2 wrote stays where it is, and its offsets remain valid.

#include <fmt/format.h>
#include <tiffio.h>

#include <algorithm>
#include <cstring>
#include <opencv2/core.hpp>
#include <optional>
#include <vector>

#include "image/format_codec.h"
#include "image/tiff_metadata.h"
#include "image/tiff_stream.h"
#include "image/value_range.h"

namespace retouchd::image {
namespace {

constexpr std::uint64_t kStripBytes = 256U << 10;

int channels_of(const Picture& page) { return page.colour.channels() + (page.alpha.empty() ? 0 : 1); }

std::uint64_t row_bytes_of(const Picture& page) {
  return static_cast<std::uint64_t>(page.width()) * static_cast<std::uint64_t>(channels_of(page)) * page.colour.elemSize1();
}

/// Whether a classic TIFF with its 32-bit offsets might be too small. LZW makes noise larger by up to a half, deflate hardly.
bool needs_big_tiff(const Picture& picture, EncodeOptions::TiffCompression compression) {
  const auto bytes_of = [](const Picture& page) { return row_bytes_of(page) * static_cast<std::uint64_t>(page.height()); };
  std::uint64_t bytes = bytes_of(picture);
  for (const Picture& page : picture.pages) bytes += bytes_of(page);
  bytes += compression == EncodeOptions::TiffCompression::kLzw ? bytes / 2 : bytes / 100;
  return bytes + (64U << 20) > 0xFFFF'FFFFU;
}

int compression_of(EncodeOptions::TiffCompression compression) noexcept {
  switch (compression) {
    case EncodeOptions::TiffCompression::kNone:
      return COMPRESSION_NONE;
    case EncodeOptions::TiffCompression::kLzw:
      return COMPRESSION_LZW;
    case EncodeOptions::TiffCompression::kDeflate:
      break;
  }
  return COMPRESSION_ADOBE_DEFLATE;
}

/// The tags of the current directory. libtiff knows all of them, so that setting one fails for want of memory only, which writing
/// then reports.
void set_tags(TIFF* tiff, const Picture& page, const EncodeOptions& options, const Metadata& blocks, std::uint32_t strip_rows) {
  const int compression = compression_of(options.tiff_compression);
  TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, static_cast<std::uint32_t>(page.width()));
  TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, static_cast<std::uint32_t>(page.height()));
  TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, static_cast<int>(page.colour.elemSize1()) * 8);
  TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, channels_of(page));
  TIFFSetField(tiff, TIFFTAG_SAMPLEFORMAT, page.is_float() ? SAMPLEFORMAT_IEEEFP : SAMPLEFORMAT_UINT);
  TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, page.is_gray() ? PHOTOMETRIC_MINISBLACK : PHOTOMETRIC_RGB);
  TIFFSetField(tiff, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
  TIFFSetField(tiff, TIFFTAG_ORIENTATION, ORIENTATION_TOPLEFT);
  TIFFSetField(tiff, TIFFTAG_COMPRESSION, compression);
  if (compression != COMPRESSION_NONE) {
    TIFFSetField(tiff, TIFFTAG_PREDICTOR, page.is_float() ? PREDICTOR_FLOATINGPOINT : PREDICTOR_HORIZONTAL);
  }
  TIFFSetField(tiff, TIFFTAG_ROWSPERSTRIP, strip_rows);
  if (!page.alpha.empty()) {
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

template <class Sample>
void interleave(const Sample* colour, const Sample* alpha, int width, int colours, Sample* to) {
  for (int x = 0; x < width; ++x) {
    for (int c = 0; c < colours; ++c) *to++ = *colour++;
    *to++ = *alpha++;
  }
}

/// One row as the file has it.
void copy_row(const Picture& page, int y, std::vector<float>& floats, std::uint8_t* to) {
  const int colours = page.colour.channels();
  const auto samples = static_cast<std::size_t>(page.width()) * static_cast<std::size_t>(colours);
  const void* colour = page.colour.ptr(y);
  if (page.is_float() && (page.range.low != 0.0F || page.range.high != 1.0F)) {
    floats.resize(samples);
    restore_range(page.colour.ptr<float>(y), samples, page.range, floats.data());
    colour = floats.data();
  }
  if (page.alpha.empty()) {
    std::memcpy(to, colour, samples * page.colour.elemSize1());
  } else if (page.colour.depth() == CV_8U) {
    interleave(static_cast<const std::uint8_t*>(colour), page.alpha.ptr(y), page.width(), colours, to);
  } else if (page.colour.depth() == CV_16U) {
    interleave(static_cast<const std::uint16_t*>(colour), page.alpha.ptr<std::uint16_t>(y), page.width(), colours,
               reinterpret_cast<std::uint16_t*>(to));
  } else {
    interleave(static_cast<const float*>(colour), page.alpha.ptr<float>(y), page.width(), colours, reinterpret_cast<float*>(to));
  }
}

/// The tags and strips of one page; false when libtiff or the output refuse. The directory is not written yet.
bool write_page(TIFF* tiff, const Picture& page, const EncodeOptions& options, const Metadata& blocks) {
  const std::uint64_t row_bytes = row_bytes_of(page);
  const int strip_rows =
      static_cast<int>(std::clamp<std::uint64_t>(kStripBytes / row_bytes, 1, static_cast<unsigned>(page.height())));
  set_tags(tiff, page, options, blocks, static_cast<std::uint32_t>(strip_rows));
  std::vector<std::uint8_t> strip(row_bytes * static_cast<unsigned>(strip_rows));  // libtiff applies the predictor in place
  std::vector<float> floats;
  std::uint32_t index = 0;
  for (int top = 0; top < page.height(); top += strip_rows, ++index) {
    const int rows = std::min(strip_rows, page.height() - top);
    for (int y = 0; y < rows; ++y) copy_row(page, top + y, floats, strip.data() + static_cast<unsigned>(y) * row_bytes);
    const auto bytes = static_cast<tmsize_t>(row_bytes * static_cast<unsigned>(rows));
    if (TIFFWriteEncodedStrip(tiff, index, strip.data(), bytes) != bytes) return false;
  }
  return true;
}

/// What goes beside a page that is not the first: its EXIF and IPTC are the file's.
Metadata blocks_of(const Picture& page, const EncodeOptions& options, std::string& warnings) {
  Metadata source = page.metadata ? *page.metadata : Metadata{};
  source.exif.clear();
  source.iptc.clear();
  if (options.metadata == EncodeOptions::Metadata::kStrip) source.xmp.clear();
  return prepare_for(source, FileFormat::kTiff, page, page.colour.channels(), warnings);
}

}  // namespace

Result<void> encode_tiff(const Picture& picture, const EncodeOptions& options, const Metadata& blocks, OutputFile& file,
                         std::string& warnings) {
  const bool is_big = needs_big_tiff(picture, options.tiff_compression);
  const bool has_exif = !blocks.exif.empty() || !blocks.iptc.empty();
  TiffStream::Mode mode = is_big ? TiffStream::Mode::kNewBig : TiffStream::Mode::kNew;
  if (has_exif && is_big) {
    add_warning(warnings, "EXIF and IPTC cannot be put into a BigTIFF and are not kept");
  } else if (has_exif) {
    const ByteVector beginning = make_metadata_tiff(blocks, warnings);
    if (!beginning.empty()) mode = TiffStream::Mode::kUpdate;
    if (!file.append(beginning)) return file.error();
  }
  TiffStream stream(file, mode);
  const auto failed = [&]() -> Error {
    if (file.failed()) return file.error();
    return make_error(ErrorCode::kInternal, fmt::format("cannot encode the TIFF: {}", stream.complaint()));
  };
  TIFF* tiff = stream.get();
  if (tiff == nullptr) return failed();
  const auto pages = static_cast<std::uint16_t>(1 + picture.pages.size());
  for (std::uint16_t number = 0; number < pages; ++number) {
    const Picture& page = number == 0 ? picture : picture.pages[number - 1U];
    if (pages > 1) {
      TIFFSetField(tiff, TIFFTAG_SUBFILETYPE, FILETYPE_PAGE);
      TIFFSetField(tiff, TIFFTAG_PAGENUMBER, number, pages);
    }
    const Metadata own = number == 0 ? blocks : blocks_of(page, options, warnings);
    if (!write_page(tiff, page, options, own)) return failed();
    const bool is_replaced = number == 0 && mode == TiffStream::Mode::kUpdate;
    if ((is_replaced ? TIFFRewriteDirectory(tiff) : TIFFWriteDirectory(tiff)) != 1) return failed();
  }
  if (!stream.finish()) return failed();
  return {};
}

}  // namespace retouchd::image
