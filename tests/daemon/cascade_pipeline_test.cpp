// Where pictures go: levels, previews, other machines, nowhere.
#include <opencv2/imgproc.hpp>

#include "queue/decision.h"
#include "stages/gain_predictor.h"
#include "tests/daemon/pipeline_fixture.h"

namespace retouchd::daemon {
namespace {

namespace fs = std::filesystem;

class CascadePipelineTest : public PipelineTest {
 protected:
  CascadePipelineTest() { options_.settings.preview_megapixels = 0.05; }

  /// As soft as an enlarged thumbnail: it loses nothing when it is made smaller.
  static image::Picture soft_picture(int width, int height) {
    image::Picture picture = random_picture(8, 6, CV_8UC3);
    cv::resize(picture.colour, picture.colour, {width, height}, 0, 0, cv::INTER_CUBIC);
    return picture;
  }

  queue::JobRequest with_policy(const std::string& policy) {
    queue::JobRequest request;
    request.policy = policy;
    return request;
  }

  queue::Decision decision_of(queue::JobId job) {
    const auto decision = queue::decision_from_text(store_->get(job)->decision);
    EXPECT_TRUE(decision) << decision.error().message;
    return decision ? *decision : queue::Decision{};
  }

  /// Pictures can be sent to a node that takes all of them.
  void add_node(queue::Route route) {
    stages::Node node;
    node.route = route;
    node.address = "tcp://cloud:1";
    node.ask = [](Bytes, UnixMillis) { return stages::Permit{true, {}, {}}; };
    node_ = node;
  }
};

TEST_F(CascadePipelineTest, EveryJobTellsItsScoreAndWhyItWasRestoredHere) {
  start();
  const auto job = submit(put("a.png", random_picture(800, 600, CV_8UC3)));
  wait_for(job, "done");
  const auto decision = decision_of(job);
  EXPECT_EQ(decision.route, queue::Route::kLocal);
  EXPECT_EQ(decision.code, "policy");
  ASSERT_TRUE(decision.score);
  EXPECT_TRUE(decision.parts->consistency_db) << "the preview was looked at";
}

TEST_F(CascadePipelineTest, ThePreviewIsTheResultWhenOnlyThatWasAskedFor) {
  start();
  queue::JobRequest request;
  request.preview_only = true;
  request.preview = false;
  const auto job = submit(put("a.png", random_picture(800, 600, CV_8UC3)), request);
  wait_for(job, "done");
  EXPECT_EQ(result_of(job).size(), cv::Size(258, 193));
  EXPECT_EQ(decision_of(job).route, queue::Route::kPreview);
}

TEST_F(CascadePipelineTest, ProgressiveEndsWithThePreviewOfASoftPicture) {
  MirrorDevice& device = add_device("mirror");
  start();
  const auto picture = soft_picture(1200, 900);
  const auto job = submit(put("a.png", picture), with_policy("progressive"));
  EXPECT_THAT(wait_for(job, "done"), testing::ElementsAre("accepted", "started", "preview", "decided", "done"));
  EXPECT_EQ(decision_of(job).code, "good_enough");
  EXPECT_EQ(decision_of(job).level_megapixels, 0.05);
  EXPECT_EQ(result_of(job).size(), picture.colour.size());
  EXPECT_LT(cv::norm(result_of(job), picture.colour, cv::NORM_L1) / static_cast<double>(picture.colour.total() * 3), 1.0);
  EXPECT_EQ(device.sizes().size(), 1U) << "the preview was the only thing that the network saw";
}

TEST_F(CascadePipelineTest, ProgressiveGoesUpThroughItsLevelsToTheFullPictureWhereDetailWouldBeLost) {
  options_.settings.levels = {0.2, 0.4, 50.0};
  start();
  cv::theRNG().state = 1;
  image::Picture picture = soft_picture(1200, 900);
  for (int i = 0; i < 400; ++i) {  // thin lines, not noise
    cv::line(picture.colour, {cv::theRNG().uniform(0, 1200), cv::theRNG().uniform(0, 900)},
             {cv::theRNG().uniform(0, 1200), cv::theRNG().uniform(0, 900)}, cv::Scalar::all(cv::theRNG().uniform(0, 255)));
  }
  const auto job = submit(put("a.png", picture), with_policy("progressive"));
  EXPECT_THAT(wait_for(job, "done"),
              testing::ElementsAre("accepted", "started", "preview", "decided", "level", "level", "decided", "done"));
  EXPECT_EQ(decision_of(job).code, "all_levels");
  EXPECT_EQ(cv::norm(result_of(job), picture.colour, cv::NORM_INF), 0.0);
  EXPECT_TRUE(fs::exists(options_.previews / (std::to_string(job) + ".0.2mp.jpg"))) << "each level is there to be used";
}

TEST_F(CascadePipelineTest, AnEscalatedPictureLeavesThePipelineAndComesBackAsWhatTheNodeMadeOfIt) {
  add_node(queue::Route::kCloud);
  options_.settings.threshold = 1.0;  // nothing is good enough
  start();
  const auto picture = random_picture(800, 600, CV_8UC3);
  const auto job = submit(put("a.png", picture), with_policy("hybrid"));
  wait_for(job, "escalated");
  while (pipeline_->in_flight() > 0 || pipeline_->memory_reserved() > Bytes{0}) std::this_thread::yield();
  const auto escalated = store_->get(job);
  EXPECT_EQ(escalated->state, queue::JobState::kEscalated);

  image::Picture answer;
  answer.colour = cv::Scalar::all(255) - picture.colour;
  const fs::path returned = put("returned.png", answer);
  ASSERT_TRUE(store_->take_back({job, escalated->epoch}, escalated->decision, returned, "{}"));
  wait_for(job, "done");
  EXPECT_EQ(cv::norm(result_of(job), answer.colour, cv::NORM_INF), 0.0);
  EXPECT_EQ(nlohmann::json::parse(store_->get(job)->details)["route"], "cloud");
}

TEST_F(CascadePipelineTest, APictureWhoseAnswerCannotBeUsedIsRestoredHere) {
  add_node(queue::Route::kCloud);
  options_.settings.threshold = 1.0;
  start();
  const auto picture = random_picture(800, 600, CV_8UC3);
  const auto job = submit(put("a.png", picture), with_policy("hybrid"));
  wait_for(job, "escalated");
  const auto escalated = store_->get(job);
  const fs::path returned = put("returned.png", random_picture(799, 600, CV_8UC3));  // of another size
  ASSERT_TRUE(store_->take_back({job, escalated->epoch}, escalated->decision, returned, "{}"));
  wait_for(job, "done");
  EXPECT_EQ(cv::norm(result_of(job), picture.colour, cv::NORM_INF), 0.0);
  EXPECT_EQ(decision_of(job).code, "bad_answer");
  EXPECT_EQ(decision_of(job).fallback, "local_full");
}

TEST_F(CascadePipelineTest, WhatFellBackIsRestoredAsTheFallbackSaysAndNotEscalatedAgain) {
  add_node(queue::Route::kCloud);
  options_.settings.threshold = 1.0;
  start();
  const auto picture = random_picture(800, 600, CV_8UC3);
  for (const bool preview : {false, true}) {
    const auto job = submit(put(preview ? "b.png" : "a.png", picture), with_policy("hybrid"));
    wait_for(job, "escalated");
    auto decision = decision_of(job);
    decision.route = preview ? queue::Route::kLevel : queue::Route::kLocal;
    decision.fallback = preview ? "local_preview" : "local_full";
    ASSERT_TRUE(store_->take_back({job, store_->get(job)->epoch}, queue::to_text(decision), {}, "{}"));
    const auto events = wait_for(job, "done");
    EXPECT_EQ(std::count(events.begin(), events.end(), "escalated"), 1);
    EXPECT_EQ(std::count(events.begin(), events.end(), "preview"), 1);
    const bool is_exact = cv::norm(result_of(job), picture.colour, cv::NORM_INF) == 0.0;
    EXPECT_EQ(is_exact, !preview);
    EXPECT_EQ(result_of(job).size(), picture.colour.size());
  }
}

/// A model server beside the local device, both mirrors.
class ServerPipelineTest : public CascadePipelineTest {
 protected:
  ServerPipelineTest() {
    options_.settings.threshold = 1.0;
    options_.server_worker.hopeless = std::chrono::seconds(0);
    options_.server_worker.first_probe = std::chrono::milliseconds(1);
    auto device = std::make_unique<MirrorDevice>("server");
    far_ = device.get();
    devices_.push_back(far_);
    std::vector<std::unique_ptr<inference::Device>> one;
    one.push_back(std::move(device));
    servers_ = std::make_unique<stages::DevicePool>(std::move(one), measurements_, pool_options_);
    add_node(queue::Route::kServer);
    server_ = stages::ServerAccess{servers_.get(), [this](const std::string& network) { return networks_.find(network); },
                                   [this] { ++succeeded_; }, [this] { ++failed_; }};
  }

