#include <gtest/gtest.h>

#include "stages/encode.h"

namespace retouchd::stages {
namespace {

using image::FileFormat;

image::Picture picture(int type, bool alpha, FileFormat format) {
  image::Picture picture;
  picture.colour = cv::Mat(4, 4, type);
  if (alpha) picture.alpha = cv::Mat(4, 4, CV_MAT_DEPTH(type));
  picture.format = format;
  return picture;
}

std::string target(const image::Picture& picture, const std::string& wanted, FileFormat expected) {
  FileFormat format{};
  const auto path = Encode::target_for(picture, wanted, &format);
  EXPECT_EQ(format, expected);
  return path.string();
}

TEST(EncodeTarget, TheSuffixSaysTheFormat) {
  const auto plain = picture(CV_8UC3, false, FileFormat::kPng);
  EXPECT_EQ(target(plain, "/out/a.JPG", FileFormat::kJpeg), "/out/a.JPG");
  EXPECT_EQ(target(plain, "/out/a.tiff", FileFormat::kTiff), "/out/a.tiff");
  EXPECT_EQ(target(plain, "/out/a.webp", FileFormat::kWebp), "/out/a.webp");
}

TEST(EncodeTarget, AFormatThatCannotHoldThePictureIsReplaced) {
  EXPECT_EQ(target(picture(CV_8UC3, true, FileFormat::kPng), "/out/a.jpg", FileFormat::kPng), "/out/a.png");
  EXPECT_EQ(target(picture(CV_16UC3, false, FileFormat::kTiff), "/out/a.webp", FileFormat::kPng), "/out/a.png");
}

TEST(EncodeTarget, WithoutAKnownSuffixThePictureKeepsItsFormat) {
  EXPECT_EQ(target(picture(CV_8UC3, false, FileFormat::kWebp), "/out/holiday", FileFormat::kWebp), "/out/holiday.webp");
  EXPECT_EQ(target(picture(CV_8UC3, false, FileFormat::kJpeg), "/out/v1.2", FileFormat::kJpeg), "/out/v1.2.jpg");
}

}  // namespace
}  // namespace retouchd::stages
