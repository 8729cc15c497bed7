#include "daemon/saturation.h"

#include <gmock/gmock.h>

#include "tests/hand_clock.h"

namespace retouchd::daemon {
namespace {

using namespace std::chrono_literals;
using stages::Seconds;
using stages::StarvedCause;

double starved_for(const DeviceLoad& load, StarvedCause cause) {
  for (std::size_t i = 0; i < kStarvedCauses.size(); ++i) {
    if (kStarvedCauses[i] == cause) return load.starved_s[i];
  }
  return -1;
}

stages::BatchReport batch(std::string_view device, std::size_t tiles, std::size_t capacity) {
  return {std::string(device), tiles, capacity, 1, 1'000 * tiles, 1'250 * tiles, Seconds(0.1)};
}

struct SaturationTest : testing::Test {
  HandClock clock;
  Saturation saturation{clock};
};

TEST_F(SaturationTest, EveryCauseIsKnown) {
  for (std::size_t i = 0; i < kStarvedCauses.size(); ++i) {
    EXPECT_EQ(static_cast<std::size_t>(kStarvedCauses[i]), i);
    EXPECT_NE(stages::name_of(kStarvedCauses[i]), "unknown");
  }
  EXPECT_EQ(stages::name_of(static_cast<StarvedCause>(kStarvedCauses.size())), "unknown") << "a new cause is missing";
}

TEST_F(SaturationTest, TheBusyRatioIsTheBusyPartOfWhatWasReported) {
  saturation.device_busy("cuda:0", Seconds(6));
  saturation.device_starved("cuda:0", StarvedCause::kDecode, Seconds(1.5));
  saturation.device_starved("cuda:0", StarvedCause::kMemory, Seconds(0.5));
  saturation.device_busy("cuda:1", Seconds(1));
  const auto load = saturation.of("cuda:0");
  EXPECT_DOUBLE_EQ(load.busy_ratio, 0.75);
  EXPECT_DOUBLE_EQ(starved_for(load, StarvedCause::kDecode), 1.5);
  EXPECT_DOUBLE_EQ(starved_for(load, StarvedCause::kMemory), 0.5);
  EXPECT_DOUBLE_EQ(starved_for(load, StarvedCause::kNoWork), 0);
  EXPECT_DOUBLE_EQ(saturation.of("cuda:1").busy_ratio, 1);
  EXPECT_DOUBLE_EQ(saturation.all().busy_ratio, 7.0 / 9.0);
}

TEST_F(SaturationTest, ADeviceThatNeverReportedIsIdle) {
  EXPECT_EQ(saturation.of("cpu").busy_ratio, 0);
  EXPECT_EQ(saturation.of("cpu").tiles_per_s, 0);
  EXPECT_FALSE(saturation.of("cpu").batch_fill.has_value());
  EXPECT_FALSE(saturation.of("cpu").waste_ratio.has_value());
}

TEST_F(SaturationTest, WhatIsAMinuteOldIsForgottenSecondBySecond) {
  saturation.device_busy("cpu", Seconds(1));  // in second 0
  clock.advance(1s);
  saturation.device_starved("cpu", StarvedCause::kMerge, Seconds(3));  // in second 1
  clock.advance(58s + 999ms);                                          // second 59
  EXPECT_DOUBLE_EQ(saturation.of("cpu").busy_ratio, 0.25);
  clock.advance(1ms);  // second 60: that of second 0 is gone
  EXPECT_DOUBLE_EQ(saturation.of("cpu").busy_ratio, 0);
  EXPECT_DOUBLE_EQ(starved_for(saturation.of("cpu"), StarvedCause::kMerge), 3);
  clock.advance(1s);
  EXPECT_DOUBLE_EQ(starved_for(saturation.of("cpu"), StarvedCause::kMerge), 0);
}

TEST_F(SaturationTest, APlaceInTheRingIsUsedAgain) {
  saturation.device_busy("cpu", Seconds(1));
  clock.advance(600s);
  saturation.device_busy("cpu", Seconds(1));
  saturation.device_starved("cpu", StarvedCause::kUpload, Seconds(1));
  EXPECT_DOUBLE_EQ(saturation.of("cpu").busy_ratio, 0.5);
}

TEST_F(SaturationTest, AConstantRateShowsAsItIsAtEveryMoment) {
  for (int step = 0; step < 1'500; ++step) {  // 150 s of 40 tiles a second
    clock.advance(100ms);
    saturation.batch_finished(batch("cpu", 4, 8));
    const auto load = saturation.of("cpu");
    // The batch of this very moment counts whole: at most 4 tiles too many.
    if (step > 20) {
      ASSERT_NEAR(load.tiles_per_s, 40, 2.5) << step;
    }
    ASSERT_DOUBLE_EQ(load.batch_fill.value_or(0), 0.5);
    ASSERT_DOUBLE_EQ(load.waste_ratio.value_or(0), 1.25);
  }
}

TEST_F(SaturationTest, TheFirstSecondsAreNotBlownUp) {
  clock.advance(1ms);
  saturation.batch_finished(batch("cpu", 8, 8));
  EXPECT_DOUBLE_EQ(saturation.of("cpu").tiles_per_s, 8);
}

TEST_F(SaturationTest, JobsOfTheLastMinuteAreCounted) {
  for (int i = 0; i < 90; ++i) {
    saturation.job_done();
    clock.advance(1s);
  }
  EXPECT_EQ(saturation.jobs_done(), 59u) << "the second that has just begun has none yet";
}

TEST_F(SaturationTest, AClockThatStandsStillHarmsNothing) {
  saturation.batch_finished(batch("cpu", 8, 0));
  EXPECT_DOUBLE_EQ(saturation.of("cpu").tiles_per_s, 8);
  EXPECT_FALSE(saturation.of("cpu").batch_fill.has_value());
}

}  // namespace
}  // namespace retouchd::daemon