  MirrorDevice* far_ = nullptr;
  std::unique_ptr<stages::DevicePool> servers_;
  std::atomic<int> succeeded_ = 0;
  std::atomic<int> failed_ = 0;
};

TEST_F(ServerPipelineTest, TilesOfAnEscalatedPictureGoToTheServer) {
  MirrorDevice& here = add_device("here");
  start();
  const auto picture = random_picture(1100, 900, CV_8UC3);
  const auto job = submit(put("a.png", picture), with_policy("hybrid"));
  wait_for(job, "done");
  EXPECT_EQ(cv::norm(result_of(job), picture.colour, cv::NORM_INF), 0.0);
  EXPECT_EQ(decision_of(job).route, queue::Route::kServer);
  EXPECT_GE(far_->sizes().size(), 1U);
  EXPECT_EQ(here.sizes().size(), 1U) << "the preview is made here";
  EXPECT_EQ(succeeded_, 1);
}

TEST_F(ServerPipelineTest, APictureThatTheServerDropsIsRestoredHereWithoutAnAttempt) {
  start();
  wait_for(submit(put("first.png", random_picture(640, 480, CV_8UC3)), with_policy("hybrid")), "done");  // it is loaded
  far_->lose(true);
  const auto picture = random_picture(1100, 900, CV_8UC3);
  const auto job = submit(put("a.png", picture), with_policy("hybrid"));
  wait_for(job, "done");
  EXPECT_EQ(cv::norm(result_of(job), picture.colour, cv::NORM_INF), 0.0);
  EXPECT_EQ(decision_of(job).route, queue::Route::kLocal);
  EXPECT_EQ(decision_of(job).fallback, "local_full");
  EXPECT_EQ(store_->get(job)->attempts, 0);
  EXPECT_GE(failed_, 1);
}

TEST_F(ServerPipelineTest, AModelThatIsGoneIsNotALostServer) {
  start();
  wait_for(submit(put("first.png", random_picture(640, 480, CV_8UC3)), with_policy("hybrid")), "done");  // it is loaded
  far_->lose(true, ErrorCode::kBadWeights);
  const auto job = submit(put("a.png", random_picture(700, 600, CV_8UC3)), with_policy("hybrid"));
  wait_for(job, "done");
  EXPECT_EQ(decision_of(job).fallback, "local_full");
  EXPECT_TRUE(servers_->any_up()) << "pictures for its other models still go there";
}

TEST_F(ServerPipelineTest, WithTheFallbackQueueAPictureWaitsForItsPermit) {
  options_.settings.fallback = stages::Settings::Fallback::kQueue;
  node_->ask = [](Bytes, UnixMillis) { return queue::Permit{false, "over_budget", "the budget is used up"}; };
  start();
  const auto job = submit(put("a.png", random_picture(700, 600, CV_8UC3)), with_policy("hybrid"));
  wait_for(job, "waiting");
  EXPECT_EQ(store_->get(job)->state, queue::JobState::kQueued);
  EXPECT_EQ(store_->get(job)->error->message, "the budget is used up");
  EXPECT_EQ(decision_of(job).code, "over_budget");
  EXPECT_EQ(far_->sizes().size(), 0U);
}

TEST_F(CascadePipelineTest, AGoodPictureIsPassedOnByteForByteUpToTheShare) {
  // Every picture looks good to this one.
  const fs::path file = temporary_.write("skip-good.json", [] {
    auto predictor = nlohmann::json::parse(*read_file(fs::path(RETOUCHD_SOURCE_DIR) / "models/skip-good.json", mebibytes(1)));
    predictor["threshold"] = 1.0;
    return predictor.dump();
  }());
  const auto predictor = stages::GainPredictor::load(file);
  ASSERT_TRUE(predictor) << predictor.error().message;
  options_.settings.gain = std::make_shared<const stages::GainPredictor>(*predictor);
  options_.settings.skip_share = 0.5;
  start();
  queue::JobRequest request;
  request.skip_good = true;
  int skipped = 0;
  for (int i = 0; i < 4; ++i) {
    const fs::path source = put("p" + std::to_string(i) + ".png", soft_picture(800, 600 + i));
    const auto job = submit(source, request);
    wait_for(job, "done");
    if (decision_of(job).route != queue::Route::kSkip) continue;
    ++skipped;
    EXPECT_EQ(*sha256_hex_of_file(store_->get(job)->output), *sha256_hex_of_file(source));
  }
  EXPECT_EQ(skipped, 2);
}

}  // namespace
}  // namespace retouchd::daemon
