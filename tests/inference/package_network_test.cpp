// TorchScript packages, made here from a few lines of code, through the device as the daemon uses them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/jit/api/module.h>

#include <opencv2/core.hpp>

#include "golden_networks.h"

namespace retouchd::inference {
namespace {

using testing::HasSubstr;

const char* const kNearest = R"(
def forward(self, x):
    return x.repeat_interleave(2, 2).repeat_interleave(2, 3)
)";

class Package : public testing::Test {
 protected:
  std::filesystem::path save(const std::string& name, const std::string& code) const {
    torch::jit::Module module(name);
    module.define(code);
    module.save((folder_.path() / (name + ".pt")).string());
    return folder_.path() / (name + ".pt");
  }

  NetworkInfo save(const std::string& name, const std::string& code, const std::string& manifest) const {
    folder_.write(name + ".yaml", manifest);
    return listed(save(name, code));
  }

  Result<std::vector<Restored>> restore(const NetworkInfo& network, const std::vector<Window>& windows) const {
    if (auto loaded = device_->load(network); !loaded) return loaded.error();
    return device_->restore(network, {64, 64}, windows);
  }

  static cv::Mat random_picture(int type = CV_8UC3) {
    cv::Mat picture(48, 40, type);
    cv::RNG(3).fill(picture, cv::RNG::UNIFORM, 0, CV_MAT_DEPTH(type) == CV_16U ? 65536 : 256);
    return picture;
  }

  const TemporaryFolder folder_;
  const std::unique_ptr<Device> device_ = cpu_device();
};

TEST_F(Package, ComputesWhatItsManifestPromises) {
  const NetworkInfo network =
      save("twice", kNearest, "task: super-resolution\nlicense: CC0\nscale: 2\nmultiple: 4\nreceptive_field: 0\n");
  EXPECT_EQ(network.architecture, "torchscript");
  EXPECT_EQ(network.scale, 2);
  EXPECT_EQ(network.multiple, 4);
  EXPECT_EQ(network.license, "CC0");
  EXPECT_EQ(network.halo(), 0);
  ASSERT_EQ(network.receptive_field, 0);

  const cv::Mat picture = random_picture();
  const auto restored = restore(network, std::vector<Window>(4, {picture, {}}));
  ASSERT_TRUE(restored) << restored.error().message;
  cv::Mat expected;
  picture.convertTo(expected, CV_32F, 1.0 / 255.0);
  for (const auto& [one, values] : *restored) {
    EXPECT_TRUE(values.is_finite);
    ASSERT_EQ(one.size(), cv::Size(80, 96));
    for (int y = 0; y < one.rows; ++y) {
      for (int x = 0; x < one.cols; ++x) ASSERT_EQ(one.at<cv::Vec3f>(y, x), expected.at<cv::Vec3f>(y / 2, x / 2));
    }
  }
}

TEST_F(Package, GetsItsOwnRange) {
  const NetworkInfo network = save("bytes", "def forward(self, x):\n    return x.clamp(0.0, 100.0)\n", "range: 255\n");
  const auto restored = restore(network, {{random_picture(CV_16UC3), {}}});
  ASSERT_TRUE(restored) << restored.error().message;
  double largest = 0;
  cv::minMaxLoc(restored->front().pixels.reshape(1), nullptr, &largest);
  EXPECT_NEAR(largest, 100.0 / 255.0, 1e-6);
}

TEST_F(Package, GetsTheDepthInMetresAsItsSecondArgument) {
  const NetworkInfo network = save("depth", "def forward(self, x, d):\n    return d * 2.0 + x.narrow(1, 0, 1) * 0.0\n",
                                   "companion: depth\nreceptive_field: 0\n");
  EXPECT_EQ(network.input_channels(), 4);
  const cv::Mat picture = random_picture();
  const auto restored = restore(network, {{picture, cv::Mat(picture.size(), CV_16UC1, cv::Scalar(1500))}});
  ASSERT_TRUE(restored) << restored.error().message;
  ASSERT_EQ(restored->front().pixels.type(), CV_32FC1);
  EXPECT_NEAR(restored->front().pixels.at<float>(20, 20) * 65535.0F, 3000.0F, 0.01F) << "two times 1.5 metres, in millimetres";
}

TEST_F(Package, GetsTheOtherViewAsItsSecondArgument) {
  const NetworkInfo network = save("views", "def forward(self, x, other):\n    return (x + other) / 2.0\n", "companion: right\n");
  const cv::Mat black(48, 40, CV_8UC3, cv::Scalar::all(0));
  const auto restored = restore(network, {{black, cv::Mat(48, 40, CV_8UC3, cv::Scalar::all(255))}});
  ASSERT_TRUE(restored) << restored.error().message;
  EXPECT_FLOAT_EQ(restored->front().pixels.at<cv::Vec3f>(0, 0)[1], 0.5F);
}

TEST_F(Package, AGrayOneRestoresColoursOneByOne) {
  const NetworkInfo network = save("gray", "def forward(self, x):\n    return 1.0 - x\n", "channels: 1\n");
  const auto restored = restore(network, {{cv::Mat(48, 40, CV_8UC3, cv::Scalar(0, 51, 255)), {}}});
  ASSERT_TRUE(restored) << restored.error().message;
  const auto pixel = restored->front().pixels.at<cv::Vec3f>(7, 7);
  EXPECT_NEAR(pixel[0], 1.0F, 1e-6);
  EXPECT_NEAR(pixel[1], 0.8F, 1e-6);
  EXPECT_NEAR(pixel[2], 0.0F, 1e-6);
}

TEST_F(Package, AResultOfAnotherShapeIsAClearError) {
  const NetworkInfo network = save("lies", kNearest, "scale: 4\n");
  const auto loaded = device_->load(network);
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, ErrorCode::kDeviceFailed);
  EXPECT_THAT(loaded.error().message, HasSubstr("cannot run lies"));
  EXPECT_THAT(loaded.error().message,
              HasSubstr("the module returned [1, 3, 256, 256] where its manifest promises [1, 3, 512, 512]"));

