#pragma once

#include <cstdint>
#include <opencv2/core/mat.hpp>
#include <span>
#include <vector>

#include "inference/device.h"
#include "inference/network_info.h"

namespace retouchd::inference {

/// Places of a batch that a window takes: one, or one for each colour where the network has one channel.
[[nodiscard]] int places_in_batch(const NetworkInfo& info, const Window& window);

/// What brings the numbers of `picture`, a window's colour or right view, to [0, NetworkInfo::range].
[[nodiscard]] double input_factor(const NetworkInfo& info, const cv::Mat& picture);
/// What brings a companion's numbers to what the network expects of them: metres of a depth.
[[nodiscard]] double companion_factor(const NetworkInfo& info, const cv::Mat& companion);
/// What brings a network's numbers to [0, 1]. As fp32: that is what they are multiplied by.
[[nodiscard]] float output_factor(const NetworkInfo& info);
/// The mean of three channels: their sum, from the first to the last, times this.
inline constexpr float kThird = 1.0F / 3.0F;

/// How the windows of one batch cross the bus to a GPU and back as the whole numbers that they are, and what is to be done with
/// them there (batch_tensors.h). Neighbours of one kind make a run, which is worked on as a whole: in most batches there is one.
struct BatchLayout {
  /// Places whose numbers are multiplied by the same.
  struct InputRun {
    std::int64_t places = 0;
    double colour = 1;     ///< of the first NetworkInfo::channels channels
    double companion = 1;  ///< of the others

    bool operator==(const InputRun&) const = default;
  };

  /// Windows whose results have the same shape and depth.
  struct OutputRun {
    std::int64_t windows = 0;
    std::int64_t places = 1;  ///< of each window
    cv::Size own;             ///< a result without its padding
    bool is_mean = false;     ///< the mean of the network's three channels is wanted
    int depth = CV_32F;       ///< Window::depth

    bool operator==(const OutputRun&) const = default;
  };

  int depth = CV_32F;                ///< that holds all windows' numbers; CV_32F: converted before the upload
  std::int64_t colour_channels = 0;  ///< NetworkInfo::channels
  std::vector<InputRun> inputs;      ///< none for CV_32F
  std::vector<OutputRun> outputs;
  float output_factor = 1;
};

[[nodiscard]] BatchLayout lay_out(const NetworkInfo& info, std::span<const Window> windows);

}  // namespace retouchd::inference
