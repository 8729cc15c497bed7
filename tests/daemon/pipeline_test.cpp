// The whole pipeline in one process, with a device that the test controls.
#include "daemon/pipeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <opencv2/core.hpp>
#include <set>

#include "base/file.h"
#include "image/codec.h"
#include "queue/sqlite_job_store.h"
#include "tests/temporary_folder.h"

namespace retouchd::daemon {
namespace {

namespace fs = std::filesystem;

/// Returns every window as it is. Can be told to fail, or to hold its batches until released.
class MirrorDevice final : public inference::Device {
 public:
  [[nodiscard]] std::string name() const override { return "mirror"; }
  [[nodiscard]] std::string description() const override { return "mirror"; }
  [[nodiscard]] int default_batch() const override { return 4; }
  [[nodiscard]] Result<void> load(const inference::NetworkInfo&) override { return {}; }
  [[nodiscard]] int lanes() const override { return 1; }
  [[nodiscard]] inference::PrecisionChoice precision_for(const inference::NetworkInfo&) const override { return {}; }
  [[nodiscard]] Result<inference::Footprint> measure(const inference::NetworkInfo&, cv::Size, int) override {
    return inference::Footprint{};
  }
  [[nodiscard]] std::optional<Bytes> memory() const override { return std::nullopt; }
  [[nodiscard]] Result<std::vector<cv::Mat>> restore(const inference::NetworkInfo&, cv::Size,
                                                     std::span<const inference::Window> windows) override {
    std::unique_lock lock(mutex_);
    busy_ = true;
    changed_.notify_all();
    changed_.wait(lock, [this] { return !held_; });
    if (failures_ > 0) {
      --failures_;
      return make_error(ErrorCode::kDeviceFailed, "the mirror broke");
    }
    std::vector<cv::Mat> restored;
    for (const inference::Window& window : windows) {
      cv::Mat unit;
      window.colour.convertTo(unit, CV_32F, window.colour.depth() == CV_16U ? 1.0 / 65535 : 1.0 / 255);
      restored.push_back(unit);
    }
    return restored;
  }

  void fail_next(int batches) {
    const std::lock_guard lock(mutex_);
    failures_ = batches;
  }
  void hold() {
    const std::lock_guard lock(mutex_);
    held_ = true;
    busy_ = false;
  }
  void release() {
    const std::lock_guard lock(mutex_);
    held_ = false;
    changed_.notify_all();
  }
  void wait_until_busy() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return busy_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool held_ = false;
  bool busy_ = false;
  int failures_ = 0;
};

class BatchObserver final : public stages::PipelineObserver {
 public:
  void batch_finished(std::string_view, std::size_t, std::size_t, std::size_t pictures, stages::Seconds) override {
    most_pictures = std::max(most_pictures.load(), pictures);
  }
  std::atomic<std::size_t> most_pictures = 0;
};

class PipelineTest : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(folder_ / "previews");
    options_.memory = mebibytes(512);
    options_.previews = folder_ / "previews";
    options_.retry.backoff = {std::chrono::milliseconds(1)};
    open_store();
  }

  void TearDown() override {
    device_.release();
    pipeline_.reset();
    store_.reset();
  }

  void open_store() {
    queue::SqliteJobStoreOptions options;
    options.file = folder_ / "jobs.sqlite";
    options.boot_id = "test";
    auto store = queue::open_sqlite_job_store(options, system_clock());
    ASSERT_TRUE(store) << store.error().message;
    store_ = *std::move(store);
  }

  void start() {
    pipeline_ = std::make_unique<Pipeline>(
        options_, Pipeline::Surroundings{*store_, networks_, gate_, observer_, system_clock(), [](queue::JobId, int, int) {}});
    store_->set_listener([this](const std::vector<queue::JobEvent>& events) {
      pipeline_->on_events(events);
      const std::lock_guard lock(mutex_);
      for (const queue::JobEvent& event : events) kinds_[event.job].push_back(event.kind);
      changed_.notify_all();
    });
    pipeline_->start();
  }

  static image::Picture random_picture(int width, int height, int type) {
    image::Picture picture;
    picture.colour = cv::Mat(height, width, type);
    cv::RNG generator(static_cast<std::uint64_t>(width));
    generator.fill(picture.colour, cv::RNG::UNIFORM, 0, CV_MAT_DEPTH(type) == CV_16U ? 65536 : 256);
    return picture;
  }

  fs::path put(const std::string& name, const image::Picture& picture) const {
    const auto file = image::encode(picture, image::FileFormat::kPng, {});
    return temporary_.write(name, std::string(file->begin(), file->end()));
  }

  queue::JobId submit(const fs::path& source) {
    queue::JobRequest request;
    request.key = source.string();
    request.origin = "test";
    request.source = source;
    request.identity = *identify_file(source);
    request.name = source.filename();
    request.output = folder_ / "out" / source.filename();
    request.network = "student-tiny";
    const auto accepted = store_->accept_and_wait(request);
    EXPECT_TRUE(accepted) << accepted.error().message;
    return accepted->id;
  }

