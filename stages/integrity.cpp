#include "stages/integrity.h"

#include <algorithm>
#include <opencv2/core.hpp>

#include "inference/full_scale.h"

namespace retouchd::stages {
namespace {

/// A network may overshoot at edges, and noise takes dark places below zero; so far outside it is broken.
constexpr double kFar = 1.0;
/// Less than a quarter of an 8-bit step between the darkest and the brightest number.
constexpr float kFlat = 0.001F;
/// Of full scale: a source with less contrast may well be restored to one colour.
constexpr double kContrast = 0.1;

/// Of full scale.
struct Span {
  double least = 0;
  double most = 0;
};

Span span_of(const cv::Mat& picture) {
  Span span;
  cv::minMaxLoc(picture.reshape(1), &span.least, &span.most);
  const double full = inference::full_scale(picture.depth());
  return {span.least / full, span.most / full};
}

/// What the picture itself spans must come out again, of floats also outside of [0, 1].
bool is_far_off(const inference::Values& values, const cv::Mat& picture) {
  if (values.least >= -kFar && values.most <= 1 + kFar) return false;
  if (picture.depth() != CV_32F) return true;
  const Span span = span_of(picture);
  return values.least < std::min(span.least, 0.0) - kFar || values.most > std::max(span.most, 1.0) + kFar;
}

}  // namespace

std::optional<RerunReason> what_is_wrong(const inference::NetworkInfo& network, const inference::Window& window,
                                         const inference::Restored& restored) {
  const inference::Values& values = restored.values;
  if (!values.is_finite) return RerunReason::kNotFinite;
  if (is_far_off(values, window.colour)) return RerunReason::kRange;
  // Depth may be unknown all over a window.
  const bool must_show_something = network.companion != inference::Companion::kDepth;
  if (must_show_something && values.most - values.least < kFlat) {
    const Span span = span_of(window.colour);
    if (span.most - span.least > kContrast) return RerunReason::kConstant;
  }
  return std::nullopt;
}

}  // namespace retouchd::stages
