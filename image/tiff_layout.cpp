#include "image/tiff_layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <opencv2/core.hpp>

namespace retouchd::image {
namespace {

constexpr int kMostSamples = 8;

Error unsupported(std::string message) { return make_error(ErrorCode::kUnsupportedFormat, std::move(message)); }

bool is_known_compression(int compression) {
  constexpr std::array kKnown{COMPRESSION_NONE,      COMPRESSION_LZW,       COMPRESSION_ADOBE_DEFLATE, COMPRESSION_DEFLATE,
                              COMPRESSION_PACKBITS,  COMPRESSION_JPEG,      COMPRESSION_CCITTRLE,      COMPRESSION_CCITTRLEW,
                              COMPRESSION_CCITTFAX3, COMPRESSION_CCITTFAX4, COMPRESSION_ZSTD,          COMPRESSION_LZMA,
                              COMPRESSION_WEBP};
  return std::find(kKnown.begin(), kKnown.end(), compression) != kKnown.end() &&
         TIFFIsCODECConfigured(static_cast<std::uint16_t>(compression)) != 0;
}

std::string_view name_of_photometric(int photometric) {
  switch (photometric) {
    case PHOTOMETRIC_MASK:
      return "a mask";
    case PHOTOMETRIC_YCBCR:
      return "YCbCr without JPEG";
    case PHOTOMETRIC_CIELAB:
    case PHOTOMETRIC_ICCLAB:
    case PHOTOMETRIC_ITULAB:
      return "Lab";
    case PHOTOMETRIC_CFA:
      return "a raw sensor pattern";
    case PHOTOMETRIC_LOGL:
    case PHOTOMETRIC_LOGLUV:
      return "LogLuv";
    default:
      return "of an unknown colour space";
  }
}

Result<void> read_inks(TIFF* tiff, TiffLayout& layout) {
  if (tiff_field<std::uint16_t>(tiff, TIFFTAG_INKSET, INKSET_CMYK) != INKSET_CMYK || layout.samples < 4) {
    return unsupported("the TIFF has inks other than CMYK; convert it to RGB first");
  }
  std::uint32_t size = 0;
  const void* profile = nullptr;
  if (TIFFGetField(tiff, TIFFTAG_ICCPROFILE, &size, &profile) != 1) {
    return unsupported("the TIFF is CMYK without an ICC profile, so that its colours are unknown; convert it to RGB first");
  }
  layout.stored_colours = 4;
  return {};
}

Result<void> read_colour(TIFF* tiff, TiffLayout& layout) {
  const int photometric = tiff_field<std::uint16_t>(tiff, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISBLACK);
  switch (photometric) {
    case PHOTOMETRIC_MINISWHITE:
      layout.is_inverted = true;
      break;
    case PHOTOMETRIC_MINISBLACK:
      break;
    case PHOTOMETRIC_RGB:
      layout.stored_colours = 3;
      break;
    case PHOTOMETRIC_PALETTE:
      layout.is_palette = true;
      break;
    case PHOTOMETRIC_SEPARATED:
      if (Result<void> inks = read_inks(tiff, layout); !inks) return inks;
      break;
    case PHOTOMETRIC_YCBCR:
      if (layout.compression == COMPRESSION_JPEG && !layout.is_planar) {
        layout.stored_colours = 3;
        TIFFSetField(tiff, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
        break;
      }
      [[fallthrough]];
    default:
      return unsupported(
          fmt::format("the TIFF is {}; gray, RGB, palettes and CMYK are restored", name_of_photometric(photometric)));
  }
  layout.colours = layout.is_palette ? 3 : layout.stored_colours;
  return {};
}

/// Combinations of sample format, depth and number that we unpack.
Result<void> check_samples(TIFF* tiff, const TiffLayout& layout) {
  const int format = tiff_field<std::uint16_t>(tiff, TIFFTAG_SAMPLEFORMAT, SAMPLEFORMAT_UINT);
  if (format == SAMPLEFORMAT_INT)
    return unsupported("the TIFF has signed samples; unsigned and floating point ones are restored");
  if (format == SAMPLEFORMAT_COMPLEXINT || format == SAMPLEFORMAT_COMPLEXIEEEFP) {
    return unsupported("the TIFF has complex samples; unsigned and floating point ones are restored");
  }
  if (layout.samples < layout.stored_colours || layout.samples > kMostSamples) {
    return unsupported(fmt::format("the TIFF has {} samples a pixel", layout.samples));
  }
  if (layout.is_float) {
    if (layout.bits != 16 && layout.bits != 32) {
      return unsupported(fmt::format("the TIFF has floating point samples of {} bits; 16 and 32 are restored", layout.bits));
    }
    if (layout.is_palette || layout.is_inverted || layout.is_cmyk()) {
      return unsupported("the TIFF has floating point samples that are neither brightness nor RGB");
    }
    return {};
  }
  const int most = layout.is_palette ? 8 : 16;
  if (layout.bits < 1 || layout.bits > most) {
    return unsupported(fmt::format("the TIFF has {} of {} bits; up to {} are restored",
                                   layout.is_palette ? "a palette" : "unsigned samples", layout.bits, most));
  }
  if (layout.is_cmyk() && layout.bits != 8 && layout.bits != 16) {
    return unsupported(fmt::format("the TIFF is CMYK of {} bits; 8 and 16 are restored", layout.bits));
  }
  return {};
}

void read_alpha(TIFF* tiff, TiffLayout& layout) {
  if (layout.is_palette || layout.samples == layout.stored_colours) return;
  // An extra sample without a meaning is alpha to most readers, and to the writers that forget to say so.
  std::uint16_t extras = 0;
  std::uint16_t* kinds = nullptr;
  layout.has_alpha = true;
  if (TIFFGetField(tiff, TIFFTAG_EXTRASAMPLES, &extras, &kinds) == 1 && extras > 0 && kinds != nullptr) {
    layout.is_premultiplied = kinds[0] == EXTRASAMPLE_ASSOCALPHA && !layout.is_cmyk();
  }
}

/// libtiff's idea of a row must be ours, or a little more.
Result<void> read_blocks(TIFF* tiff, TiffLayout& layout) {
  layout.is_tiled = TIFFIsTiled(tiff) != 0;
  const auto width = layout.header.width;
  const auto height = layout.header.height;
  if (layout.is_tiled) {
    const auto tile_width = tiff_field<std::uint32_t>(tiff, TIFFTAG_TILEWIDTH, 0);
    const auto tile_height = tiff_field<std::uint32_t>(tiff, TIFFTAG_TILELENGTH, 0);
    constexpr std::uint32_t kLargestSide = 16'384;
    constexpr std::uint64_t kLargestTile = 256U << 20;
    if (tile_width == 0 || tile_height == 0 || tile_width > kLargestSide || tile_height > kLargestSide) {
      return make_error(ErrorCode::kCorruptPicture, fmt::format("the TIFF has tiles of {}x{}", tile_width, tile_height));
    }
    layout.block_width = static_cast<int>(tile_width);
    layout.block_height = static_cast<int>(tile_height);
    if (layout.block_bytes() > kLargestTile) {
      return make_error(ErrorCode::kCorruptPicture,
                        fmt::format("the TIFF has tiles of {}", to_string(Bytes{layout.block_bytes()})));
    }
  } else {
    layout.block_width = static_cast<int>(width);
    const auto rows = tiff_field<std::uint32_t>(tiff, TIFFTAG_ROWSPERSTRIP, height);
    layout.block_height = static_cast<int>(std::min(rows == 0 ? height : rows, height));
  }
  const std::uint64_t expected = layout.row_bytes();
  const std::uint64_t said = layout.is_tiled ? TIFFTileRowSize64(tiff) : TIFFScanlineSize64(tiff);
  if (said != expected) {
    return make_error(ErrorCode::kCorruptPicture, fmt::format("rows of the TIFF have {} bytes instead of {}", said, expected));
  }
  return {};
}

/// An upper bound of what libtiff and the library behind it allocate for one strip or tile.
std::uint64_t decompressor_memory(const TiffLayout& layout) {
  const std::uint64_t pixels = static_cast<std::uint64_t>(layout.block_width) * static_cast<std::uint64_t>(layout.block_height);
  const std::uint64_t bytes = layout.block_bytes();
  constexpr std::uint64_t kSmall = 1U << 20;
  switch (layout.compression) {
    case COMPRESSION_JPEG: {
      // Rows of blocks; all coefficients of a progressive one, which libtiff refuses beyond 100 MB.
      const std::uint64_t coefficients = std::min<std::uint64_t>(2 * bytes, 100'000'000);
      return kSmall + 64 * layout.row_bytes() + coefficients;
    }
    case COMPRESSION_ZSTD:
    case COMPRESSION_LZMA:  // a window, of which no more is touched than what was decoded
      return 2 * kSmall + std::min<std::uint64_t>(bytes, 128U << 20);
    case COMPRESSION_WEBP:  // the decoded block, the same as ARGB while it is lossless, and its bytes
      return kSmall + 2 * bytes + 4 * pixels;
    default:
      return kSmall;
  }
}

}  // namespace

int TiffLayout::depth() const noexcept { return is_float ? CV_32F : bits > 8 ? CV_16U : CV_8U; }

std::uint64_t TiffLayout::row_bytes() const noexcept {
  return (static_cast<std::uint64_t>(block_width) * static_cast<std::uint64_t>(bits * samples_in_row()) + 7) / 8;
}

bool TiffLayout::is_as_in_memory() const noexcept {
  return !is_tiled && !is_palette && !is_inverted && samples_in_row() == colours && samples == stored_colours &&
         bits == (is_float            ? 32
                  : depth() == CV_16U ? 16
                                      : 8);
}

Result<TiffLayout> read_tiff_layout(const TiffStream& stream) {
  TIFF* tiff = stream.get();
  if (tiff == nullptr) return stream.reading_error("the TIFF has no readable directory");
  TiffLayout layout;
  layout.header.format = FileFormat::kTiff;
  layout.header.width = tiff_field<std::uint32_t>(tiff, TIFFTAG_IMAGEWIDTH, 0);
  layout.header.height = tiff_field<std::uint32_t>(tiff, TIFFTAG_IMAGELENGTH, 0);
  constexpr std::uint32_t kMostSide = 1U << 30;
  if (layout.header.width > kMostSide || layout.header.height > kMostSide) {
    return make_error(ErrorCode::kPictureTooLarge,
                      fmt::format("{}x{} is beyond every limit", layout.header.width, layout.header.height));
  }
  layout.compression = tiff_field<std::uint16_t>(tiff, TIFFTAG_COMPRESSION, COMPRESSION_NONE);
  if (!is_known_compression(layout.compression)) {
    return unsupported(fmt::format("the TIFF is compressed by method {}, which is not supported", layout.compression));
  }
  layout.bits = tiff_field<std::uint16_t>(tiff, TIFFTAG_BITSPERSAMPLE, 1);
  layout.samples = tiff_field<std::uint16_t>(tiff, TIFFTAG_SAMPLESPERPIXEL, 1);
  layout.is_float = tiff_field<std::uint16_t>(tiff, TIFFTAG_SAMPLEFORMAT, SAMPLEFORMAT_UINT) == SAMPLEFORMAT_IEEEFP;
  layout.is_planar =
      layout.samples > 1 && tiff_field<std::uint16_t>(tiff, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG) == PLANARCONFIG_SEPARATE;
  if (Result<void> colour = read_colour(tiff, layout); !colour) return colour.error();
  if (Result<void> samples = check_samples(tiff, layout); !samples) return samples.error();
  read_alpha(tiff, layout);
  layout.header.channels = std::min(layout.colours, 3) + (layout.has_alpha ? 1 : 0);
  layout.header.bits = layout.is_float ? 32 : layout.bits > 8 ? 16 : 8;
  if (layout.header.width == 0 || layout.header.height == 0) return layout;  // is refused with the other limits
  if (Result<void> blocks = read_blocks(tiff, layout); !blocks) return blocks.error();
  return layout;
}

Bytes tiff_working(TIFF* tiff, const TiffLayout& layout) {
  std::uint64_t bytes = decompressor_memory(layout);
  if (!layout.is_as_in_memory()) {
    bytes += layout.is_tiled || layout.block_bytes() <= kTiffStripBuffer ? layout.block_bytes() : layout.row_bytes();
    if (layout.is_float) bytes += static_cast<std::uint64_t>(layout.block_width) * layout.samples * sizeof(float);
  }
  if (layout.is_cmyk()) {  // CMYK and alpha stand beside what they become
    bytes += static_cast<std::uint64_t>(layout.header.width) * layout.header.height * (layout.has_alpha ? 5U : 4U) *
             static_cast<unsigned>(layout.bits / 8);
  }
  if (tiff_field<std::uint16_t>(tiff, TIFFTAG_FILLORDER, FILLORDER_MSB2LSB) != FILLORDER_MSB2LSB) {
    bytes += 2 * layout.block_bytes();  // libtiff turns the bits of a copy; it grows by no more when compressed
  }
  return Bytes{bytes};
}

}  // namespace retouchd::image
