#include "cloud/breaker.h"

#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "tests/hand_clock.h"

namespace retouchd::cloud {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;

class BreakerTest : public ::testing::Test {
 protected:
  void call(bool is_answered) {
    breaker_.asked();
    is_answered ? breaker_.succeeded() : breaker_.failed();
  }
  void open() {
    for (int i = 0; i < Breaker::kFailures; ++i) call(false);
  }
  void half_open() {
    open();
    clock_.advance(seconds(72));
  }

  HandClock clock_;
  std::vector<std::string> changes_;
  Breaker breaker_{{seconds(30), seconds(60),
                    [this](BreakerState from, BreakerState to) {
                      changes_.push_back(std::string(name_of(from)) + ">" + std::string(name_of(to)));
                    }},
                   clock_,
                   1};
};

TEST_F(BreakerTest, StaysClosedWithFourFailuresInTen) {
  for (int i = 0; i < 50; ++i) call(i % 5 >= 2);
  EXPECT_EQ(breaker_.state(), BreakerState::kClosed);
  EXPECT_TRUE(changes_.empty());
}

TEST_F(BreakerTest, OpensWithFiveFailuresInTen) {
  for (int i = 0; i < 4; ++i) call(false);
  for (int i = 0; i < 5; ++i) call(true);
  EXPECT_EQ(breaker_.state(), BreakerState::kClosed);
  call(false);
  EXPECT_EQ(breaker_.state(), BreakerState::kOpen);
  EXPECT_THAT(changes_, ElementsAre("closed>open"));
}

TEST_F(BreakerTest, ForgetsFailuresThatAreTenCallsOld) {
  for (int i = 0; i < 4; ++i) call(false);
  for (int i = 0; i < 10; ++i) call(true);
  for (int i = 0; i < 4; ++i) call(false);
  EXPECT_EQ(breaker_.state(), BreakerState::kClosed);
}

TEST_F(BreakerTest, OpensAfterSilence) {
  breaker_.asked();
  clock_.advance(milliseconds(29'999));
  EXPECT_EQ(breaker_.state(), BreakerState::kClosed);
  clock_.advance(milliseconds(1));
  EXPECT_EQ(breaker_.state(), BreakerState::kOpen);
}

TEST_F(BreakerTest, CountsSilenceOverRepeatedCalls) {
  for (int i = 0; i < 2; ++i) {
    breaker_.asked();
    clock_.advance(seconds(10));
    breaker_.failed();
    clock_.advance(seconds(1));
  }
  EXPECT_EQ(breaker_.state(), BreakerState::kClosed);
  breaker_.asked();
  clock_.advance(seconds(8));
  EXPECT_EQ(breaker_.state(), BreakerState::kOpen);
}

TEST_F(BreakerTest, AnySignOfLifeEndsTheSilence) {
  breaker_.asked();
  clock_.advance(seconds(29));
  breaker_.heard();
  clock_.advance(seconds(29));
  EXPECT_EQ(breaker_.state(), BreakerState::kClosed);
  breaker_.succeeded();
  clock_.advance(seconds(1'000));
  EXPECT_EQ(breaker_.state(), BreakerState::kClosed) << "nobody calls: there is nothing to be heard";
}

TEST_F(BreakerTest, AQuietTimeWithoutCallsIsNoSilence) {
  call(false);
  clock_.advance(seconds(1'000));
  breaker_.asked();
  EXPECT_EQ(breaker_.state(), BreakerState::kClosed);
  breaker_.abandoned();
  clock_.advance(seconds(1'000));
  EXPECT_EQ(breaker_.state(), BreakerState::kClosed);
}

TEST_F(BreakerTest, StaysOpenForAboutTheTimeGiven) {
  for (std::uint32_t seed = 0; seed < 50; ++seed) {
    Breaker breaker({seconds(30), seconds(60)}, clock_, seed);
    for (int i = 0; i < 5; ++i) breaker.failed();
    const auto left = breaker.until_probe();
    ASSERT_TRUE(left);
    EXPECT_GE(*left, seconds(48));
    EXPECT_LE(*left, seconds(72));
    clock_.advance(*left - milliseconds(1));
    EXPECT_EQ(breaker.state(), BreakerState::kOpen);
    clock_.advance(milliseconds(1));
    EXPECT_EQ(breaker.state(), BreakerState::kHalfOpen);
  }
}

TEST_F(BreakerTest, LetsExactlyOneProbeThrough) {
  open();
  EXPECT_FALSE(breaker_.begin_probe());
  clock_.advance(seconds(72));
  EXPECT_TRUE(breaker_.begin_probe());
  EXPECT_FALSE(breaker_.begin_probe());
  EXPECT_EQ(breaker_.until_probe(), std::nullopt);
}

TEST_F(BreakerTest, ClosesWhenTheProbeSucceeds) {
  half_open();
  ASSERT_TRUE(breaker_.begin_probe());
  call(true);
  EXPECT_EQ(breaker_.state(), BreakerState::kClosed);
  EXPECT_THAT(changes_, ElementsAre("closed>open", "open>half_open", "half_open>closed"));
  for (int i = 0; i < 4; ++i) call(false);
  EXPECT_EQ(breaker_.state(), BreakerState::kClosed) << "old failures are forgotten";
}

TEST_F(BreakerTest, OpensAgainWhenTheProbeFails) {
  half_open();
  ASSERT_TRUE(breaker_.begin_probe());
  call(false);
  EXPECT_EQ(breaker_.state(), BreakerState::kOpen);
  EXPECT_FALSE(breaker_.begin_probe());
  clock_.advance(seconds(72));
  EXPECT_TRUE(breaker_.begin_probe());
}

TEST_F(BreakerTest, GivesALostProbeToSomebodyElse) {
  half_open();
  ASSERT_TRUE(breaker_.begin_probe());
  clock_.advance(seconds(59));
  EXPECT_FALSE(breaker_.begin_probe());
  clock_.advance(seconds(1));
  EXPECT_TRUE(breaker_.begin_probe());
}

TEST_F(BreakerTest, LateWordsOfOldCallsDoNotCloseIt) {
  open();
  breaker_.succeeded();
  breaker_.heard();
  EXPECT_EQ(breaker_.state(), BreakerState::kOpen);
  clock_.advance(seconds(72));
  breaker_.failed();
  EXPECT_EQ(breaker_.state(), BreakerState::kHalfOpen) << "no probe has failed";
}

TEST_F(BreakerTest, IsLikeNewAfterAReset) {
  open();
  breaker_.reset(seconds(5), seconds(10));
  EXPECT_EQ(breaker_.state(), BreakerState::kClosed);
  breaker_.asked();
  clock_.advance(seconds(5));
  EXPECT_EQ(breaker_.state(), BreakerState::kOpen);
  clock_.advance(seconds(12));
  EXPECT_TRUE(breaker_.begin_probe());
}

TEST_F(BreakerTest, MayBeAskedByItsListener) {
  Breaker* self = nullptr;
  BreakerState seen = BreakerState::kClosed;
  Breaker breaker({seconds(30), seconds(60), [&](BreakerState, BreakerState) { seen = self->state(); }}, clock_, 1);
  self = &breaker;
  for (int i = 0; i < 5; ++i) breaker.failed();
  EXPECT_EQ(seen, BreakerState::kOpen);
}

}  // namespace
}  // namespace retouchd::cloud
