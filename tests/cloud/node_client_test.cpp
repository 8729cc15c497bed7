#include "cloud/node_client.h"

#include <gmock/gmock.h>

#include <memory>
#include <set>

#include "fake_node.h"
#include "tests/hand_clock.h"
#include "tests/temporary_folder.h"

namespace retouchd::cloud {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::Each;
using testing::HasSubstr;

/// Time stands still but where the node does not answer: then it passes at once.
class NodeClientTest : public ::testing::Test {
 protected:
  NodeClientTest() : gate_({cloud(), {}, {}}, clock_), retries_(clock_) {
    timing_.first_poll = timing_.last_poll = milliseconds(1);
    timing_.first_pause = timing_.last_pause = milliseconds(1);
    timing_.slice = milliseconds(2);
    watch_.pause = [this](milliseconds) { return !is_stopped_; };
    picture_.assign(1'500'000, 'x');
    for (std::size_t i = 0; i < picture_.size(); i += 1000) picture_[i] = static_cast<char>(i / 1000);
    use(picture_);
    trip_.key = "edge:1:1";
    trip_.network = "student-tiny";
    trip_.give_up = clock_.steady_now() + minutes(15);
    trip_.partial = folder_.path() / "1.1";
    trip_.most_back = mebibytes(8);
    node_ = std::make_unique<FakeNode>((folder_.path() / "node.sock").string());
    client_ = make_client();
  }

  static config::Cloud cloud() {
    config::Cloud cloud;
    cloud.node = "tcp://node:1";
    cloud.silence = minutes(10);
    return cloud;
  }
  std::unique_ptr<NodeClient> make_client() {
    return std::make_unique<NodeClient>([this] { return wire::Client::connect(node_->endpoint()); }, timing_, gate_, retries_,
                                        clock_);
  }
  void use(const std::string& picture) {
    trip_.parcel.file = folder_.path() / "1.1.send";
    write_text(trip_.parcel.file, picture);
    trip_.parcel.size = {picture.size()};
    trip_.parcel.sha256 = sha256_of(picture);
    trip_.parcel.name = "picture.png";
  }
  Step<Fetched> carry() { return client_->carry(trip_, watch_); }
  void expect_back(Step<Fetched> step, const std::string& picture) {
    const auto* failure = failure_of(step);
    ASSERT_EQ(failure, nullptr) << failure->error.message;
    EXPECT_EQ(read_text(std::get<Fetched>(step).part), picture);
    EXPECT_EQ(std::get<Fetched>(step).announced.sha256, sha256_of(picture));
  }
  void expect_failure(Step<Fetched> step, Trouble trouble, const std::string& text) {
    const auto* failure = failure_of(step);
    ASSERT_NE(failure, nullptr);
    EXPECT_EQ(static_cast<int>(failure->trouble), static_cast<int>(trouble)) << failure->error.message;
    EXPECT_THAT(failure->error.message, HasSubstr(text));
  }
  /// The node says nothing to every `nth` request of this kind (1: to all).
  void lose(const std::string& op, int nth) {
    auto count = std::make_shared<int>(0);
    node_->meddle([this, op, nth, count](const json& request, std::optional<FakeNode::Reply>& reply) {
      if (request["op"] != op || ++*count % nth != 0) return;
      reply.reset();
      clock_.advance(timing_.request);
    });
  }
  /// The first `times` requests of this kind get this answer.
  void answer(const std::string& op, int times, FakeNode::Reply answer) {
    auto left = std::make_shared<int>(times);
    node_->meddle([op, left, answer](const json& request, std::optional<FakeNode::Reply>& reply) {
      if (request["op"] == op && (*left)-- > 0) reply = answer;
    });
  }

