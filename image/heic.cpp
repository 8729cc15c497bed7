// HEIC by libheif (boxes, tiles, turns, cuts) and libde265 (hevc_plugin.h). Read only.

#include <fmt/format.h>
#include <libheif/heif.h>

#include <algorithm>
#include <array>
#include <climits>
#include <memory>
#include <opencv2/core.hpp>
#include <string_view>
#include <vector>

#include "image/cicp.h"
#include "image/format_codec.h"
#include "image/hevc_plugin.h"
#include "image/iso_boxes.h"
#include "image/samples.h"

namespace retouchd::image {
namespace {

template <auto kFree>
struct FreeBy {
  template <class T>
  void operator()(T* thing) const {
    kFree(thing);
  }
};
using Context = std::unique_ptr<heif_context, FreeBy<heif_context_free>>;
using Handle = std::unique_ptr<heif_image_handle, FreeBy<heif_image_handle_release>>;
using Image = std::unique_ptr<heif_image, FreeBy<heif_image_release>>;
using Nclx = std::unique_ptr<heif_color_profile_nclx, FreeBy<heif_nclx_color_profile_free>>;

Error error_of(const heif_error& error, ByteSpan data) {
  if (is_cut_heif(data) || error.subcode == heif_suberror_End_of_data) {
    return make_error(ErrorCode::kTruncatedPicture, "the HEIC ends early");
  }
  if (error.code == heif_error_Memory_allocation_error) {
    return error.subcode == heif_suberror_Security_limit_exceeded
               ? make_error(ErrorCode::kPictureTooLarge, fmt::format("the HEIC is larger than allowed: {}", error.message))
               : make_error(ErrorCode::kOverMemoryBudget, "not enough memory to decode the HEIC");
  }
  if (error.code == heif_error_Unsupported_filetype || error.code == heif_error_Unsupported_feature) {
    return make_error(ErrorCode::kUnsupportedFormat, fmt::format("the HEIC cannot be read by libheif: {}", error.message));
  }
  return make_error(ErrorCode::kCorruptPicture, fmt::format("the HEIC is damaged: {}", error.message));
}

struct File {
  Context context;
  Handle picture;  ///< the one that is shown first
};

Result<File> open(ByteSpan data) {
  prepare_heic();
  File file;
  file.context.reset(heif_context_alloc());
  if (!file.context) return make_error(ErrorCode::kOverMemoryBudget, "not enough memory to decode the HEIC");
  heif_context_set_max_decoding_threads(file.context.get(), 0);  // tiles in this thread
  // That of limits is checked with the header; the decoder has its own (HevcScope).
  heif_context_set_maximum_image_size_limit(file.context.get(), INT_MAX);
  heif_error error = heif_context_read_from_memory_without_copy(file.context.get(), data.data(), data.size(), nullptr);
  if (error.code != heif_error_Ok) return error_of(error, data);
  if (has_endless_derivation(data)) {
    return make_error(ErrorCode::kCorruptPicture, "the HEIC is damaged: its picture is made of itself, or in too many steps");
  }
  heif_image_handle* picture = nullptr;
  error = heif_context_get_primary_image_handle(file.context.get(), &picture);
  if (error.code != heif_error_Ok) return error_of(error, data);
  file.picture.reset(picture);
  return file;
}

/// As the picture comes out of libheif: turned and cut.
Result<PictureHeader> header_of(const File& file, ByteSpan data) {
  const heif_image_handle* picture = file.picture.get();
  const int width = heif_image_handle_get_width(picture);
  const int height = heif_image_handle_get_height(picture);
  const int bits = heif_image_handle_get_luma_bits_per_pixel(picture);
  if (width <= 0 || height <= 0) return make_error(ErrorCode::kCorruptPicture, "the HEIC is damaged: it has no size");
  if (bits > 16) return make_error(ErrorCode::kUnsupportedFormat, fmt::format("the HEIC has {} bits", bits));
  PictureHeader header;
  header.format = FileFormat::kHeic;
  header.width = static_cast<std::uint32_t>(width);
  header.height = static_cast<std::uint32_t>(height);
  header.channels = (has_only_gray_hevc(data) ? 1 : 3) + (heif_image_handle_has_alpha_channel(picture) != 0 ? 1 : 0);
  header.bits = bits > 8 ? 16 : 8;
  header.frames = std::max(heif_context_get_number_of_top_level_images(file.context.get()), 1);
  return header;
}

/// What libheif and libde265 hold besides the planes: measured as 7 (4:2:0) to 9.3 (4:4:4) bytes per pixel and the compressed
/// data, twice that beyond 8 bits.
Bytes working_of(const File& file, const PictureHeader& header, ByteSpan data) {
  const auto side = [](int value) { return static_cast<std::uint64_t>(std::max(value, 0)); };
  const std::uint64_t coded =
      side(heif_image_handle_get_ispe_width(file.picture.get())) * side(heif_image_handle_get_ispe_height(file.picture.get()));
  const std::uint64_t pixels = std::max(coded, std::uint64_t{header.width} * header.height);
  const std::uint64_t per_pixel = (header.channels % 2 == 0 ? 14U : 12U) * (header.bits == 16 ? 2U : 1U);
  return Bytes{per_pixel * pixels + data.size()} + mebibytes(16);
}

ByteVector read_item(const heif_image_handle* picture, heif_item_id id, Bytes limit, std::string_view name,
                     std::string& warnings) {
  const std::size_t size = heif_image_handle_get_metadata_size(picture, id);
  if (size == 0 || !fits_limit(size, limit, name, warnings)) return {};
  ByteVector bytes(size);
  if (heif_image_handle_get_metadata(picture, id, bytes.data()).code == heif_error_Ok) return bytes;
  add_warning(warnings, fmt::format("the {} of the HEIC cannot be read", name));
  return {};
}

void read_items(const heif_image_handle* picture, Bytes limit, StoredPicture& stored) {
  std::vector<heif_item_id> ids(
      static_cast<std::size_t>(std::max(heif_image_handle_get_number_of_metadata_blocks(picture, nullptr), 0)));
  ids.resize(static_cast<std::size_t>(
      std::max(heif_image_handle_get_list_of_metadata_block_IDs(picture, nullptr, ids.data(), static_cast<int>(ids.size())), 0)));
  for (const heif_item_id id : ids) {
    const char* type = heif_image_handle_get_metadata_type(picture, id);
    const char* content = heif_image_handle_get_metadata_content_type(picture, id);
    const std::string_view name(type != nullptr ? type : "");
    const std::string_view mime(content != nullptr ? content : "");
    if (name == "Exif" && stored.metadata.exif.empty()) {
      const ByteVector item = read_item(picture, id, limit, "EXIF", stored.warnings);
      const ByteSpan exif = tiff_in_exif_item(item);
      if (exif.empty() && !item.empty()) add_warning(stored.warnings, "the EXIF of the HEIC cannot be read");
      stored.metadata.exif.assign(exif.begin(), exif.end());
    } else if (name == "mime" && mime == "application/rdf+xml" && stored.metadata.xmp.empty()) {
      const ByteVector item = read_item(picture, id, limit, "XMP", stored.warnings);
      stored.metadata.xmp.assign(item.begin(), item.end());
    }
  }
}

void read_profile(const heif_image_handle* picture, const Cicp& cicp, bool is_gray, Bytes limit, StoredPicture& stored) {
  const std::size_t size = heif_image_handle_get_raw_color_profile_size(picture);
  if (size == 0) {
    stored.metadata.icc = profile_of(cicp, is_gray, stored.warnings);
  } else if (fits_limit(size, limit, "ICC", stored.warnings)) {
    stored.metadata.icc.resize(size);
    if (heif_image_handle_get_raw_color_profile(picture, stored.metadata.icc.data()).code != heif_error_Ok) {
      stored.metadata.icc.clear();
    }
  }
}

/// A plane of libheif's picture; empty unless it has this size and 8 bits (CV_8UC1) or more (CV_16UC1).
struct Plane {
  cv::Mat samples;
  int bits = 0;
};

Plane plane_of(const heif_image* image, heif_channel channel, cv::Size size) {
  if (heif_image_has_channel(image, channel) == 0) return {};
  if (heif_image_get_width(image, channel) != size.width || heif_image_get_height(image, channel) != size.height) return {};
  int stride = 0;
  const std::uint8_t* rows = heif_image_get_plane_readonly(image, channel, &stride);
  const int bits = heif_image_get_bits_per_pixel_range(image, channel);
  if (rows == nullptr || bits < 8 || bits > 16) return {};
  const int type = bits > 8 ? CV_16UC1 : CV_8UC1;
  return {{size, type, const_cast<std::uint8_t*>(rows), static_cast<std::size_t>(stride)}, bits};
}

}  // namespace

void prepare_heic() { register_hevc_plugin(); }

Result<PictureHeader> read_heic_header(ByteSpan data, const DecodeLimits& /*limits*/) {
  Result<File> file = open(data);
  if (!file) return file.error();
  Result<PictureHeader> header = header_of(*file, data);
  if (header) header->working = working_of(*file, *header, data);
  return header;
}

Result<StoredPicture> decode_heic(ByteSpan data, const DecodeLimits& limits, PlaneMemory& memory) {
  Result<File> file = open(data);
  if (!file) return file.error();
  Result<PictureHeader> header = header_of(*file, data);
  if (!header) return header.error();
  const bool is_gray = header->channels <= 2;
  const bool has_alpha = header->channels % 2 == 0;

  // A picture put together from tiles has a size of its own, for which libheif takes memory.
  const int side =
      std::max({heif_image_handle_get_ispe_width(file->picture.get()), heif_image_handle_get_ispe_height(file->picture.get()),
                static_cast<int>(header->width), static_cast<int>(header->height)});
  heif_context_set_maximum_image_size_limit(file->context.get(), side + 1);
  heif_color_profile_nclx* found = nullptr;
  heif_image_handle_get_nclx_color_profile(file->picture.get(), &found);
  const Nclx nclx(found);
  HevcScope scope(nclx.get(), static_cast<std::uint64_t>(limits.megapixels * 1e6), limits.side);
  heif_image* decoded = nullptr;
  const heif_error error =
      heif_decode_image(file->picture.get(), &decoded, is_gray ? heif_colorspace_monochrome : heif_colorspace_RGB,
                        is_gray ? heif_chroma_monochrome : heif_chroma_444, nullptr);
  const Image image(decoded);
  if (error.code != heif_error_Ok || !image) {
    if (scope.was_out_of_memory() && !scope.was_too_large())
      return make_error(ErrorCode::kOverMemoryBudget, "not enough memory to decode the HEIC");
    return error_of(error, data);
  }
  if (scope.was_damaged()) {
    return is_cut_heif(data) ? make_error(ErrorCode::kTruncatedPicture, "the HEIC ends early")
                             : make_error(ErrorCode::kCorruptPicture, "the HEIC is damaged: parts of it are missing");
  }

  const cv::Size size(static_cast<int>(header->width), static_cast<int>(header->height));
  const int depth = header->bits == 16 ? CV_16U : CV_8U;
  const auto missing = [] {
    return make_error(ErrorCode::kCorruptPicture, "the HEIC is damaged: its picture is not what its header says");
  };
  StoredPicture stored;
  constexpr std::array kColours{heif_channel_R, heif_channel_G, heif_channel_B};
  std::array<cv::Mat, 3> planes;
  int bits = 0;
  for (std::size_t i = 0; i < (is_gray ? 1U : 3U); ++i) {
    const Plane plane = plane_of(image.get(), is_gray ? heif_channel_Y : kColours[i], size);
    if (plane.samples.depth() != depth || (bits != 0 && plane.bits != bits) || plane.samples.empty()) return missing();
    planes[i] = plane.samples;
    bits = plane.bits;
  }
  stored.colour = memory.make(size, CV_MAKETYPE(depth, is_gray ? 1 : 3));
  cv::merge(planes.data(), is_gray ? 1 : 3, stored.colour);
  if (depth == CV_16U) spread_in_place(stored.colour, bits);
  if (has_alpha) {
    const Plane alpha = plane_of(image.get(), heif_channel_Alpha, size);
    if (alpha.samples.empty() || alpha.bits > header->bits) return missing();
    stored.alpha = memory.make(size, depth);
    spread_samples(alpha.samples.data, alpha.samples.step, alpha.bits, SampleRange::kFull, header->bits, stored.alpha);
    if (heif_image_handle_is_premultiplied_alpha(file->picture.get()) != 0) unpremultiply(stored.colour, stored.alpha);
  }
  stored.orientation = 1;  // libheif has turned it
  stored.file_bits = header->bits;
  read_items(file->picture.get(), limits.metadata, stored);
  read_profile(file->picture.get(), scope.cicp(), is_gray, limits.metadata, stored);
  if (header->frames > 1) {
    add_warning(stored.warnings, fmt::format("the HEIC has {} pictures, of which only the main one is restored", header->frames));
  }
  return stored;
}

}  // namespace retouchd::image
