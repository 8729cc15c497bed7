#include "tests/image/heic_files.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <initializer_list>
#include <opencv2/core.hpp>
#include <string_view>
#include <utility>
#include <vector>

namespace retouchd::image::testing {

bool can_write_heic() { return heif_have_encoder_for_format(heif_compression_HEVC) != 0; }

ByteVector write_heic(const cv::Mat& colour, const cv::Mat& alpha, const HeicKind& kind) {
  const auto check = [](heif_error error) { EXPECT_EQ(error.code, heif_error_Ok) << error.message; };
  heif_context* context = heif_context_alloc();
  heif_encoder* encoder = nullptr;
  check(heif_context_get_encoder_for_format(context, heif_compression_HEVC, &encoder));
  check(heif_encoder_set_lossy_quality(encoder, 98));
  check(heif_encoder_set_parameter_string(encoder, "chroma", kind.chroma));
  check(heif_encoder_set_parameter_string(encoder, "preset", "ultrafast"));
  const bool is_gray = colour.channels() == 1;
  heif_image* image = nullptr;
  check(heif_image_create(colour.cols, colour.rows, is_gray ? heif_colorspace_monochrome : heif_colorspace_RGB,
                          is_gray ? heif_chroma_monochrome : heif_chroma_444, &image));
  std::vector<cv::Mat> planes;
  cv::split(colour, planes);
  std::vector<heif_channel> channels{heif_channel_R, heif_channel_G, heif_channel_B};
  if (is_gray) channels = {heif_channel_Y};
  if (!alpha.empty()) {
    planes.push_back(alpha);
    channels.push_back(heif_channel_Alpha);
  }
  for (std::size_t i = 0; i < planes.size(); ++i) {
    check(heif_image_add_plane(image, channels[i], colour.cols, colour.rows, kind.bits));
    int stride = 0;
    std::uint8_t* rows = heif_image_get_plane(image, channels[i], &stride);
    planes[i].copyTo(cv::Mat(colour.size(), planes[i].type(), rows, static_cast<std::size_t>(stride)));
  }
  heif_image_set_premultiplied_alpha(image, kind.is_premultiplied ? 1 : 0);
  if (!kind.icc.empty()) check(heif_image_set_raw_color_profile(image, "prof", kind.icc.data(), kind.icc.size()));
  heif_color_profile_nclx* nclx = heif_nclx_color_profile_alloc();
  nclx->color_primaries = kind.primaries;
  nclx->transfer_characteristics = heif_transfer_characteristic_IEC_61966_2_1;
  nclx->matrix_coefficients = kind.matrix;
  nclx->full_range_flag = kind.is_full_range ? 1 : 0;
  if (!is_gray) check(heif_image_set_nclx_color_profile(image, nclx));
  heif_encoding_options* options = heif_encoding_options_alloc();
  options->image_orientation = static_cast<heif_orientation>(kind.orientation);
  options->output_nclx_profile = nclx;
  options->macOS_compatibility_workaround_no_nclx_profile = kind.is_in_boxes ? 0 : 1;
  options->save_two_colr_boxes_when_ICC_and_nclx_available = 1;
  for (int i = 0; i < kind.pictures; ++i) {
    heif_image_handle* handle = nullptr;
    check(heif_context_encode_image(context, image, encoder, options, &handle));
    if (!kind.exif.empty()) {
      check(heif_context_add_exif_metadata(context, handle, kind.exif.data(), static_cast<int>(kind.exif.size())));
    }
    if (!kind.xmp.empty()) {
      check(heif_context_add_XMP_metadata(context, handle, kind.xmp.data(), static_cast<int>(kind.xmp.size())));
    }
    heif_image_handle_release(handle);
  }
  ByteVector file;
  heif_writer writer{1, [](heif_context*, const void* data, std::size_t size, void* to) {
                       const auto* bytes = static_cast<const std::uint8_t*>(data);
                       static_cast<ByteVector*>(to)->insert(static_cast<ByteVector*>(to)->end(), bytes, bytes + size);
                       return heif_error{heif_error_Ok, heif_suberror_Unspecified, ""};
                     }};
  check(heif_context_write(context, &writer, &file));
  heif_encoding_options_free(options);
  heif_nclx_color_profile_free(nclx);
  heif_image_release(image);
  heif_encoder_release(encoder);
  heif_context_free(context);
  return file;
}

namespace {

void put(ByteVector& to, std::uint64_t value, int bytes) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) to.push_back(static_cast<std::uint8_t>(value >> shift));
}

void put(ByteVector& to, std::string_view text) {
  for (const char letter : text) to.push_back(static_cast<std::uint8_t>(letter));
}

ByteVector box(std::string_view type, std::initializer_list<ByteVector> parts) {
  ByteVector content;
  for (const ByteVector& part : parts) content.insert(content.end(), part.begin(), part.end());
  ByteVector whole;
  put(whole, content.size() + 8, 4);
  put(whole, type);
  whole.insert(whole.end(), content.begin(), content.end());
  return whole;
}

/// Big-endian numbers: value, bytes.
ByteVector numbers(std::initializer_list<std::pair<std::uint64_t, int>> values) {
  ByteVector bytes;
  for (const auto& [value, size] : values) put(bytes, value, size);
  return bytes;
}

