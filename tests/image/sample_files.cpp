#include "tests/image/sample_files.h"

#include <cstdio>
#include <cstdlib>

// Needs FILE and size_t.
#include <jpeglib.h>
#include <tiffio.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace retouchd::image::testing {
namespace {

void append(ByteVector& bytes, const ByteVector& more) {
  for (const std::uint8_t byte : more) bytes.push_back(byte);
}

void put_number(ByteVector& bytes, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<std::uint8_t>(value >> shift));
}

}  // namespace

ByteVector write_jpeg(const cv::Mat& pixels, JpegKind kind, const ByteVector& icc) {
  const bool is_adobe = kind == JpegKind::kAdobeCmyk || kind == JpegKind::kAdobeYcck;
  cv::Mat stored = pixels;
  if ((is_adobe || kind == JpegKind::kCmyk) && pixels.channels() == 3) {
    const cv::Mat planes[] = {pixels, cv::Mat(pixels.size(), CV_8UC1, cv::Scalar(200))};
    cv::merge(planes, 2, stored);
  }
  if (is_adobe) stored = cv::Mat(cv::Scalar::all(255) - stored);  // not in place: `pixels` are the caller's
  jpeg_compress_struct codec;
  jpeg_error_mgr errors;
  codec.err = jpeg_std_error(&errors);
  jpeg_create_compress(&codec);
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&codec, &bytes, &size);
  codec.image_width = static_cast<JDIMENSION>(stored.cols);
  codec.image_height = static_cast<JDIMENSION>(stored.rows);
  codec.input_components = stored.channels();
  codec.in_color_space = stored.channels() == 1 ? JCS_GRAYSCALE : stored.channels() == 3 ? JCS_RGB : JCS_CMYK;
  jpeg_set_defaults(&codec);
  jpeg_set_quality(&codec, 95, TRUE);
  if (kind == JpegKind::kAdobeYcck) jpeg_set_colorspace(&codec, JCS_YCCK);
  if (stored.channels() == 4) codec.write_Adobe_marker = is_adobe ? TRUE : FALSE;
  if (kind == JpegKind::kProgressive) jpeg_simple_progression(&codec);
  codec.arith_code = kind == JpegKind::kArithmetic ? TRUE : FALSE;
  jpeg_start_compress(&codec, TRUE);
  if (!icc.empty()) jpeg_write_icc_profile(&codec, icc.data(), static_cast<unsigned>(icc.size()));
  for (int y = 0; y < stored.rows; ++y) {
    JSAMPROW row = stored.ptr(y);
    jpeg_write_scanlines(&codec, &row, 1);
  }
  jpeg_finish_compress(&codec);
  jpeg_destroy_compress(&codec);
  const ByteVector file(bytes, bytes + size);
  std::free(bytes);  // NOLINT: jpeg_mem_dest allocates by malloc
  return file;
}

ByteVector png_chunk(std::string_view name, const ByteVector& data) {
  ByteVector chunk;
  put_number(chunk, static_cast<std::uint32_t>(data.size()));
  for (const char c : name) chunk.push_back(static_cast<std::uint8_t>(c));
  append(chunk, data);
  put_number(chunk, static_cast<std::uint32_t>(crc32(0, chunk.data() + 4, static_cast<uInt>(chunk.size() - 4))));
  return chunk;
}

ByteVector deflated(const ByteVector& data) {
  uLongf size = compressBound(data.size());
  ByteVector packed(size);
  if (compress(packed.data(), &size, data.data(), data.size()) != Z_OK) throw std::runtime_error("compress");
  packed.resize(size);
  return packed;
}

