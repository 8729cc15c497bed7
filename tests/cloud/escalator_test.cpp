#include "cloud/escalator.h"

#include <gmock/gmock.h>

#include <condition_variable>
#include <map>
#include <mutex>

#include "fake_node.h"
#include "image/orientation.h"
#include "pictures.h"
#include "queue/decision.h"
#include "tests/queue/store_fixture.h"

namespace retouchd::cloud {
namespace {

namespace fs = std::filesystem;
using config::Cloud;
using image::FileFormat;
using nlohmann::json;
using queue::Job;
using queue::JobId;
using queue::JobState;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::HasSubstr;

/// A good network, nearly: the same picture as a PNG.
std::string as_png(const std::string& picture) { return encoded(decoded(picture).colour, FileFormat::kPng); }

/// The real store and the real sockets; time stands still but where a test or the node moves it.
class EscalatorTest : public queue::StoreTest {
 protected:
  void SetUp() override {
    StoreTest::SetUp();
    store_->set_listener([this](const std::vector<queue::JobEvent>& events) { hear(events); });
    node_ = std::make_unique<FakeNode>((folder_.path() / "node.sock").string());
    node_->restore_by(as_png);
    cloud_.node = "tcp://node:1";
    cloud_.parallel = 2;
    cloud_.silence = minutes(10);
  }
  void TearDown() override {
    stop();
    store_.reset();
  }

  void start() {
    if (!gate_) gate_ = std::make_unique<Gate>(Gate::Options{cloud_, {}, {}}, clock_);
    EscalatorOptions options;
    options.cloud = cloud_;
    options.state_dir = folder_.path();
    options.connect = [this] { return wire::Client::connect(node_->endpoint()); };
    options.timing = {.request = seconds(10),
                      .first_poll = milliseconds(1),
                      .last_poll = milliseconds(1),
                      .first_pause = milliseconds(1),
                      .last_pause = milliseconds(1),
                      .slice = milliseconds(2)};
    options.tick = milliseconds(2);
    options.preview_megapixels = 0.5;
    EscalatorHooks hooks;
    hooks.ended = [this](std::string_view result) {
      const std::lock_guard lock(mutex_);
      ++ended_[std::string(result)];
    };
    hooks.local_estimate = [this](const Job&) { return estimate_; };
    hooks.progress = [this](JobId, std::int64_t, std::int64_t) { ++progress_; };
    auto escalator = std::make_unique<Escalator>(options, *store_, codec_, *gate_, hooks, clock_);
    Escalator* made = escalator.get();
    {
      const std::lock_guard lock(mutex_);
      escalator_ = std::move(escalator);
    }
    const auto started = made->start();
    ASSERT_TRUE(started) << started.error().message;
  }
  void stop() {
    std::unique_ptr<Escalator> gone;
    {
      const std::lock_guard lock(mutex_);
      gone = std::move(escalator_);
    }
    gone.reset();
  }

  /// A job with this picture, sent away.
  Job escalate(const std::string& key, const ByteVector& picture, const std::string& code = "below_threshold",
               UnixMillis deadline = kNever, bool has_preview = true) {
    auto wanted = request(key);
    wanted.source = folder_.path() / "Holidays in Rome" / (key + ".jpg");
    write_bytes(wanted.source, picture);
    wanted.identity = *identify_file(wanted.source);
    wanted.deadline = deadline;
    accept(wanted);
    const Job claimed = claim_one();
    EXPECT_TRUE(!has_preview || store_->record_preview(claim_of(claimed), folder_.path() / "p.jpg", "{}"));
    queue::Decision decision;
    decision.policy = "hybrid";
    decision.route = queue::Route::kCloud;
    decision.code = code;
    decision.reason = "the preview lost much";
    decision.node = cloud_.node;
    EXPECT_TRUE(store_->escalate(claim_of(claimed), to_text(decision)));
    return claimed;
  }
  Job escalate(const std::string& key) { return escalate(key, secret_jpeg(160, 120, 1)); }