  const auto pair = device_->load(save("pair", "def forward(self, x):\n    return (x, x)\n", "scale: 1\n"));
  ASSERT_FALSE(pair);
  EXPECT_THAT(pair.error().message, HasSubstr("where a tensor is expected"));

  const auto arguments = device_->load(save("wants_two", "def forward(self, x, y):\n    return x\n", "scale: 1\n"));
  ASSERT_FALSE(arguments);
  EXPECT_THAT(arguments.error().message, HasSubstr("cannot run wants_two"));
}

TEST_F(Package, NumbersThatAreNoneAreRefused) {
  const auto loaded = device_->load(save("nan", "def forward(self, x):\n    return x / 0.0 - x / 0.0\n", "scale: 1\n"));
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, ErrorCode::kDeviceFailed);
}

TEST_F(Package, WithoutAManifestItIsRefused) {
  const auto described = describe_network(save("bare", kNearest), true, false);
  ASSERT_FALSE(described);
  EXPECT_EQ(described.error().code, ErrorCode::kBadWeights);
  EXPECT_THAT(described.error().message, HasSubstr("needs a manifest beside it, bare.yaml"));
}

TEST_F(Package, OutsideOfTheModelFoldersItIsRefused) {
  const NetworkInfo network = save("stray", kNearest, "scale: 2\n");
  const auto described = describe_network(network.weights, false, false);
  ASSERT_FALSE(described);
  EXPECT_EQ(described.error().code, ErrorCode::kBadWeights);
  EXPECT_THAT(described.error().message, HasSubstr("only from a model folder"));
}

TEST_F(Package, ADamagedOneIsBadWeights) {
  NetworkInfo network = save("cut", kNearest, "scale: 2\n");
  const auto size = std::filesystem::file_size(network.weights);
  std::filesystem::resize_file(network.weights, size / 2);
  network.sha256 = *sha256_hex_of_file(network.weights);
  const auto loaded = device_->load(network);
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, ErrorCode::kBadWeights);
  EXPECT_THAT(loaded.error().message, HasSubstr("cut.pt cannot be opened"));
}

}  // namespace
}  // namespace retouchd::inference