/// The box of this type in a file, found by its name; with its size and name.
ByteVector cut_out(const ByteVector& file, std::string_view type) {
  const auto at = std::search(file.begin(), file.end(), type.begin(), type.end()) - 4;
  std::size_t size = 0;
  for (int i = 0; i < 4; ++i) size = size << 8 | at[i];
  return {at, at + static_cast<std::ptrdiff_t>(size)};
}

}  // namespace

ByteVector write_heic_grid(const cv::Mat& colour, cv::Size tile, int quarters, cv::Size said) {
  if (said.empty()) said = colour.size();
  const int columns = (colour.cols + tile.width - 1) / tile.width;
  const int rows = (colour.rows + tile.height - 1) / tile.height;
  cv::Mat padded;
  cv::copyMakeBorder(colour, padded, 0, rows * tile.height - colour.rows, 0, columns * tile.width - colour.cols,
                     cv::BORDER_REPLICATE);
  const auto count = static_cast<std::uint64_t>(columns) * static_cast<std::uint64_t>(rows);
  const std::uint64_t grid = count + 1;
  ByteVector decoder;  // of all tiles: they are coded alike
  ByteVector data;
  ByteVector items = numbers({{0, 4}, {grid, 2}});
  ByteVector locations = numbers({{1, 1}, {0, 3}, {0x4400, 2}, {grid, 2}});
  ByteVector references = numbers({{grid, 2}, {count, 2}});
  ByteVector links = numbers({{0, 4}, {grid, 4}});
  for (std::uint64_t id = 1; id <= count; ++id) {
    const auto i = static_cast<int>(id - 1);
    const cv::Rect part({i % columns * tile.width, i / columns * tile.height}, tile);
    const ByteVector file = write_heic(padded(part).clone(), {}, {});
    const ByteVector coded = cut_out(file, "mdat");
    decoder = cut_out(file, "hvcC");
    const ByteVector entry = box("infe", {numbers({{2, 1}, {1, 3}, {id, 2}, {0, 2}}), {'h', 'v', 'c', '1', 0}});
    items.insert(items.end(), entry.begin(), entry.end());
    const ByteVector location = numbers({{id, 2}, {0, 2}, {0, 2}, {1, 2}, {data.size(), 4}, {coded.size() - 8, 4}});
    locations.insert(locations.end(), location.begin(), location.end());
    put(references, id, 2);
    const ByteVector link = numbers({{id, 2}, {2, 1}, {0x81, 1}, {2, 1}});
    links.insert(links.end(), link.begin(), link.end());
    data.insert(data.end(), coded.begin() + 8, coded.end());
  }
  const ByteVector entry = box("infe", {numbers({{2, 1}, {0, 3}, {grid, 2}, {0, 2}}), {'g', 'r', 'i', 'd', 0}});
  items.insert(items.end(), entry.begin(), entry.end());
  const ByteVector location = numbers({{grid, 2}, {1, 2}, {0, 2}, {1, 2}, {0, 4}, {8, 4}});  // in idat
  locations.insert(locations.end(), location.begin(), location.end());
  const ByteVector link = numbers({{grid, 2}, {2, 1}, {3, 1}, {0x84, 1}});
  links.insert(links.end(), link.begin(), link.end());
  const auto number = [](int value) { return static_cast<std::uint64_t>(value); };
  const ByteVector description =
      numbers({{0, 2}, {number(rows - 1), 1}, {number(columns - 1), 1}, {number(said.width), 2}, {number(said.height), 2}});
  const auto size = [&](cv::Size of) { return box("ispe", {numbers({{0, 4}, {number(of.width), 4}, {number(of.height), 4}})}); };

  const ByteVector brands = box("ftyp", {{'h', 'e', 'i', 'c', 0, 0, 0, 0, 'm', 'i', 'f', '1', 'h', 'e', 'i', 'c'}});
  const auto meta = [&](const ByteVector& places) {
    const ByteVector properties =
        box("iprp", {box("ipco", {decoder, size(tile), size(colour.size()), box("irot", {numbers({{number(quarters), 1}})})}),
                     box("ipma", {links})});
    return box("meta", {numbers({{0, 4}}), box("hdlr", {numbers({{0, 8}}), {'p', 'i', 'c', 't'}, numbers({{0, 8}, {0, 5}})}),
                        box("pitm", {numbers({{0, 4}, {grid, 2}})}), box("iinf", {items}),
                        box("iref", {numbers({{0, 4}}), box("dimg", {references})}), properties, box("iloc", {places}),
                        box("idat", {description})});
  };
  // Places are counted from the beginning of the file, which is as long before them whatever they say.
  const std::size_t start = brands.size() + meta(locations).size() + 8;
  for (std::uint64_t id = 1; id <= count; ++id) {
    const std::size_t at = 8 + static_cast<std::size_t>(id - 1) * 16 + 8;
    std::uint64_t offset = start;
    for (std::size_t i = 0; i < 4; ++i) offset += static_cast<std::uint64_t>(locations[at + i]) << (24 - 8 * i);
    for (std::size_t i = 0; i < 4; ++i) locations[at + i] = static_cast<std::uint8_t>(offset >> (24 - 8 * i));
  }
  ByteVector file = brands;
  for (const ByteVector& part : {meta(locations), box("mdat", {data})}) file.insert(file.end(), part.begin(), part.end());
  return file;
}

}  // namespace retouchd::image::testing