  void hear(const std::vector<queue::JobEvent>& events) {
    const std::lock_guard lock(mutex_);
    if (escalator_ && !is_deaf_) escalator_->on_events(events);
    for (const auto& event : events) heard_[event.job].push_back(event);
    changed_.notify_all();
  }
  /// The event, once it has come.
  json await(JobId job, const std::string& kind) {
    std::unique_lock lock(mutex_);
    std::optional<json> found;
    const bool came = changed_.wait_for(lock, seconds(60), [&] {
      for (const auto& event : heard_[job]) {
        if (event.kind == kind) found = json::parse(event.body);
      }
      return found.has_value();
    });
    EXPECT_TRUE(came) << kind << " did not come";
    return found.value_or(json::object());
  }
  /// The decision of a job that fell back.
  queue::Decision fallback_of(JobId id) {
    (void)await(id, "fell_back");
    const Job now = job(id);
    EXPECT_EQ(now.state, JobState::kQueued);
    EXPECT_TRUE(now.returned.empty());
    auto decision = queue::decision_from_text(now.decision);
    EXPECT_TRUE(decision);
    return decision ? *decision : queue::Decision();
  }
  [[nodiscard]] int ended(const std::string& result) {
    const std::lock_guard lock(mutex_);
    return ended_[result];
  }
  [[nodiscard]] std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_.path() / "escalated")) names.push_back(entry.path().filename());
    return names;
  }
  void be_silent() {
    node_->meddle([this](const json&, std::optional<FakeNode::Reply>& reply) {
      reply.reset();
      clock_.advance(seconds(10));
    });
  }
  /// Until `condition`, while the escalator works.
  template <class Condition>
  void await_that(Condition condition) {
    const auto until = std::chrono::steady_clock::now() + seconds(60);
    while (!condition()) {
      ASSERT_LT(std::chrono::steady_clock::now(), until);
      std::this_thread::yield();
    }
  }

  /// The same while the hand clock runs, ten times as fast as ours: fast enough for pauses, slow enough for answers.
  template <class Condition>
  void await_with_running_clock(Condition condition) {
    auto then = std::chrono::steady_clock::now();
    await_that([&] {
      const auto passed = std::chrono::floor<milliseconds>(std::chrono::steady_clock::now() - then);
      then += passed;
      clock_.advance(10 * passed);
      return condition();
    });
  }

  Cloud cloud_;
  std::unique_ptr<FakeNode> node_;
  std::unique_ptr<Gate> gate_;
  milliseconds estimate_{0};
  std::atomic<int> progress_ = 0;
  std::atomic<bool> is_deaf_ = false;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<JobId, std::vector<queue::JobEvent>> heard_;
  std::map<std::string, int> ended_;
  image::LocalCodec codec_;
  std::unique_ptr<Escalator> escalator_;
};

