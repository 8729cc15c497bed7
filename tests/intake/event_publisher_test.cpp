#include "intake/event_publisher.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace retouchd::intake {
namespace {

queue::JobEvent event(queue::JobId job, std::int64_t seq, const std::string& kind, const std::string& body = "{}") {
  return {job, seq, kind, UnixMillis{}, body};
}

TEST(EventPublisher, NumbersEventsAndKeepsTheirOrder) {
  EventPublisher publisher;
  publisher.publish({event(1, 1, "accepted"), event(2, 1, "accepted")});
  publisher.publish({event(1, 2, "done", R"({"output":"/o","job":99})")});
  const auto messages = publisher.take(10);
  ASSERT_EQ(messages.size(), 3U);
  EXPECT_EQ(messages[2].topic, "job.1.done");
  const auto body = nlohmann::json::parse(messages[2].text);
  EXPECT_EQ(body["v"], 1);
  EXPECT_EQ(body["n"], 3);
  EXPECT_EQ(body["job"], 1) << "an event's own fields must not replace the envelope's";
  EXPECT_EQ(body["seq"], 2);
  EXPECT_EQ(body["output"], "/o");
  EXPECT_EQ(body["at"], "1970-01-01T00:00:00.000Z");
}

TEST(EventPublisher, WakesOnceUntilEmpty) {
  EventPublisher publisher;
  int wakes = 0;
  publisher.set_wakeup([&wakes] { ++wakes; });
  publisher.publish({event(1, 1, "accepted")});
  publisher.publish({event(1, 2, "started")});
  EXPECT_EQ(wakes, 1);
  (void)publisher.take(10);
  publisher.publish({event(1, 3, "done")});
  EXPECT_EQ(wakes, 2);
}

TEST(EventPublisher, DropsProgressFirstAndLeavesAGapInTheNumbers) {
  EventPublisher publisher(2);
  publisher.publish({event(1, 1, "accepted"), event(1, 0, "progress"), event(1, 2, "preview"), event(1, 3, "done")});
  const auto messages = publisher.take(10);
  ASSERT_EQ(messages.size(), 2U);
  EXPECT_EQ(messages[0].topic, "job.1.accepted");
  EXPECT_EQ(messages[1].topic, "job.1.preview");
  EXPECT_EQ(nlohmann::json::parse(messages[1].text)["n"], 3);
  EXPECT_EQ(publisher.dropped(), 2U);
}

}  // namespace
}  // namespace retouchd::intake
