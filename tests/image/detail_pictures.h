#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>

/// Gray pictures with more or less detail, the same every time.
namespace retouchd::image::testing {

/// Overlapping disks, calm inside.
inline cv::Mat make_scene(cv::Size size, std::uint64_t seed) {
  cv::RNG luck(seed);
  cv::Mat scene(size, CV_8UC1, cv::Scalar(110));
  for (int i = 0; i < size.area() / 500; ++i) {
    const cv::Point centre(luck.uniform(0, size.width), luck.uniform(0, size.height));
    cv::circle(scene, centre, static_cast<int>(4 / std::sqrt(luck.uniform(0.01, 1.0))), luck.uniform(20, 235), cv::FILLED,
               cv::LINE_AA);
  }
  return scene;
}

/// Any 8-bit picture with white noise, which is the same for the same seed whatever its strength.
inline cv::Mat add_noise(const cv::Mat& picture, double sigma, std::uint64_t seed) {
  cv::RNG luck(seed);
  cv::Mat noise(picture.size(), CV_32FC(picture.channels()));
  luck.fill(noise, cv::RNG::NORMAL, 0.0, 1.0);
  cv::Mat noisy;
  picture.convertTo(noisy, CV_32F);
  noisy += sigma * noise;
  noisy.convertTo(noisy, CV_8U);
  return noisy;
}

}  // namespace retouchd::image::testing
