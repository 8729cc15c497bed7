#include "inference/pixel_pool.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <thread>
#include <vector>

namespace retouchd::inference {
namespace {

TEST(PixelPool, HandsTheSamePixelsOutAgain) {
  PixelPool& pool = PixelPool::instance();
  cv::Mat picture = pool.picture({320, 200}, CV_8UC3);
  const auto* place = picture.data;
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(place) % 64, 0U);
  EXPECT_TRUE(picture.isContinuous());
  picture.setTo(cv::Scalar(7, 0, 0));
  const cv::Mat part = picture({10, 10, 20, 20}).clone();
  const cv::Mat shared = picture({0, 0, 5, 5});
  picture.release();
  EXPECT_NE(pool.picture({320, 200}, CV_8UC3).data, place) << "somebody still looks at it";
  EXPECT_EQ(shared.at<cv::Vec3b>(4, 4), cv::Vec3b(7, 0, 0));
  EXPECT_EQ(part.at<cv::Vec3b>(4, 4), cv::Vec3b(7, 0, 0));
}

TEST(PixelPool, SteadyWorkTakesNothingNewFromTheSystem) {
  PixelPool& pool = PixelPool::instance();
  std::size_t most = 0;
  for (int round = 0; round < 20; ++round) {
    std::vector<cv::Mat> batch;
    for (int i = 0; i < 4; ++i) batch.push_back(pool.picture({512, 512}, CV_8UC3));
    if (round == 0) most = pool.blocks().most_in_use();
    EXPECT_EQ(pool.blocks().most_in_use(), most);
    EXPECT_LE(pool.blocks().in_use() + pool.blocks().kept(), most);
  }
}

TEST(PixelPool, PixelsMayBeLetGoOfOnAnyThread) {
  PixelPool& pool = PixelPool::instance();
  const std::size_t before = pool.blocks().in_use();
  for (int round = 0; round < 20; ++round) {
    cv::Mat picture = pool.picture({64, 64}, CV_16UC3);
    std::jthread([other = std::move(picture)]() mutable { other.release(); }).join();
  }
  EXPECT_EQ(pool.blocks().in_use(), before);
}

}  // namespace
}  // namespace retouchd::inference