  TemporaryFolder folder_;
  HandClock clock_;
  Gate gate_;
  RetryBudget retries_;
  NodeTiming timing_;
  TripWatch watch_;
  Trip trip_;
  std::string picture_;
  std::atomic<bool> is_stopped_{false};
  std::unique_ptr<FakeNode> node_;
  std::unique_ptr<NodeClient> client_;
};

TEST_F(NodeClientTest, CarriesAPictureThereAndBack) {
  node_->restore_by([](const std::string& picture) { return picture + "restored"; });
  expect_back(carry(), picture_ + "restored");
  EXPECT_EQ(node_->uploaded(), picture_.size());
  EXPECT_EQ(client_->remote_job(), 100);
  EXPECT_GE(client_->sent().value, picture_.size());
  EXPECT_GE(client_->received().value, picture_.size());
}

TEST_F(NodeClientTest, ChunksHaveAMebibyteAtMost) {
  use(std::string(5 << 20, 'a'));
  (void)carry();
  for (const auto& request : node_->requests("fetch")) EXPECT_LE(request["length"], 1 << 20);
  EXPECT_GE(node_->count("upload"), 6);
}

TEST_F(NodeClientTest, SubmitsWithKeyNetworkAndNoPreview) {
  trip_.deadline = clock_.now() + seconds(40);
  (void)carry();
  const auto submits = node_->requests("submit");
  ASSERT_EQ(submits.size(), 1U);
  EXPECT_EQ(submits[0]["key"], "edge:1:1");
  EXPECT_EQ(submits[0]["network"], "student-tiny");
  EXPECT_EQ(submits[0]["content"], trip_.parcel.sha256);
  EXPECT_EQ(submits[0]["name"], "picture.png");
  EXPECT_EQ(submits[0]["preview"], false);
  EXPECT_EQ(submits[0]["policy"], "local");
  EXPECT_EQ(submits[0]["deadline_seconds"], 40);
}

TEST_F(NodeClientTest, RelaysProgress) {
  node_->set_polls(3);
  std::vector<std::int64_t> done;
  watch_.progress = [&](std::int64_t tiles, std::int64_t total) {
    done.push_back(tiles);
    EXPECT_EQ(total, 20);
  };
  (void)carry();
  EXPECT_EQ(done.size(), 3U);
}

TEST_F(NodeClientTest, AnUploadThatWasBegunGoesOn) {
  lose("upload", 4);
  expect_back(carry(), picture_);
  EXPECT_EQ(node_->uploaded(), picture_.size()) << "only the answer was lost, so nothing is sent twice";
  EXPECT_EQ(node_->restored(), 1);
}

TEST_F(NodeClientTest, EveryLostAnswerCostsAtMostOneChunk) {
  for (const char* op : {"submit", "status", "fetch"}) {
    node_->forget_jobs();
    node_->forget_uploads();
    std::filesystem::remove(folder_.path() / ("1.1." + sha256_of(picture_).substr(0, 16) + ".part"));
    const auto before = node_->uploaded();
    const auto restored = node_->restored();
    clock_.advance(minutes(1));
    lose(op, 2);
    trip_.give_up = clock_.steady_now() + minutes(15);
    expect_back(carry(), picture_);
    EXPECT_EQ(node_->uploaded() - before, picture_.size()) << op;
    EXPECT_EQ(node_->restored() - restored, 1) << op;
  }
}

TEST_F(NodeClientTest, AClientOfAnotherProcessGoesOnToo) {
  int chunks = 0;
  node_->meddle([&](const json& request, std::optional<FakeNode::Reply>&) {
    if (request["op"] == "upload" && ++chunks == 3) is_stopped_ = true;
  });
  expect_failure(carry(), Trouble::kStopped, "");
  const auto before = node_->uploaded();
  EXPECT_GT(before, 0U);
  EXPECT_LT(before, picture_.size());
  is_stopped_ = false;
  client_ = make_client();
  trip_.may_be_known = true;
  expect_back(carry(), picture_);
  EXPECT_EQ(node_->uploaded(), picture_.size());
}

TEST_F(NodeClientTest, AKnownPictureIsNotSentAgain) {
  expect_back(carry(), picture_);
  const auto before = node_->uploaded();
  node_->forget_uploads();
  client_ = make_client();
  trip_.may_be_known = true;
  expect_back(carry(), picture_);
  EXPECT_EQ(node_->uploaded(), before);
  EXPECT_EQ(node_->restored(), 1);
}

TEST_F(NodeClientTest, ADownloadThatWasBegunGoesOn) {
  picture_.assign(5 << 20, 'p');
  use(picture_);
  int parts = 0;
  node_->meddle([&](const json& request, std::optional<FakeNode::Reply>&) {
    if (request["op"] == "fetch" && ++parts == 3) is_stopped_ = true;
  });
  expect_failure(carry(), Trouble::kStopped, "");
  is_stopped_ = false;
  node_->meddle({});
  client_ = make_client();
  trip_.may_be_known = true;
  expect_back(carry(), picture_);
  const auto fetches = node_->requests("fetch");
  std::multiset<std::uint64_t> offsets;
  for (const auto& fetch : fetches) offsets.insert(fetch.value("offset", std::uint64_t{0}));
  EXPECT_EQ(offsets.count(0), 1U) << "the first part is not fetched twice";
}

TEST_F(NodeClientTest, AJobThatTheNodeForgotIsSubmittedAgainWithTheSameKey) {
  int asked = 0;
  node_->set_polls(5);
  node_->meddle([&](const json& request, std::optional<FakeNode::Reply>&) {
    if (request["op"] == "status" && ++asked == 2) node_->forget_jobs();
  });
  expect_back(carry(), picture_);
  std::set<std::string> keys;
  for (const auto& submit : node_->requests("submit")) keys.insert(submit["key"]);
  EXPECT_EQ(keys.size(), 1U);
  EXPECT_EQ(node_->uploaded(), picture_.size()) << "the upload was still there";
}

TEST_F(NodeClientTest, ANodeThatLostEverythingGetsItAgain) {
  int asked = 0;
  node_->set_polls(5);
  node_->meddle([&](const json& request, std::optional<FakeNode::Reply>&) {
    if (request["op"] != "status" || ++asked != 2) return;
    node_->forget_jobs();
    node_->forget_uploads();
  });
  expect_back(carry(), picture_);
  EXPECT_EQ(node_->uploaded(), 2 * picture_.size());
}

TEST_F(NodeClientTest, ANodeThatForgetsForEverIsGivenUp) {
  answer("status", 1'000, FakeNode::failure("unknown_job"));
  expect_failure(carry(), Trouble::kBadAnswer, "forgot");
  EXPECT_LE(node_->count("submit"), 8);
}

TEST_F(NodeClientTest, ASilentNodeOpensTheBreakerAndEndsTheTrip) {
  for (const char* op : {"upload", "submit", "status", "fetch"}) {
    clock_.advance(minutes(10));
    gate_.configure(cloud());
    if (gate_.breaker() == BreakerState::kHalfOpen) {
      ASSERT_TRUE(gate_.begin_probe());
      gate_.succeeded();
    }
    lose(op, 1);
    trip_.give_up = clock_.steady_now() + minutes(60);
    expect_failure(carry(), Trouble::kLink, "does not answer");
    EXPECT_EQ(gate_.breaker(), BreakerState::kOpen) << op;
  }
}

TEST_F(NodeClientTest, ABusyNodeIsAskedAgainWhenItSaid) {
  auto busy = FakeNode::failure("busy");
  busy.body["error"]["retry_after_ms"] = 700;
  std::vector<milliseconds> pauses;
  watch_.pause = [&](milliseconds time) {
    if (time.count() > 0) pauses.push_back(time);
    return true;
  };
  answer("submit", 2, busy);
  expect_back(carry(), picture_);
  EXPECT_EQ(std::count(pauses.begin(), pauses.end(), milliseconds(700)), 2);
  EXPECT_EQ(gate_.breaker(), BreakerState::kClosed);
}

TEST_F(NodeClientTest, ANodeThatStaysBusyIsLeftAloneButNotAway) {
  for (const char* code : {"busy", "disk_full", "io_error"}) {
    for (const char* op : {"upload", "submit", "status", "fetch"}) {
      answer(op, 1'000, FakeNode::failure(code, "too much"));
      node_->forget_uploads();
      expect_failure(carry(), Trouble::kBusy, "too much");
      EXPECT_EQ(gate_.breaker(), BreakerState::kClosed) << op;
    }
  }
}

TEST_F(NodeClientTest, ANodeThatAnswersQuestionsAndTakesNoChunkIsLeftAlone) {
  node_->meddle([](const json& request, std::optional<FakeNode::Reply>& reply) {
    if (request["op"] == "upload" && reply->body["have"] != 0) reply = FakeNode::failure("disk_full", "no room");
  });
  expect_failure(carry(), Trouble::kBusy, "no room");
  EXPECT_EQ(node_->count("upload"), 1 + NodeCalls::kBusyTries);
}

TEST_F(NodeClientTest, ARefusalEndsTheTrip) {
  for (const char* op : {"upload", "submit", "status", "fetch"}) {
    answer(op, 1'000, FakeNode::failure("unknown_network", "no such network"));
    expect_failure(carry(), Trouble::kRefused, "no such network");
    EXPECT_EQ(gate_.breaker(), BreakerState::kClosed) << op;
  }
}

TEST_F(NodeClientTest, AJobThatFailedThereIsRefused) {
  answer("status", 1'000, {{{"job", {{"state", "failed"}, {"error", {{"code", "corrupt_picture"}, {"message", "bad"}}}}}}, {}});
  expect_failure(carry(), Trouble::kRefused, "bad");
  answer("status", 1'000, {{{"job", {{"state", "failed"}, {"error", {{"code", "deadline_passed"}}}}}}, {}});
  expect_failure(carry(), Trouble::kTimeout, "");
  answer("status", 1'000, {{{"job", {{"state", "cancelled"}}}}, {}});
  expect_failure(carry(), Trouble::kRefused, "cancelled");
}

TEST_F(NodeClientTest, AnUploadThatTheNodeThrewAwayIsSentOnceMore) {
  bool is_thrown = false;
  node_->meddle([&](const json& request, std::optional<FakeNode::Reply>& reply) {
    if (request["op"] != "upload" || !reply->body.value("complete", false) || is_thrown) return;
    is_thrown = true;
    node_->forget_uploads();
    reply = FakeNode::failure("invalid_request", "another SHA-256");
  });
  expect_back(carry(), picture_);
  EXPECT_EQ(node_->uploaded(), 2 * picture_.size());
}

TEST_F(NodeClientTest, ARunningJobThatNeverEndsIsGivenUp) {
  node_->set_polls(1'000'000);
  node_->meddle([&](const json& request, std::optional<FakeNode::Reply>&) {
    if (request["op"] == "status") clock_.advance(seconds(5));
  });
  expect_failure(carry(), Trouble::kTimeout, "in time");
  EXPECT_LE(node_->count("status"), 181);
  node_->meddle({});
  client_->cancel(seconds(2), watch_);
  EXPECT_THAT(node_->states(), Each(std::string("cancelled")));
}

TEST_F(NodeClientTest, AStopIsNoticedWhileTheNodeIsSilent) {
  node_->meddle([&](const json& request, std::optional<FakeNode::Reply>& reply) {
    if (request["op"] != "status") return;
    reply.reset();
    is_stopped_ = true;
  });
  expect_failure(carry(), Trouble::kStopped, "");
  EXPECT_EQ(gate_.breaker(), BreakerState::kClosed);
}

TEST_F(NodeClientTest, RepliesThatNobodyWaitsForAreNoTrouble) {
  node_->meddle([](const json&, std::optional<FakeNode::Reply>& reply) { reply->body["twice"] = true; });
  expect_back(carry(), picture_);
}

TEST_F(NodeClientTest, RepliesWithForeignIdsAreNoAnswer) {
  auto count = std::make_shared<int>(0);
  node_->meddle([this, count](const json& request, std::optional<FakeNode::Reply>& reply) {
    if (request["op"] != "status" || ++*count > 1) return;
    reply->body["id"] = "somebody else's";
    reply->body["job"] = {{"state", "failed"}};
    clock_.advance(timing_.request);
  });
  expect_back(carry(), picture_);
}

TEST_F(NodeClientTest, AnswersThatMakeNoSenseEndTheTrip) {
  const std::string hash(64, 'a');
  const std::vector<std::pair<std::string, json>> nonsense{
      {"upload", json::object()},
      {"upload", {{"have", -1}, {"complete", false}}},
      {"upload", {{"have", 1e18}, {"complete", false}}},
      {"upload", {{"have", std::uint64_t{1} << 63}, {"complete", false}}},
      {"upload", {{"have", picture_.size() + 1}, {"complete", false}}},
      {"upload", {{"have", picture_.size()}, {"complete", false}}},
      {"upload", {{"have", 0}, {"complete", "yes"}}},
      {"upload", {{"have", 0}, {"complete", false}}},
      {"submit", json::object()},
      {"submit", {{"job", "x"}}},
      {"submit", {{"job", 0}}},
      {"submit", {{"job", nullptr}}},
      {"status", json::object()},
      {"status", {{"job", 5}}},
      {"status", {{"job", json::array({1})}}},
      {"status", {{"job", {{"state", 7}}}}},
      {"status", {{"job", {{"state", "done"}}}}},
      {"status", {{"job", {{"state", "done"}, {"size", -4}, {"sha256", hash}}}}},
      {"status", {{"job", {{"state", "done"}, {"size", 0}, {"sha256", hash}}}}},
      {"status", {{"job", {{"state", "done"}, {"size", 10}, {"sha256", "../../../etc/cron.d/x"}}}}},
      {"status", {{"job", {{"state", "done"}, {"size", std::uint64_t{10'000'000'000}}, {"sha256", hash}}}}},
      {"fetch", json::object()},
  };
  for (const auto& [op, body] : nonsense) {
    node_->forget_uploads();
    answer(op, 1'000, {body, {}});
    expect_failure(carry(), Trouble::kBadAnswer, "wrong answer");
    EXPECT_EQ(gate_.breaker(), BreakerState::kClosed);
  }
}

TEST_F(NodeClientTest, MoreThanWasAskedForIsRefused) {
  node_->meddle([](const json& request, std::optional<FakeNode::Reply>& reply) {
    if (request["op"] == "fetch") reply->content += std::string(1'000, 'x');
  });
  expect_failure(carry(), Trouble::kBadAnswer, "a part of the result");
}

TEST_F(NodeClientTest, AnUploadThatGoesBackAndForthEnds) {
  std::uint64_t turn = 0;
  node_->meddle([&](const json& request, std::optional<FakeNode::Reply>& reply) {
    if (request["op"] == "upload") reply->body = {{"have", ++turn % 2 == 0 ? 70'000 : 1}, {"complete", false}};
  });
  expect_failure(carry(), Trouble::kBadAnswer, "get on");
  EXPECT_LE(node_->count("upload"), 12);
}

TEST_F(NodeClientTest, PingsTellTheBreaker) {
  EXPECT_TRUE(client_->ping(watch_));
  lose("ping", 1);
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(client_->ping(watch_));
  EXPECT_EQ(gate_.breaker(), BreakerState::kOpen);
}

TEST_F(NodeClientTest, AConnectionThatCannotBeMadeIsALinkThatIsDown) {
  NodeClient client([]() -> Result<std::unique_ptr<wire::Client>> { return make_error(ErrorCode::kBadConfig, "no key file"); },
                    timing_, gate_, retries_, clock_);
  auto step = client.carry(trip_, watch_);
  expect_failure(std::move(step), Trouble::kLink, "no key file");
}

TEST_F(NodeClientTest, ADeadlineThatPassedOnTheWayIsNotSubmitted) {
  trip_.deadline = clock_.now() + seconds(1);
  node_->meddle([&](const json& request, std::optional<FakeNode::Reply>&) {
    if (request["op"] == "upload") clock_.advance(seconds(1));
  });
  expect_failure(carry(), Trouble::kTimeout, "deadline");
  EXPECT_EQ(node_->count("submit"), 0);
}

}  // namespace
}  // namespace retouchd::cloud