ByteVector write_png(const PngHeader& header, const ByteVector& chunks, const ByteVector& rows) {
  ByteVector file{0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
  ByteVector ihdr;
  put_number(ihdr, header.width);
  put_number(ihdr, header.height);
  ihdr.push_back(static_cast<std::uint8_t>(header.bits));
  ihdr.push_back(static_cast<std::uint8_t>(header.colour_type));
  ihdr.insert(ihdr.end(), 3, 0);
  append(file, png_chunk("IHDR", ihdr));
  append(file, chunks);
  append(file, png_chunk("IDAT", deflated(rows)));
  append(file, png_chunk("IEND", {}));
  return file;
}

ByteVector write_tiff(int width, int height, const TiffKind& kind,
                      const std::function<ByteVector(int plane, int y, int x, int count)>& row) {
  char name[] = "/tmp/retouchd_tiff_XXXXXX";
  const int descriptor = ::mkstemp(name);
  if (descriptor < 0) throw std::runtime_error("mkstemp");
  ::close(descriptor);
  TIFFSetWarningHandler(nullptr);
  const std::string mode = std::string("w") + (kind.is_big_endian ? "b" : "l") + (kind.is_big_tiff ? "8" : "");
  TIFF* tiff = TIFFOpen(name, mode.c_str());
  const int planes = kind.planar == PLANARCONFIG_SEPARATE ? kind.samples : 1;
  const int step = kind.tile_side == 0 ? width : kind.tile_side;
  const int row_samples = planes > 1 ? 1 : kind.samples;
  for (int page = 0; page < kind.pages; ++page) {
    TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, width);
    TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, height);
    TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, kind.bits);
    TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, kind.samples);
    TIFFSetField(tiff, TIFFTAG_SAMPLEFORMAT, kind.sample_format);
    TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, kind.photometric);
    TIFFSetField(tiff, TIFFTAG_PLANARCONFIG, kind.planar);
    TIFFSetField(tiff, TIFFTAG_COMPRESSION, kind.compression);
    TIFFSetField(tiff, TIFFTAG_ORIENTATION, kind.orientation);
    TIFFSetField(tiff, TIFFTAG_RESOLUTIONUNIT, RESUNIT_CENTIMETER);
    TIFFSetField(tiff, TIFFTAG_XRESOLUTION, 100.0);
    TIFFSetField(tiff, TIFFTAG_YRESOLUTION, 50.0);
    if (kind.compression == COMPRESSION_JPEG) TIFFSetField(tiff, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
    const auto extra = static_cast<std::uint16_t>(kind.extra_sample);
    if (kind.extra_sample >= 0) TIFFSetField(tiff, TIFFTAG_EXTRASAMPLES, 1, &extra);
    if (kind.palette != nullptr) {
      const int entries = 1 << kind.bits;
      TIFFSetField(tiff, TIFFTAG_COLORMAP, kind.palette, kind.palette + entries, kind.palette + 2 * entries);
    }
    if (kind.tile_side > 0) {
      TIFFSetField(tiff, TIFFTAG_TILEWIDTH, kind.tile_side);
      TIFFSetField(tiff, TIFFTAG_TILELENGTH, kind.tile_side);
    } else {
      TIFFSetField(tiff, TIFFTAG_ROWSPERSTRIP, kind.rows_per_strip);
    }
    if (kind.more_tags) kind.more_tags(tiff, page);
    for (int plane = 0; plane < planes; ++plane) {
      for (int y = 0; kind.tile_side == 0 && y < height; ++y) {
        ByteVector bytes = row(plane, y, 0, width);
        TIFFWriteScanline(tiff, bytes.data(), static_cast<std::uint32_t>(y), static_cast<std::uint16_t>(plane));
      }
      for (int top = 0; kind.tile_side > 0 && top < height; top += step) {
        for (int left = 0; left < width; left += step) {
          const std::size_t row_bytes = static_cast<std::size_t>((step * kind.bits * row_samples + 7) / 8);
          ByteVector tile(row_bytes * static_cast<std::size_t>(step));
          for (int y = 0; y < std::min(step, height - top); ++y) {
            const ByteVector bytes = row(plane, top + y, left, std::min(step, width - left));
            std::copy(bytes.begin(), bytes.end(), tile.begin() + static_cast<std::size_t>(y) * row_bytes);
          }
          TIFFWriteTile(tiff, tile.data(), static_cast<std::uint32_t>(left), static_cast<std::uint32_t>(top), 0,
                        static_cast<std::uint16_t>(plane));
        }
      }
    }
    TIFFWriteDirectory(tiff);
  }
  TIFFClose(tiff);
  std::ifstream stream(name, std::ios::binary);
  const std::string content{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  std::filesystem::remove(name);
  return {content.begin(), content.end()};
}

ByteVector write_tiff(const cv::Mat& pixels, const TiffKind& kind) {
  return write_tiff(pixels.cols, pixels.rows, kind, [&](int plane, int y, int x, int count) {
    cv::Mat part = pixels(cv::Rect(x, y, count, 1));
    if (kind.planar == PLANARCONFIG_SEPARATE) {
      cv::Mat one;
      cv::extractChannel(part, one, plane);
      part = one;
    }
    const cv::Mat whole = part.clone();
    return ByteVector(whole.data, whole.data + whole.total() * whole.elemSize());
  });
}

}  // namespace retouchd::image::testing
