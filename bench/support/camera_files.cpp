#include "bench/support/camera_files.h"

#include <libheif/heif.h>
#include <tiffio.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>

namespace retouchd::bench {
namespace {

using ByteVector = std::vector<std::uint8_t>;

heif_error append_heif(heif_context* /*context*/, const void* data, std::size_t size, void* to) {
  const auto* bytes = static_cast<const std::uint8_t*>(data);
  auto& file = *static_cast<ByteVector*>(to);
  file.insert(file.end(), bytes, bytes + size);
  return {heif_error_Ok, heif_suberror_Unspecified, ""};
}

}  // namespace

std::vector<std::uint8_t> write_heic(const cv::Mat& pixels, const std::vector<std::uint8_t>& exif,
                                     const std::vector<std::uint8_t>& xmp) {
  const std::unique_ptr<heif_context, decltype(&heif_context_free)> context(heif_context_alloc(), heif_context_free);
  heif_encoder* encoder = nullptr;
  if (heif_context_get_encoder_for_format(context.get(), heif_compression_HEVC, &encoder).code != heif_error_Ok) return {};
  heif_encoder_set_lossy_quality(encoder, 80);
  heif_encoder_set_parameter_string(encoder, "preset", "ultrafast");
  heif_image* picture = nullptr;
  heif_image_create(pixels.cols, pixels.rows, heif_colorspace_RGB, heif_chroma_interleaved_RGB, &picture);
  heif_image_add_plane(picture, heif_channel_interleaved, pixels.cols, pixels.rows, 8);
  int stride = 0;
  std::uint8_t* plane = heif_image_get_plane(picture, heif_channel_interleaved, &stride);
  for (int y = 0; y < pixels.rows; ++y)
    std::copy_n(pixels.ptr(y), pixels.cols * 3, plane + static_cast<std::ptrdiff_t>(y) * stride);
  heif_image_handle* handle = nullptr;
  ByteVector file;
  if (heif_context_encode_image(context.get(), picture, encoder, nullptr, &handle).code == heif_error_Ok) {
    if (!exif.empty()) heif_context_add_exif_metadata(context.get(), handle, exif.data(), static_cast<int>(exif.size()));
    if (!xmp.empty()) heif_context_add_XMP_metadata(context.get(), handle, xmp.data(), static_cast<int>(xmp.size()));
    heif_writer writer{1, append_heif};
    heif_context_write(context.get(), &writer, &file);
    heif_image_handle_release(handle);
  }
  heif_image_release(picture);
  heif_encoder_release(encoder);
  return file;
}

std::vector<std::uint8_t> write_dng(const cv::Mat& pixels) {
  std::string name = (std::filesystem::temp_directory_path() / "retouchd_dng_XXXXXX").string();
  const int descriptor = ::mkstemp(name.data());
  if (descriptor < 0) return {};
  ::close(descriptor);
  TIFFSetWarningHandler(nullptr);
  TIFFSetErrorHandler(nullptr);
  TIFF* tiff = TIFFOpen(name.c_str(), "wl");
  const std::uint16_t pattern_size[] = {2, 2};
  const std::uint8_t pattern[] = {0, 1, 1, 2};
  const float matrix[] = {1.2F, -0.3F, -0.1F, -0.5F, 1.4F, 0.1F, -0.1F, 0.2F, 0.6F};
  const float neutral[] = {0.5F, 1.0F, 0.6F};
  const std::uint32_t white = 16'383;
  TIFFSetField(tiff, TIFFTAG_SUBFILETYPE, 0);
  TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, pixels.cols);
  TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, pixels.rows);
  TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, 16);
  TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, 1);
  TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_CFA);
  TIFFSetField(tiff, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
  TIFFSetField(tiff, TIFFTAG_COMPRESSION, COMPRESSION_NONE);
  TIFFSetField(tiff, TIFFTAG_ROWSPERSTRIP, pixels.rows);
  TIFFSetField(tiff, TIFFTAG_MAKE, "Example");
  TIFFSetField(tiff, TIFFTAG_MODEL, "Drawn 1");
  TIFFSetField(tiff, TIFFTAG_UNIQUECAMERAMODEL, "Example Drawn 1");
  TIFFSetField(tiff, TIFFTAG_DNGVERSION, "\1\4\0\0");
  TIFFSetField(tiff, TIFFTAG_DNGBACKWARDVERSION, "\1\1\0\0");
  TIFFSetField(tiff, TIFFTAG_CFAREPEATPATTERNDIM, pattern_size);
  TIFFSetField(tiff, TIFFTAG_CFAPATTERN, 4, pattern);
  TIFFSetField(tiff, TIFFTAG_COLORMATRIX1, 9, matrix);
  TIFFSetField(tiff, TIFFTAG_ASSHOTNEUTRAL, 3, neutral);
  TIFFSetField(tiff, TIFFTAG_WHITELEVEL, 1, &white);
  std::vector<std::uint16_t> row(static_cast<std::size_t>(pixels.cols));
  for (int y = 0; y < pixels.rows; ++y) {
    for (int x = 0; x < pixels.cols; ++x)
      row[static_cast<std::size_t>(x)] = static_cast<std::uint16_t>(pixels.ptr<std::uint16_t>(y)[3 * x + x % 2 + y % 2] / 4);
    TIFFWriteScanline(tiff, row.data(), static_cast<std::uint32_t>(y), 0);
  }
  TIFFClose(tiff);
  std::ifstream stream(name, std::ios::binary);
  const std::string content{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  std::filesystem::remove(name);
  return {content.begin(), content.end()};
}

}  // namespace retouchd::bench
