#pragma once

#include <cstdint>
#include <opencv2/core.hpp>
#include <vector>

namespace retouchd::bench {

/// What a camera did to a scene.
struct Degradation {
  double blur = 0;         ///< standard deviation of the lens in pixels; part of the truth, since restoration does not sharpen
  double noise_sigma = 0;  ///< of each channel in 8-bit values
  double shot_gain = 0;    ///< variance of the noise per 8-bit value of light, on top
  int jpeg_quality = 0;    ///< 0: none
};

struct GeneratedPicture {
  cv::Mat clean;  ///< CV_8UC3 (RGB): the truth, with the lens's blur
  cv::Mat taken;  ///< what the camera wrote
  Degradation degradation;
};

/// Pictures whose truth is known, drawn: "dead leaves" (shapes of all sizes with radius density r^-3, each with its own colour,
/// texture and shade, which cover one another: their edges and scales follow the statistics of photographs), out-of-focus
/// backgrounds, foliage and cloth, hair, text, window frames, skies. Drawn at twice the size and halved, so that edges are as
/// soft as a camera's. The same seed and index give the same picture. Threads: safe.
class GeneratedPictures {
 public:
  GeneratedPictures(std::uint64_t seed, cv::Size size);

  /// A scene of its own without noise and blur.
  [[nodiscard]] cv::Mat draw_scene(int index) const;

  /// As mixed as an archive: every third perfectly sharp, the others blurred up to 2.5 px, most of them little; noise 0..25, in
  /// half of them with shot noise; every third as JPEG of quality 80..97.
  [[nodiscard]] GeneratedPicture make(int index) const;

  /// As an album that was handed on often: little blur, noise 0..20 (every third picture none), two thirds as JPEG of quality
  /// 10..95.
  [[nodiscard]] GeneratedPicture make_handed_on(int index) const;

  /// The camera; `luck` draws the noise.
  [[nodiscard]] static GeneratedPicture take(const cv::Mat& scene, const Degradation& degradation, cv::RNG& luck);

 private:
  /// 0..1, evenly over indices, each quality (0..4) on its own.
  [[nodiscard]] double spread(int index, int quality) const;
  [[nodiscard]] cv::RNG luck_of(int index, std::uint64_t purpose) const;

  const std::uint64_t seed_;
  const cv::Size size_;
  std::vector<cv::Mat> textures_;  ///< CV_32FC1, mean 0, deviation 1
};

}  // namespace retouchd::bench
