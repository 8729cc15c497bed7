// TIFF by libtiff: strips row by row, tiles one by one, samples unpacked here. libtiff's own RGBA reader would turn gray into
// colour and 16 bits into 8.

#include <fmt/format.h>
#include <tiffio.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <opencv2/core.hpp>
#include <vector>

#include "image/format_codec.h"
#include "image/tiff_stream.h"

namespace retouchd::image {
namespace {

constexpr int kMostSamples = 8;
constexpr Bytes kHeaderBlock = mebibytes(64);

/// How the first directory stores its pixels.
struct Layout {
  PictureHeader header;
  int bits = 8;     ///< as stored: 1, 2, 4, 8 or 16
  int samples = 1;  ///< per pixel, as stored
  int colours = 1;  ///< 1 or 3 in memory
  bool has_alpha = false;
  bool is_premultiplied = false;
  bool is_inverted = false;  ///< zero is white
  bool is_palette = false;
  bool is_planar = false;
  bool is_jpeg = false;
};

Error error_of(const TiffStream& stream, std::string_view what) {
  const std::string& why = stream.complaint();
  if (stream.ran_past_end()) return make_error(ErrorCode::kTruncatedPicture, fmt::format("the TIFF ends early: {}", why));
  return make_error(ErrorCode::kCorruptPicture, fmt::format("{}: {}", what, why.empty() ? "no reason given" : why));
}

Error unsupported(std::string message) { return make_error(ErrorCode::kUnsupportedFormat, std::move(message)); }

template <class T>
T field(TIFF* tiff, std::uint32_t tag, T otherwise) {
  T value = otherwise;
  return TIFFGetFieldDefaulted(tiff, tag, &value) == 1 ? value : otherwise;
}

bool is_known_compression(int compression) {
  constexpr std::array kKnown{COMPRESSION_NONE,      COMPRESSION_LZW,      COMPRESSION_ADOBE_DEFLATE, COMPRESSION_DEFLATE,
                              COMPRESSION_PACKBITS,  COMPRESSION_JPEG,     COMPRESSION_CCITTRLE,      COMPRESSION_CCITTRLEW,
                              COMPRESSION_CCITTFAX3, COMPRESSION_CCITTFAX4};
  return std::find(kKnown.begin(), kKnown.end(), compression) != kKnown.end();
}

std::string_view name_of_photometric(int photometric) {
  switch (photometric) {
    case PHOTOMETRIC_MASK:
      return "a mask";
    case PHOTOMETRIC_SEPARATED:
      return "CMYK";
    case PHOTOMETRIC_YCBCR:
      return "YCbCr without JPEG";
    case PHOTOMETRIC_CIELAB:
    case PHOTOMETRIC_ICCLAB:
    case PHOTOMETRIC_ITULAB:
      return "Lab";
    case PHOTOMETRIC_CFA:
      return "a raw sensor pattern";
    default:
      return "of an unknown colour space";
  }
}

Result<void> read_colour(TIFF* tiff, Layout& layout) {
  const int photometric = field<std::uint16_t>(tiff, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISBLACK);
  switch (photometric) {
    case PHOTOMETRIC_MINISWHITE:
      layout.is_inverted = true;
      break;
    case PHOTOMETRIC_MINISBLACK:
      break;
    case PHOTOMETRIC_RGB:
      layout.colours = 3;
      break;
    case PHOTOMETRIC_PALETTE:
      layout.colours = 3;
      layout.is_palette = true;
      break;
    case PHOTOMETRIC_YCBCR:
      if (!layout.is_jpeg || layout.is_planar)
        return unsupported("the TIFF is YCbCr without JPEG; only gray and RGB are restored");
      layout.colours = 3;
      TIFFSetField(tiff, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
      break;
    default:
      return unsupported(fmt::format("the TIFF is {}; only gray and RGB are restored", name_of_photometric(photometric)));
  }
  const int stored_colours = layout.is_palette ? 1 : layout.colours;
  if (layout.samples < stored_colours || layout.samples > kMostSamples) {
    return unsupported(fmt::format("the TIFF has {} samples a pixel", layout.samples));
  }
  const bool is_packed = layout.bits == 1 || layout.bits == 2 || layout.bits == 4;
  const bool is_whole = layout.bits == 8 || (layout.bits == 16 && !layout.is_palette);
  if (!is_whole && !(is_packed && layout.samples == 1)) {
    return unsupported(fmt::format("the TIFF has {} samples of {} bits a pixel", layout.samples, layout.bits));
  }
  if (layout.is_palette || layout.samples == stored_colours) return {};
  // An extra sample without a meaning is alpha to most readers, and to the writers that forget to say so.
  std::uint16_t extras = 0;
  std::uint16_t* kinds = nullptr;
  layout.has_alpha = true;
  if (TIFFGetField(tiff, TIFFTAG_EXTRASAMPLES, &extras, &kinds) == 1 && extras > 0 && kinds != nullptr) {
    layout.is_premultiplied = kinds[0] == EXTRASAMPLE_ASSOCALPHA;
  }
  return {};
}

Result<Layout> read_layout(const TiffStream& stream) {
  TIFF* tiff = stream.get();
  if (tiff == nullptr) return error_of(stream, "the TIFF has no readable directory");
  Layout layout;
  layout.header.format = FileFormat::kTiff;
  layout.header.width = field<std::uint32_t>(tiff, TIFFTAG_IMAGEWIDTH, 0);
  layout.header.height = field<std::uint32_t>(tiff, TIFFTAG_IMAGELENGTH, 0);
  const int compression = field<std::uint16_t>(tiff, TIFFTAG_COMPRESSION, COMPRESSION_NONE);
  if (!is_known_compression(compression)) {
    return unsupported(fmt::format("the TIFF is compressed by method {}, which is not supported", compression));
  }
  const int sample_format = field<std::uint16_t>(tiff, TIFFTAG_SAMPLEFORMAT, SAMPLEFORMAT_UINT);
  if (sample_format != SAMPLEFORMAT_UINT && sample_format != SAMPLEFORMAT_VOID) {
    return unsupported("the TIFF has signed or floating point samples; only unsigned ones are restored");
  }
  layout.is_jpeg = compression == COMPRESSION_JPEG;
  layout.bits = field<std::uint16_t>(tiff, TIFFTAG_BITSPERSAMPLE, 1);
  layout.samples = field<std::uint16_t>(tiff, TIFFTAG_SAMPLESPERPIXEL, 1);
  layout.is_planar =
      layout.samples > 1 && field<std::uint16_t>(tiff, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG) == PLANARCONFIG_SEPARATE;
  if (Result<void> colour = read_colour(tiff, layout); !colour) return colour.error();
  layout.header.channels = layout.colours + (layout.has_alpha ? 1 : 0);
  layout.header.bits = layout.bits == 16 ? 16 : 8;
  return layout;
}

/// The 8-bit value of each stored value, for all pictures that are not 16-bit: a channel each; gray uses the first.
using Lookup = std::array<std::array<std::uint8_t, 256>, 3>;

Result<Lookup> make_lookup(TIFF* tiff, const Layout& layout) {
  Lookup lookup{};
  const int count = layout.bits == 16 ? 0 : 1 << layout.bits;
  std::array<std::uint16_t*, 3> palette{};
  if (layout.is_palette) {
    if (TIFFGetField(tiff, TIFFTAG_COLORMAP, &palette[0], &palette[1], &palette[2]) != 1) {
      return make_error(ErrorCode::kCorruptPicture, "the TIFF has no palette");
    }
    // Palettes are 16-bit, but some writers put 8-bit values there.
    bool is_8_bit = true;
    for (const std::uint16_t* entries : palette)
      is_8_bit = is_8_bit && std::all_of(entries, entries + count, [](int v) { return v < 256; });
    for (std::size_t c = 0; c < 3; ++c) {
      for (int v = 0; v < count; ++v) lookup[c][v] = static_cast<std::uint8_t>(is_8_bit ? palette[c][v] : palette[c][v] >> 8);
    }
    return lookup;
  }
  for (auto& channel : lookup) {
    for (int v = 0; v < count; ++v) {
      const int value = v * 255 / (count - 1);
      channel[v] = static_cast<std::uint8_t>(layout.is_inverted ? 255 - value : value);
    }
  }
  return lookup;
}

/// Puts samples as stored into the planes in memory.
class Unpacker {
 public:
  Unpacker(const Layout& layout, const Lookup& lookup, StoredPicture& picture)
      : layout_(layout), lookup_(lookup), picture_(picture) {}

  /// `count` pixels of one row of `bytes`, to (x, y). `plane` is the sample that the row holds, or -1 when it holds all of them.
  void put(const std::uint8_t* bytes, int x, int y, int count, int plane) {
    if (layout_.bits == 16) {
      put_samples(reinterpret_cast<const std::uint16_t*>(bytes), x, y, count, plane);
    } else if (layout_.bits == 8 && !layout_.is_palette) {
      put_samples(bytes, x, y, count, plane);
    } else {
      put_indices(bytes, x, y, count);
    }
  }

 private:
  template <class Sample>
  void put_samples(const Sample* samples, int x, int y, int count, int plane) {
    const int first = plane < 0 ? 0 : plane;
    const int last = plane < 0 ? std::min(layout_.samples, layout_.header.channels) - 1 : plane;
    const int step = plane < 0 ? layout_.samples : 1;
    for (int s = first; s <= last; ++s) {
      const bool is_alpha = s >= layout_.colours;
      const Sample* from = samples + (s - first);
      const int to_step = is_alpha ? 1 : layout_.colours;
      Sample* to = is_alpha ? picture_.alpha.ptr<Sample>(y) + x : picture_.colour.ptr<Sample>(y) + x * to_step + s;
      const Sample flip = layout_.is_inverted && !is_alpha ? static_cast<Sample>(-1) : Sample{0};
      for (int i = 0; i < count; ++i) to[i * to_step] = static_cast<Sample>(from[i * step] ^ flip);
    }
  }

  void put_indices(const std::uint8_t* bytes, int x, int y, int count) {
    const int bits = layout_.bits;
    const int mask = (1 << bits) - 1;
    std::uint8_t* to = picture_.colour.ptr(y) + x * layout_.colours;
    for (int i = 0; i < count; ++i) {
      const int bit = i * bits * (layout_.is_palette ? layout_.samples : 1);
      const int value = bytes[bit / 8] >> (8 - bits - bit % 8) & mask;
      for (int c = 0; c < layout_.colours; ++c) *to++ = lookup_[c][value];
    }
  }

  const Layout& layout_;
  const Lookup& lookup_;
  StoredPicture& picture_;
};

Result<void> read_strips(const TiffStream& stream, const Layout& layout, Unpacker& unpacker) {
  TIFF* tiff = stream.get();
  const auto width = static_cast<int>(layout.header.width);
  const auto height = static_cast<int>(layout.header.height);
  const std::uint64_t stored =
      (static_cast<std::uint64_t>(width) * layout.bits * (layout.is_planar ? 1 : layout.samples) + 7) / 8;
  const auto row_bytes = static_cast<std::uint64_t>(TIFFScanlineSize64(tiff));
  if (row_bytes < stored || row_bytes > stored * 2 + 64) {
    return make_error(ErrorCode::kCorruptPicture, fmt::format("rows of the TIFF have {} bytes instead of {}", row_bytes, stored));
  }
  std::vector<std::uint8_t> row(row_bytes);
  const int planes = layout.is_planar ? layout.header.channels : 1;
  for (int plane = 0; plane < planes; ++plane) {
    for (int y = 0; y < height; ++y) {
      if (TIFFReadScanline(tiff, row.data(), static_cast<std::uint32_t>(y), static_cast<std::uint16_t>(plane)) != 1) {
        return error_of(stream, fmt::format("row {} of the TIFF is damaged", y));
      }
      unpacker.put(row.data(), 0, y, width, layout.is_planar ? plane : -1);
    }
  }
  return {};
}

Result<void> read_tiles(const TiffStream& stream, const Layout& layout, Unpacker& unpacker) {
  TIFF* tiff = stream.get();
  const auto width = static_cast<int>(layout.header.width);
  const auto height = static_cast<int>(layout.header.height);
  const auto tile_width = field<std::uint32_t>(tiff, TIFFTAG_TILEWIDTH, 0);
  const auto tile_height = field<std::uint32_t>(tiff, TIFFTAG_TILELENGTH, 0);
  constexpr std::uint32_t kLargestSide = 16'384;
  constexpr std::uint64_t kLargestTile = 256U << 20;
  const auto tile_bytes = static_cast<std::uint64_t>(TIFFTileSize64(tiff));
  const auto row_bytes = static_cast<std::uint64_t>(TIFFTileRowSize64(tiff));
  const std::uint64_t stored =
      (static_cast<std::uint64_t>(tile_width) * layout.bits * (layout.is_planar ? 1 : layout.samples) + 7) / 8;
  if (tile_width == 0 || tile_height == 0 || tile_width > kLargestSide || tile_height > kLargestSide ||
      tile_bytes > kLargestTile || row_bytes < stored || tile_bytes < row_bytes * tile_height) {
    return make_error(ErrorCode::kCorruptPicture, fmt::format("the TIFF has tiles of {}x{}", tile_width, tile_height));
  }
  std::vector<std::uint8_t> tile(tile_bytes);
  const int planes = layout.is_planar ? layout.header.channels : 1;
  for (int plane = 0; plane < planes; ++plane) {
    for (int top = 0; top < height; top += static_cast<int>(tile_height)) {
      for (int left = 0; left < width; left += static_cast<int>(tile_width)) {
        if (TIFFReadTile(tiff, tile.data(), static_cast<std::uint32_t>(left), static_cast<std::uint32_t>(top), 0,
                         static_cast<std::uint16_t>(plane)) < 0) {
          return error_of(stream, fmt::format("the tile at {},{} of the TIFF is damaged", left, top));
        }
        const int columns = std::min(static_cast<int>(tile_width), width - left);
        const int rows = std::min(static_cast<int>(tile_height), height - top);
        for (int y = 0; y < rows; ++y) {
          unpacker.put(tile.data() + static_cast<std::uint64_t>(y) * row_bytes, left, top + y, columns,
                       layout.is_planar ? plane : -1);
        }
      }
    }
  }
  return {};
}

template <class Sample>
void unpremultiply(cv::Mat& colour, const cv::Mat& alpha) {
  constexpr std::uint32_t kMost = static_cast<Sample>(-1);
  const int channels = colour.channels();
  for (int y = 0; y < colour.rows; ++y) {
    auto* pixel = colour.ptr<Sample>(y);
    const auto* opacity = alpha.ptr<Sample>(y);
    for (int x = 0; x < colour.cols; ++x, pixel += channels) {
      const std::uint32_t a = opacity[x];
      if (a == 0 || a == kMost) continue;
      for (int c = 0; c < channels; ++c) pixel[c] = static_cast<Sample>(std::min(kMost, (pixel[c] * kMost + a / 2) / a));
    }
  }
}

void read_tags(TIFF* tiff, ByteSpan file, Bytes limit, StoredPicture& stored) {
  Metadata& metadata = stored.metadata;
  stored.orientation = field<std::uint16_t>(tiff, TIFFTAG_ORIENTATION, ORIENTATION_TOPLEFT);
  std::uint32_t size = 0;
  const void* bytes = nullptr;
  if (TIFFGetField(tiff, TIFFTAG_ICCPROFILE, &size, &bytes) == 1 && fits_limit(size, limit, "ICC", stored.warnings)) {
    const auto* first = static_cast<const std::uint8_t*>(bytes);
    metadata.icc.assign(first, first + size);
  }
  if (TIFFGetField(tiff, TIFFTAG_XMLPACKET, &size, &bytes) == 1 && fits_limit(size, limit, "XMP", stored.warnings)) {
    metadata.xmp.assign(static_cast<const char*>(bytes), size);
  }
  float x = 0.0F;
  float y = 0.0F;
  const int unit = field<std::uint16_t>(tiff, TIFFTAG_RESOLUTIONUNIT, RESUNIT_INCH);
  if (unit != RESUNIT_NONE && TIFFGetField(tiff, TIFFTAG_XRESOLUTION, &x) == 1 &&
      TIFFGetField(tiff, TIFFTAG_YRESOLUTION, &y) == 1 && std::isfinite(x) && std::isfinite(y) && x > 0.0F && y > 0.0F) {
    const double per_inch = unit == RESUNIT_CENTIMETER ? 2.54 : 1.0;
    metadata.dpi_x = x * per_inch;
    metadata.dpi_y = y * per_inch;
  }
  if (TIFFIsBigTIFF(tiff) != 0) {
    add_warning(stored.warnings, "the EXIF and IPTC of a BigTIFF are not kept");
  } else {
    read_tiff_metadata(file, limit, metadata, stored.warnings);
  }
}

}  // namespace

Result<PictureHeader> read_tiff_header(ByteSpan data) {
  const TiffStream stream(data, kHeaderBlock);
  Result<Layout> layout = read_layout(stream);
  if (!layout) return layout.error();
  return layout->header;
}

Result<StoredPicture> decode_tiff(ByteSpan data, const DecodeLimits& limits) {
  Bytes largest_block{};
  {
    Result<PictureHeader> header = read_tiff_header(data);
    if (!header) return header.error();
    // A picture of one strip is decoded as one block.
    largest_block = kHeaderBlock + header->decoded_bytes() + Bytes{data.size()};
  }
  const TiffStream stream(data, largest_block);
  Result<Layout> layout = read_layout(stream);
  if (!layout) return layout.error();
  Result<Lookup> lookup = make_lookup(stream.get(), *layout);
  if (!lookup) return lookup.error();

  StoredPicture stored;
  const cv::Size size(static_cast<int>(layout->header.width), static_cast<int>(layout->header.height));
  const int depth = layout->header.bits == 16 ? CV_16U : CV_8U;
  stored.colour.create(size, CV_MAKETYPE(depth, layout->colours));
  if (layout->has_alpha) stored.alpha.create(size, CV_MAKETYPE(depth, 1));
  Unpacker unpacker(*layout, *lookup, stored);
  const bool is_tiled = TIFFIsTiled(stream.get()) != 0;
  if (Result<void> read = is_tiled ? read_tiles(stream, *layout, unpacker) : read_strips(stream, *layout, unpacker); !read) {
    return read.error();
  }
  if (layout->is_premultiplied) {
    depth == CV_16U ? unpremultiply<std::uint16_t>(stored.colour, stored.alpha)
                    : unpremultiply<std::uint8_t>(stored.colour, stored.alpha);
  }
  if (layout->samples > layout->header.channels && !layout->is_palette) {
    add_warning(stored.warnings,
                fmt::format("{} extra channels of the TIFF are not kept", layout->samples - layout->header.channels));
  }
  read_tags(stream.get(), data, limits.metadata, stored);
  if (TIFFReadDirectory(stream.get()) != 0) {
    add_warning(stored.warnings, "the TIFF holds several pictures, of which only the first is restored");
  }
  return stored;
}

}  // namespace retouchd::image
