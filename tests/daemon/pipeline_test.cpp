// Devices, memory, restarts: the pipeline as a whole.
#include "tests/daemon/pipeline_fixture.h"

namespace retouchd::daemon {
namespace {

namespace fs = std::filesystem;

TEST_F(PipelineTest, EveryDepthAndChannelCountComesThroughUnchanged) {
  start();
  for (const int type : {CV_8UC3, CV_8UC1, CV_16UC3, CV_16UC1}) {
    const auto picture = random_picture(700, 300 + type, type);
    const auto job = submit(put("type" + std::to_string(type) + ".png", picture));
    wait_for(job, "done");
    EXPECT_EQ(cv::norm(result_of(job), picture.colour, cv::NORM_INF), 0.0) << type;
  }
}

TEST_F(PipelineTest, PreviewIsAnnouncedBeforeTheResultAndIsSmall) {
  options_.settings.preview_megapixels = 0.05;
  start();
  const auto job = submit(put("large.png", random_picture(800, 600, CV_8UC3)));
  EXPECT_THAT(wait_for(job, "done"), testing::ElementsAre("accepted", "started", "preview", "decided", "done"));
  const auto file = read_file(store_->get(job)->preview, mebibytes(1));
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_LE(image::read_header(*file, {})->megapixels(), 0.05);
}

TEST_F(PipelineTest, TilesOfSeveralPicturesShareABatch) {
  MirrorDevice& device = add_device("mirror");
  device.hold();
  start();
  std::vector<queue::JobId> jobs;
  for (int i = 0; i < 8; ++i)
    jobs.push_back(submit(put("p" + std::to_string(i) + ".png", random_picture(400 + i, 300, CV_8UC3))));
  device.wait_until_busy();
  while (waiting_for("infer") < 4) std::this_thread::yield();  // tiles of several pictures
  device.release();
  for (const auto job : jobs) wait_for(job, "done");
  EXPECT_GE(observer_.most_pictures, 2U);
}

TEST_F(PipelineTest, ADeviceThatFailsOnceCostsNothingButTheTile) {
  add_device("mirror").plan({MirrorDevice::Fate::kFails});
  start();
  const auto picture = random_picture(100, 100, CV_8UC3);
  const auto job = submit(put("a.png", picture));
  EXPECT_THAT(wait_for(job, "done"), testing::ElementsAre("accepted", "started", "decided", "done"));
  EXPECT_EQ(cv::norm(result_of(job), picture.colour, cv::NORM_INF), 0.0);
}

TEST_F(PipelineTest, ATileThatFailsOnAHealthyDeviceFailsItsJobAfterItsAttempts) {
  add_device("mirror").plan(1000, MirrorDevice::Fate::kFails);
  options_.retry.attempts = 2;
  start();
  const auto job = submit(put("a.png", random_picture(100, 100, CV_8UC3)));
  wait_for(job, "failed");
  const auto ended = store_->get(job);
  EXPECT_EQ(ended->error->code, ErrorCode::kDeviceFailed);
  EXPECT_EQ(ended->error->stage, "infer");
  EXPECT_FALSE(fs::exists(ended->request.output));
}

TEST_F(PipelineTest, APictureGoesOnWhenItsDeviceAnswersAgain) {
  MirrorDevice& device = add_device("mirror");
  start();
  wait_for(submit(put("first.png", random_picture(64, 64, CV_8UC3))), "done");  // the network is loaded
  device.lose(true);
  const auto picture = random_picture(700, 600, CV_8UC3);
  const auto job = submit(put("a.png", picture));
  observer_.wait_for_health("mirror down");
  EXPECT_FALSE(pipeline_->devices().front().up);
  device.lose(false);
  EXPECT_THAT(wait_for(job, "done"), testing::ElementsAre("accepted", "started", "decided", "done"));
  observer_.wait_for_health("mirror up");
  EXPECT_EQ(cv::norm(result_of(job), picture.colour, cv::NORM_INF), 0.0);
  EXPECT_GE(observer_.reruns(stages::RerunReason::kDeviceLost), 1U);
}

TEST_F(PipelineTest, TheOtherDeviceTakesTheTilesOfALostOne) {
  MirrorDevice& lost = add_device("first");
  add_device("second");
  start();
  wait_for(submit(put("first.png", random_picture(64, 64, CV_8UC3))), "done");  // the network is loaded
  lost.lose(true);
  std::vector<queue::JobId> jobs;
  std::vector<image::Picture> pictures;
  for (int i = 0; i < 12; ++i) {
    pictures.push_back(random_picture(900 + i, 700, CV_8UC3));
    jobs.push_back(submit(put("p" + std::to_string(i) + ".png", pictures.back())));
  }
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    EXPECT_THAT(wait_for(jobs[i], "done"), testing::Not(testing::Contains("retrying")));
    EXPECT_EQ(cv::norm(result_of(jobs[i]), pictures[i].colour, cv::NORM_INF), 0.0) << i;
  }
  EXPECT_TRUE(pool_->any_up());
}

TEST_F(PipelineTest, OutOfMemoryHalvesTheBatchAndIsRemembered) {
  MirrorDevice& device = add_device("mirror", {8, 1, true, 2.0 * 512 * 512});
  start();
  const auto picture = random_picture(1900, 1500, CV_8UC3);
  const auto first = submit(put("a.png", picture));
  wait_for(first, "done");
  EXPECT_EQ(cv::norm(result_of(first), picture.colour, cv::NORM_INF), 0.0);
  const std::size_t reruns = observer_.reruns(stages::RerunReason::kOutOfMemory);
  EXPECT_GE(reruns, 1U);

  const std::size_t calls = device.sizes().size();
  const auto second = submit(put("b.png", random_picture(1901, 1500, CV_8UC3)));
  wait_for(second, "done");
  EXPECT_EQ(observer_.reruns(stages::RerunReason::kOutOfMemory), reruns) << "the size that fits is known now";
  const auto sizes = device.sizes();
  for (std::size_t i = calls; i < sizes.size(); ++i)
    EXPECT_LE(static_cast<double>(sizes[i]) * device.tensors()[i].area(), 2.0 * 512 * 512) << i;
}

TEST_F(PipelineTest, ATileThatDoesNotFitAloneGoesInParts) {
  add_device("mirror", {4, 1, true, 300.0 * 300});
  start();
  for (const int type : {CV_8UC3, CV_16UC1}) {
    const auto picture = random_picture(1200 + type, 900, type);
    const auto job = submit(put("a" + std::to_string(type) + ".png", picture));
    wait_for(job, "done");
    EXPECT_EQ(cv::norm(result_of(job), picture.colour, cv::NORM_INF), 0.0) << type;
  }
}

TEST_F(PipelineTest, ATileWithWrongNumbersIsComputedAgainInFp32) {
  using Fate = MirrorDevice::Fate;
  const std::vector<std::pair<Fate, stages::RerunReason>> cases{{Fate::kNaN, stages::RerunReason::kNotFinite},
                                                                {Fate::kRange, stages::RerunReason::kRange},
                                                                {Fate::kConstant, stages::RerunReason::kConstant}};
  MirrorDevice& device = add_device("mirror");
  start();
  int plain = 0;
  for (const auto& [fate, reason] : cases) {
    device.plan({fate});
    const auto picture = random_picture(200 + plain, 100, CV_8UC3);
    const auto job = submit(put("p" + std::to_string(plain) + ".png", picture));
    wait_for(job, "done");
    EXPECT_EQ(cv::norm(result_of(job), picture.colour, cv::NORM_INF), 0.0);
    EXPECT_EQ(observer_.reruns(reason), 1U);
    EXPECT_EQ(device.plain_calls(), ++plain);
  }
}

TEST_F(PipelineTest, ANetworkThatGivesNoNumbersFailsTheJobInsteadOfWritingABlackFile) {
  MirrorDevice& device = add_device("mirror");
  device.plan(100, MirrorDevice::Fate::kNaN);
  device.plan_plain(MirrorDevice::Fate::kNaN);
  options_.retry.attempts = 1;
  start();
  const auto job = submit(put("a.png", random_picture(200, 100, CV_8UC3)));
  wait_for(job, "failed");
  EXPECT_THAT(store_->get(job)->error->message, testing::HasSubstr("no numbers"));
  EXPECT_FALSE(fs::exists(folder_ / "out" / "a.png"));
}

TEST_F(PipelineTest, AnIdleDeviceGivesItsMemoryBack) {
  options_.give_back = std::chrono::seconds(0);
  MirrorDevice& device = add_device("mirror");
  start();
  wait_for(submit(put("a.png", random_picture(300, 200, CV_8UC3))), "done");
  device.wait_until_memory_was_given_back();
}

TEST_F(PipelineTest, ADeviceThatIsFasterTakesMoreOfTheTiles) {
  options_.settings.preview = false;
  MirrorDevice& stuck = add_device("stuck", {2, 1, true});
  MirrorDevice& quick = add_device("quick", {2, 1, true});
  start();
  wait_for(submit(put("first.png", random_picture(64, 64, CV_8UC3))), "done");
  const std::size_t before = stuck.sizes().size();
  stuck.hold(before);
  const auto large = submit(put("large.png", random_picture(3000, 2500, CV_8UC3)));
  stuck.wait_until_busy();
  while (quick.sizes().size() < 5) std::this_thread::yield();
  EXPECT_EQ(stuck.sizes().size(), before + 1) << "it is still at its first batch";
  stuck.release();
  wait_for(large, "done");
}

TEST_F(PipelineTest, BatchesHaveTheirFullSizeWhenResultsMustNotDependOnNeighbours) {
  pool_options_.deterministic = true;
  MirrorDevice& device = add_device("mirror");
  start();
  wait_for(submit(put("a.png", random_picture(300, 200, CV_8UC3))), "done");
  for (const std::size_t size : device.sizes()) EXPECT_EQ(size, 4U);
}

TEST_F(PipelineTest, ALongPictureGoesOnWithTheTilesThatWereFinishedBefore) {
  options_.settings.resume_longer_than = std::chrono::seconds(-1);  // however short
  options_.settings.preview = false;
  MirrorDevice& device = add_device("mirror", {1, 1, true});
  device.hold(4);
  start();
  const auto picture = random_picture(1500, 1200, CV_16UC3);
  const auto job = submit(put("a.png", picture));
  device.wait_until_busy();
  while (progress_.load() < 4) std::this_thread::yield();
  stop_with_job_in_flight(device);
  EXPECT_EQ(store_->get(job)->state, queue::JobState::kQueued);
  EXPECT_TRUE(fs::exists(folder_ / "unfinished" / (std::to_string(job) + ".tiles")));

  restart();
  const std::size_t before = device.sizes().size();
  wait_for(job, "done");
  EXPECT_EQ(cv::norm(result_of(job), picture.colour, cv::NORM_INF), 0.0);
  const auto details = nlohmann::json::parse(store_->get(job)->details);
  EXPECT_GE(details.at("resumed_tiles").get<int>(), 4);
  EXPECT_EQ(device.sizes().size() - before,
            details.at("tiles").get<std::size_t>() - details.at("resumed_tiles").get<std::size_t>());
  EXPECT_FALSE(fs::exists(folder_ / "unfinished" / (std::to_string(job) + ".tiles")));
}

TEST_F(PipelineTest, FinishedTilesOfAnotherVersionOfThePictureAreNotUsed) {
  options_.settings.resume_longer_than = std::chrono::seconds(-1);
  options_.settings.preview = false;
  MirrorDevice& device = add_device("mirror", {1, 1, true});
  device.hold(4);
  start();
  const auto job = submit(put("a.png", random_picture(1500, 1200, CV_8UC3)));
  device.wait_until_busy();
  while (progress_.load() < 4) std::this_thread::yield();
  stop_with_job_in_flight(device);
  auto newer = random_picture(1500, 1200, CV_8UC3);
  newer.colour = ~newer.colour;
  put("a.png", newer);
  restart();
  wait_for(job, "done");
  EXPECT_EQ(cv::norm(result_of(job), newer.colour, cv::NORM_INF), 0.0);
}

TEST_F(PipelineTest, TilesOfJobsThatEndedMeanwhileAreSweptAwayAtStart) {
  fs::create_directories(folder_ / "unfinished");
  temporary_.write("unfinished/77.tiles", "of a job that is no more");
  start();
  EXPECT_FALSE(fs::exists(folder_ / "unfinished" / "77.tiles"));
}

TEST_F(PipelineTest, ASmallPictureOvertakesABacklogOfLargeOnes) {
  options_.settings.preview = false;
  MirrorDevice& device = add_device("mirror", {2, 1, true});
  device.hold();
  start();
  std::vector<queue::JobId> large;
  for (int i = 0; i < 10; ++i)
    large.push_back(submit(put("large" + std::to_string(i) + ".png", random_picture(2400 + i, 2000, CV_8UC3))));
  device.wait_until_busy();
  // As many large ones as are begun at a time wait for the device; then the small one does, too.
  const auto wait_until_tiled = [this](std::size_t jobs) {
    while (true) {
      const auto runs = pipeline_->runs();
      if (runs.size() >= jobs && std::all_of(runs.begin(), runs.end(), [](const auto& run) { return run->is_tiled.load(); }))
        return;
      std::this_thread::yield();
    }
  };
  wait_until_tiled(stages::Claimer::Options().few);
  const auto small = submit(put("small.png", random_picture(370, 270, CV_8UC3)));
  wait_until_tiled(stages::Claimer::Options().few + 1);
  device.release();
  for (const auto job : large) wait_for(job, "done");
  wait_for(small, "done");
  const auto order = order_of_ends();
  EXPECT_LT(std::find(order.begin(), order.end(), small) - order.begin(), 2) << "before the second large one";
}

TEST_F(PipelineTest, EveryPictureOfSeveralTilesHasItsSeamsMeasured) {
  start();
  image::Picture picture;
  picture.colour = cv::Mat(1200, 1600, CV_8UC3);
  for (int x = 0; x < picture.colour.cols; ++x) picture.colour.col(x).setTo(cv::Scalar::all(x / 8));
  const auto job = submit(put("a.png", picture));
  wait_for(job, "done");
  EXPECT_NEAR(nlohmann::json::parse(store_->get(job)->details).at("seam_ratio").get<double>(), 1.0, 0.3);
  EXPECT_NEAR(observer_.last_seams.load(), 1.0, 0.3);
}

TEST_F(PipelineTest, ABrokenPictureFailsAloneAndSaysWhereAndWhy) {
  start();
  temporary_.write("broken.png", "%PDF-1.7 not a picture");
  const auto broken = submit(folder_ / "broken.png");
  const auto good = submit(put("good.png", random_picture(64, 64, CV_8UC3)));
  wait_for(broken, "failed");
  wait_for(good, "done");
  const auto error = store_->get(broken)->error;
  EXPECT_EQ(error->code, ErrorCode::kUnsupportedFormat);
  EXPECT_EQ(error->stage, "decode");
  EXPECT_THAT(error->message, testing::HasSubstr("broken.png"));
}

TEST_F(PipelineTest, APictureBeyondTheMemoryBudgetFailsWithTheNumbers) {
  options_.memory = mebibytes(8);
  start();
  const auto job = submit(put("large.png", random_picture(2000, 1500, CV_8UC3)));
  wait_for(job, "failed");
  EXPECT_EQ(store_->get(job)->error->code, ErrorCode::kOverMemoryBudget);
  EXPECT_THAT(store_->get(job)->error->message, testing::HasSubstr("2000x1500"));
}

TEST_F(PipelineTest, CancellationStopsAJobInFlightAndFreesItsMemory) {
  MirrorDevice& device = add_device("mirror");
  device.hold();
  start();
  const auto job = submit(put("a.png", random_picture(1500, 1200, CV_8UC3)));
  device.wait_until_busy();
  ASSERT_TRUE(store_->cancel(job));
  wait_for(job, "cancelled");
  device.release();
  while (pipeline_->memory_reserved() > Bytes{0}) std::this_thread::yield();
  EXPECT_EQ(store_->get(job)->state, queue::JobState::kCancelled);
  EXPECT_FALSE(fs::exists(folder_ / "out" / "a.png"));
}

TEST_F(PipelineTest, DrainHandsBackWhatItCannotFinishAndTheNextStartFinishesIt) {
  MirrorDevice& device = add_device("mirror");
  device.hold();
  start();
  const auto picture = random_picture(900, 700, CV_8UC3);
  const auto job = submit(put("a.png", picture));
  device.wait_until_busy();
  stop_with_job_in_flight(device);
  EXPECT_EQ(store_->get(job)->state, queue::JobState::kQueued);
  EXPECT_EQ(store_->get(job)->attempts, 0);

  restart();
  wait_for(job, "done");
  EXPECT_EQ(cv::norm(result_of(job), picture.colour, cv::NORM_INF), 0.0);
}

TEST_F(PipelineTest, ASourceThatChangesMeanwhileIsTriedAgain) {
  MirrorDevice& device = add_device("mirror");
  device.hold();
  start();
  const auto source = put("a.png", random_picture(300, 300, CV_8UC3));
  const auto job = submit(source);
  device.wait_until_busy();
  const auto newer = random_picture(310, 300, CV_8UC3);
  put("a.png", newer);
  device.release();
  EXPECT_THAT(wait_for(job, "done"), testing::Contains("retrying"));
  EXPECT_EQ(cv::norm(result_of(job), newer.colour, cv::NORM_INF), 0.0);
}

}  // namespace
}  // namespace retouchd::daemon
