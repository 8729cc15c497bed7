#include "image/matrix_space.h"

#include <gtest/gtest.h>
#include <lcms2.h>

#include <cmath>
#include <memory>

#include "image/colour.h"
#include "tests/image/sample_profiles.h"

namespace retouchd::image {
namespace {

struct Closer {
  void operator()(void* profile) const { cmsCloseProfile(profile); }
};
using Profile = std::unique_ptr<void, Closer>;

Profile open(const ByteVector& icc) {
  return Profile(cmsOpenProfileFromMem(icc.data(), static_cast<cmsUInt32Number>(icc.size())));
}

TEST(OctaveTable, FollowsItsFunctionEverywhere) {
  const auto function = [](float value) { return value < 0 ? 2 * value : std::pow(value, 1 / 2.4F) + 1; };
  const OctaveTable table(function);
  for (const float value : {-3.0F, -1e-30F, 0.0F, 1e-30F, 1e-7F, 0.5F, 1.0F, 3.999F, 4.0F, 1000.0F}) {
    EXPECT_NEAR(table(value), function(value), 1e-6 * std::abs(function(value))) << value;
  }
  for (float value = 1e-6F; value < 4.0F; value *= 1.0007F)
    ASSERT_NEAR(table(value), function(value), 1e-6 * function(value)) << value;
  EXPECT_TRUE(std::isnan(OctaveTable([](float value) { return value; })(std::nanf(""))));
}

TEST(MatrixSpace, AgreesWithLittleCms) {
  const Profile srgb(cmsCreate_sRGBProfile());
  for (const auto& colours : {testing::kAdobeRgbLike, testing::kDisplayP3Like, testing::kProPhotoLike}) {
    const Profile profile = open(testing::make_rgb_profile(colours));
    const auto space = MatrixSpace::of(profile.get(), srgb.get());
    ASSERT_TRUE(space.has_value());
    cmsHTRANSFORM there =
        cmsCreateTransform(profile.get(), TYPE_RGB_FLT, srgb.get(), TYPE_RGB_FLT, INTENT_RELATIVE_COLORIMETRIC, 0);
    for (int i = 0; i < 1000; ++i) {
      const float rgb[3] = {static_cast<float>(i % 10) / 9, static_cast<float>(i / 10 % 10) / 9, static_cast<float>(i / 100) / 9};
      float expected[3];
      float seen[3];
      float back[3];
      cmsDoTransform(there, rgb, expected, 1);
      space->to_srgb(rgb, seen, 1);
      space->from_srgb(seen, back, 1);
      for (int c = 0; c < 3; ++c) {
        ASSERT_NEAR(seen[c], expected[c], 2e-4);
        ASSERT_NEAR(back[c], rgb[c], 1e-3);
      }
    }
    cmsDeleteTransform(there);
  }
}

TEST(MatrixSpace, LeavesOtherProfilesToLittleCms) {
  const Profile srgb(cmsCreate_sRGBProfile());
  EXPECT_FALSE(MatrixSpace::of(open(testing::make_cmyk_profile()).get(), srgb.get()).has_value());
  EXPECT_FALSE(MatrixSpace::of(open(testing::make_gray_profile(2.2)).get(), srgb.get()).has_value());
  EXPECT_FALSE(MatrixSpace::of(open(testing::make_link_profile()).get(), srgb.get()).has_value());
}

}  // namespace
}  // namespace retouchd::image
