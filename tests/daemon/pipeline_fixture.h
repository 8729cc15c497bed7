#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <map>
#include <nlohmann/json.hpp>
#include <opencv2/core.hpp>
#include <thread>

#include "base/file.h"
#include "daemon/pipeline.h"
#include "image/codec.h"
#include "queue/sqlite_job_store.h"
#include "tests/mirror_device.h"
#include "tests/temporary_folder.h"

namespace retouchd::daemon {

/// Notes what the tests ask about.
class NotingObserver final : public stages::PipelineObserver {
 public:
  void batch_finished(const stages::BatchReport& batch) override {
    most_pictures = std::max(most_pictures.load(), batch.pictures);
  }
  void tiles_rerun(std::string_view, stages::RerunReason reason, std::size_t tiles) override {
    const std::lock_guard lock(mutex_);
    reruns_[reason] += tiles;
  }
  void device_up(std::string_view device, bool is_up) override {
    const std::lock_guard lock(mutex_);
    health_.push_back(std::string(device) + (is_up ? " up" : " down"));
    changed_.notify_all();
  }
  void seams_measured(double ratio) override { last_seams = ratio; }

  [[nodiscard]] std::size_t reruns(stages::RerunReason reason) const {
    const std::lock_guard lock(mutex_);
    const auto found = reruns_.find(reason);
    return found == reruns_.end() ? 0 : found->second;
  }
  void wait_for_health(const std::string& event) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return std::find(health_.begin(), health_.end(), event) != health_.end(); });
  }
  std::atomic<std::size_t> most_pictures = 0;
  std::atomic<double> last_seams = 0;

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<stages::RerunReason, std::size_t> reruns_;
  std::vector<std::string> health_;
};

/// The whole pipeline in one process, with devices that the test controls.
class PipelineTest : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(folder_ / "previews");
    options_.memory = mebibytes(512);
    options_.previews = folder_ / "previews";
    options_.unfinished = folder_ / "unfinished";
    options_.retry.backoff = {std::chrono::milliseconds(1)};
    open_store();
  }

  void TearDown() override {
    for (MirrorDevice* device : devices_) device->release();
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

  /// Before start(); without it there is one device.
  MirrorDevice& add_device(const std::string& name, MirrorDevice::Shape shape = {}) {
    auto device = std::make_unique<MirrorDevice>(name, shape);
    devices_.push_back(device.get());
    owned_.push_back(std::move(device));
    return *devices_.back();
  }

  void start() {
    if (!pool_) {
      if (owned_.empty()) add_device("mirror");
      pool_ = std::make_unique<stages::DevicePool>(std::move(owned_), measurements_, pool_options_);
    }
    Pipeline::Surroundings surroundings{
        *store_, codec_, networks_, *pool_, observer_, system_clock(), [this](queue::JobId, int done, int) { progress_.store(done); }};
    surroundings.node = node_;
    surroundings.server = server_;
    pipeline_ = std::make_unique<Pipeline>(options_, surroundings);
    store_->set_listener([this](const std::vector<queue::JobEvent>& events) {
      pipeline_->on_events(events);
      const std::lock_guard lock(mutex_);
      for (const queue::JobEvent& event : events) {
        kinds_[event.job].push_back(event.kind);
        if (event.kind == "done") done_.push_back(event.job);
      }
      changed_.notify_all();
    });
    pipeline_->start();
  }

  /// Pictures or tiles in front of a stage.
  std::size_t waiting_for(const std::string& stage) const {
    for (const auto& queue : pipeline_->queues()) {
      if (queue.stage == stage) return queue.depth;
    }
    return 0;
  }

  /// As far as files go this is a crash: work in flight is dropped.
  void stop_with_job_in_flight(MirrorDevice& device) {
    std::jthread releases([&] {
      while (store_->counts()->at(static_cast<std::size_t>(queue::JobState::kQueued)) == 0) std::this_thread::yield();
      device.release();
    });
    pipeline_->drain(std::chrono::steady_clock::now());
  }

  void restart() {
    store_.reset();
    pipeline_.reset();
    open_store();
    start();
  }

  /// Jobs in the order in which they were done.
  std::vector<queue::JobId> order_of_ends() {
    const std::lock_guard lock(mutex_);
    return done_;
  }

  static image::Picture random_picture(int width, int height, int type) {
    image::Picture picture;
    picture.colour = cv::Mat(height, width, type);
    cv::RNG generator(static_cast<std::uint64_t>(width));
    generator.fill(picture.colour, cv::RNG::UNIFORM, 0, CV_MAT_DEPTH(type) == CV_16U ? 65536 : 256);
    return picture;
  }

  std::filesystem::path put(const std::string& name, const image::Picture& picture) const {
    const auto file = image::encode(picture, image::FileFormat::kPng, {});
    return temporary_.write(name, std::string(file->begin(), file->end()));
  }

  queue::JobId submit(const std::filesystem::path& source) { return submit(source, {}); }

  /// `request`: what is unusual about it.
  queue::JobId submit(const std::filesystem::path& source, queue::JobRequest request) {
    request.key = source.string();
    request.origin = "test";
    request.source = source;
    request.identity = *identify_file(source);
    request.name = source.filename();
    request.output = folder_ / "out" / source.filename();
    if (request.network.empty()) request.network = "student-tiny";
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
  const std::filesystem::path folder_ = temporary_.path();
  PipelineOptions options_;
  inference::Registry networks_{{{std::filesystem::path(RETOUCHD_SOURCE_DIR) / "models"}}};
  inference::Measurements measurements_{folder_ / "measurements.json", system_clock()};
  image::LocalCodec codec_;
  stages::DevicePool::Options pool_options_;
  std::vector<std::unique_ptr<inference::Device>> owned_;
  std::vector<MirrorDevice*> devices_;
  std::unique_ptr<stages::DevicePool> pool_;
  std::optional<stages::Node> node_;
  std::optional<stages::ServerAccess> server_;
  NotingObserver observer_;
  std::unique_ptr<queue::JobStore> store_;
  std::unique_ptr<Pipeline> pipeline_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<queue::JobId, std::vector<std::string>> kinds_;
  std::vector<queue::JobId> done_;
  std::atomic<int> progress_ = 0;
};

}  // namespace retouchd::daemon
