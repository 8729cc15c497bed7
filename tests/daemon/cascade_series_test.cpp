#include "daemon/cascade_series.h"

#include <gtest/gtest.h>
#include <prometheus/text_serializer.h>

#include <limits>

#include "exposition.h"

namespace retouchd::daemon {
namespace {

using queue::Decision;
using queue::Route;

Decision scored(double score, Route route = Route::kLocal, std::string code = "above_threshold") {
  Decision decision;
  decision.policy = "hybrid";
  decision.route = route;
  decision.code = std::move(code);
  decision.score = score;
  return decision;
}

class CascadeSeriesTest : public testing::Test {
 protected:
  Exposition scrape() { return Exposition(prometheus::TextSerializer().Serialize(registry_.Collect())); }

  void route(double score, int times) {
    for (int i = 0; i < times; ++i) series_.routed(scored(score));
  }

  prometheus::Registry registry_;
  CascadeSeries series_{registry_};
};

TEST_F(CascadeSeriesTest, CountsDecisionsByRouteAndReason) {
  series_.routed(scored(0.97));
  series_.routed(scored(0.95));
  series_.routed(scored(0.4, Route::kCloud, "below_threshold"));
  const auto text = scrape();
  EXPECT_EQ(text[R"(retouchd_decisions_total{reason="above_threshold",route="local"})"], 2);
  EXPECT_EQ(text[R"(retouchd_decisions_total{reason="below_threshold",route="cloud"})"], 1);
}

TEST_F(CascadeSeriesTest, HasWhatAlertsCountFromTheStart) {
  const auto text = scrape();
  for (const std::string route : {"local", "level", "cloud", "server"}) {
    EXPECT_EQ(text["retouchd_decisions_total{reason=\"over_budget\",route=\"" + route + "\"}"], 0) << route;
  }
  for (const std::string result : {"returned", "timeout", "node_away", "refused", "bad_answer", "cancelled", "over_budget"}) {
    EXPECT_EQ(text["retouchd_escalations_total{result=\"" + result + "\"}"], 0) << result;
  }
}

TEST_F(CascadeSeriesTest, TellsThePartOfTheScoresBelowTheThreshold) {
  series_.set_cascade(0.2, 0.9);
  route(0.95, 6);
  route(0.9, 1);  // not below
  route(0.89, 3);
  const auto text = scrape();
  EXPECT_DOUBLE_EQ(text["retouchd_escalation_ratio"], 0.3);
  EXPECT_EQ(text["retouchd_escalation_window"], 10);
  EXPECT_EQ(text["retouchd_escalation_target"], 0.2);
  EXPECT_EQ(text["retouchd_quality_score_count"], 10);
}

TEST_F(CascadeSeriesTest, ForgetsScoresThatAreLongPast) {
  route(0.1, static_cast<int>(CascadeSeries::kWindow));
  EXPECT_EQ(scrape()["retouchd_escalation_ratio"], 1);
  route(0.99, static_cast<int>(CascadeSeries::kWindow) / 4);
  EXPECT_DOUBLE_EQ(scrape()["retouchd_escalation_ratio"], 0.75);
  EXPECT_EQ(scrape()["retouchd_escalation_window"], CascadeSeries::kWindow);
}

TEST_F(CascadeSeriesTest, BeginsANewWindowWithANewThreshold) {
  series_.set_cascade(0.1, 0.9);
  route(0.8, 50);
  series_.set_cascade(0.1, 0.7);
  route(0.8, 4);
  const auto text = scrape();
  EXPECT_EQ(text["retouchd_escalation_window"], 4);
  EXPECT_EQ(text["retouchd_escalation_ratio"], 0);
}

TEST_F(CascadeSeriesTest, KeepsItsWindowWhenOnlyTheRateChanges) {
  series_.set_cascade(0.1, 0.9);
  route(0.8, 50);
  series_.set_cascade(0.3, 0.9);
  route(0.8, 1);
  const auto text = scrape();
  EXPECT_EQ(text["retouchd_escalation_window"], 51);
  EXPECT_EQ(text["retouchd_escalation_target"], 0.3);
}

TEST_F(CascadeSeriesTest, LeavesPicturesWithoutAScoreOutOfTheRate) {
  Decision small;
  small.code = "small";
  series_.routed(small);
  EXPECT_EQ(scrape()["retouchd_escalation_window"], 0);
  EXPECT_EQ(scrape()["retouchd_quality_score_count"], 0);
}

TEST_F(CascadeSeriesTest, CountsAScoreOnceThoughLevelsDecideTwice) {
  series_.routed(scored(0.6));
  series_.routed(scored(0.6, Route::kLocal, "all_levels"));
  EXPECT_EQ(scrape()["retouchd_quality_score_count"], 1);
  EXPECT_EQ(scrape()["retouchd_escalation_window"], 1);
}

TEST_F(CascadeSeriesTest, ShowsTheNoiseThatWasMeasured) {
  auto decision = scored(0.6);
  decision.parts.emplace().noise_sigma = 12;
  series_.routed(decision);
  const auto text = scrape();
  EXPECT_EQ(text["retouchd_noise_sigma_sum"], 12);
  EXPECT_EQ(text[R"(retouchd_noise_sigma_bucket{le="10"})"], 0);
  EXPECT_EQ(text[R"(retouchd_noise_sigma_bucket{le="15"})"], 1);
}

TEST_F(CascadeSeriesTest, CountsTripsAndBytes) {
  series_.ended("returned");
  series_.ended("bad_answer");
  series_.transferred(kibibytes(3), kibibytes(5));
  series_.transferred(kibibytes(1), Bytes{0});
  const auto text = scrape();
  EXPECT_EQ(text[R"(retouchd_escalations_total{result="returned"})"], 1);
  EXPECT_EQ(text[R"(retouchd_escalations_total{result="bad_answer"})"], 1);
  EXPECT_EQ(text["retouchd_cloud_sent_bytes_total"], 4096);
  EXPECT_EQ(text["retouchd_cloud_received_bytes_total"], 5120);
}

TEST_F(CascadeSeriesTest, ShowsTheBreakerInOneStateAndOnlyWhereANodeIsConfigured) {
  series_.show(std::nullopt);
  EXPECT_FALSE(scrape().has(R"(retouchd_cloud_breaker{state="closed"})"));
  series_.show(CloudSnapshot{"tcp://node:9465", "closed", 7, mebibytes(1)});
  series_.show(CloudSnapshot{"tcp://node:9465", "open", 7, mebibytes(1)});
  const auto text = scrape();
  EXPECT_EQ(text[R"(retouchd_cloud_breaker{state="closed"})"], 0);
  EXPECT_EQ(text[R"(retouchd_cloud_breaker{state="open"})"], 1);
  EXPECT_EQ(text[R"(retouchd_cloud_breaker{state="half_open"})"], 0);
  EXPECT_EQ(text["retouchd_cloud_budget_escalations"], 7);
  EXPECT_EQ(text["retouchd_cloud_budget_bytes"], 1 << 20);
}

TEST_F(CascadeSeriesTest, SaysInfinityForABudgetWithoutABound) {
  series_.show(CloudSnapshot{"tcp://node:9465", "closed"});
  const auto text = scrape();
  EXPECT_EQ(text["retouchd_cloud_budget_escalations"], std::numeric_limits<double>::infinity());
  EXPECT_EQ(text["retouchd_cloud_budget_bytes"], std::numeric_limits<double>::infinity());
}

}  // namespace
}  // namespace retouchd::daemon
