#include "stages/planner.h"

#include <algorithm>
#include <cmath>

namespace retouchd::stages {
namespace {

using Mode = Settings::Mode;

constexpr int kSmallestTile = 128;

/// What a restored window takes beside the network's own tensors, per input pixel: its fp32 result.
double result_bytes(const inference::NetworkInfo& network) {
  return static_cast<double>(sizeof(float)) * network.output_channels() * network.scale * network.scale;
}

Bytes memory_of(double pixels, int windows, int at_once, const inference::NetworkInfo& network,
                const inference::CostModel& cost) {
  const Bytes passes{cost.memory_for(pixels).value * static_cast<std::uint64_t>(at_once)};
  return passes + Bytes{static_cast<std::uint64_t>(result_bytes(network) * pixels * windows)};
}

/// Whether a single pass is wanted, and why or why not.
bool wants_single_pass(const inference::NetworkInfo& network, Mode mode, std::string& reason) {
  if (mode == Mode::kSinglePass) {
    reason = "asked for";
    return true;
  }
  if (mode == Mode::kTiled) {
    reason = "asked for";
    return false;
  }
  if (network.local_window) {
    reason = "attention looks through windows of " + std::to_string(*network.local_window) +
             " pixels, so the whole picture goes in one piece, without seams of tiles";
    return true;
  }
  reason = network.receptive_field
               ? "the network sees " + std::to_string(*network.receptive_field) +
                     " pixels to each side, so tiles with that context equal the whole"
               : "the network weighs everything it sees, and was trained on parts of a picture, not on whole ones";
  return false;
}

/// The best tiles whose batch fits into memory; the smallest there are when none does.
TilePlan plan_fitting_tiles(cv::Size picture, const inference::NetworkInfo& network, const PlanFacts& facts, int& largest) {
  largest = facts.largest_tile;
  while (true) {
    TilePlan tiles = plan_best_tiles(picture, network, largest);
    const int smaller = std::max(tiles.tile.width, tiles.tile.height) / 2;
    const bool is_bearable = !facts.bearable_pixels || tiles.tile.area() <= *facts.bearable_pixels;
    if (is_bearable && (!facts.cost || batch_memory(network, tiles.tile, facts) <= facts.memory)) return tiles;
    if (smaller < kSmallestTile || smaller >= largest) return tiles;  // a network that reaches far has a smallest tile of its own
    largest = smaller;
  }
}

}  // namespace

Bytes batch_memory(const inference::NetworkInfo& network, cv::Size tile, const PlanFacts& facts) {
  if (!facts.cost) return {};
  const auto pixels = static_cast<double>(tile.area());
  if (facts.together) return memory_of(pixels * facts.batch, 1, facts.passes, network, *facts.cost);
  return memory_of(pixels, facts.batch * facts.passes, facts.passes, network, *facts.cost);
}

PicturePlan plan_picture(cv::Size picture, const inference::NetworkInfo& network, const PlanFacts& facts) {
  PicturePlan plan;
  std::string& mode_reason = plan.reasons["mode"];
  const TilePlan whole = plan_single_pass(picture, network);
  const auto pixels = static_cast<double>(whole.tile.area());
  if (wants_single_pass(network, facts.mode, mode_reason)) {
    if (!facts.cost) {
      mode_reason = "nobody measured yet what a single pass takes here, so this picture goes in tiles";
    } else if (const Bytes needed = memory_of(pixels, 1, 1, network, *facts.cost); needed > facts.memory) {
      mode_reason = "a single pass takes " + to_string(needed) + ", there are " + to_string(facts.memory);
    } else if (facts.bearable_pixels && pixels > *facts.bearable_pixels) {
      mode_reason = "less than a day ago the device ran out of memory on no more than that";
    } else {
      plan.is_single_pass = true;
      plan.tiles = whole;
      plan.memory = needed;
      plan.seconds = facts.cost->seconds_for(pixels);
      plan.reasons["tile"] = "the picture, rounded up to a multiple of " + std::to_string(network.multiple);
      plan.reasons["memory"] = "measured on smaller windows of this network";
      return plan;
    }
  }

  int largest = 0;
  plan.tiles = plan_fitting_tiles(picture, network, facts, largest);
  plan.batch = std::min(facts.together ? facts.batch : facts.passes, plan.tiles.count());
  plan.reasons["tile"] = "least time, repeated work and batches together, of up to " + std::to_string(largest) + "^2 pixels" +
                         (largest == facts.largest_tile ? " (tile.size); " : ", as larger ones do not fit into memory; ") +
                         (plan.tiles.is_feathered ? "neighbours blend into each other"
                                                  : "context of " + std::to_string(network.halo()) + " pixels is cut off");
  if (facts.cost) {
    PlanFacts alone = facts;
    (facts.together ? alone.batch : alone.passes) = plan.batch;
    plan.memory = batch_memory(network, plan.tiles.tile, alone);
    plan.seconds = facts.cost->seconds_for(plan.tiles.tile.area()) * plan.tiles.count();
    plan.reasons["memory"] = "measured on this device: " + std::to_string(std::llround(facts.cost->bytes_per_pixel)) +
                             " bytes per pixel and " + to_string(facts.cost->memory_for(0)) + " besides";
  } else {
    plan.reasons["memory"] = "not measured yet on this device; the daemon does so when it loads the network";
  }
  return plan;
}

}  // namespace retouchd::stages
