#include "intake/webhook_delivery.h"

#include <gmock/gmock.h>

#include <deque>
#include <nlohmann/json.hpp>

#include "intake/webhook_signature.h"
#include "tests/queue/store_fixture.h"

namespace retouchd::intake {
namespace {

using nlohmann::json;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::AllOf;
using testing::Contains;
using testing::Each;
using testing::ElementsAre;
using testing::Ge;
using testing::IsEmpty;
using testing::Le;
using testing::Pair;

constexpr const char* kUrl = "http://photos.example/hook/token";
constexpr const char* kSecret = "0123456789abcdef";

HttpAnswer answer(int status, std::vector<std::pair<std::string, std::string>> headers = {}) {
  return {status, std::move(headers), {}};
}
Error no_answer() { return make_error(ErrorCode::kUnreachable, std::string(kUrl) + ": connection refused"); }

/// The store of queue's tests, and a receiver that answers from a script, 200 at its end.
class WebhookDeliveryTest : public queue::StoreTest {
 protected:
  void SetUp() override {
    notify_ = {"preview", "done", "failed"};
    start();
  }
  /// As a new process would: nothing is known but what the store holds.
  void start() {
    open();
    delivery_.emplace(
        options_, WebhookDelivery::Surroundings{*store_, clock_, [this](const HttpRequest& request) { return receive(request); },
                                                [this](std::string_view result) { counted_.emplace_back(result); },
                                                [this] { return chance_; }});
  }
  Result<HttpAnswer> receive(const HttpRequest& request) {
    EXPECT_EQ(request.method, HttpRequest::Method::kPost);
    EXPECT_EQ(request.url, kUrl);
    std::string body;
    for (const auto& part : request.body) body.append(part.begin(), part.end());
    bodies_.push_back(json::parse(body));
    texts_.push_back(body);
    headers_ = {request.headers.begin(), request.headers.end()};
    if (script_.empty()) return answer(200);
    auto next = std::move(script_.front());
    script_.pop_front();
    stop_ = !next && next.error().code == ErrorCode::kCancelled;
    return next;
  }
  std::optional<milliseconds> run() { return delivery_->run(give_up_, stop_); }
  /// "1 done" of all that was received, in order.
  [[nodiscard]] std::vector<std::string> received() const {
    std::vector<std::string> kinds;
    for (const json& body : bodies_)
      kinds.push_back(std::to_string(body["job"].get<int>()) + " " + body["kind"].get<std::string>());
    return kinds;
  }
  [[nodiscard]] std::vector<std::string> ids() const {
    std::vector<std::string> ids;
    for (const json& body : bodies_) ids.push_back(body["id"]);
    return ids;
  }

