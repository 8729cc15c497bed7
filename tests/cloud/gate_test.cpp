#include "cloud/gate.h"

#include <gmock/gmock.h>

#include "tests/hand_clock.h"
#include "tests/temporary_folder.h"

namespace retouchd::cloud {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using testing::StartsWith;

class GateTest : public ::testing::Test {
 protected:
  GateTest() {
    cloud_.node = "tcp://node:1";
    cloud_.escalations_per_hour = 2;
    cloud_.bytes_per_hour = mebibytes(10);
  }
  std::unique_ptr<Gate> make() { return std::make_unique<Gate>(Gate::Options{cloud_, file_, {}}, clock_); }
  static void fail(Gate& gate) {
    for (int i = 0; i < 5; ++i) {
      gate.asked();
      gate.failed();
    }
  }

  TemporaryFolder folder_;
  std::filesystem::path file_ = folder_.path() / "cloud_budget.json";
  HandClock clock_;
  config::Cloud cloud_;
};

TEST_F(GateTest, GrantsUntilTheBudgetIsSpent) {
  const auto gate = make();
  EXPECT_TRUE(gate->ask(mebibytes(1)).granted);
  EXPECT_TRUE(gate->ask(mebibytes(1)).granted);
  const auto refused = gate->ask(mebibytes(1));
  EXPECT_FALSE(refused.granted);
  EXPECT_EQ(refused.code, "over_budget");
  EXPECT_THAT(refused.reason, StartsWith("over budget until "));
  clock_.advance(minutes(30));
  EXPECT_TRUE(gate->ask(mebibytes(1)).granted);
}

TEST_F(GateTest, ChargesWhatComesBack) {
  const auto gate = make();
  EXPECT_TRUE(gate->ask(mebibytes(4)).granted);
  gate->charge(mebibytes(5));
  EXPECT_EQ(gate->status().bytes_left, mebibytes(1));
  EXPECT_EQ(gate->ask(mebibytes(2)).code, "over_budget");
  EXPECT_EQ(gate->status().escalations_left, 1) << "a refusal costs nothing";
}

TEST_F(GateTest, RemembersTheBudgetOverARestart) {
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(make()->ask({}).granted);
  EXPECT_EQ(make()->ask({}).code, "over_budget");
}

TEST_F(GateTest, RefusesWhileTheNodeIsAway) {
  const auto gate = make();
  fail(*gate);
  const auto refused = gate->ask({});
  EXPECT_EQ(refused.code, "node_away");
  EXPECT_FALSE(refused.reason.empty());
  EXPECT_EQ(gate->status().breaker, BreakerState::kOpen);
  EXPECT_TRUE(gate->status().until_probe);
  EXPECT_EQ(gate->status().escalations_left, 2);
}

TEST_F(GateTest, ARetouchdIsNotProbedByPictures) {
  const auto gate = make();
  fail(*gate);
  clock_.advance(seconds(72));
  EXPECT_EQ(gate->ask({}).code, "node_away");
  ASSERT_TRUE(gate->begin_probe());
  gate->asked();
  gate->succeeded();
  EXPECT_TRUE(gate->ask({}).granted);
}

TEST_F(GateTest, AModelServerIsProbedByOnePicture) {
  cloud_.node = "http://node:1";
  const auto gate = make();
  fail(*gate);
  clock_.advance(seconds(72));
  EXPECT_TRUE(gate->ask({}).granted);
  EXPECT_EQ(gate->ask({}).code, "node_away");
  gate->succeeded();
  EXPECT_TRUE(gate->ask({}).granted);
}

TEST_F(GateTest, RefusesWhatCannotBeBackInTime) {
  cloud_.escalations_per_hour = 0;
  const auto gate = make();
  EXPECT_EQ(gate->ask({}, clock_.now() - seconds(1)).code, "deadline");
  EXPECT_TRUE(gate->ask({}, clock_.now() + seconds(20)).granted);
  gate->trip_took(seconds(40));
  EXPECT_EQ(gate->ask({}, clock_.now() + seconds(20)).code, "deadline");
  EXPECT_TRUE(gate->ask({}, clock_.now() + seconds(60)).granted);
  for (int i = 0; i < 20; ++i) gate->trip_took(seconds(2));
  EXPECT_TRUE(gate->ask({}, clock_.now() + seconds(20)).granted) << "it has become quicker";
}

TEST_F(GateTest, TellsWhatIsLeft) {
  const auto gate = make();
  EXPECT_EQ(gate->status().enough_at, std::nullopt);
  (void)gate->ask({});
  (void)gate->ask({});
  EXPECT_EQ(gate->status().escalations_left, 0);
  EXPECT_EQ(gate->status().enough_at, clock_.now() + minutes(30));
  cloud_.escalations_per_hour = 0;
  cloud_.bytes_per_hour = {};
  gate->configure(cloud_);
  EXPECT_EQ(gate->status().escalations_left, std::nullopt);
  EXPECT_EQ(gate->status().bytes_left, std::nullopt);
  EXPECT_TRUE(gate->ask(gibibytes(100)).granted);
}

TEST_F(GateTest, AnotherNodeBeginsWithAClosedBreaker) {
  const auto gate = make();
  fail(*gate);
  gate->configure(cloud_);
  EXPECT_EQ(gate->breaker(), BreakerState::kOpen) << "nothing changed";
  cloud_.node = "tcp://other:1";
  gate->configure(cloud_);
  EXPECT_EQ(gate->breaker(), BreakerState::kClosed);
}

TEST_F(GateTest, TellsOfChanges) {
  std::vector<BreakerState> seen;
  Gate gate({cloud_, {}, [&](BreakerState, BreakerState to) { seen.push_back(to); }}, clock_);
  fail(gate);
  EXPECT_THAT(seen, testing::ElementsAre(BreakerState::kOpen));
}

}  // namespace
}  // namespace retouchd::cloud
