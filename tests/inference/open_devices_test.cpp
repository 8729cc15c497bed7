#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "inference/device.h"

namespace retouchd::inference {
namespace {

using testing::HasSubstr;

std::vector<std::string> names(const std::string& devices) {
  const auto opened = open_devices({devices, 2});
  EXPECT_TRUE(opened) << opened.error().message;
  std::vector<std::string> labels;
  if (opened) {
    for (const auto& device : *opened) labels.push_back(device->name());
  }
  return labels;
}

Error error_for(const std::string& devices) {
  const auto opened = open_devices({devices, 2});
  EXPECT_FALSE(opened) << devices;
  return opened ? Error{} : opened.error();
}

using Labels = std::vector<std::string>;

TEST(OpenDevices, EachHasItsLabel) {
  EXPECT_EQ(names("cpu"), Labels{"cpu"});
  EXPECT_EQ(names("simulated"), Labels{"sim:0"});
  EXPECT_EQ(names(" simulated , cpu,simulated"), (Labels{"sim:0", "cpu", "sim:1"}));
  EXPECT_GE(names("auto").size(), 1U);
}

TEST(OpenDevices, ARealDeviceIsNamedOnce) {
  const Error error = error_for("cpu,cpu");
  EXPECT_EQ(error.code, ErrorCode::kBadConfig);
  EXPECT_THAT(error.message, HasSubstr("cpu is named twice"));
}

TEST(OpenDevices, ANameThatMakesNoSenseIsRefused) {
  for (const char* name : {"", ",", "cpu,", "gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:1x", "cpu,auto", "sim:0"}) {
    const Error error = error_for(name);
    EXPECT_EQ(error.code, ErrorCode::kBadConfig) << name;
    EXPECT_THAT(error.message, HasSubstr("none of auto, cpu, cuda")) << name;
  }
}

TEST(OpenDevices, ADeviceThatIsNotThereIsNamed) {
  const Error error = error_for("cpu,cuda:77");
  EXPECT_EQ(error.code, ErrorCode::kDeviceFailed);
  EXPECT_THAT(error.message, HasSubstr("cuda:77 was asked for"));
  EXPECT_THAT(error.message, HasSubstr("device: cpu"));
}

TEST(OpenDevices, ASimulationThatMakesNoSenseIsRefused) {
  DeviceOptions options{"simulated"};
  options.simulation = "rate=fast";
  const auto opened = open_devices(options);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::kBadConfig);
  EXPECT_THAT(opened.error().message, HasSubstr("`rate=fast`"));
}

}  // namespace
}  // namespace retouchd::inference