  WebhookOptions options_{kUrl, kSecret, {}, "1.2.3"};
  std::deque<Result<HttpAnswer>> script_;
  std::vector<json> bodies_;
  std::vector<std::string> texts_;
  std::map<std::string, std::string> headers_;  ///< of the last request
  std::vector<std::string> counted_;
  double chance_ = 1;  ///< the longest back-off
  seconds give_up_ = hours(24);
  std::atomic<bool> stop_ = false;
  std::optional<WebhookDelivery> delivery_;
};

TEST_F(WebhookDeliveryTest, TellsWhatHappenedAndToWhich) {
  const auto job = bring_to(queue::JobState::kDone, "a");
  EXPECT_EQ(run(), std::nullopt);
  ASSERT_THAT(received(), ElementsAre("1 done"));
  const json& body = bodies_[0];
  EXPECT_EQ(body["v"], 1);
  EXPECT_EQ(body["id"].get<std::string>().size(), 26U);
  EXPECT_EQ(body["seq"], 3);
  EXPECT_EQ(body["at"], "2027-01-15T08:00:00.000Z");
  EXPECT_EQ(body["name"], "a.jpg");
  EXPECT_EQ(body["state"], "done");
  EXPECT_EQ(body["output"], (folder_.path() / "out/a").string());
  EXPECT_EQ(body["source"], job.request.source.string());
  EXPECT_EQ(body["preview"], nullptr);
  EXPECT_EQ(body["sha256"], std::string(64, 'a')) << "a field of the event";
  EXPECT_THAT(counted_, ElementsAre("delivered"));
  EXPECT_EQ(run(), std::nullopt);
  EXPECT_EQ(bodies_.size(), 1U) << "once is enough";
}

TEST_F(WebhookDeliveryTest, SignsWhatItSends) {
  bring_to(queue::JobState::kDone, "a");
  run();
  EXPECT_THAT(headers_, AllOf(Contains(Pair("Content-Type", "application/json")), Contains(Pair("User-Agent", "retouchd/1.2.3")),
                              Contains(Pair("webhook-id", ids()[0])), Contains(Pair("webhook-timestamp", "1800000000"))));
  const auto now = std::chrono::floor<seconds>(clock_.now());
  EXPECT_EQ(headers_["webhook-signature"], webhook_signature(kSecret, ids()[0], now, texts_[0]));
}

TEST_F(WebhookDeliveryTest, WithoutASecretNothingIsSigned) {
  options_.secret.clear();
  start();
  bring_to(queue::JobState::kDone, "a");
  run();
  EXPECT_EQ(bodies_.size(), 1U);
  EXPECT_FALSE(headers_.contains("webhook-signature"));
}

TEST_F(WebhookDeliveryTest, AFailureIsTriedAgainLaterAndLater) {
  bring_to(queue::JobState::kDone, "a");
  const std::vector<seconds> pauses{seconds(5),   seconds(10),  seconds(20),  seconds(40),  seconds(80),
                                    seconds(160), seconds(320), seconds(640), seconds(900), seconds(900)};
  for (std::size_t i = 0; i < pauses.size(); ++i) script_.push_back(i % 2 == 0 ? Result<HttpAnswer>(answer(500)) : no_answer());
  for (const seconds pause : pauses) {
    EXPECT_EQ(run(), pause);
    clock_.advance(pause - milliseconds(1));
    const auto before = bodies_.size();
    run();
    EXPECT_EQ(bodies_.size(), before) << "too early";
    clock_.advance(milliseconds(1));
  }
  EXPECT_EQ(run(), std::nullopt);
  EXPECT_EQ(bodies_.size(), pauses.size() + 1);
  EXPECT_THAT(ids(), Each(ids()[0]));
  EXPECT_EQ(counted_.back(), "delivered");
}

TEST_F(WebhookDeliveryTest, AttemptsOfManyDaemonsAreSpread) {
  chance_ = 0;
  bring_to(queue::JobState::kDone, "a");
  script_.push_back(no_answer());
  EXPECT_EQ(run(), seconds(4));
}

TEST_F(WebhookDeliveryTest, ARestartChangesNothing) {
  bring_to(queue::JobState::kDone, "a");
  script_.push_back(no_answer());
  run();
  start();
  EXPECT_EQ(run(), seconds(5));
  EXPECT_EQ(bodies_.size(), 1U);
  clock_.advance(seconds(5));
  EXPECT_EQ(run(), std::nullopt);
  ASSERT_EQ(bodies_.size(), 2U);
  EXPECT_EQ(ids()[0], ids()[1]);
}

TEST_F(WebhookDeliveryTest, WhatTheReceiverRefusesIsDropped) {
  for (const int status : {301, 302, 400, 401, 404, 410, 422}) {
    bring_to(queue::JobState::kDone, std::to_string(status));
    script_.emplace_back(answer(status));
  }
  EXPECT_EQ(run(), std::nullopt);
  EXPECT_EQ(bodies_.size(), 7U);
  EXPECT_THAT(counted_, AllOf(testing::SizeIs(7), Each("dropped")));
}

TEST_F(WebhookDeliveryTest, WaitsAsLongAsTheReceiverAsks) {
  bring_to(queue::JobState::kDone, "a");
  // The clock begins at 08:00 on 15 January 2027.
  for (const char* value : {"120", "Fri, 15 Jan 2027 08:05:00 GMT", "86400", "-1", "soon"})
    script_.emplace_back(answer(429, {{"retry-after", value}}));
  for (const seconds pause : {seconds(120), seconds(180), seconds(3600), seconds(40), seconds(80)}) {
    EXPECT_EQ(run(), pause);
    clock_.advance(pause);
  }
  EXPECT_EQ(run(), std::nullopt);
  EXPECT_THAT(ids(), AllOf(testing::SizeIs(6), Each(ids()[0])));
}

TEST_F(WebhookDeliveryTest, AReceiverThatIsAwayCostsOneCallAtATime) {
  for (int i = 0; i < 100; ++i) bring_to(queue::JobState::kDone, std::to_string(i));
  for (int i = 0; i < 4; ++i) {
    script_.push_back(no_answer());
    clock_.advance(*run());
    EXPECT_EQ(bodies_.size(), static_cast<std::size_t>(i) + 1);
  }
  // Back again: all the others go at once, those that failed when their time has come.
  while (const auto pause = run()) clock_.advance(*pause);
  EXPECT_EQ(std::count(counted_.begin(), counted_.end(), "delivered"), 100);
}

TEST_F(WebhookDeliveryTest, OneThatTheReceiverCannotDigestDoesNotHoldUpTheOthers) {
  const auto bad = bring_to(queue::JobState::kDone, "bad");
  script_.emplace_back(answer(500));
  clock_.advance(*run());
  bring_to(queue::JobState::kDone, "good");
  script_.emplace_back(answer(200));
  script_.emplace_back(answer(500));
  run();
  EXPECT_THAT(received(), ElementsAre("1 done", "2 done", "1 done"));
}

TEST_F(WebhookDeliveryTest, EventsOfOneJobKeepTheirOrder) {
  accept("a");
  const auto job = claim_one();
  ASSERT_TRUE(store_->record_preview(claim_of(job), "/p.jpg", R"({"path":"/p.jpg"})"));
  script_.emplace_back(answer(503));
  run();
  ASSERT_TRUE(store_->begin_publishing(claim_of(job), publication("a")));
  ASSERT_TRUE(store_->complete(claim_of(job), "{}"));
  bring_to(queue::JobState::kDone, "b");
  start();  // also when nothing but the store remembers
  run();
  clock_.advance(seconds(5));
  EXPECT_EQ(run(), std::nullopt);
  EXPECT_THAT(received(), ElementsAre("1 preview", "2 done", "1 preview", "1 done"));
  EXPECT_EQ(bodies_[0]["path"], "/p.jpg");
  EXPECT_EQ(bodies_[0]["state"], "running");
  EXPECT_EQ(bodies_[2]["state"], "done") << "the job as it is now";
}

TEST_F(WebhookDeliveryTest, IsGivenUpAtLast) {
  give_up_ = minutes(1);
  bring_to(queue::JobState::kDone, "a");
  for (int i = 0; i < 100; ++i) script_.push_back(no_answer());
  while (const auto pause = run()) {
    EXPECT_THAT(*pause, AllOf(Ge(seconds(5)), Le(seconds(80))));
    clock_.advance(*pause);
  }
  EXPECT_EQ(bodies_.size(), 5U) << "after 0, 5, 15, 35 and 75 s";
  EXPECT_EQ(counted_.back(), "dropped");
  EXPECT_EQ(*store_->next_notification(), std::nullopt);
}

TEST_F(WebhookDeliveryTest, HoweverOldItIsItGetsOneAttempt) {
  bring_to(queue::JobState::kDone, "a");
  clock_.advance(hours(100));
  run();
  EXPECT_THAT(counted_, ElementsAre("delivered"));
}

TEST_F(WebhookDeliveryTest, TooOldOnesDoNotPileUpBehindAReceiverThatIsAway) {
  for (int i = 0; i < 5; ++i) bring_to(queue::JobState::kDone, std::to_string(i));
  clock_.advance(hours(100));
  bring_to(queue::JobState::kDone, "new");
  script_.push_back(no_answer());
  run();
  EXPECT_EQ(bodies_.size(), 1U);
  EXPECT_THAT(counted_, AllOf(testing::SizeIs(5), Each("dropped")));
  clock_.advance(seconds(5));
  EXPECT_EQ(run(), std::nullopt);
  EXPECT_THAT(received(), ElementsAre("1 done", "6 done"));
}

TEST_F(WebhookDeliveryTest, NothingIsSentOrCountedWhileStopping) {
  bring_to(queue::JobState::kDone, "a");
  script_.push_back(make_error(ErrorCode::kCancelled, "cancelled"));
  run();
  EXPECT_TRUE(stop_);
  run();
  EXPECT_EQ(bodies_.size(), 1U);
  EXPECT_THAT(counted_, IsEmpty());
  const auto due = store_->due_notifications(1);
  ASSERT_TRUE(due && due->size() == 1);
  EXPECT_EQ(due->front().attempts, 0) << "breaking off is no failure";
}

TEST(WebhookBody, CopesWithAJobThatIsForgotten) {
  const json body = json::parse(webhook_body({"01JD", {17, 4, "failed", {}, R"({"code":"io_error","id":"x"})"}, 0}, nullptr));
  EXPECT_EQ(body["job"], 17);
  EXPECT_EQ(body["id"], "01JD") << "no field of an event takes its place";
  EXPECT_EQ(body["code"], "io_error");
  for (const char* field : {"name", "origin", "source", "output", "preview", "network", "state"}) {
    ASSERT_TRUE(body.contains(field)) << field;
    EXPECT_TRUE(body[field].is_null()) << field;
  }
}

TEST(WebhookBody, DoesNotTellWhereTheSpoolIs) {
  queue::Job job;
  job.request.source = "/var/lib/retouchd/spool/17";
  job.request.spooled = true;
  EXPECT_TRUE(json::parse(webhook_body({"01JD", {17, 4, "done", {}, "{}"}, 0}, &job))["source"].is_null());
}

}  // namespace
}  // namespace retouchd::intake
