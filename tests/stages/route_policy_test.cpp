#include "stages/route_policy.h"

#include <gtest/gtest.h>

#include "stages/calibration.h"

namespace retouchd::stages {
namespace {

using queue::Route;

/// 20 to 60 dB, so that 24 dB score 0.9 and 40 dB 0.95.
std::shared_ptr<const Calibration> calibration() {
  std::vector<double> values;
  for (int i = 0; i <= 400; ++i) values.push_back(20 + i / 10.0);
  return std::make_shared<const Calibration>(*Calibration::fit(values, 0.1));
}

queue::ScoreParts parts_of(double db) { return {db, db, 5.0, 100.0, 40.0, {}}; }

class RoutePolicyTest : public testing::Test {
 protected:
  RoutePolicyTest() {
    settings_.calibration = calibration();
    request_.policy = "hybrid";
    request_.identity.size = 1000;
    node_.address = "tcp://cloud:9465";
    node_.ask = [this](Bytes size, UnixMillis) {
      asked_ += size;
      return permit_;
    };
  }

  queue::Decision decide_for(double db) {
    RouteFacts facts{request_, settings_};
    facts.has_preview = true;
    facts.parts = parts_of(db);
    facts.node = &node_;
    return decide(facts);
  }

  Settings settings_;
  queue::JobRequest request_;
  Node node_;
  Permit permit_{true, {}, {}};
  Bytes asked_{0};
};

TEST_F(RoutePolicyTest, FilesOfSeveralPagesAreRestoredHere) {
  RouteFacts facts{request_, settings_};
  facts.has_pages = true;
  facts.has_preview = true;
  facts.parts = parts_of(20);
  facts.node = &node_;
  EXPECT_EQ(decide(facts).route, Route::kLocal);
  EXPECT_EQ(decide(facts).code, "pages");
  EXPECT_EQ(asked_, Bytes{0});
}

TEST_F(RoutePolicyTest, HybridSendsAwayWhatScoresBelowTheThreshold) {
  EXPECT_EQ(decide_for(30).route, Route::kLocal);
  EXPECT_EQ(decide_for(30).code, "above_threshold");
  EXPECT_EQ(asked_, Bytes{0}) << "only pictures that are to be sent cost budget";
  const auto decision = decide_for(22);
  EXPECT_EQ(decision.route, Route::kCloud);
  EXPECT_EQ(decision.code, "below_threshold");
  EXPECT_EQ(decision.node, node_.address);
  EXPECT_LT(*decision.score, 0.9);
  EXPECT_TRUE(decision.is_calibrated);
  EXPECT_EQ(decision.escalations, 1);
  EXPECT_EQ(asked_, Bytes{1000});
}

TEST_F(RoutePolicyTest, APreviewThatShowsSomethingElseIsSentAwayWhateverItsScore) {
  RouteFacts facts{request_, settings_};
  facts.has_preview = true;
  facts.parts = parts_of(55);
  facts.parts->consistency_db = 12;
  facts.node = &node_;
  const auto decision = decide(facts);
  EXPECT_EQ(decision.route, Route::kCloud);
  EXPECT_EQ(decision.code, "inconsistent");
}

TEST_F(RoutePolicyTest, WithoutAPermitTheFallbackDecides) {
  permit_ = {false, "over_budget", "the budget is used up until 14:00"};
  const auto full = decide_for(22);
  EXPECT_EQ(full.route, Route::kLocal);
  EXPECT_EQ(full.fallback, "local_full");
  EXPECT_EQ(full.code, "over_budget");
  EXPECT_NE(full.reason.find("until 14:00"), std::string::npos) << full.reason;

  settings_.fallback = Settings::Fallback::kLocalPreview;
  const auto preview = decide_for(22);
  EXPECT_EQ(preview.route, Route::kLevel);
  EXPECT_EQ(preview.fallback, "local_preview");
  EXPECT_EQ(preview.level_megapixels, settings_.preview_megapixels);

  settings_.fallback = Settings::Fallback::kQueue;
  const auto waiting = decide_for(22);
  EXPECT_EQ(waiting.route, Route::kCloud) << "it waits for the node";
  EXPECT_EQ(waiting.code, "over_budget") << "whoever sends it has to ask again";
  permit_.code = "deadline";
  EXPECT_EQ(decide_for(22).route, Route::kLocal) << "waiting would only miss the deadline";
}

TEST_F(RoutePolicyTest, WithoutANodeEverythingIsRestoredHere) {
  RouteFacts facts{request_, settings_};
  facts.parts = parts_of(20);
  const auto decision = decide(facts);
  EXPECT_EQ(decision.route, Route::kLocal);
  EXPECT_EQ(decision.fallback, "local_full");
}

TEST_F(RoutePolicyTest, ProgressiveEndsWithThePreviewWhereThatIsGoodEnough) {
  request_.policy = "progressive";
  settings_.good_enough_db = 36;
  EXPECT_EQ(decide_for(36).route, Route::kLevel);
  EXPECT_EQ(decide_for(36).code, "good_enough");
  EXPECT_EQ(decide_for(35.9).route, Route::kLocal);
}

TEST_F(RoutePolicyTest, LocalKeepsTheWorstHereAndStillTellsTheScore) {
  request_.policy = "local";
  const auto decision = decide_for(20);
  EXPECT_EQ(decision.route, Route::kLocal);
  EXPECT_EQ(decision.code, "policy");
  EXPECT_EQ(*decision.score, 0);
  EXPECT_FALSE(decision.threshold);
}

TEST_F(RoutePolicyTest, PairsAndSmallPicturesAreRestoredHere) {
  RouteFacts facts{request_, settings_};
  facts.node = &node_;
  EXPECT_EQ(decide(facts).code, "small");
  facts.is_pair = true;
  EXPECT_EQ(decide(facts).code, "pair");
}

TEST_F(RoutePolicyTest, OnlyThePreviewWhenOnlyThatWasAskedFor) {
  request_.preview_only = true;
  const auto decision = decide_for(20);
  EXPECT_EQ(decision.route, Route::kPreview);
  EXPECT_EQ(asked_, Bytes{0});
}

}  // namespace
}  // namespace retouchd::stages
