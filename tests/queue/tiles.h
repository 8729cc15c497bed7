#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "queue/tile_scheduler.h"

namespace retouchd::queue {

class Owner final : public TileOwner {
 public:
  [[nodiscard]] bool is_abandoned() const noexcept override { return abandoned; }
  std::atomic<bool> abandoned = false;
};

struct Ask {
  std::uint64_t picture = 1;
  int index = 0;
  int priority = 0;
  bool preview = false;
  int side = 512;
  std::string client = {};
  UnixMillis deadline = kNever;
  std::shared_ptr<Owner> owner = std::make_shared<Owner>();
};

inline Tile tile(const Ask& ask) {
  Tile tile;
  tile.bin = {"net", ask.side, ask.side};
  tile.picture = ask.picture;
  tile.index = ask.index;
  tile.priority = ask.priority;
  tile.preview = ask.preview;
  tile.deadline = ask.deadline;
  tile.client = ask.client;
  tile.window = cv::Mat(4, 4, CV_8UC3);
  tile.owner = ask.owner;
  return tile;
}

inline void push(TileScheduler& scheduler, const Ask& ask) { ASSERT_TRUE(scheduler.push(tile(ask))); }

/// Tiles 0 .. count-1 of one picture.
inline void push_picture(TileScheduler& scheduler, Ask ask, int count) {
  ask.index = 0;
  for (; ask.index < count; ++ask.index) push(scheduler, ask);
}

/// Of a device that takes `most` tiles of any bin and waits for nothing.
inline PullRequest request(std::size_t most, bool is_idle = true) {
  return {[most](const Bin&) { return most; }, std::chrono::milliseconds(0), [is_idle] { return is_idle; }};
}

/// What is there now.
inline std::vector<Tile> pull(TileScheduler& scheduler, std::size_t most, bool is_idle = true) {
  auto batch = scheduler.pull(request(most, is_idle), std::chrono::milliseconds(0));
  return batch ? std::move(batch->tiles) : std::vector<Tile>{};
}

/// "1.0 2.0": picture.index of each tile.
inline std::vector<std::string> names(const std::vector<Tile>& tiles) {
  std::vector<std::string> names;
  for (const Tile& t : tiles) names.push_back(std::to_string(t.picture) + "." + std::to_string(t.index));
  return names;
}

inline std::vector<std::string> next(TileScheduler& scheduler, std::size_t most, bool is_idle = true) {
  return names(pull(scheduler, most, is_idle));
}

}  // namespace retouchd::queue
