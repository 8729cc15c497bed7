#include "stages/memory_estimate.h"

#include <gtest/gtest.h>

#include "networks.h"

namespace retouchd::stages {
namespace {

using image::FileFormat;

image::PictureHeader header(std::uint32_t width, std::uint32_t height) {
  image::PictureHeader header;
  header.width = width;
  header.height = height;
  return header;
}

TEST(MemoryEstimate, LargeAndDeepPicturesNeedMore) {
  const auto network = network_on_paper(39);
  const auto plain = header(3296, 2192);
  const Bytes base = estimate_memory(plain, network);
  EXPECT_GT(base, Bytes{3296ULL * 2192 * 3 * 2});
  auto deep = plain;
  deep.bits = 16;
  EXPECT_GT(estimate_memory(deep, network), base);
  auto floats = plain;
  floats.bits = 32;
  EXPECT_GT(estimate_memory(floats, network), estimate_memory(deep, network));
  EXPECT_GT(estimate_memory(header(6592, 2192), network), base);
  EXPECT_GT(estimate_memory(plain, network_on_paper(39, 4)), base);
}

TEST(MemoryEstimate, ALargeTiffNeedsLittleMoreThanTwiceItsPlanes) {
  auto large = header(20'000, 15'000);
  large.format = FileFormat::kTiff;
  large.working = mebibytes(8);
  const Bytes needed = estimate_memory(large, network_on_paper(39));
  EXPECT_LE(needed.value, large.decoded_bytes().value * 22 / 10);
  EXPECT_GE(needed.value, large.decoded_bytes().value * 2);
}

TEST(MemoryEstimate, ADecoderThatHoldsMoreThanThePictureCounts) {
  auto progressive = header(3296, 2192);
  progressive.working = Bytes{3296ULL * 2192 * 3 * 2};  // all coefficients
  EXPECT_GE(estimate_memory(progressive, network_on_paper(39)), Bytes{3296ULL * 2192 * 3 * (1 + 2)});
}

TEST(MemoryEstimate, BlendingNeedsASumPerSample) {
  auto deep = header(1000, 1000);
  deep.bits = 16;
  EXPECT_GE(estimate_memory(deep, network_on_paper(std::nullopt)), Bytes{1000ULL * 1000 * 3 * (2 + 2 + 4)});
  const Bytes one = estimate_memory(deep, network_on_paper(std::nullopt));
  deep.more_pages = Bytes{500ULL * 500 * 3 * 2};
  EXPECT_GE(estimate_memory(deep, network_on_paper(std::nullopt)), one + Bytes{500ULL * 500 * 3 * (2 + 2 + 4)});
}

TEST(MemoryEstimate, TheFormatOfTheResultCounts) {
  const auto network = network_on_paper(39);
  auto picture = header(1000, 1000);
  picture.format = FileFormat::kPng;
  const Bytes png = estimate_memory(picture, network);
  EXPECT_EQ(estimate_memory(picture, network, FileFormat::kTiff), png);
  EXPECT_GE(estimate_memory(picture, network, FileFormat::kWebp), png + Bytes{8'000'000});
  EXPECT_GT(estimate_memory(picture, network, FileFormat::kAvif), png);
  EXPECT_GT(estimate_memory(picture, network, FileFormat::kJxl), png);
}

TEST(MemoryEstimate, ANetworkThatWantsSrgbHoldsTheFilesColoursToo) {
  auto network = network_on_paper(39);
  auto picture = header(1000, 1000);
  picture.bits = 32;
  const Bytes base = estimate_memory(picture, network);
  network.wants_srgb = true;
  EXPECT_GE(estimate_memory(picture, network), base + picture.decoded_bytes());
}

}  // namespace
}  // namespace retouchd::stages
