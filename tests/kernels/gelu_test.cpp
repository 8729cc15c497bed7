#include "inference/kernels/gelu.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace retouchd::kernels {
namespace {

TEST(Gelu, IsGeluFarBelowSixteenBits) {
  for (double x = -8; x < 8; x += 0.01) {
    const auto rounded = static_cast<double>(static_cast<float>(x));
    const double expected = 0.5 * rounded * std::erfc(-rounded / std::sqrt(2.0));
    ASSERT_NEAR(static_cast<double>(gelu(static_cast<float>(x))), expected, 1e-7 * std::fabs(rounded) + 1e-7) << x;
  }
}

TEST(Gelu, HoldsAtTheEnds) {
  EXPECT_EQ(gelu(0), 0);
  EXPECT_EQ(gelu(60000), 60000);
  EXPECT_EQ(gelu(-60000), 0);
  EXPECT_TRUE(std::isnan(gelu(std::numeric_limits<float>::quiet_NaN())));
}

}  // namespace
}  // namespace retouchd::kernels
