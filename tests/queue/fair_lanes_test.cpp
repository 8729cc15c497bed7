#include "queue/fair_lanes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "tiles.h"

namespace retouchd::queue {
namespace {

using testing::ElementsAre;

/// Lanes of one tile size with the list that their tiles live in.
struct Filled {
  explicit Filled(int tile_side) : side(tile_side), lanes({"net", tile_side, tile_side}) {}

  void push(const std::string& client, std::uint64_t picture, int count) {
    for (int i = 0; i < count; ++i) {
      arrivals.push_back({tile({.picture = picture, .index = i, .side = side, .client = client}), ++arrived});
      lanes.push(std::prev(arrivals.end()), 0);
    }
  }
  std::vector<std::string> take(int count) {
    std::vector<std::string> taken;
    for (int i = 0; i < count && !lanes.is_empty(); ++i) {
      const Tile& t = lanes.take()->tile;
      taken.push_back(t.client + std::to_string(t.picture) + "." + std::to_string(t.index));
    }
    return taken;
  }

  int side;
  std::uint64_t arrived = 0;
  Arrivals arrivals;
  FairLanes lanes;
};

TEST(FairLanes, ClientsTakeTurnsWhateverTheNumberOfTheirPictures) {
  Filled filled(512);
  for (std::uint64_t picture = 1; picture <= 3; ++picture) filled.push("a", picture, 2);
  filled.push("b", 9, 3);
  EXPECT_THAT(filled.take(9), ElementsAre("a1.0", "b9.0", "a2.0", "b9.1", "a3.0", "b9.2", "a1.1", "a2.1", "a3.1"));
}

TEST(FairLanes, SmallTilesGoSeveralATurnAndAPictureKeepsItsPlaceForItsRest) {
  Filled filled(256);  // four to the quantum
  filled.push("a", 1, 2);
  filled.push("a", 2, 5);
  filled.push("b", 3, 5);
  EXPECT_THAT(filled.take(12),
              ElementsAre("a1.0", "a1.1", "a2.0", "a2.1", "b3.0", "b3.1", "b3.2", "b3.3", "a2.2", "a2.3", "a2.4", "b3.4"));
}

TEST(FairLanes, TilesLargerThanTheQuantumGoOneATurn) {
  Filled filled(1024);
  filled.push("a", 1, 2);
  filled.push("b", 2, 2);
  EXPECT_THAT(filled.take(4), ElementsAre("a1.0", "b2.0", "a1.1", "b2.1"));
}

TEST(FairLanes, ClientPaysLaterForWhatItGotOutOfTurn) {
  Filled filled(512);
  filled.push("a", 1, 8);
  filled.push("b", 2, 8);
  const Tile of_a = tile({.picture = 1, .client = "a"});
  for (int i = 0; i < 2; ++i) (void)filled.lanes.take_from_picture_of(of_a);
  EXPECT_THAT(filled.take(4), ElementsAre("b2.0", "b2.1", "b2.2", "a1.2"));
}

TEST(FairLanes, SharesOfWaitingClientsDifferByAtMostAQuantumAndATile) {
  for (const int side : {64, 200, 400, 500, 512, 700}) {
    Filled filled(side);
    filled.push("a", 1, 2000);
    for (std::uint64_t picture = 10; picture < 30; ++picture) filled.push("b", picture, 100);
    std::map<char, double> pixels;
    for (int i = 0; i < 2000; ++i) {
      pixels[filled.take(1).front()[0]] += side * side;
      EXPECT_LE(std::abs(pixels['a'] - pixels['b']), std::max(512.0 * 512.0, 1.0 * side * side) + side * side) << side;
    }
  }
}

}  // namespace
}  // namespace retouchd::queue
