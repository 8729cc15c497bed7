#include "intake/pairing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace retouchd::intake {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;

std::filesystem::path depth_or_right(const std::string& network, const std::filesystem::path& picture) {
  std::filesystem::path path = picture;
  if (network == "depth") return path.replace_extension(".depth.png");
  if (network == "right") return path.replace_extension(".right" + picture.extension().string());
  return {};
}

TEST(Pairing, DepthGoesWithAPictureOfAnyFormat) {
  const Pairing pairing("depth", depth_or_right);
  EXPECT_EQ(pairing.companion_of("x/room.jpg"), "x/room.depth.png");
  EXPECT_TRUE(pairing.is_companion("x/room.depth.png"));
  const auto pictures = pairing.pictures_of("x/room.depth.png");
  for (const char* name : {"x/room.png", "x/room.jpg", "x/room.JPG", "x/room.tiff"}) EXPECT_THAT(pictures, Contains(name));
  for (const char* name : {"x/room.png", "room.right.png", "room.depth.jpg", "depth.png", ".depth.png", "room.2024.png"})
    EXPECT_FALSE(pairing.is_companion(name)) << name;
}

TEST(Pairing, TheOtherViewHasTheSameFormat) {
  const Pairing pairing("right", depth_or_right);
  EXPECT_THAT(pairing.pictures_of("a/scan.right.jpg"), ElementsAre("a/scan.jpg"));
  EXPECT_THAT(pairing.pictures_of("scan.right.Tif"), ElementsAre("scan.Tif"));
  EXPECT_THAT(pairing.pictures_of("scan.depth.png"), IsEmpty());
}

TEST(Pairing, OtherNetworksTakeSinglePictures) {
  for (const Pairing& pairing : {Pairing("single", depth_or_right), Pairing("depth", {})}) {
    EXPECT_EQ(pairing.companion_of("room.jpg"), "");
    EXPECT_FALSE(pairing.is_companion("room.depth.png"));
  }
}

}  // namespace
}  // namespace retouchd::intake
