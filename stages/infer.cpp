#include "stages/infer.h"

#include <set>

namespace retouchd::stages {
namespace {

Result<std::vector<cv::Mat>> run_on(DeviceGate& gate, const inference::NetworkInfo& network, const queue::Batch& batch) {
  std::vector<inference::Window> windows;
  windows.reserve(batch.tiles.size());
  for (const queue::Tile& tile : batch.tiles) windows.push_back({tile.window, tile.companion});
  return gate.restore(network, {batch.bin.width, batch.bin.height}, windows);
}

}  // namespace

Result<std::vector<RestoredTile>> Infer::process(queue::Batch batch) {
  const auto start = std::chrono::steady_clock::now();
  const auto pass_of = [](const queue::Tile& tile) {
    return std::static_pointer_cast<TiledPass>(tile.owner);
  };  // only `tile` and `preview` push
  const auto& network = pass_of(batch.tiles.front())->network();

  auto restored = run_on(gate_, network, batch);
  if (!restored) {
    for (const queue::Tile& tile : batch.tiles) pass_of(tile)->fail(restored.error());
    return restored.error();
  }

  std::set<std::uint64_t> pictures;
  for (const queue::Tile& tile : batch.tiles) pictures.insert(tile.picture);
  const Seconds busy = std::chrono::steady_clock::now() - start;
  observer_.batch_finished(gate_.device().name(), batch.tiles.size(), capacity_, pictures.size(), busy);
  observer_.stage_finished(kName, busy);

  std::vector<RestoredTile> tiles;
  tiles.reserve(batch.tiles.size());
  for (std::size_t i = 0; i < batch.tiles.size(); ++i) {
    tiles.push_back({pass_of(batch.tiles[i]), batch.tiles[i].index, std::move((*restored)[i])});
  }
  return tiles;
}

}  // namespace retouchd::stages
