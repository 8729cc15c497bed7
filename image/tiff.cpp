// TIFF by libtiff's strips and tiles; samples are unpacked here (tiff_pixels.h). Its own RGBA reader would turn gray into colour
// and 16 bits into 8.

#include <fmt/format.h>
#include <tiffio.h>

#include <algorithm>
#include <cmath>
#include <opencv2/core.hpp>
#include <optional>
#include <vector>

#include "image/colour.h"
#include "image/format_codec.h"
#include "image/tiff_directory.h"
#include "image/tiff_layout.h"
#include "image/tiff_metadata.h"
#include "image/tiff_pixels.h"
#include "image/tiff_stream.h"
#include "image/value_range.h"

namespace retouchd::image {
namespace {

constexpr Bytes kHeaderBlock = mebibytes(64);

/// Calls `page(stream, directory, number)` for the pages that are wanted, until one fails; the error names the page.
template <class Page>
Result<void> for_pages(const TiffStream& stream, const std::vector<TiffDirectory>& directories, bool all_pages, Page&& page) {
  int number = 0;
  for (std::size_t i = 0; i < directories.size(); ++i) {
    const TiffDirectory& directory = directories[i];
    const bool is_there = i == 0 || TIFFReadDirectory(stream.get()) == 1;
    if (i > 0 && !directory.is_page) continue;
    ++number;
    Result<void> done = is_there ? page(directory) : stream.reading_error("it cannot be read");
    if (!done) {
      Error error = done.error();
      if (error.code == ErrorCode::kCorruptPicture && directory.is_cut) {
        error.code = ErrorCode::kTruncatedPicture;
        error.message = "the TIFF ends early: " + error.message;
      }
      if (number > 1) error.message = fmt::format("page {} of the TIFF: {}", number, error.message);
      return error;
    }
    if (!all_pages) break;
  }
  return {};
}

std::vector<TiffDirectory> directories_of(ByteSpan data, const DecodeLimits& limits) {
  return read_tiff_directories(data, static_cast<std::size_t>(std::max(1, limits.frames)) + 1);
}

int count_pages(const std::vector<TiffDirectory>& directories, const DecodeLimits& limits) {
  if (directories.size() > static_cast<std::size_t>(limits.frames)) return limits.frames + 1;  // thumbnails or not
  return 1 + static_cast<int>(
                 std::count_if(directories.begin() + 1, directories.end(), [](const auto& each) { return each.is_page; }));
}

/// What codec.cpp cannot see of the further pages.
Result<void> check_page(const PictureHeader& page, double megapixels, const DecodeLimits& limits) {
  if (page.width == 0 || page.height == 0) {
    return make_error(ErrorCode::kCorruptPicture, fmt::format("its header says {}x{} pixels", page.width, page.height));
  }
  if (page.width > limits.side || page.height > limits.side) {
    return make_error(ErrorCode::kPictureTooLarge,
                      fmt::format("{}x{} has a side beyond limits.side, which is {}", page.width, page.height, limits.side));
  }
  if (megapixels > limits.megapixels) {
    return make_error(ErrorCode::kPictureTooLarge,
                      fmt::format("up to here the pages have {:g} MP; limits.megapixels is {:g}", megapixels, limits.megapixels));
  }
  return {};
}

/// The header, and the largest strip or tile of all pages that are wanted.
struct Survey {
  PictureHeader header;
  std::uint64_t largest_block = 0;
};

Result<Survey> survey(ByteSpan data, const std::vector<TiffDirectory>& directories, const DecodeLimits& limits) {
  const TiffStream stream(data, kHeaderBlock);
  std::optional<Survey> found;
  double megapixels = 0.0;
  std::uint64_t working = 0;
  const auto look = [&](const TiffDirectory& directory) -> Result<void> {
    const Result<TiffLayout> layout = read_tiff_layout(stream);
    if (!layout) return layout.error();
    megapixels += layout->header.megapixels();
    if (!found) {
      found = Survey{layout->header, 0};
    } else {
      if (Result<void> fits = check_page(layout->header, megapixels, limits); !fits) return fits;
      PictureHeader page = layout->header;
      if (limits.space == WorkingSpace::kExtendedSrgb) page.bits = 32;  // as codec.cpp has it for the first
      found->header.more_pages += page.decoded_bytes();
    }
    found->largest_block = std::max(found->largest_block, layout->block_bytes());
    // libtiff keeps the tags of one directory, and a strip's place twice while it sorts them out.
    working = std::max(working, tiff_working(stream.get(), *layout).value + directory.value_bytes + 3 * directory.strile_bytes);
    return {};
  };
  if (Result<void> looked = for_pages(stream, directories, limits.all_pages, look); !looked) return looked.error();
  // Exiv2 reads the first directories, each value twice.
  constexpr std::size_t kSeenByExiv2 = 4;
  std::uint64_t values = mebibytes(1).value;
  for (std::size_t i = 0; i < std::min(kSeenByExiv2, directories.size()); ++i) values += 2 * directories[i].value_bytes;
  found->header.frames = count_pages(directories, limits);
  found->header.working = Bytes{working + values};
  return *found;
}

template <class Sample>
void divide_by_alpha(cv::Mat& colour, const cv::Mat& alpha) {
  const int channels = colour.channels();
  for (int y = 0; y < colour.rows; ++y) {
    auto* pixel = colour.ptr<Sample>(y);
    const auto* opacity = alpha.ptr<Sample>(y);
    for (int x = 0; x < colour.cols; ++x, pixel += channels) {
      if constexpr (std::is_integral_v<Sample>) {
        constexpr std::uint32_t kMost = static_cast<Sample>(-1);
        const std::uint32_t a = opacity[x];
        if (a == 0 || a == kMost) continue;
        for (int c = 0; c < channels; ++c) pixel[c] = static_cast<Sample>(std::min(kMost, (pixel[c] * kMost + a / 2) / a));
      } else {
        if (!(opacity[x] > 0.0F) || opacity[x] == 1.0F) continue;
        for (int c = 0; c < channels; ++c) pixel[c] /= opacity[x];
      }
    }
  }
}

void unpremultiply(cv::Mat& colour, const cv::Mat& alpha) {
  switch (colour.depth()) {
    case CV_8U:
      return divide_by_alpha<std::uint8_t>(colour, alpha);
    case CV_16U:
      return divide_by_alpha<std::uint16_t>(colour, alpha);
    default:
      return divide_by_alpha<float>(colour, alpha);
  }
}

ByteSpan icc_of(TIFF* tiff) {
  std::uint32_t size = 0;
  const void* bytes = nullptr;
  if (TIFFGetField(tiff, TIFFTAG_ICCPROFILE, &size, &bytes) != 1) return {};
  return {static_cast<const std::uint8_t*>(bytes), size};
}

/// What libtiff knows of the current directory.
void read_tags(TIFF* tiff, Bytes limit, StoredPicture& stored) {
  Metadata& metadata = stored.metadata;
  stored.orientation = tiff_field<std::uint16_t>(tiff, TIFFTAG_ORIENTATION, ORIENTATION_TOPLEFT);
  const ByteSpan icc = icc_of(tiff);
  if (!icc.empty() && fits_limit(icc.size(), limit, "ICC", stored.warnings)) metadata.icc.assign(icc.begin(), icc.end());
  std::uint32_t size = 0;
  const void* bytes = nullptr;
  if (TIFFGetField(tiff, TIFFTAG_XMLPACKET, &size, &bytes) == 1 && fits_limit(size, limit, "XMP", stored.warnings)) {
    metadata.xmp.assign(static_cast<const char*>(bytes), size);
  }
  float x = 0.0F;
  float y = 0.0F;
  const int unit = tiff_field<std::uint16_t>(tiff, TIFFTAG_RESOLUTIONUNIT, RESUNIT_INCH);
  if (unit != RESUNIT_NONE && TIFFGetField(tiff, TIFFTAG_XRESOLUTION, &x) == 1 &&
      TIFFGetField(tiff, TIFFTAG_YRESOLUTION, &y) == 1 && std::isfinite(x) && std::isfinite(y) && x > 0.0F && y > 0.0F) {
    const double per_inch = unit == RESUNIT_CENTIMETER ? 2.54 : 1.0;
    metadata.dpi_x = x * per_inch;
    metadata.dpi_y = y * per_inch;
  }
}

Result<StoredPicture> decode_page(const TiffStream& stream, const DecodeLimits& limits, PlaneMemory& memory) {
  Result<TiffLayout> layout = read_tiff_layout(stream);
  if (!layout) return layout.error();
  StoredPicture stored;
  const cv::Size size(static_cast<int>(layout->header.width), static_cast<int>(layout->header.height));
  HeapPlanes heap;
  PlaneMemory& place = layout->is_cmyk() ? heap : memory;
  TiffPlanes planes;
  planes.colour = place.make(size, CV_MAKETYPE(layout->depth(), layout->colours));
  if (layout->has_alpha) planes.alpha = place.make(size, CV_MAKETYPE(layout->depth(), 1));
  if (Result<void> read = read_tiff_pixels(stream, *layout, planes); !read) return read.error();

  if (layout->is_premultiplied) unpremultiply(planes.colour, planes.alpha);
  if (layout->is_float) stored.range = normalise_floats(planes.colour, planes.alpha, stored.warnings);
  const int kept = layout->stored_colours + (layout->has_alpha ? 1 : 0);
  if (layout->samples > kept && !layout->is_palette) {
    add_warning(stored.warnings, fmt::format("{} extra channels of the TIFF are not kept", layout->samples - kept));
  }
  read_tags(stream.get(), limits.metadata, stored);
  if (layout->is_cmyk()) {
    Result<cv::Mat> converted = cmyk_to_srgb(planes.colour, icc_of(stream.get()), memory);
    if (!converted) return converted.error();
    planes.colour = *std::move(converted);
    stored.metadata.icc = srgb_profile();
    add_warning(stored.warnings, "the CMYK colours of the file were converted to sRGB");
  }
  stored.colour = planes.colour;
  stored.alpha = planes.alpha;
  return stored;
}

}  // namespace

Result<PictureHeader> read_tiff_header(ByteSpan data, const DecodeLimits& limits) {
  const Result<Survey> found = survey(data, directories_of(data, limits), limits);
  if (!found) return found.error();
  return found->header;
}

Result<StoredPicture> decode_tiff(ByteSpan data, const DecodeLimits& limits, PlaneMemory& memory) {
  const std::vector<TiffDirectory> directories = directories_of(data, limits);
  const Result<Survey> found = survey(data, directories, limits);
  if (!found) return found.error();
  const TiffStream stream(data, kHeaderBlock + Bytes{4 * found->largest_block});
  std::optional<StoredPicture> first;
  const auto decode = [&](const TiffDirectory& directory) -> Result<void> {
    Result<StoredPicture> page = decode_page(stream, limits, memory);
    if (!page) return page.error();
    if (directory.is_cut) add_warning(page->warnings, "the TIFF ends before the last of its tags, which are not kept");
    if (first) {
      first->pages.push_back(*std::move(page));
    } else {
      first = *std::move(page);
    }
    return {};
  };
  if (Result<void> decoded = for_pages(stream, directories, limits.all_pages, decode); !decoded) return decoded.error();

  if (TIFFIsBigTIFF(stream.get()) != 0) {
    add_warning(first->warnings, "the EXIF and IPTC of a BigTIFF are not kept");
  } else {
    read_tiff_metadata(data, limits.metadata, first->metadata, first->warnings);
  }
  if (!limits.all_pages && found->header.frames > 1) {
    add_warning(first->warnings, fmt::format("the TIFF holds several pictures ({}), of which only the first is restored; "
                                             "input.pages decides",
                                             found->header.frames));
  }
  return *std::move(first);
}

}  // namespace retouchd::image
