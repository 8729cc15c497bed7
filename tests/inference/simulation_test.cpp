#include "inference/simulation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace retouchd::inference {
namespace {

using testing::HasSubstr;

TEST(Simulation, IsReadWordByWord) {
  const auto simulation = parse_simulation(
      "  rate=2500.5 batch_gain=8 copy=200us  memory=1.5GiB bytes_per_pixel=80 seed=7 fault=oom@3 fault=lost@10+5 "
      "fault=nan%0.5 ");
  ASSERT_TRUE(simulation) << simulation.error().message;
  EXPECT_DOUBLE_EQ(simulation->rate, 2500.5);
  EXPECT_DOUBLE_EQ(simulation->batch_gain, 8);
  EXPECT_DOUBLE_EQ(simulation->copy.count(), 0.0002);
  EXPECT_EQ(simulation->memory, mebibytes(1536));
  EXPECT_DOUBLE_EQ(simulation->bytes_per_pixel, 80);
  EXPECT_EQ(simulation->seed, 7U);
  ASSERT_EQ(simulation->faults.size(), 3U);
  EXPECT_EQ(simulation->faults[0].kind, Fault::Kind::kOutOfMemory);
  EXPECT_EQ(simulation->faults[0].at, 3U);
  EXPECT_EQ(simulation->faults[0].count, 1U);
  EXPECT_EQ(simulation->faults[1].kind, Fault::Kind::kLost);
  EXPECT_EQ(simulation->faults[1].at, 10U);
  EXPECT_EQ(simulation->faults[1].count, 5U);
  EXPECT_EQ(simulation->faults[2].kind, Fault::Kind::kNotFinite);
  EXPECT_EQ(simulation->faults[2].at, 0U);
  EXPECT_DOUBLE_EQ(simulation->faults[2].share, 0.005);
}

TEST(Simulation, AFullBatchTakesWhatItsRateSays) {
  const auto simulation = parse_simulation("rate=1600 batch_cost=4");
  ASSERT_TRUE(simulation);
  EXPECT_DOUBLE_EQ(simulation->computing(16).count(), 0.01);
  EXPECT_DOUBLE_EQ(simulation->computing(1).count(), 0.0025);
  EXPECT_LT(simulation->computing(17).count(), 0.0107);
  const auto linear = parse_simulation("rate=1600 batch_gain=1");
  EXPECT_NEAR(linear->computing(4).count(), 4.0 / 1600, 1e-12);
}

TEST(Simulation, TheWordThatMakesNoSenseIsNamed) {
  for (const char* word : {"rate",           "rate=",      "rate=0",      "rate=-1",          "rate=nan",    "batch_gain=17",
                           "batch_cost=0.5", "copy=3",     "copy=-1ms",   "copy=1min",        "memory=8",    "memory=8GB",
                           "speed=3",        "fault=oom",  "fault=oom@0", "fault=oom@3+0",    "fault=oom@x", "fault=fire@1",
                           "fault=nan%101",  "fault=nan%", "seed=-1",     "rate=500,copy=1ms"}) {
    const auto simulation = parse_simulation("rate=500 " + std::string(word) + " copy=1ms");
    ASSERT_FALSE(simulation) << word;
    EXPECT_EQ(simulation.error().code, ErrorCode::kBadConfig);
    EXPECT_THAT(simulation.error().message, HasSubstr("`" + std::string(word) + "`"));
  }
}

}  // namespace
}  // namespace retouchd::inference
