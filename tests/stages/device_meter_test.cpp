#include "stages/device_meter.h"

#include <gtest/gtest.h>

#include <map>

namespace retouchd::stages {
namespace {

using Phase = DeviceMeter::Phase;

class DeviceMeterTest : public testing::Test, public PipelineObserver {
 protected:
  void device_busy(std::string_view, Seconds computed) override { busy_ += computed.count(); }
  void device_starved(std::string_view, StarvedCause cause, Seconds waited) override { starved_[cause] += waited.count(); }

  DeviceMeter meter(std::size_t slots, std::size_t lanes) {
    return {{"device", slots, lanes}, *this, [this] { return cause_; }, [this] { return now_; }};
  }
  void pass(int seconds) { now_ += std::chrono::seconds(seconds); }

  std::chrono::steady_clock::time_point now_;
  StarvedCause cause_ = StarvedCause::kNoWork;
  double busy_ = 0;
  std::map<StarvedCause, double> starved_;
};

TEST_F(DeviceMeterTest, EverySecondIsEitherBusyOrStarvedForACause) {
  DeviceMeter device = meter(1, 1);
  pass(3);
  device.enter(0, Phase::kCopying);
  pass(1);
  device.enter(0, Phase::kComputing);
  pass(10);
  device.enter(0, Phase::kHandingOver);
  pass(2);
  device.enter(0, Phase::kWaiting);
  cause_ = StarvedCause::kDecode;
  pass(4);
  device.report();
  EXPECT_EQ(busy_, 10);
  EXPECT_EQ(starved_[StarvedCause::kNoWork], 3);
  EXPECT_EQ(starved_[StarvedCause::kUpload], 1);
  EXPECT_EQ(starved_[StarvedCause::kMerge], 2);
  EXPECT_EQ(starved_[StarvedCause::kDecode], 4);
}

TEST_F(DeviceMeterTest, CopyingBehindAComputingBatchCostsNothing) {
  DeviceMeter device = meter(2, 1);
  device.enter(0, Phase::kComputing);
  pass(2);
  device.enter(1, Phase::kCopying);
  pass(5);
  device.enter(0, Phase::kWaiting);
  device.enter(1, Phase::kComputing);
  pass(3);
  device.report();
  EXPECT_EQ(busy_, 10);
  EXPECT_TRUE(starved_.empty());
}

TEST_F(DeviceMeterTest, AnIdleLaneIsHalfOfADeviceWithTwo) {
  DeviceMeter device = meter(2, 2);
  device.enter(0, Phase::kComputing);
  pass(4);
  device.enter(1, Phase::kComputing);
  pass(6);
  device.report();
  EXPECT_EQ(busy_, 2 + 6);
  EXPECT_EQ(starved_[StarvedCause::kNoWork], 2);
}

TEST_F(DeviceMeterTest, TimeWithoutTheDeviceCountsForNothing) {
  DeviceMeter device = meter(1, 1);
  pass(100);
  device.skip();
  pass(1);
  device.report();
  EXPECT_EQ(starved_[StarvedCause::kNoWork], 1);
}

TEST_F(DeviceMeterTest, IsIdleOnlyWhileNothingIsCopiedOrComputed) {
  DeviceMeter device = meter(2, 1);
  EXPECT_TRUE(device.is_idle());
  device.enter(1, Phase::kCopying);
  EXPECT_FALSE(device.is_idle());
  device.enter(0, Phase::kComputing);
  EXPECT_EQ(device.in_flight(), 2U);
  device.enter(0, Phase::kHandingOver);
  device.enter(1, Phase::kWaiting);
  EXPECT_TRUE(device.is_idle());
}

}  // namespace
}  // namespace retouchd::stages
