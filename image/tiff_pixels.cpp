// Strips that lie in the file as they do in memory are decoded straight into the plane, whatever their size; others through a
// buffer of one strip or tile, or of one row when a strip is large.

#include "image/tiff_pixels.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <opencv2/core.hpp>
#include <vector>

namespace retouchd::image {
namespace {

/// 8-bit reds, greens and blues.
using Palette = std::array<std::array<std::uint8_t, 256>, 3>;

Result<Palette> read_palette(TIFF* tiff, const TiffLayout& layout) {
  Palette palette{};
  if (!layout.is_palette) return palette;
  std::array<std::uint16_t*, 3> stored{};
  if (TIFFGetField(tiff, TIFFTAG_COLORMAP, &stored[0], &stored[1], &stored[2]) != 1) {
    return make_error(ErrorCode::kCorruptPicture, "the TIFF has no palette");
  }
  const std::size_t count = std::size_t{1} << layout.bits;
  // Palettes are 16-bit, but some writers put 8-bit values there.
  bool is_8_bit = true;
  for (const std::uint16_t* entries : stored) {
    is_8_bit = is_8_bit && std::all_of(entries, entries + count, [](int value) { return value < 256; });
  }
  for (std::size_t c = 0; c < 3; ++c) {
    for (std::size_t i = 0; i < count; ++i)
      palette[c][i] = static_cast<std::uint8_t>(is_8_bit ? stored[c][i] : stored[c][i] >> 8);
  }
  return palette;
}

/// Puts samples as stored into the planes in memory.
class Unpacker {
 public:
  Unpacker(const TiffLayout& layout, const Palette& palette, TiffPlanes& planes)
      : layout_(layout), palette_(palette), planes_(planes) {}

  /// `count` pixels of one row of `bytes`, to (x, y). `plane` is the sample that the row holds, or -1 when it holds all of them.
  void put(std::uint8_t* bytes, int x, int y, int count, int plane) {
    const int bits = layout_.bits;
    if (layout_.is_float && bits == 32) {
      put_samples(reinterpret_cast<const float*>(bytes), x, y, count, plane);
    } else if (layout_.is_float) {
      const cv::Mat half(1, count * layout_.samples_in_row(), CV_16FC1, bytes);
      half.convertTo(floats_, CV_32F);
      put_samples(floats_.ptr<float>(), x, y, count, plane);
    } else if (bits == 16) {
      put_samples(reinterpret_cast<const std::uint16_t*>(bytes), x, y, count, plane);
    } else if (bits == 8 && !layout_.is_palette) {
      put_samples(bytes, x, y, count, plane);
    } else if (layout_.is_palette) {
      put_indices(bytes, x, y, count);
    } else if (bits > 8) {
      put_packed<std::uint16_t>(bytes, x, y, count, plane);
    } else {
      put_packed<std::uint8_t>(bytes, x, y, count, plane);
    }
  }

 private:
  /// Calls `each(index in the row's pixels, first sample in memory, step there, is it alpha)` for the samples that are kept.
  template <class Sample, class Each>
  void for_planes(int x, int y, int plane, Each&& each) {
    const int first = plane < 0 ? 0 : plane;
    const int last = plane < 0 ? layout_.colours + (layout_.has_alpha ? 1 : 0) - 1 : plane;
    for (int s = first; s <= last; ++s) {
      if (s >= layout_.colours) {
        each(s - first, planes_.alpha.ptr<Sample>(y) + x, 1, true);
      } else {
        each(s - first, planes_.colour.ptr<Sample>(y) + x * layout_.colours + s, layout_.colours, false);
      }
    }
  }

  template <class Sample>
  void put_samples(const Sample* samples, int x, int y, int count, int plane) {
    const int step = layout_.samples_in_row();
    for_planes<Sample>(x, y, plane, [&](int index, Sample* to, int to_step, bool is_alpha) {
      const Sample* from = samples + index;
      if constexpr (std::is_integral_v<Sample>) {
        if (layout_.is_inverted && !is_alpha) {
          for (int i = 0; i < count; ++i) to[i * to_step] = static_cast<Sample>(static_cast<Sample>(-1) - from[i * step]);
          return;
        }
      }
      for (int i = 0; i < count; ++i) to[i * to_step] = from[i * step];
    });
  }

  /// The sample of `bits` that starts at `bit`, most significant bit first.
  [[nodiscard]] static std::uint32_t packed(const std::uint8_t* bytes, std::size_t bit, unsigned bits) noexcept {
    const std::size_t last = (bit + bits - 1) / 8;
    std::uint32_t value = 0;
    for (std::size_t at = bit / 8; at <= last; ++at) value = value << 8 | bytes[at];
    return value >> (8 * (last + 1) - bit - bits) & ((1U << bits) - 1U);
  }

  template <class Sample>
  void put_packed(const std::uint8_t* bytes, int x, int y, int count, int plane) {
    const auto bits = static_cast<unsigned>(layout_.bits);
    const auto step = static_cast<std::size_t>(layout_.samples_in_row());
    const std::uint32_t most = (1U << bits) - 1U;
    constexpr std::uint32_t kFull = static_cast<Sample>(-1);
    for_planes<Sample>(x, y, plane, [&](int index, Sample* to, int to_step, bool is_alpha) {
      for (int i = 0; i < count; ++i) {
        const std::uint32_t value =
            packed(bytes, (static_cast<std::size_t>(i) * step + static_cast<std::size_t>(index)) * bits, bits);
        const std::uint32_t scaled = (value * kFull + most / 2) / most;
        to[i * to_step] = static_cast<Sample>(layout_.is_inverted && !is_alpha ? kFull - scaled : scaled);
      }
    });
  }

