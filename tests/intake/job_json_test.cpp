#include "intake/job_json.h"

#include <gtest/gtest.h>

namespace retouchd::intake {
namespace {

using nlohmann::json;

TEST(JobJson, TellsWhereAJobIsRestoredAndWhy) {
  queue::Job job;
  job.state = queue::JobState::kEscalated;
  job.request.policy = "hybrid";
  job.decision = R"({"policy":"hybrid","route":"cloud","reason":"it lost much","score":0.4})";
  const json object = job_to_json(job, std::nullopt);
  EXPECT_EQ(object["state"], "escalated");
  EXPECT_EQ(object["policy"], "hybrid");
  EXPECT_EQ(object["decision"], json::parse(job.decision));
}

TEST(JobJson, HasNoDecisionBeforeThereIsOne) {
  const json object = job_to_json(queue::Job(), std::nullopt);
  EXPECT_EQ(object["policy"], "local");
  EXPECT_TRUE(object.contains("decision"));
  EXPECT_TRUE(object["decision"].is_null());
}

TEST(JobJson, CountsJobsOfEveryState) {
  const json counts = counts_to_json({7, 6, 5, 4, 3, 2, 1});
  EXPECT_EQ(
      counts,
      (json{{"queued", 7}, {"running", 6}, {"publishing", 5}, {"done", 4}, {"failed", 3}, {"cancelled", 2}, {"escalated", 1}}));
}

TEST(JobJson, AnEventCarriesTheFieldsOfItsBody) {
  const json object = event_to_json({17, 3, "decided", UnixMillis{}, R"({"route":"local"})"});
  EXPECT_EQ(object["job"], 17);
  EXPECT_EQ(object["seq"], 3);
  EXPECT_EQ(object["kind"], "decided");
  EXPECT_EQ(object["route"], "local");
}

}  // namespace
}  // namespace retouchd::intake
