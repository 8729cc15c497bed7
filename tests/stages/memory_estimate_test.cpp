#include "stages/memory_estimate.h"

#include <gtest/gtest.h>

#include "networks.h"

namespace retouchd::stages {
namespace {

image::PictureHeader header(std::uint32_t width, std::uint32_t height) {
  image::PictureHeader header;
  header.width = width;
  header.height = height;
  return header;
}

TEST(MemoryEstimate, ProgressiveDeepAndLargerPicturesNeedMore) {
  const auto network = network_on_paper(39);
  const auto plain = header(3296, 2192);
  const Bytes base = estimate_memory(plain, mebibytes(4), network);
  EXPECT_GT(base, Bytes{3296ULL * 2192 * 3 * 2});

  auto deep = plain;
  deep.bits = 16;
  EXPECT_GT(estimate_memory(deep, mebibytes(4), network), base);
  EXPECT_GT(estimate_memory(header(6592, 2192), mebibytes(4), network), base);
  EXPECT_GT(estimate_memory(plain, mebibytes(4), network_on_paper(39, 4)), base);

  auto progressive = plain;
  progressive.progressive = true;
  EXPECT_GE(estimate_memory(progressive, mebibytes(40), network), Bytes{3296ULL * 2192 * 3 * (2 + 2)} + mebibytes(40));
}

TEST(MemoryEstimate, BlendingNeedsASumPerSample) {
  auto deep = header(1000, 1000);
  deep.bits = 16;
  EXPECT_GE(estimate_memory(deep, Bytes{0}, network_on_paper(std::nullopt)), Bytes{1000ULL * 1000 * 3 * (2 + 2 + 4)});
}

}  // namespace
}  // namespace retouchd::stages
