#include "queue/decision.h"

#include <gtest/gtest.h>

namespace retouchd::queue {
namespace {

TEST(Decision, ComesBackFromItsTextAsItWas) {
  Decision decision;
  decision.policy = "hybrid";
  decision.route = Route::kCloud;
  decision.code = "below_threshold";
  decision.reason = "its score is low";
  decision.score = 0.42;
  decision.threshold = 0.9;
  decision.is_calibrated = true;
  decision.parts = ScoreParts{30.5, 22.25, 4.5, 812.0, 35.0, 0.75};
  decision.node = "tcp://cloud:9465";
  decision.escalations = 2;
  decision.local_seconds = 3.5;
  const auto back = decision_from_text(to_text(decision));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(*back, decision);

  Decision plain;
  plain.policy = "local";
  plain.route = Route::kLevel;
  plain.level_megapixels = 4;
  plain.fallback = "local_preview";
  EXPECT_EQ(*decision_from_text(to_text(plain)), plain);
}

TEST(Decision, AFallbackSaysWhatIsDoneInsteadAndWhy) {
  Decision decision;
  decision.reason = "its score is low";
  fall_back(decision, Route::kLocal, "over_budget", "the budget is used up");
  EXPECT_EQ(decision.route, Route::kLocal);
  EXPECT_EQ(decision.fallback, "local_full");
  EXPECT_EQ(decision.code, "over_budget");
  EXPECT_EQ(decision.reason, "its score is low, but the budget is used up");
  Decision bare;
  fall_back(bare, Route::kLevel, "node_away", "nobody answers");
  EXPECT_EQ(bare.fallback, "local_preview");
  EXPECT_EQ(bare.reason, "nobody answers");
}

TEST(Decision, EveryRouteHasAName) {
  for (const Route route : {Route::kLocal, Route::kPreview, Route::kLevel, Route::kCloud, Route::kServer, Route::kSkip}) {
    EXPECT_EQ(route_from_name(name_of(route)), route);
  }
  EXPECT_FALSE(route_from_name("moon"));
}

TEST(Decision, TextThatIsNoneIsRefused) {
  for (const char* text : {"", "[]", "{}", R"({"policy":"local","route":"moon"})", R"({"policy":1,"route":"local"})"}) {
    EXPECT_EQ(decision_from_text(text).error().code, ErrorCode::kStoreFailed) << text;
  }
}

}  // namespace
}  // namespace retouchd::queue