TEST_F(EscalatorTest, APictureComesBackUpright) {
  start();
  const auto picture = secret_jpeg(160, 120, 6);
  const Job away = escalate("a", picture);
  const json body = await(away.id, "returned");
  EXPECT_EQ(body["node"], cloud_.node);
  EXPECT_EQ(body["remote_job"], 100);
  EXPECT_GT(body["sent"], 1'000);
  EXPECT_GT(body["received"], 1'000);
  const Job back = job(away.id);
  EXPECT_EQ(back.state, JobState::kQueued);
  EXPECT_EQ(back.returned, folder_.path() / "escalated" / "1.1.png");
  EXPECT_EQ(image::testing::largest_difference(decoded(read_bytes(back.returned)).colour, decoded(text_of(picture)).colour), 0);
  const auto decision = queue::decision_from_text(back.decision);
  ASSERT_TRUE(decision);
  EXPECT_EQ(decision->route, queue::Route::kCloud);
  EXPECT_EQ(decision->fallback, "");
  stop();
  EXPECT_EQ(ended("returned"), 1);
  EXPECT_GE(progress_, 1);
  EXPECT_THAT(files(), testing::ElementsAre("1.1.png"));
}

TEST_F(EscalatorTest, NothingButPixelsLeavesTheHouse) {
  const Job jpeg = escalate("Grandma", secret_jpeg(160, 120, 6));
  auto picture = image::testing::make_picture(70, 50, CV_16UC3, true);
  auto metadata = std::make_shared<image::Metadata>();
  metadata->exif = image::testing::make_exif(1);
  metadata->xmp = image::testing::make_xmp();
  metadata->icc = image::testing::make_icc("RGB ");
  picture.metadata = metadata;
  const Job tiff = escalate("Grandpa", bytes_of_text(encoded(picture, FileFormat::kTiff)));
  start();
  (void)await(jpeg.id, "returned");
  (void)await(tiff.id, "returned");
  const std::string received = node_->received();
  for (const auto& secret : kSecrets) EXPECT_EQ(received.find(secret), std::string::npos) << secret;
  for (const char* name : {"Grandma", "Grandpa", "Holidays", "Rome", ".tif"})
    EXPECT_EQ(received.find(name), std::string::npos) << name;
  EXPECT_EQ(received.find(folder_.path().string()), std::string::npos);
  const std::string id = read_text(folder_.path() / "edge_id");
  EXPECT_EQ(node_->requests("submit")[0]["key"].get<std::string>().substr(0, 33), id + ":");
}

TEST_F(EscalatorTest, ManyPicturesAreUnderWayAtOnce) {
  std::vector<Job> jobs;
  for (int i = 0; i < 12; ++i) jobs.push_back(escalate("p" + std::to_string(i)));
  start();
  for (const auto& away : jobs) (void)await(away.id, "returned");
  EXPECT_EQ(node_->restored(), 12);
}

TEST_F(EscalatorTest, WhenTheNodeFallsSilentEverythingFallsBack) {
  be_silent();
  std::vector<Job> jobs;
  for (int i = 0; i < 8; ++i) jobs.push_back(escalate("p" + std::to_string(i)));
  start();
  for (const auto& away : jobs) {
    const auto decision = fallback_of(away.id);
    EXPECT_EQ(decision.fallback, "local_full");
    EXPECT_EQ(decision.route, queue::Route::kLocal);
    EXPECT_EQ(decision.code, "node_away");
    EXPECT_THAT(decision.reason, HasSubstr("the preview lost much, but the cloud node"));
  }
  stop();
  EXPECT_EQ(ended("node_away"), 8);
  EXPECT_TRUE(files().empty());
}

TEST_F(EscalatorTest, TheFallbackMayBeThePreview) {
  cloud_.fallback = Cloud::Fallback::kLocalPreview;
  be_silent();
  const Job with = escalate("with");
  const Job without = escalate("without", secret_jpeg(160, 120, 1), "below_threshold", kNever, false);
  start();
  const auto decision = fallback_of(with.id);
  EXPECT_EQ(decision.fallback, "local_preview");
  EXPECT_EQ(decision.route, queue::Route::kLevel);
  EXPECT_EQ(decision.level_megapixels, 0.5);
  EXPECT_EQ(fallback_of(without.id).fallback, "local_full") << "there is no preview";
}

TEST_F(EscalatorTest, WithQueueAPictureWaitsUntilTheNodeIsBack) {
  cloud_.fallback = Cloud::Fallback::kQueue;
  be_silent();
  start();
  const Job away = escalate("a");
  await_that([&] { return gate_->breaker() != BreakerState::kClosed; });
  EXPECT_EQ(job(away.id).state, JobState::kEscalated);
  node_->meddle({});
  await_with_running_clock([&] { return job(away.id).state == JobState::kQueued; });
  EXPECT_FALSE(job(away.id).returned.empty());
  EXPECT_GE(node_->count("ping"), 1) << "the breaker was closed by a ping";
  EXPECT_EQ(gate_->breaker(), BreakerState::kClosed);
}

TEST_F(EscalatorTest, WithQueueABusyNodeIsTriedAgainLater) {
  cloud_.fallback = Cloud::Fallback::kQueue;
  std::atomic<bool> is_full{true};
  node_->meddle([&](const json& request, std::optional<FakeNode::Reply>& reply) {
    if (is_full && request["op"] == "upload") reply = FakeNode::failure("disk_full", "no room");
  });
  start();
  const Job away = escalate("a");
  await_that([&] { return ended("node_away") == 1; });
  is_full = false;
  await_with_running_clock([&] { return job(away.id).state == JobState::kQueued; });
  EXPECT_FALSE(job(away.id).returned.empty());
}

TEST_F(EscalatorTest, ABusyNodeMeansFallbackOtherwise) {
  node_->meddle([](const json& request, std::optional<FakeNode::Reply>& reply) {
    if (request["op"] == "submit") reply = FakeNode::failure("busy", "the queue is full");
  });
  start();
  const auto decision = fallback_of(escalate("a").id);
  EXPECT_EQ(decision.fallback, "local_full");
  EXPECT_THAT(decision.reason, HasSubstr("the queue is full"));
  EXPECT_EQ(gate_->breaker(), BreakerState::kClosed);
}

TEST_F(EscalatorTest, ARefusalForGoodFallsBackEvenFromTheQueue) {
  cloud_.fallback = Cloud::Fallback::kQueue;
  node_->meddle([](const json& request, std::optional<FakeNode::Reply>& reply) {
    if (request["op"] == "submit") reply = FakeNode::failure("unknown_network", "no such network");
  });
  start();
  const auto decision = fallback_of(escalate("a").id);
  EXPECT_EQ(decision.fallback, "local_full");
  EXPECT_EQ(decision.code, "refused");
  EXPECT_EQ(gate_->breaker(), BreakerState::kClosed);
  stop();
  EXPECT_EQ(ended("refused"), 1);
}

TEST_F(EscalatorTest, AWrongResultIsNeverTaken) {
  start();
  const cv::Mat other = image::testing::make_pattern(120, 160, CV_8UC3);
  const std::string good = encoded(image::testing::make_pattern(160, 120, CV_8UC3), FileFormat::kPng);
  const std::map<std::string, std::string> results{
      {"flat", encoded(cv::Mat(120, 160, CV_8UC3, cv::Scalar::all(115)), FileFormat::kPng)},
      {"black", encoded(cv::Mat(120, 160, CV_8UC3, cv::Scalar::all(0)), FileFormat::kPng)},
      {"turned", encoded(other, FileFormat::kPng)},
      {"garbled", good.substr(0, good.size() / 2) + std::string(good.size() / 2, 'x')},
      {"cut", good.substr(0, good.size() / 2)},
      {"script", "#!/bin/sh\nrm -rf /"},
      {"bomb", text_of(image::testing::write_png({.width = 1'000'000'000, .height = 1'000'000'000}, {}, ByteVector(10)))},
  };
  for (const auto& [name, result] : results) {
    node_->restore_by([&](const std::string&) { return result; });
    const JobId id = escalate(name).id;
    const auto decision = fallback_of(id);
    EXPECT_EQ(decision.code, "bad_answer") << name;
    EXPECT_EQ(decision.fallback, "local_full") << name;
    EXPECT_TRUE(store_->cancel(id));  // out of the way of the next one
  }
  stop();
  EXPECT_EQ(ended("bad_answer"), static_cast<int>(results.size()));
  EXPECT_TRUE(files().empty());
}

TEST_F(EscalatorTest, AResultThatIsNotWhatWasAnnouncedIsNeverTaken) {
  start();
  const auto with_status = [this](const std::string& name, const json& fields) {
    node_->meddle([fields](const json& request, std::optional<FakeNode::Reply>& reply) {
      if (request["op"] == "status" && reply->body["job"]["state"] == "done") reply->body["job"].update(fields);
    });
    const JobId id = escalate(name).id;
    const auto decision = fallback_of(id);
    EXPECT_TRUE(store_->cancel(id));  // out of the way of the next one
    return decision;
  };
  EXPECT_EQ(with_status("hash", {{"sha256", std::string(64, '0')}}).code, "bad_answer");
  EXPECT_EQ(with_status("short", {{"size", 100}}).code, "bad_answer");
  const auto huge = with_status("huge", {{"size", std::uint64_t{10} << 30}});
  EXPECT_EQ(huge.code, "bad_answer");
  EXPECT_THAT(huge.reason, HasSubstr("10 GiB"));
}

TEST_F(EscalatorTest, ANodeThatNeverEndsIsGivenUpAndTold) {
  node_->set_polls(1'000'000);
  node_->meddle([this](const json& request, std::optional<FakeNode::Reply>&) {
    if (request["op"] == "status") clock_.advance(seconds(5));
  });
  start();
  const Job away = escalate("a");
  EXPECT_EQ(fallback_of(away.id).code, "timeout");
  EXPECT_THAT(node_->states(), testing::ElementsAre("cancelled"));
}

TEST_F(EscalatorTest, ACancelIsRelayed) {
  node_->set_polls(1'000'000);
  start();
  const Job away = escalate("a");
  await_that([&] { return node_->count("status") > 3; });
  ASSERT_TRUE(store_->cancel(away.id));
  await_that([&] { return node_->states() == std::vector<std::string>{"cancelled"}; });
  await_that([&] { return files().empty(); });
  stop();
  EXPECT_EQ(ended("cancelled"), 1);
  EXPECT_EQ(job(away.id).state, JobState::kCancelled);
}

TEST_F(EscalatorTest, AResultThatCameTooLateIsDropped) {
  start();
  node_->meddle([&](const json& request, std::optional<FakeNode::Reply>&) {
    if (request["op"] != "fetch") return;
    is_deaf_ = true;  // the escalator learns of it from the store only
    (void)store_->cancel(1);
  });
  const Job away = escalate("a");
  await_that([&] { return ended("cancelled") == 1; });
  await_that([&] { return files().empty(); });
  EXPECT_EQ(job(away.id).state, JobState::kCancelled);
}

TEST_F(EscalatorTest, ARestartGoesOnWhereItWas) {
  node_->set_polls(1'000'000);
  start();
  const Job away = escalate("a");
  await_that([&] { return node_->count("status") > 3; });
  stop();
  EXPECT_EQ(job(away.id).state, JobState::kEscalated);
  const auto uploaded = node_->uploaded();
  node_->set_polls(0);
  node_->forget_uploads();
  node_->finish();
  start();
  (void)await(away.id, "returned");
  EXPECT_EQ(node_->restored(), 1);
  EXPECT_EQ(node_->uploaded(), uploaded);
}

TEST_F(EscalatorTest, ARestartInTheMiddleOfAnUploadSendsTheRest) {
  cv::Mat noise(600, 800, CV_8UC3);
  cv::RNG(3).fill(noise, cv::RNG::UNIFORM, 0, 255);
  std::atomic<int> chunks = 0;
  node_->meddle([&](const json& request, std::optional<FakeNode::Reply>& reply) {
    if (request["op"] == "upload" && ++chunks >= 3) reply.reset();  // and time stands still
  });
  start();
  const Job away = escalate("a", bytes_of_text(encoded(noise, FileFormat::kPng)));
  await_that([&] { return chunks >= 3; });
  stop();
  node_->meddle({});
  start();
  (void)await(away.id, "returned");
  std::uint64_t size = 0;
  for (const auto& upload : node_->requests("upload")) size = upload["size"];
  EXPECT_EQ(node_->uploaded(), size) << "nothing is sent twice";
}

TEST_F(EscalatorTest, StopsWhileTheNodeIsSilent) {
  node_->meddle([](const json&, std::optional<FakeNode::Reply>& reply) { reply.reset(); });
  start();
  const Job away = escalate("a");
  await_that([&] { return node_->count("upload") > 0; });
  stop();
  EXPECT_EQ(job(away.id).state, JobState::kEscalated);
  EXPECT_EQ(gate_->breaker(), BreakerState::kClosed);
}

TEST_F(EscalatorTest, ASourceThatChangedGoesBackToThePipeline) {
  cloud_.fallback = Cloud::Fallback::kQueue;
  const Job changed = escalate("changed");
  write_bytes(changed.request.source, secret_jpeg(161, 120, 1));
  const Job gone = escalate("gone");
  fs::remove(gone.request.source);
  start();
  for (const auto& away : {changed, gone}) {
    const auto decision = fallback_of(away.id);
    EXPECT_EQ(decision.code, "source_changed");
    EXPECT_EQ(decision.fallback, "local_full");
  }
  EXPECT_EQ(node_->uploaded(), 0U);
}

TEST_F(EscalatorTest, APictureIsTakenBackInTimeForItsDeadline) {
  estimate_ = minutes(2);
  node_->set_polls(1'000'000);
  node_->meddle([this](const json& request, std::optional<FakeNode::Reply>&) {
    if (request["op"] == "status") clock_.advance(seconds(5));
  });
  start();
  const auto deadline = clock_.now() + minutes(5);
  const Job away = escalate("a", secret_jpeg(160, 120, 1), "below_threshold", deadline);
  EXPECT_EQ(fallback_of(away.id).fallback, "local_full");
  EXPECT_LE(clock_.now(), deadline - minutes(2) + seconds(20)) << "there is time to do it here";
  EXPECT_EQ(node_->requests("submit")[0]["deadline_seconds"], 300);
}

TEST_F(EscalatorTest, WhatWaitsInTheQueueIsTakenBackForItsDeadlineToo) {
  cloud_.fallback = Cloud::Fallback::kQueue;
  estimate_ = seconds(1);
  be_silent();
  start();
  const Job away = escalate("a", secret_jpeg(160, 120, 1), "below_threshold", clock_.now() + minutes(500));
  await_that([&] { return gate_->breaker() == BreakerState::kOpen; });
  clock_.advance(minutes(500));
  EXPECT_EQ(fallback_of(away.id).code, "deadline");
}

TEST_F(EscalatorTest, WhatWasEscalatedWithoutAPermitWaitsForOne) {
  cloud_.fallback = Cloud::Fallback::kQueue;
  cloud_.escalations_per_hour = 1;
  gate_ = std::make_unique<Gate>(Gate::Options{cloud_, {}, {}}, clock_);
  ASSERT_TRUE(gate_->ask({}).granted);
  const Job paid = escalate("paid");
  const Job unpaid = escalate("unpaid", secret_jpeg(160, 120, 1), "over_budget");
  start();
  (void)await(paid.id, "returned");
  await_that([&] { return ended("over_budget") == 1; });
  EXPECT_EQ(job(unpaid.id).state, JobState::kEscalated);
  clock_.advance(minutes(60));
  (void)await(unpaid.id, "returned");
  EXPECT_FALSE(job(unpaid.id).returned.empty());
  EXPECT_EQ(gate_->status().escalations_left, 0) << "it was paid then";
}

TEST_F(EscalatorTest, FilesGoWhenTheirJobEnds) {
  start();
  const Job away = escalate("a");
  (void)await(away.id, "returned");
  const Job again = claim_one();
  EXPECT_EQ(again.returned, job(away.id).returned);
  ASSERT_TRUE(store_->begin_publishing(claim_of(again), publication("a")));
  EXPECT_TRUE(fs::exists(again.returned));
  ASSERT_TRUE(store_->complete(claim_of(again), "{}"));
  await_that([&] { return files().empty(); });
}

TEST_F(EscalatorTest, AJobMayBeSentAwayTwice) {
  start();
  const Job away = escalate("a");
  (void)await(away.id, "returned");
  const Job again = claim_one();
  ASSERT_TRUE(store_->escalate(claim_of(again), again.decision));
  await_that([&] { return job(away.id).state == JobState::kQueued; });
  EXPECT_EQ(job(away.id).returned.filename(), "1.2.png");
  EXPECT_EQ(node_->restored(), 2) << "another claim, another key";
}

TEST_F(EscalatorTest, ANodeThatIsNotConfiguredAnyMoreMeansFallback) {
  start();
  auto other = cloud_;
  other.node.clear();
  escalator_->configure(other, {});
  EXPECT_EQ(fallback_of(escalate("a").id).fallback, "local_full");
  EXPECT_EQ(node_->uploaded(), 0U);
}

}  // namespace
}  // namespace retouchd::cloud
