#include "inference/identity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <opencv2/core.hpp>

#include "golden_networks.h"
#include "inference/simulated_device.h"

namespace retouchd::inference {
namespace {

using testing::HasSubstr;

/// All values of 16 bits, side by side.
cv::Mat every_16_bit_value() {
  cv::Mat picture(256, 256, CV_16UC1);
  for (int i = 0; i < 65536; ++i) picture.at<std::uint16_t>(i / 256, i % 256) = static_cast<std::uint16_t>(i);
  return picture;
}

cv::Mat restored_by(Device& device, const cv::Mat& colour) {
  const auto loaded = device.load(identity_network());
  EXPECT_TRUE(loaded) << loaded.error().message;
  const Window window{colour, {}, colour.depth()};
  auto restored = device.restore(identity_network(), {264, 272}, {&window, 1});
  EXPECT_TRUE(restored) << restored.error().message;
  return restored ? restored->front().pixels : cv::Mat();
}

void expect_equal(const cv::Mat& a, const cv::Mat& b) {
  ASSERT_EQ(a.type(), b.type());
  ASSERT_EQ(a.size(), b.size());
  EXPECT_EQ(cv::norm(a, b, cv::NORM_INF), 0);
}

class Identity : public testing::Test {
 protected:
  std::vector<std::unique_ptr<Device>> devices() const {
    std::vector<std::unique_ptr<Device>> all;
    all.push_back(cpu_device());
    all.push_back(std::make_unique<SimulatedDevice>("sim:0", *parse_simulation("rate=1000000 copy=0us"), DeviceOptions{}));
    return all;
  }
};

TEST_F(Identity, Every16BitValueComesBackEqual) {
  for (const auto& device : devices()) {
    const cv::Mat gray = every_16_bit_value();
    expect_equal(restored_by(*device, gray), gray);
    cv::Mat turned;
    cv::flip(gray, turned, -1);
    cv::Mat colour;
    cv::merge(std::vector<cv::Mat>{gray, turned, gray.t()}, colour);
    expect_equal(restored_by(*device, colour), colour);
  }
}

TEST_F(Identity, Every8BitValueComesBackEqual) {
  cv::Mat gray(16, 16, CV_8UC1);
  for (int i = 0; i < 256; ++i) gray.at<std::uint8_t>(i / 16, i % 16) = static_cast<std::uint8_t>(i);
  for (const auto& device : devices()) expect_equal(restored_by(*device, gray), gray);
}

TEST_F(Identity, FloatsComeBackEqualEvenOutsideOfZeroToOne) {
  cv::Mat picture(200, 200, CV_32FC3);
  cv::RNG(4).fill(picture, cv::RNG::UNIFORM, -3.0, 9.0);
  picture.at<cv::Vec3f>(7, 7) = {1e-30F, 65504.0F, -1e20F};
  for (const auto& device : devices()) expect_equal(restored_by(*device, picture), picture);
}

TEST_F(Identity, IsListedWithoutAnyModelFolder) {
  const Registry registry({});
  const auto found = registry.find("identity");
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_TRUE(is_identity(*found));
  EXPECT_EQ(found->sha256.size(), 64U);
  EXPECT_EQ(found->scale, 1);
  ASSERT_EQ(registry.contents()->networks.size(), 1U);
}

TEST_F(Identity, AFileOfItsNameIsRefused) {
  const WeightFolder folder;
  folder.write_weights("identity.safetensors", R"({"__metadata__":{"arch":"student-tiny"}})", "");
  const Registry registry({{folder.path()}});
  EXPECT_TRUE(is_identity(*registry.find("identity")));
  ASSERT_EQ(registry.contents()->refused.size(), 1U);
  EXPECT_THAT(registry.contents()->refused[0].reason, HasSubstr("built-in"));
}

TEST_F(Identity, IsComputedInFp32WhateverWasAskedFor) {
  DeviceTraits able{"cuda:0", true, true, true, true};
  for (const auto wanted : {Precision::kBf16, Precision::kInt8, Precision::kTf32}) {
    const auto choice = choose_precision(identity_network(), able, wanted, true);
    EXPECT_EQ(choice.precision, Precision::kFp32);
    EXPECT_EQ(choice.warning, "");
  }
}

}  // namespace
}  // namespace retouchd::inference
