#include "stages/merge.h"

namespace retouchd::stages {

void Merge::process(const RestoredTile& tile) {
  const auto start = std::chrono::steady_clock::now();
  try {
    tile.pass->place(tile.index, tile.pixels);
  } catch (const std::exception& error) {
    Error failure = make_error(ErrorCode::kInternal, std::string("a tile could not be merged: ") + error.what());
    failure.stage = kName;
    tile.pass->fail(failure);
  }
  observer_.tile_finished(tile.pass->is_preview());
  observer_.stage_finished(kName, std::chrono::steady_clock::now() - start);
}

}  // namespace retouchd::stages