  /// Waits for the event; the kinds of all events of the job so far.
  std::vector<std::string> wait_for(queue::JobId job, const std::string& kind) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return std::find(kinds_[job].begin(), kinds_[job].end(), kind) != kinds_[job].end(); });
    return kinds_[job];
  }

  cv::Mat result_of(queue::JobId job) {
    const auto file = read_file(store_->get(job)->output, mebibytes(64));
    EXPECT_TRUE(file);
    auto picture = image::decode(*file, {});
    EXPECT_TRUE(picture);
    return picture->colour;
  }

  const TemporaryFolder temporary_;
  const fs::path folder_ = temporary_.path();
  PipelineOptions options_;
  inference::Registry networks_{{{fs::path(RETOUCHD_SOURCE_DIR) / "models"}}};
  MirrorDevice device_;
  inference::Measurements measurements_{folder_ / "measurements.json"};
  stages::DeviceGate gate_{device_, measurements_, true};
  BatchObserver observer_;
  std::unique_ptr<queue::JobStore> store_;
  std::unique_ptr<Pipeline> pipeline_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<queue::JobId, std::vector<std::string>> kinds_;
};

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
  EXPECT_THAT(wait_for(job, "done"), testing::ElementsAre("accepted", "started", "preview", "done"));
  const auto file = read_file(store_->get(job)->preview, mebibytes(1));
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_LE(image::read_header(*file, {})->megapixels(), 0.05);
}

TEST_F(PipelineTest, TilesOfSeveralPicturesShareABatch) {
  device_.hold();
  start();
  std::vector<queue::JobId> jobs;
  for (int i = 0; i < 6; ++i)
    jobs.push_back(submit(put("p" + std::to_string(i) + ".png", random_picture(600 + i, 400, CV_8UC3))));
  device_.wait_until_busy();
  while (pipeline_->queues().at(4).depth < 8) std::this_thread::yield();  // "infer": tiles of several pictures wait
  device_.release();
  for (const auto job : jobs) wait_for(job, "done");
  EXPECT_GE(observer_.most_pictures, 2U);
}

TEST_F(PipelineTest, ADeviceThatFailsOnceCostsAnAttemptNotThePicture) {
  device_.fail_next(1);
  start();
  const auto picture = random_picture(100, 100, CV_8UC3);
  const auto job = submit(put("a.png", picture));
  EXPECT_THAT(wait_for(job, "done"), testing::ElementsAre("accepted", "started", "retrying", "started", "done"));
  EXPECT_EQ(cv::norm(result_of(job), picture.colour, cv::NORM_INF), 0.0);
}

TEST_F(PipelineTest, ADeviceThatKeepsFailingFailsTheJobAfterItsAttempts) {
  device_.fail_next(1000);
  options_.retry.attempts = 2;
  start();
  const auto job = submit(put("a.png", random_picture(100, 100, CV_8UC3)));
  wait_for(job, "failed");
  const auto ended = store_->get(job);
  EXPECT_EQ(ended->error->code, ErrorCode::kDeviceFailed);
  EXPECT_FALSE(fs::exists(ended->request.output));
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
  device_.hold();
  start();
  const auto job = submit(put("a.png", random_picture(1500, 1200, CV_8UC3)));
  device_.wait_until_busy();
  ASSERT_TRUE(store_->cancel(job));
  wait_for(job, "cancelled");
  device_.release();
  while (pipeline_->memory_reserved() > Bytes{0}) std::this_thread::yield();
  EXPECT_EQ(store_->get(job)->state, queue::JobState::kCancelled);
  EXPECT_FALSE(fs::exists(folder_ / "out" / "a.png"));
}

TEST_F(PipelineTest, DrainHandsBackWhatItCannotFinishAndTheNextStartFinishesIt) {
  device_.hold();
  start();
  const auto picture = random_picture(900, 700, CV_8UC3);
  const auto job = submit(put("a.png", picture));
  device_.wait_until_busy();
  std::jthread releases([this] {
    while (store_->counts()->at(static_cast<std::size_t>(queue::JobState::kQueued)) == 0) std::this_thread::yield();
    device_.release();
  });
  pipeline_->drain(std::chrono::steady_clock::now());
  releases.join();
  EXPECT_EQ(store_->get(job)->state, queue::JobState::kQueued);
  EXPECT_EQ(store_->get(job)->attempts, 0);

  store_.reset();
  pipeline_.reset();
  open_store();
  start();
  wait_for(job, "done");
  EXPECT_EQ(cv::norm(result_of(job), picture.colour, cv::NORM_INF), 0.0);
}

TEST_F(PipelineTest, ASourceThatChangesMeanwhileIsTriedAgain) {
  device_.hold();
  start();
  const auto source = put("a.png", random_picture(300, 300, CV_8UC3));
  const auto job = submit(source);
  device_.wait_until_busy();
  const auto newer = random_picture(310, 300, CV_8UC3);
  put("a.png", newer);
  device_.release();
  EXPECT_THAT(wait_for(job, "done"), testing::Contains("retrying"));
  EXPECT_EQ(cv::norm(result_of(job), newer.colour, cv::NORM_INF), 0.0);
}

}  // namespace
}  // namespace retouchd::daemon
