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
  const auto path = Encode::target_for(picture, "/in/" + std::filesystem::path(wanted).filename().string(), wanted, &format);
  EXPECT_EQ(format, expected);
  return path.string();
}

TEST(EncodeTarget, TheSuffixSaysTheFormat) {
  const auto plain = picture(CV_8UC3, false, FileFormat::kPng);
  EXPECT_EQ(target(plain, "/out/a.JPG", FileFormat::kJpeg), "/out/a.JPG");
  EXPECT_EQ(target(plain, "/out/a.tiff", FileFormat::kTiff), "/out/a.tiff");
  EXPECT_EQ(target(plain, "/out/a.webp", FileFormat::kWebp), "/out/a.webp");
  EXPECT_EQ(target(plain, "/out/a.avif", FileFormat::kAvif), "/out/a.avif");
  EXPECT_EQ(target(plain, "/out/a.jxl", FileFormat::kJxl), "/out/a.jxl");
  EXPECT_EQ(target(plain, "/out/a.pgm", FileFormat::kPnm), "/out/a.pgm");
}

TEST(EncodeTarget, WhatIsOnlyReadBecomesWhatIsWritten) {
  EXPECT_EQ(target(picture(CV_8UC3, false, FileFormat::kHeic), "/out/a.heic", FileFormat::kJpeg), "/out/a.jpg");
  EXPECT_EQ(target(picture(CV_16UC3, false, FileFormat::kHeic), "/out/a.heic", FileFormat::kPng), "/out/a.png");
  EXPECT_EQ(target(picture(CV_16UC3, false, FileFormat::kRaw), "/out/a.NEF", FileFormat::kTiff), "/out/a.tif");
}

TEST(EncodeTarget, SeveralPagesAndFloatsGoIntoATiff) {
  auto pages = picture(CV_8UC3, false, FileFormat::kTiff);
  pages.pages.push_back(picture(CV_8UC1, false, FileFormat::kTiff));
  EXPECT_EQ(target(pages, "/out/a.jpg", FileFormat::kTiff), "/out/a.tif");
  EXPECT_EQ(target(picture(CV_32FC3, false, FileFormat::kTiff), "/out/a.png", FileFormat::kTiff), "/out/a.tif");
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
