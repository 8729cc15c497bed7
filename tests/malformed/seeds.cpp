#include "tests/malformed/seeds.h"

#include <tiffio.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <memory>
#include <string_view>
#include <utility>

#include "bench/support/camera_files.h"
#include "image/codec.h"
#include "image/colour.h"
#include "tests/image/sample_files.h"
#include "tests/image/sample_pictures.h"

namespace retouchd::malformed {
namespace {

using image::ByteVector;
using image::EncodeOptions;
using image::FileFormat;
using image::Picture;
using image::testing::make_pattern;
using image::testing::make_picture;
using image::testing::TiffKind;

constexpr int kWidth = 64;
constexpr int kHeight = 48;

ByteVector bytes_of(std::string_view text) { return {text.begin(), text.end()}; }

void append(ByteVector& bytes, const ByteVector& more) {
  bytes.reserve(bytes.size() + more.size());  // g++ 12 warns of a plain insert
  std::copy(more.begin(), more.end(), std::back_inserter(bytes));
}

/// A profile that cannot be used is for the damage to make; writers refuse it.
void add_metadata(Picture& picture) {
  image::Metadata metadata;
  metadata.exif = image::testing::make_exif(6);
  metadata.xmp = image::testing::make_xmp();
  metadata.iptc = image::testing::make_iptc();
  if (!picture.is_gray()) metadata.icc = image::srgb_profile();
  metadata.comment = "a seed";
  metadata.texts = {{"Title", "seed"}};
  metadata.dpi_x = metadata.dpi_y = 300;
  picture.metadata = std::make_shared<const image::Metadata>(std::move(metadata));
}

Picture float_picture() {
  Picture picture = make_picture(kWidth, kHeight, CV_8UC3);
  picture.colour.convertTo(picture.colour, CV_32F, 1.0 / 255);
  picture.range = {-0.5F, 4.0F};
  picture.file_bits = 32;
  return picture;
}

class Seeds {
 public:
  void add(std::string name, FileFormat format, ByteVector file) {
    if (!file.empty()) all_.push_back({std::move(name), format, std::move(file)});
  }

  /// What our own encoder writes.
  void encode(std::string name, FileFormat format, Picture picture, const EncodeOptions& options = {}) {
    if (image::format_for(picture, format) != format) return;
    const auto file = image::encode(picture, format, options);
    if (file) add(std::move(name), format, *file);
  }

  std::vector<Seed> take() { return std::move(all_); }

