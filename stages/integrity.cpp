#include "stages/integrity.h"

#include <opencv2/core.hpp>

#include "inference/full_scale.h"

namespace retouchd::stages {
namespace {

/// A network may overshoot at edges, and noise takes dark places below zero; so far off it is broken.
constexpr float kFarBelow = -1.0F;
constexpr float kFarAbove = 2.0F;
/// Less than a quarter of an 8-bit step between the darkest and the brightest number.
constexpr float kFlat = 0.001F;
/// Of full scale: a source with less contrast may well be restored to one colour.
constexpr double kContrast = 0.1;

double contrast_of(const cv::Mat& picture) {
  double least = 0;
  double most = 0;
  cv::minMaxLoc(picture.reshape(1), &least, &most);
  return (most - least) / inference::full_scale(picture.depth());
}

}  // namespace

std::optional<RerunReason> what_is_wrong(const inference::NetworkInfo& network, const inference::Window& window,
                                         const inference::Restored& restored) {
  const inference::Values& values = restored.values;
  if (!values.is_finite) return RerunReason::kNotFinite;
  if (values.least < kFarBelow || values.most > kFarAbove) return RerunReason::kRange;
  // Depth may be unknown all over a window.
  const bool must_show_something = network.companion != inference::Companion::kDepth;
  if (must_show_something && values.most - values.least < kFlat && contrast_of(window.colour) > kContrast)
    return RerunReason::kConstant;
  return std::nullopt;
}

}  // namespace retouchd::stages
