#include "stages/infer.h"

#include <spdlog/spdlog.h>

#include <set>

#include "stages/canvas.h"
#include "stages/integrity.h"

namespace retouchd::stages {
namespace {

using inference::NetworkInfo;
using inference::Restored;
using inference::Window;

TiledPass& pass_of(const queue::Tile& tile) { return static_cast<TiledPass&>(*tile.owner); }  // only `tile` and `preview` push

Window window_of(const queue::Tile& tile) { return {tile.window, tile.companion, pass_of(tile).tile_depth()}; }

cv::Size size_of(const queue::Bin& bin) { return {bin.width, bin.height}; }

}  // namespace

Result<std::vector<Restored>> Infer::call(const NetworkInfo& network, cv::Size tensor, std::span<const Window> windows,
                                          bool plain) {
  return member_.gate.restore(network, tensor, windows, {plain, is_urgent_, computing_});
}

void Infer::fail(const queue::Tile& tile, const Error& error) {
  Error named = error;
  named.stage = kName;
  pass_of(tile).fail(named);
}

Infer::Outcome Infer::process(queue::Batch batch) {
  const auto start = std::chrono::steady_clock::now();
  Outcome outcome;
  BatchReport report;
  std::set<std::uint64_t> pictures;
  for (const queue::Tile& tile : batch.tiles) {
    pictures.insert(tile.picture);
    report.useful_pixels += static_cast<std::uint64_t>(pass_of(tile).core_of(tile.index).area());
  }
  const std::string device = member_.device->name();
  report.device = device;
  report.tiles = batch.tiles.size();
  report.capacity = member_.batch;
  report.pictures = pictures.size();
  report.computed_pixels = static_cast<std::uint64_t>(size_of(batch.bin).area()) * batch.tiles.size();

  is_urgent_ = batch.tiles.front().preview;
  try {
    restore(batch.tiles, outcome);
  } catch (const std::exception& error) {
    const Error failure = make_error(ErrorCode::kInternal, std::string("a batch could not be put together: ") + error.what());
    for (const queue::Tile& tile : outcome.handed_back) fail(tile, failure);
    for (const queue::Tile& tile : batch.tiles) {
      if (tile.owner) fail(tile, failure);  // it was not moved into those above
    }
    outcome = {};
  }

  report.took = std::chrono::steady_clock::now() - start;
  if (outcome.handed_back.empty()) {
    observer_.batch_finished(report);
    observer_.stage_finished(kName, report.took);
  }
  return outcome;
}

void Infer::restore(Tiles tiles, Outcome& outcome) {
  const queue::Bin& bin = tiles.front().bin;
  const NetworkInfo& network = pass_of(tiles.front()).network();
  std::vector<Window> windows;
  windows.reserve(member_.batch);
  for (const queue::Tile& tile : tiles) windows.push_back(window_of(tile));
  // A kernel may be chosen by the shape of the whole batch, and round differently.
  if (has_static_batches_ && member_.device->computes_together())
    windows.resize(std::max(member_.most(bin), windows.size()), windows.front());

  auto restored = call(network, size_of(bin), windows);
  if (!restored && restored.error().code == ErrorCode::kOutOfDeviceMemory)
    return after_out_of_memory(tiles, restored.error(), outcome);
  if (!restored) return after_failure(tiles, restored.error(), outcome);
  for (std::size_t i = 0; i < tiles.size(); ++i) {
    auto pixels = accept(network, size_of(bin), windows[i], std::move((*restored)[i]));
    if (pixels) {
      outcome.tiles.push_back({std::static_pointer_cast<TiledPass>(tiles[i].owner), tiles[i].index, *std::move(pixels)});
    } else {
      fail(tiles[i], pixels.error());
    }
  }
}

void Infer::after_out_of_memory(Tiles tiles, const Error& error, Outcome& outcome) {
  const queue::Tile& first = tiles.front();
  const double pixels = size_of(first.bin).area();
  const NetworkInfo& network = pass_of(first).network();
  observer_.tiles_rerun(member_.device->name(), RerunReason::kOutOfMemory, tiles.size());
  if (tiles.size() > 1) {
    const std::size_t half = (tiles.size() + 1) / 2;
    spdlog::warn("{} has too little memory for {} tiles of {}x{} ({}); going on with {}", member_.device->name(), tiles.size(),
                 first.bin.width, first.bin.height, network.name, half);
    member_.gate.learn_bearable(network, pixels * static_cast<double>(half));
    restore(tiles.first(half), outcome);
    restore(tiles.subspan(half), outcome);
    return;
  }
  spdlog::warn("{} has too little memory for a tile of {}x{} ({}): {}", member_.device->name(), first.bin.width, first.bin.height,
               network.name, error.message);
  auto restored = restore_in_parts(first);
  if (restored) {
    outcome.tiles.push_back({std::static_pointer_cast<TiledPass>(first.owner), first.index, *std::move(restored)});
  } else if (restored.error().code == ErrorCode::kDeviceFailed) {
    after_failure(tiles, restored.error(), outcome);
  } else {
    fail(first, restored.error());
  }
}

Result<cv::Mat> Infer::restore_in_parts(const queue::Tile& tile) {
  TiledPass& pass = pass_of(tile);
  const NetworkInfo& network = pass.network();
  const cv::Size window = tile.window.size();
  double too_much = size_of(tile.bin).area();
  while (true) {
    const int side = std::max(tile.bin.width, tile.bin.height);
    std::optional<TilePlan> plan;
    for (int largest = side; largest >= network.multiple && !plan; largest /= 2) {
      TilePlan smaller = plan_best_tiles(window, network, largest * (network.scale == 1 ? 1 : 2));
      if (smaller.tile.area() < too_much) plan = std::move(smaller);
    }
    if (!plan)
      return make_error(ErrorCode::kOutOfDeviceMemory, member_.device->name() + " has too little memory for " + network.name +
                                                           " even in the smallest tiles that its context allows");
    const int depth = plan->is_feathered ? CV_32F : pass.tile_depth();
    Canvas canvas(*plan, CV_MAKETYPE(pass.tile_depth(), CV_MAT_CN(pass.result_type())), network.scale);
    bool fits = true;
    for (int i = 0; i < plan->count() && fits; ++i) {
      const cv::Rect part = plan->at(i).window;
      const Window piece{tile.window(part), tile.companion.empty() ? cv::Mat() : tile.companion(part), depth};
      auto restored = call(network, plan->tile, {&piece, 1});
      auto pixels =
          restored ? accept(network, plan->tile, piece, std::move(restored->front())) : Result<cv::Mat>(restored.error());
      if (pixels) {
        canvas.place(i, *pixels);
      } else if (pixels.error().code == ErrorCode::kOutOfDeviceMemory) {
        fits = false;
      } else {
        return pixels.error();
      }
    }
    if (fits) {
      member_.gate.learn_bearable(network, plan->tile.area());
      return canvas.take();
    }
    too_much = plan->tile.area();
  }
}

void Infer::after_failure(Tiles tiles, const Error& error, Outcome& outcome) {
  const NetworkInfo& network = pass_of(tiles.front()).network();
  if (const auto alive = member_.gate.probe(network); !alive) {
    if (alive.error().code == ErrorCode::kBadWeights) {  // a network is gone or does not fit any more; the device is there
      for (const queue::Tile& tile : tiles) fail(tile, alive.error());
      return;
    }
    observer_.tiles_rerun(member_.device->name(), RerunReason::kDeviceLost, tiles.size());
    outcome.error = alive.error().message;
    for (queue::Tile& tile : tiles) {
      ++tile.failures;
      outcome.handed_back.push_back(std::move(tile));
    }
    return;
  }
  spdlog::warn("{}; the device answers, so each tile is tried alone", error.message);
  for (queue::Tile& tile : tiles) restore_alone(tile, error, outcome);
}

void Infer::restore_alone(queue::Tile& tile, const Error& error, Outcome& outcome) {
  if (++tile.failures >= kMostFailures) return fail(tile, error);
  const Window window = window_of(tile);
  const NetworkInfo& network = pass_of(tile).network();
  observer_.tiles_rerun(member_.device->name(), RerunReason::kDeviceLost, 1);
  auto restored = call(network, size_of(tile.bin), {&window, 1});
  auto pixels =
      restored ? accept(network, size_of(tile.bin), window, std::move(restored->front())) : Result<cv::Mat>(restored.error());
  if (pixels) {
    outcome.tiles.push_back({std::static_pointer_cast<TiledPass>(tile.owner), tile.index, *std::move(pixels)});
  } else if (pixels.error().code == ErrorCode::kOutOfDeviceMemory) {
    after_out_of_memory({&tile, 1}, pixels.error(), outcome);
  } else {
    fail(tile, pixels.error());
  }
}

Result<cv::Mat> Infer::accept(const NetworkInfo& network, cv::Size tensor, const Window& window, Restored restored) {
  const auto wrong = what_is_wrong(network, window, restored);
  if (!wrong) return std::move(restored.pixels);
  observer_.tiles_rerun(member_.device->name(), *wrong, 1);
  auto again = call(network, tensor, {&window, 1}, true);
  if (!again) return again.error();
  if (what_is_wrong(network, window, again->front()) == RerunReason::kNotFinite) {
    return make_error(ErrorCode::kBadWeights,
                      "the network " + network.name + " gives no numbers for a tile, also in fp32 on the plain path");
  }
  // Anything else that fp32 confirms is what the network makes of this picture.
  spdlog::warn("{}: a tile of {} came out {}; computed again in fp32", member_.device->name(), network.name, name_of(*wrong));
  return std::move(again->front().pixels);
}

}  // namespace retouchd::stages
