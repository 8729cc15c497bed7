#include "inference/batch_layout.h"

#include <algorithm>

#include "inference/full_scale.h"

namespace retouchd::inference {
namespace {

constexpr double kMillimetres = 1000.0;  // in a metre

/// Of all pictures of the batch; the order of CV_8U, CV_16U and CV_32F is that of what they hold.
int widest_depth(const NetworkInfo& info, std::span<const Window> windows) {
  int widest = CV_8U;
  for (const Window& window : windows) {
    widest = std::max(widest, window.colour.depth());
    if (info.companion != Companion::kNone) widest = std::max(widest, window.companion.depth());
  }
  return widest;
}

BatchLayout::InputRun input_run(const NetworkInfo& info, const Window& window) {
  BatchLayout::InputRun run{places_in_batch(info, window), input_factor(info, window.colour), 1};
  run.companion = info.companion == Companion::kNone ? run.colour : companion_factor(info, window.companion);
  return run;
}

BatchLayout::OutputRun output_run(const NetworkInfo& info, const Window& window) {
  BatchLayout::OutputRun run;
  run.windows = 1;
  run.places = places_in_batch(info, window);
  run.own = window.colour.size() * info.scale;
  run.is_mean = info.output_channels() == 3 && window.colour.channels() == 1;
  run.depth = window.depth;
  return run;
}

/// Adds `run` to the last one where they differ in `count` alone.
template <class Run>
void join(std::vector<Run>& runs, Run run, std::int64_t Run::*count) {
  if (!runs.empty()) {
    Run last = runs.back();
    last.*count = run.*count;
    if (last == run) {
      runs.back().*count += run.*count;
      return;
    }
  }
  runs.push_back(run);
}

}  // namespace

int places_in_batch(const NetworkInfo& info, const Window& window) {
  return info.channels == 1 && info.companion == Companion::kNone ? window.colour.channels() : 1;
}

double input_factor(const NetworkInfo& info, const cv::Mat& picture) { return 1.0 / full_scale(picture.depth()) * info.range; }

double companion_factor(const NetworkInfo& info, const cv::Mat& companion) {
  return info.companion == Companion::kDepth ? 1.0 / kMillimetres : input_factor(info, companion);
}

float output_factor(const NetworkInfo& info) {
  const bool is_depth = info.companion == Companion::kDepth;
  return static_cast<float>(is_depth ? kMillimetres / full_scale(CV_16U) : 1.0 / info.range);
}

BatchLayout lay_out(const NetworkInfo& info, std::span<const Window> windows) {
  BatchLayout layout;
  layout.depth = widest_depth(info, windows);
  layout.colour_channels = info.channels;
  layout.output_factor = output_factor(info);
  for (const Window& window : windows) {
    // Places count through in a run of inputs: that of a three-place window joins three of one place.
    if (layout.depth != CV_32F) join(layout.inputs, input_run(info, window), &BatchLayout::InputRun::places);
    join(layout.outputs, output_run(info, window), &BatchLayout::OutputRun::windows);
  }
  return layout;
}

}  // namespace retouchd::inference
