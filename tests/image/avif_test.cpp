#include <avif/avif.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <opencv2/core.hpp>

#include "image/codec.h"
#include "image/metadata.h"
#include "image/psnr.h"
#include "tests/image/decoded.h"
#include "tests/image/sample_pictures.h"
#include "tests/image/sample_profiles.h"

namespace retouchd::image {
namespace {

using testing::decoded;
using ::testing::HasSubstr;
using testing::largest_difference;
using testing::make_pattern;
using testing::make_picture;

const DecodeLimits kLimits;

EncodeOptions lossless() {
  EncodeOptions options;
  options.avif_quality = 100;
  return options;
}

struct Kind {
  avifPixelFormat format = AVIF_PIXEL_FORMAT_YUV444;
  std::uint32_t bits = 8;
  avifRange range = AVIF_RANGE_FULL;
  avifMatrixCoefficients matrix = AVIF_MATRIX_COEFFICIENTS_IDENTITY;
  bool has_alpha = false;
  int frames = 1;
  std::function<void(avifImage&)> change = [](avifImage&) {};
};

/// A lossless AVIF of the planes (Y, U, V, A; one row of samples after the other) that `sample` tells.
ByteVector write_avif(std::uint32_t width, std::uint32_t height, const Kind& kind,
                      const std::function<int(int plane, int x, int y)>& sample) {
  avifEncoder* encoder = avifEncoderCreate();
  encoder->minQuantizer = encoder->maxQuantizer = encoder->minQuantizerAlpha = encoder->maxQuantizerAlpha = 0;
  encoder->speed = 10;
  encoder->timescale = 10;
  for (int frame = 0; frame < kind.frames; ++frame) {
    avifImage* image = avifImageCreate(width, height, kind.bits, kind.format);
    image->yuvRange = kind.range;
    image->matrixCoefficients = kind.matrix;
    image->colorPrimaries = AVIF_COLOR_PRIMARIES_BT709;
    image->transferCharacteristics = AVIF_TRANSFER_CHARACTERISTICS_SRGB;
    avifImageAllocatePlanes(image, kind.has_alpha ? AVIF_PLANES_ALL : AVIF_PLANES_YUV);
    avifPixelFormatInfo info;
    avifGetPixelFormatInfo(kind.format, &info);
    for (int plane = 0; plane < 4; ++plane) {
      std::uint8_t* rows = plane == 3 ? image->alphaPlane : image->yuvPlanes[plane];
      const std::uint32_t stride = plane == 3 ? image->alphaRowBytes : image->yuvRowBytes[plane];
      if (rows == nullptr) continue;
      const bool is_chroma = plane == 1 || plane == 2;
      const auto columns = static_cast<int>(is_chroma ? (width + info.chromaShiftX) >> info.chromaShiftX : width);
      const auto lines = static_cast<int>(is_chroma ? (height + info.chromaShiftY) >> info.chromaShiftY : height);
      for (int y = 0; y < lines; ++y) {
        for (int x = 0; x < columns; ++x) {
          const int value = sample(plane, x, y + frame);
          std::uint8_t* row = rows + static_cast<std::size_t>(y) * stride;
          if (kind.bits == 8) {
            row[x] = static_cast<std::uint8_t>(value);
          } else {
            reinterpret_cast<std::uint16_t*>(row)[x] = static_cast<std::uint16_t>(value);
          }
        }
      }
    }
    kind.change(*image);
    const auto flag = kind.frames == 1 ? AVIF_ADD_IMAGE_FLAG_SINGLE : AVIF_ADD_IMAGE_FLAG_NONE;
    EXPECT_EQ(avifEncoderAddImage(encoder, image, 1, flag), AVIF_RESULT_OK) << encoder->diag.error;
    avifImageDestroy(image);
  }
  avifRWData data = AVIF_DATA_EMPTY;
  EXPECT_EQ(avifEncoderFinish(encoder, &data), AVIF_RESULT_OK);
  ByteVector file(data.data, data.data + data.size);
  avifRWDataFree(&data);
  avifEncoderDestroy(encoder);
  return file;
}

/// The same of an 8-bit R, G, B pattern.
ByteVector write_avif(const cv::Mat& colour, const std::function<void(avifImage&)>& change) {
  Kind kind;
  kind.change = change;
  constexpr int kChannels[] = {1, 2, 0};  // the identity matrix stores G, B, R
  return write_avif(static_cast<std::uint32_t>(colour.cols), static_cast<std::uint32_t>(colour.rows), kind,
                    [&](int plane, int x, int y) { return colour.at<cv::Vec3b>(y, x)[kChannels[plane]]; });
}

TEST(Avif, LosslessKeepsEveryValue) {
  for (const int type : {CV_8UC1, CV_8UC3}) {
    for (const bool has_alpha : {false, true}) {
      const Picture picture = make_picture(61, 47, type, has_alpha);
      const auto file = encode(picture, FileFormat::kAvif, lossless());
      ASSERT_TRUE(file.ok()) << file.error().message;
      const auto header = read_header(*file, kLimits);
      ASSERT_TRUE(header.ok()) << header.error().message;
      EXPECT_EQ(header->width, 61U);
      EXPECT_EQ(header->height, 47U);
      EXPECT_EQ(header->channels, CV_MAT_CN(type) + (has_alpha ? 1 : 0));
      EXPECT_EQ(header->bits, 8);
      EXPECT_EQ(header->frames, 1);
      EXPECT_GT(header->working.value, 0U);
      const Picture back = decoded(*file);
      EXPECT_EQ(back.format, FileFormat::kAvif);
      EXPECT_EQ(largest_difference(back.colour, picture.colour), 0.0);
      EXPECT_EQ(back.alpha.empty(), !has_alpha);
      if (has_alpha) {
        EXPECT_EQ(largest_difference(back.alpha, picture.alpha), 0.0);
      }
      EXPECT_EQ(back.metadata_warning, "");
    }
  }
}

TEST(Avif, LossyIsNearAndKeepsAlphaExactly) {
  for (const int type : {CV_8UC1, CV_8UC3}) {
    for (const int quality : {80, 90}) {
      const Picture picture = make_picture(160, 120, type, true);
      EncodeOptions options;
      options.avif_quality = quality;
      const auto file = encode(picture, FileFormat::kAvif, options);
      ASSERT_TRUE(file.ok()) << file.error().message;
      const Picture back = decoded(*file);
      EXPECT_GT(psnr(back.colour, picture.colour), 35.0) << type << " at " << quality;
      EXPECT_EQ(largest_difference(back.alpha, picture.alpha), 0.0);
    }
  }
}

TEST(Avif, MetadataComesBackByteForByte) {
  Picture picture = make_picture(50, 40, CV_8UC3);
  Metadata metadata;
  metadata.exif = testing::make_exif(6);
  metadata.xmp = testing::make_xmp();
  metadata.icc = testing::make_rgb_profile(testing::kAdobeRgbLike);
  metadata.iptc = testing::make_iptc();
  picture.metadata = std::make_shared<const Metadata>(metadata);
  std::string warnings;
  const Metadata blocks = prepare_for(metadata, FileFormat::kAvif, picture, 3, warnings);
  const Picture back = decoded(*encode(picture, FileFormat::kAvif, {}));
  ASSERT_NE(back.metadata, nullptr);
  EXPECT_FALSE(back.metadata->exif.empty());
  EXPECT_EQ(back.metadata->exif, blocks.exif);
  EXPECT_FALSE(back.metadata->xmp.empty());
  EXPECT_EQ(back.metadata->xmp, blocks.xmp);
  EXPECT_EQ(back.metadata->icc, metadata.icc);
}

TEST(Avif, LargeMetadataIsDroppedWithAWarning) {
  Picture picture = make_picture(50, 40, CV_8UC3);
  Metadata metadata;
  metadata.icc = testing::make_icc("RGB ", 4000);
  picture.metadata = std::make_shared<const Metadata>(metadata);
  DecodeLimits limits;
  limits.metadata = Bytes{1000};
  const auto back = decode(*encode(picture, FileFormat::kAvif, {}), limits);
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->metadata, nullptr);
  EXPECT_THAT(back->metadata_warning, HasSubstr("limits.metadata"));
}

TEST(Avif, TenAndTwelveBitsFillTheWholeRange) {
  for (const std::uint32_t bits : {10U, 12U}) {
    const int most = (1 << bits) - 1;
    Kind kind;
    kind.bits = bits;
    kind.has_alpha = true;
    const auto sample = [&](int plane, int x, int y) { return (x * 37 + y * 101 + plane * 331) % (most + 1); };
    const ByteVector file = write_avif(64, 32, kind, sample);
    EXPECT_EQ(read_header(file, kLimits)->bits, 16);
    const Picture back = decoded(file);
    ASSERT_EQ(back.colour.type(), CV_16UC3);
    ASSERT_EQ(back.alpha.type(), CV_16UC1);
    EXPECT_EQ(back.file_bits, 16);
    constexpr int kPlanes[] = {2, 0, 1};
    for (int y = 0; y < 32; ++y) {
      for (int x = 0; x < 64; ++x) {
        for (int channel = 0; channel < 3; ++channel) {
          const long wanted = std::lround(sample(kPlanes[channel], x, y) * 65'535.0 / most);
          ASSERT_EQ(back.colour.at<cv::Vec3w>(y, x)[channel], wanted) << x << "," << y;
        }
        ASSERT_EQ(back.alpha.at<std::uint16_t>(y, x), std::lround(sample(3, x, y) * 65'535.0 / most));
      }
    }
  }
}

TEST(Avif, LimitedRangeGrayIsSpread) {
  for (const std::uint32_t bits : {8U, 10U}) {
    Kind kind;
    kind.bits = bits;
    kind.format = AVIF_PIXEL_FORMAT_YUV400;
    kind.range = AVIF_RANGE_LIMITED;
    kind.matrix = AVIF_MATRIX_COEFFICIENTS_BT601;
    const int step = 1 << (bits - 8);
    const Picture back = decoded(write_avif(16, 16, kind, [&](int, int x, int) {
      return x < 5 ? 16 * step : x < 10 ? 235 * step : 125 * step;
    }));
    ASSERT_EQ(back.colour.channels(), 1);
    const double most = bits == 8 ? 255 : 65'535;
    cv::Mat values;
    back.colour.convertTo(values, CV_64F, 1 / most);
    EXPECT_EQ(values.at<double>(3, 2), 0.0);
    EXPECT_EQ(values.at<double>(3, 7), 1.0);
    EXPECT_NEAR(values.at<double>(3, 12), 109.0 / 219.0, 0.5 / most);
  }
}

TEST(Avif, MatrixAndRangeAreHonoured) {
  // Pure BT.709 red in limited range: Y = 16 + 219 * 0.2126, Cb = 128 - 224 * 0.2126 / 1.8556, Cr = 240.
  Kind kind;
  kind.matrix = AVIF_MATRIX_COEFFICIENTS_BT709;
  kind.range = AVIF_RANGE_LIMITED;
  kind.format = AVIF_PIXEL_FORMAT_YUV420;
  const Picture back = decoded(write_avif(16, 16, kind, [](int plane, int, int) {
    return plane == 0 ? 63 : plane == 1 ? 102 : 240;
  }));
  const auto red = back.colour.at<cv::Vec3b>(7, 7);
  EXPECT_NEAR(red[0], 255, 2);
  EXPECT_NEAR(red[1], 0, 2);
  EXPECT_NEAR(red[2], 0, 2);
}

TEST(Avif, PremultipliedColoursBecomeStraight) {
  Kind kind;
  kind.has_alpha = true;
  kind.change = [](avifImage& image) { image.alphaPremultiplied = AVIF_TRUE; };
  const ByteVector file = write_avif(16, 16, kind, [](int plane, int x, int) { return plane == 3 ? (x < 8 ? 128 : 0) : 64; });
  const Picture back = decoded(file);
  EXPECT_EQ(back.colour.at<cv::Vec3b>(3, 3), cv::Vec3b(128, 128, 128));
  EXPECT_EQ(back.colour.at<cv::Vec3b>(3, 12), cv::Vec3b(0, 0, 0));
  EXPECT_EQ(back.alpha.at<std::uint8_t>(3, 3), 128);
}

TEST(Avif, TurnsAndMirrorsAreApplied) {
  const cv::Mat stored = make_pattern(40, 24, CV_8UC3);
  for (int turns = 0; turns < 4; ++turns) {
    for (int mirror = -1; mirror < 2; ++mirror) {
      const ByteVector file = write_avif(stored, [&](avifImage& image) {
        image.transformFlags = mirror >= 0 ? AVIF_TRANSFORM_IROT | AVIF_TRANSFORM_IMIR : AVIF_TRANSFORM_IROT;
        image.irot.angle = static_cast<std::uint8_t>(turns);
        image.imir.mode = static_cast<std::uint8_t>(std::max(mirror, 0));
      });
      cv::Mat wanted = stored.clone();
      for (int i = 0; i < turns; ++i) cv::rotate(wanted.clone(), wanted, cv::ROTATE_90_COUNTERCLOCKWISE);
      if (mirror >= 0) cv::flip(wanted.clone(), wanted, mirror);  // 0: top and bottom change places, 1: left and right
      EXPECT_EQ(largest_difference(decoded(file).colour, wanted), 0.0) << turns << " turns, mirror " << mirror;
    }
  }
}

TEST(Avif, OrientationOfTheExifIsNotAppliedToo) {
  const cv::Mat stored = make_pattern(40, 24, CV_8UC3);
  const ByteVector exif = testing::make_exif(6);
  for (const bool is_turned : {false, true}) {
    const ByteVector file = write_avif(stored, [&](avifImage& image) {
      avifImageSetMetadataExif(&image, exif.data(), exif.size());
      image.transformFlags = is_turned ? AVIF_TRANSFORM_IROT : AVIF_TRANSFORM_NONE;
      image.irot.angle = 3;
    });
    cv::Mat wanted = stored;
    if (is_turned) cv::rotate(stored, wanted, cv::ROTATE_90_CLOCKWISE);
    const Picture back = decoded(file);
    EXPECT_EQ(largest_difference(back.colour, wanted), 0.0);
    EXPECT_EQ(back.metadata->exif, exif);
  }
}

TEST(Avif, CleanApertureIsCutBeforeTheTurn) {
  const cv::Mat stored = make_pattern(40, 24, CV_8UC3);
  const cv::Rect part(5, 3, 20, 11);
  const ByteVector file = write_avif(stored, [&](avifImage& image) {
    const avifCropRect rect{5, 3, 20, 11};
    avifDiagnostics diagnostics{};
    ASSERT_TRUE(avifCleanApertureBoxConvertCropRect(&image.clap, &rect, 40, 24, AVIF_PIXEL_FORMAT_YUV444, &diagnostics));
    image.transformFlags = AVIF_TRANSFORM_CLAP | AVIF_TRANSFORM_IROT;
    image.irot.angle = 1;
  });
  const auto header = read_header(file, kLimits);
  ASSERT_TRUE(header.ok()) << header.error().message;
  EXPECT_EQ(header->width, 20U);
  EXPECT_EQ(header->height, 11U);
  cv::Mat wanted;
  cv::rotate(stored(part), wanted, cv::ROTATE_90_COUNTERCLOCKWISE);
  EXPECT_EQ(largest_difference(decoded(file).colour, wanted), 0.0);
}

TEST(Avif, SenselessCleanApertureIsAWarning) {
  const cv::Mat stored = make_pattern(40, 24, CV_8UC3);
  const Picture back = decoded(write_avif(stored, [](avifImage& image) {
    image.transformFlags = AVIF_TRANSFORM_CLAP;
    image.clap = {400, 1, 24, 1, 0, 1, 0, 1};
  }));
  EXPECT_EQ(largest_difference(back.colour, stored), 0.0);
  EXPECT_THAT(back.metadata_warning, HasSubstr("makes no sense"));
}

TEST(Avif, OfAnAnimationTheFirstPictureIsTaken) {
  Kind kind;
  kind.frames = 2;
  const ByteVector file = write_avif(32, 32, kind, [](int, int x, int y) { return x * 3 + y * 4; });
  EXPECT_EQ(read_header(file, kLimits)->frames, 2);
  const Picture back = decoded(file);
  EXPECT_EQ(back.colour.at<cv::Vec3b>(0, 0), cv::Vec3b(0, 0, 0));
  EXPECT_THAT(back.metadata_warning, HasSubstr("animation of 2 pictures"));
  DecodeLimits limits;
  limits.frames = 1;
  EXPECT_EQ(read_header(file, limits).error().code, ErrorCode::kPictureTooLarge);
}

TEST(Avif, StatedColoursBecomeAProfile) {
  const cv::Mat stored = make_pattern(40, 24, CV_8UC3);
  const auto with = [&](avifColorPrimaries primaries, avifTransferCharacteristics transfer) {
    return decoded(write_avif(stored, [&](avifImage& image) {
      image.colorPrimaries = primaries;
      image.transferCharacteristics = transfer;
    }));
  };
  const Picture plain = with(AVIF_COLOR_PRIMARIES_BT709, AVIF_TRANSFER_CHARACTERISTICS_SRGB);
  EXPECT_EQ(plain.metadata, nullptr);
  EXPECT_EQ(with(AVIF_COLOR_PRIMARIES_BT709, AVIF_TRANSFER_CHARACTERISTICS_BT709).metadata, nullptr);
  EXPECT_EQ(with(AVIF_COLOR_PRIMARIES_UNSPECIFIED, AVIF_TRANSFER_CHARACTERISTICS_UNSPECIFIED).metadata, nullptr);
  const Picture p3 = with(AVIF_COLOR_PRIMARIES_SMPTE432, AVIF_TRANSFER_CHARACTERISTICS_SRGB);
  ASSERT_NE(p3.metadata, nullptr);
  EXPECT_GT(p3.metadata->icc.size(), 128U);
  EXPECT_EQ(p3.metadata_warning, "");
  const Picture pq = with(AVIF_COLOR_PRIMARIES_BT2020, AVIF_TRANSFER_CHARACTERISTICS_SMPTE2084);
  ASSERT_NE(pq.metadata, nullptr);
  EXPECT_THAT(pq.metadata_warning, HasSubstr("PQ"));

  // Written back, the numbers stand in the file again beside the profile.
  const ByteVector again = *encode(p3, FileFormat::kAvif, lossless());
  avifDecoder* decoder = avifDecoderCreate();
  ASSERT_EQ(avifDecoderSetIOMemory(decoder, again.data(), again.size()), AVIF_RESULT_OK);
  ASSERT_EQ(avifDecoderParse(decoder), AVIF_RESULT_OK);
  EXPECT_EQ(decoder->image->icc.size, p3.metadata->icc.size());
  ASSERT_EQ(avifDecoderNextImage(decoder), AVIF_RESULT_OK);
  EXPECT_EQ(decoder->image->colorPrimaries, AVIF_COLOR_PRIMARIES_SMPTE432);
  avifDecoderDestroy(decoder);
}

TEST(Avif, LargerThanAllowedIsRefusedByItsHeader) {
  DecodeLimits limits;
  limits.megapixels = 0.001;
  const auto refused = decode(*encode(make_picture(50, 40, CV_8UC3), FileFormat::kAvif, {}), limits);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kPictureTooLarge);
}

}  // namespace
}  // namespace retouchd::image