  void put_indices(const std::uint8_t* bytes, int x, int y, int count) {
    const auto bits = static_cast<unsigned>(layout_.bits);
    const auto step = static_cast<std::size_t>(layout_.samples_in_row());
    std::uint8_t* to = planes_.colour.ptr(y) + x * layout_.colours;
    for (int i = 0; i < count; ++i) {
      const std::uint32_t index = packed(bytes, static_cast<std::size_t>(i) * step * bits, bits);
      for (std::size_t c = 0; c < 3; ++c) *to++ = palette_[c][index];
    }
  }

  const TiffLayout& layout_;
  const Palette& palette_;
  TiffPlanes& planes_;
  cv::Mat floats_;
};

/// Reads the blocks of one picture.
class Reader {
 public:
  Reader(const TiffStream& stream, const TiffLayout& layout, TiffPlanes& planes, Unpacker& unpacker)
      : stream_(stream), tiff_(stream.get()), layout_(layout), planes_(planes), unpacker_(unpacker) {}

  Result<void> read() {
    const int kept = layout_.colours + (layout_.has_alpha ? 1 : 0);
    const int planes = !layout_.is_planar ? 1 : layout_.is_palette ? 1 : kept;
    for (int plane = 0; plane < planes; ++plane) {
      const int only = layout_.is_planar ? plane : -1;
      for (int top = 0; top < height(); top += layout_.block_height) {
        const int rows = std::min(layout_.block_height, height() - top);
        Result<void> read = layout_.is_tiled ? read_tiles(top, rows, plane, only) : read_strip(top, rows, plane, only);
        if (!read) return read;
      }
    }
    return {};
  }

 private:
  [[nodiscard]] int height() const noexcept { return static_cast<int>(layout_.header.height); }
  [[nodiscard]] int width() const noexcept { return static_cast<int>(layout_.header.width); }

  Result<void> read_strip(int top, int rows, int plane, int only) {
    const std::uint32_t strip = TIFFComputeStrip(tiff_, static_cast<std::uint32_t>(top), static_cast<std::uint16_t>(plane));
    const std::uint64_t row_bytes = layout_.row_bytes();
    const auto bytes = static_cast<tmsize_t>(row_bytes * static_cast<std::uint64_t>(rows));
    if (layout_.is_as_in_memory()) {
      return TIFFReadEncodedStrip(tiff_, strip, planes_.colour.ptr(top), bytes) == bytes ? Result<void>{} : damaged(strip, top);
    }
    if (layout_.block_bytes() <= kTiffStripBuffer) {
      buffer_.resize(layout_.block_bytes());
      if (TIFFReadEncodedStrip(tiff_, strip, buffer_.data(), bytes) != bytes) return damaged(strip, top);
      for (int y = 0; y < rows; ++y) {
        unpacker_.put(buffer_.data() + static_cast<std::uint64_t>(y) * row_bytes, 0, top + y, width(), only);
      }
      return {};
    }
    buffer_.resize(row_bytes);
    for (int y = top; y < top + rows; ++y) {
      if (TIFFReadScanline(tiff_, buffer_.data(), static_cast<std::uint32_t>(y), static_cast<std::uint16_t>(plane)) != 1) {
        return damaged(strip, y);
      }
      unpacker_.put(buffer_.data(), 0, y, width(), only);
    }
    return {};
  }

  Result<void> read_tiles(int top, int rows, int plane, int only) {
    buffer_.resize(layout_.block_bytes());
    for (int left = 0; left < width(); left += layout_.block_width) {
      const std::uint32_t tile = TIFFComputeTile(tiff_, static_cast<std::uint32_t>(left), static_cast<std::uint32_t>(top), 0,
                                                 static_cast<std::uint16_t>(plane));
      if (TIFFReadEncodedTile(tiff_, tile, buffer_.data(), static_cast<tmsize_t>(buffer_.size())) < 0) return damaged(tile, top);
      const int columns = std::min(layout_.block_width, width() - left);
      for (int y = 0; y < rows; ++y) {
        unpacker_.put(buffer_.data() + static_cast<std::uint64_t>(y) * layout_.row_bytes(), left, top + y, columns, only);
      }
    }
    return {};
  }

  Error damaged(std::uint32_t block, int row) const {
    const std::uint64_t at = TIFFGetStrileOffset(tiff_, block);
    const std::uint64_t bytes = TIFFGetStrileByteCount(tiff_, block);
    const std::string_view kind = layout_.is_tiled ? "tile" : "strip";
    if (at > stream_.file_size() || bytes > stream_.file_size() - at) {
      return make_error(ErrorCode::kTruncatedPicture,
                        fmt::format("the TIFF ends early: {} {}, from row {} on, lies beyond its end", kind, block, row));
    }
    return stream_.reading_error(fmt::format("{} {} of the TIFF is damaged at row {}", kind, block, row));
  }

  const TiffStream& stream_;
  TIFF* tiff_;
  const TiffLayout& layout_;
  TiffPlanes& planes_;
  Unpacker& unpacker_;
  std::vector<std::uint8_t> buffer_;
};

}  // namespace

Result<void> read_tiff_pixels(const TiffStream& stream, const TiffLayout& layout, TiffPlanes& planes) {
  Result<Palette> palette = read_palette(stream.get(), layout);
  if (!palette) return palette.error();
  Unpacker unpacker(layout, *palette, planes);
  return Reader(stream, layout, planes, unpacker).read();
}

}  // namespace retouchd::image
