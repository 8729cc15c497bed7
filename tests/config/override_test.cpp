#include "config/override.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace retouchd::config {
namespace {

using testing::HasSubstr;

TEST(Override, SetsOneKeyAndLeavesTheRest) {
  Config config;
  ASSERT_TRUE(override_key(config, "tile.size", "256", {}));
  ASSERT_TRUE(override_key(config, "precision", "bf16", {}));
  ASSERT_TRUE(override_key(config, "optimize", "false", {}));
  EXPECT_EQ(config.tile.size, 256);
  EXPECT_EQ(config.precision, Config::Precision::kBf16);
  EXPECT_FALSE(config.optimize);
  EXPECT_EQ(config.network, Config{}.network);
}

TEST(Override, ARefusedValueChangesNothingAndSaysWhatIsAllowed) {
  Config config;
  const auto refused = override_key(config, "precision", "fp64", {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kBadConfig);
  EXPECT_THAT(refused.error().message, HasSubstr("mixed"));
  EXPECT_EQ(config.precision, Config::Precision::kAuto);
}

TEST(Override, AnUnknownKeyIsAnsweredWithTheNearestOne) {
  Config config;
  const auto refused = override_key(config, "tile.sice", "256", {});
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("`tile.size`"));
}

}  // namespace
}  // namespace retouchd::config