 private:
  std::vector<Seed> all_;
};

void add_encoded(Seeds& seeds) {
  EncodeOptions lossless;
  lossless.webp_quality = lossless.avif_quality = lossless.jxl_quality = 100;
  EncodeOptions coarse;
  coarse.jpeg_quality = 70;
  for (const FileFormat format : {FileFormat::kJpeg, FileFormat::kPng, FileFormat::kTiff, FileFormat::kWebp, FileFormat::kAvif,
                                  FileFormat::kJxl, FileFormat::kPnm}) {
    const std::string name(name_of(format));
    Picture full = make_picture(kWidth, kHeight, CV_8UC3);
    add_metadata(full);
    seeds.encode(name + "-metadata", format, full);
    Picture gray = make_picture(kWidth, kHeight, CV_8UC1);
    add_metadata(gray);
    seeds.encode(name + "-gray", format, gray);
    seeds.encode(name + "-alpha", format, make_picture(kWidth, kHeight, CV_8UC3, true));
    seeds.encode(name + "-16bit", format, make_picture(kWidth, kHeight, CV_16UC3));
    seeds.encode(name + "-gray16alpha", format, make_picture(kWidth, kHeight, CV_16UC1, true));
    seeds.encode(name + "-float", format, float_picture());
    seeds.encode(name + "-lossless", format, make_picture(kWidth, kHeight, CV_8UC3, true), lossless);
    seeds.encode(name + "-coarse", format, make_picture(kWidth, kHeight, CV_8UC3), coarse);
  }
}

void add_jpegs(Seeds& seeds) {
  using image::testing::JpegKind;
  const cv::Mat pattern = make_pattern(kWidth, kHeight, CV_8UC3);
  seeds.add("jpeg-progressive", FileFormat::kJpeg, write_jpeg(pattern, JpegKind::kProgressive));
  seeds.add("jpeg-arithmetic", FileFormat::kJpeg, write_jpeg(pattern, JpegKind::kArithmetic));
  seeds.add("jpeg-cmyk", FileFormat::kJpeg, write_jpeg(pattern, JpegKind::kCmyk));
}

ByteVector big_endian(std::uint32_t value) {
  return {static_cast<std::uint8_t>(value >> 24), static_cast<std::uint8_t>(value >> 16), static_cast<std::uint8_t>(value >> 8),
          static_cast<std::uint8_t>(value)};
}

ByteVector joined(std::initializer_list<ByteVector> parts) {
  ByteVector all;
  for (const ByteVector& part : parts) append(all, part);
  return all;
}

void add_pngs(Seeds& seeds) {
  using image::testing::png_chunk;
  using image::testing::write_png;
  ByteVector rows;
  for (int y = 0; y < kHeight; ++y) {
    rows.push_back(0);
    for (int x = 0; x < kWidth; ++x) rows.push_back(static_cast<std::uint8_t>((x ^ y) % 16));
  }
  ByteVector palette;
  for (int i = 0; i < 16 * 3; ++i) palette.push_back(static_cast<std::uint8_t>(i * 5));
  const ByteVector chunks = joined({png_chunk("PLTE", palette), png_chunk("tRNS", {0, 128, 255}),
                                    png_chunk("gAMA", big_endian(45455)), png_chunk("tEXt", {'T', 'i', 't', 'l', 'e', 0, 'a'})});
  seeds.add("png-palette", FileFormat::kPng, write_png({kWidth, kHeight, 8, 3}, chunks, rows));

  ByteVector bits;
  for (int y = 0; y < kHeight; ++y) {
    bits.push_back(static_cast<std::uint8_t>(y % 5));
    for (int x = 0; x < kWidth / 8; ++x) bits.push_back(static_cast<std::uint8_t>(x * y));
  }
  seeds.add("png-1bit", FileFormat::kPng, write_png({kWidth, kHeight, 1, 0}, {}, bits));

  const auto control = [](std::uint32_t number) {
    return png_chunk(
        "fcTL",
        joined({big_endian(number), big_endian(kWidth), big_endian(kHeight), big_endian(0), big_endian(0), {0, 1, 0, 10, 0, 0}}));
  };
  ByteVector gray_rows(static_cast<std::size_t>((kWidth + 1) * kHeight));
  const ByteVector frame = png_chunk("fdAT", joined({big_endian(2), image::testing::deflated(gray_rows)}));
  ByteVector animated = write_png({kWidth, kHeight, 8, 0},
                                  joined({png_chunk("acTL", joined({big_endian(2), big_endian(0)})), control(0)}), gray_rows);
  animated.resize(animated.size() - 12);  // IEND
  append(animated, joined({control(1), frame, png_chunk("IEND", {})}));
  seeds.add("png-animated", FileFormat::kPng, animated);
}

void add_tiffs(Seeds& seeds) {
  const auto add = [&](const char* name, int type, const std::function<void(TiffKind&)>& change) {
    TiffKind kind;
    change(kind);
    seeds.add(std::string("tiff-") + name, FileFormat::kTiff,
              image::testing::write_tiff(make_pattern(kWidth, kHeight, type), kind));
  };
  add("lzw-tiles", CV_8UC3, [](TiffKind& kind) { kind.compression = COMPRESSION_LZW, kind.tile_side = 16; });
  add("jpeg", CV_8UC3, [](TiffKind& kind) {
    kind.compression = COMPRESSION_JPEG, kind.photometric = PHOTOMETRIC_YCBCR, kind.rows_per_strip = 16;
  });
  add("packbits", CV_8UC3, [](TiffKind& kind) { kind.compression = COMPRESSION_PACKBITS, kind.is_big_endian = true; });
  add("big", CV_16UC3, [](TiffKind& kind) { kind.is_big_tiff = true, kind.bits = 16; });
  add("planes", CV_8UC3,
      [](TiffKind& kind) { kind.planar = PLANARCONFIG_SEPARATE, kind.compression = COMPRESSION_ADOBE_DEFLATE; });
  add("pages", CV_8UC3, [](TiffKind& kind) { kind.pages = 3; });
  add("plain", CV_8UC3, [](TiffKind& kind) { kind.orientation = 6; });
}

void add_pnms(Seeds& seeds) {
  const cv::Mat colour = make_pattern(kWidth, kHeight, CV_8UC3);
  const cv::Mat gray = make_pattern(kWidth, kHeight, CV_8UC1);
  const auto size = std::to_string(kWidth) + " " + std::to_string(kHeight) + "\n";
  const auto raw = [](const cv::Mat& pixels) { return ByteVector(pixels.datastart, pixels.dataend); };
  std::string text;
  std::string digits;
  for (int y = 0; y < kHeight; ++y) {
    for (int x = 0; x < kWidth; ++x) {
      text += std::to_string(gray.at<std::uint8_t>(y, x)) + (x % 16 == 15 ? "\n" : " ");
      digits += (x + y) % 3 == 0 ? '1' : '0';
    }
  }
  seeds.add("pnm-p1", FileFormat::kPnm, bytes_of("P1\n# a comment\n" + size + digits + "\n"));
  seeds.add("pnm-p2", FileFormat::kPnm, bytes_of("P2\n" + size + "255\n" + text));
  seeds.add("pnm-p4", FileFormat::kPnm, joined({bytes_of("P4\n" + size), ByteVector(kWidth / 8 * kHeight, 0x5A)}));
  seeds.add("pnm-p5", FileFormat::kPnm, joined({bytes_of("P5\n" + size + "255\n"), raw(gray)}));
  seeds.add("pnm-p6", FileFormat::kPnm, joined({bytes_of("P6\n" + size + "255\n"), raw(colour)}));
  seeds.add("pnm-p6-10bit", FileFormat::kPnm, joined({bytes_of("P6\n" + size + "1023\n"), raw(colour), raw(colour)}));
}

}  // namespace

std::vector<Seed> make_seeds() {
  Seeds seeds;
  add_encoded(seeds);
  add_jpegs(seeds);
  add_pngs(seeds);
  add_tiffs(seeds);
  add_pnms(seeds);
  seeds.add("heic-metadata", FileFormat::kHeic,
            bench::write_heic(make_pattern(kWidth, kHeight, CV_8UC3), image::testing::make_exif(6),
                              bytes_of(image::testing::make_xmp())));
  seeds.add("raw-dng", FileFormat::kRaw, bench::write_dng(make_pattern(kWidth, kHeight, CV_16UC3)));
  return seeds.take();
}

std::vector<Seed> make_metadata_seeds() {
  using namespace image::testing;
  std::vector<Seed> seeds;
  const auto add = [&](std::uint8_t choice, std::string name, const ByteVector& block) {
    seeds.push_back({std::move(name), FileFormat::kJpeg, joined({{choice}, block})});
  };
  add(0, "exif", make_exif(6));
  add(1, "xmp", bytes_of(make_xmp()));
  add(2, "iptc", make_iptc());
  add(3, "icc-srgb", image::srgb_profile());
  add(3, "icc-without-tags", make_icc("GRAY"));
  add(9, "photoshop", image::photoshop_from_iptc(make_iptc()));
  std::uint8_t reader = 6;
  for (const FileFormat format : {FileFormat::kJpeg, FileFormat::kPng, FileFormat::kTiff}) {
    Picture picture = make_picture(8, 8, CV_8UC3);
    add_metadata(picture);
    if (const auto file = image::encode(picture, format, {})) add(reader, std::string(name_of(format)), *file);
    ++reader;
  }
  return seeds;
}

}  // namespace retouchd::malformed
