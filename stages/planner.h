#pragma once

#include <functional>
#include <map>
#include <opencv2/core/types.hpp>
#include <optional>
#include <string>

#include "base/units.h"
#include "inference/measurements.h"
#include "inference/network_info.h"
#include "stages/settings.h"
#include "stages/tile_plan.h"

namespace retouchd::stages {

/// How one picture will go through the network, and why.
struct PicturePlan {
  TilePlan tiles;  ///< of one tile in a single pass
  bool is_single_pass = false;
  int batch = 1;                               ///< tiles of this picture that the device can take at once
  std::optional<Bytes> memory;                 ///< tensors of one batch at the worst moment; nullopt: never measured
  std::optional<double> seconds;               ///< of the device, for the whole picture
  std::map<std::string, std::string> reasons;  ///< "mode", "tile", "memory": one clause each
};

/// What there is to plan with.
struct PlanFacts {
  Settings::Mode mode = Settings::Mode::kAuto;
  int largest_tile = 512;
  int batch = 1;                             ///< tiles that go to the device in one call
  int passes = 1;                            ///< of the network at the same time, for different calls
  bool together = true;                      ///< the tiles of a call share one pass; else they go one after the other
  Bytes memory;                              ///< what the tensors of one picture may take
  std::optional<inference::CostModel> cost;  ///< of the network on this device
  std::optional<double> bearable_pixels;     ///< of a call, where a larger one ran out of memory
};

/// What the tensors of full batches of such tiles take at the worst moment; nothing when that was never measured.
[[nodiscard]] Bytes batch_memory(const inference::NetworkInfo& network, cv::Size tile, const PlanFacts& facts);

/// Decides between a single pass and tiles, and cuts the tiles.
///
/// `auto` takes tiles where they equal the whole (finite receptive field) and where a network works better on parts of the size
/// that it was trained on (global attention); a single pass where the network itself looks through windows (local attention), and
/// for pictures that fit into one tile anyway. Whatever was asked for: what does not fit into memory goes in tiles,
/// and tiles become smaller until a batch of them fits.
[[nodiscard]] PicturePlan plan_picture(cv::Size picture, const inference::NetworkInfo& network, const PlanFacts& facts);

}  // namespace retouchd::stages
