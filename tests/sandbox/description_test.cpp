#include "sandbox/description.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "image/metadata.h"
#include "sandbox/protocol.h"
#include "tests/image/sample_pictures.h"

namespace retouchd::sandbox {
namespace {

std::vector<std::uint8_t> described() {
  image::Picture picture = image::testing::make_picture(8, 6, CV_8UC3, true);
  image::Metadata metadata;
  metadata.exif = {1, 2, 3};
  metadata.texts = {{"Title", "text"}};
  metadata.dpi_x = metadata.dpi_y = 300;
  picture.metadata = std::make_shared<const image::Metadata>(metadata);
  picture.provenance = {{"Network", "small"}};
  picture.pages.push_back(image::testing::make_picture(4, 4, CV_16UC1));
  return describe(picture, [](const cv::Mat&) { return 64; });
}

cv::Mat plane_anywhere(std::uint64_t /*offset*/, cv::Size size, int type) {
  // What a caller would refuse for want of room.
  return static_cast<double>(size.width) * size.height > 10'000 ? cv::Mat() : cv::Mat(size, type);
}

TEST(Description, SaysWhatThePictureWas) {
  const auto picture = picture_from(described(), &plane_anywhere);
  ASSERT_TRUE(picture) << picture.error().message;
  EXPECT_EQ(picture->colour.size(), cv::Size(8, 6));
  EXPECT_EQ(picture->alpha.type(), CV_8UC1);
  EXPECT_EQ(picture->metadata->texts.at(0).second, "text");
  EXPECT_EQ(picture->metadata->dpi_y, 300);
  EXPECT_EQ(picture->provenance.at(0).first, "Network");
  EXPECT_EQ(picture->pages.at(0).colour.type(), CV_16UC1);
}

TEST(Description, IsRefusedWhenCutAnywhere) {
  const auto whole = described();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(picture_from(std::span(whole).first(size), &plane_anywhere)) << size;
  }
}

TEST(Description, IsRefusedWhenSomethingFollows) {
  auto longer = described();
  longer.push_back(0);
  EXPECT_FALSE(picture_from(longer, &plane_anywhere));
}

TEST(Description, OfNoiseNeverCrashes) {
  std::mt19937 random(11);
  const auto whole = described();
  for (int round = 0; round < 20'000; ++round) {
    auto damaged = whole;
    for (int i = 0; i < 4; ++i) damaged[random() % damaged.size()] = static_cast<std::uint8_t>(random());
    const auto picture = picture_from(damaged, &plane_anywhere);
    if (picture) {
      EXPECT_FALSE(picture->colour.empty());
    }
  }
}

TEST(Text, OfAWorkerIsMadePrintable) {
  EXPECT_EQ(printable("Grüße, 写真 😀"), "Grüße, 写真 😀");
  EXPECT_EQ(printable("a\n\x1b[2Jb"), "a??[2Jb");
  EXPECT_EQ(printable("\xff\xc0\x80\xed\xa0\x80"), "??????");
  EXPECT_EQ(printable("cut \xe5\x86"), "cut ??");
}

}  // namespace
}  // namespace retouchd::sandbox
