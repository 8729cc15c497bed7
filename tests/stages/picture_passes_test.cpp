#include "stages/picture_passes.h"

#include <gtest/gtest.h>

#include <functional>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>

#include "image/alpha_channel.h"
#include "networks.h"

namespace retouchd::stages {
namespace {

cv::Mat random_picture(cv::Size size, int type, double low, double high) {
  cv::Mat picture(size, type);
  cv::RNG(static_cast<std::uint64_t>(size.width)).fill(picture, cv::RNG::UNIFORM, low, high);
  return picture;
}

/// A white disc with a soft edge on transparent black.
image::Picture white_disc(cv::Size size) {
  image::Picture picture;
  picture.alpha = cv::Mat::zeros(size, CV_8UC1);
  cv::circle(picture.alpha, cv::Point(size.width / 2, size.height / 2), size.height / 3, cv::Scalar(255), cv::FILLED,
             cv::LINE_AA);
  picture.colour = cv::Mat::zeros(size, CV_8UC3);
  picture.colour.setTo(cv::Scalar::all(255), picture.alpha);
  return picture;
}

class PicturePassesTest : public testing::Test {
 protected:
  using Network = std::function<cv::Mat(const cv::Mat&)>;

  explicit PicturePassesTest(int scale = 1) { run_->network = network_on_paper(8, scale); }

  void plan() {
    run_->plan.tiles = plan_tiles(run_->picture.colour.size(), run_->network, {128, 128});
    for (const image::Picture& page : run_->picture.pages) {
      run_->page_plans.emplace_back();
      run_->page_plans.back().tiles = plan_tiles(page.colour.size(), run_->network, {128, 128});
    }
  }

  PicturePasses::Ends ends() {
    PicturePasses::Ends ends;
    ends.complete = [this] { ++completed_; };
    ends.failed = [this](const Error& error) { error_ = error.message; };
    ends.progress = [this](int done, int total) {
      done_ = done;
      total_ = total;
    };
    ends.placed = [this](int index, const cv::Mat& kept) { placed_.emplace_back(index, kept.clone()); };
    return ends;
  }

  /// What a device does until nothing is left, or `most` tiles.
  void compute(queue::TileScheduler& scheduler, const Network& network, int most = 1'000) {
    const queue::PullRequest request{[](const queue::Bin&) { return std::size_t{1}; }, std::chrono::milliseconds(0),
                                     [] { return true; }};
    while (most-- > 0) {
      const auto batch = scheduler.pull(request, std::chrono::milliseconds(0));
      if (!batch) return;
      const queue::Tile& tile = batch->tiles.front();
      static_cast<TiledPass&>(*tile.owner).place(tile.index, network(tile.window));
    }
  }

  void run(const Network& network) {
    plan();
    queue::TileScheduler scheduler(1'000);
    PicturePasses passes(run_, ends());
    ASSERT_TRUE(passes.push_tiles(scheduler));
    compute(scheduler, network);
    EXPECT_EQ(error_, "");
    EXPECT_EQ(completed_, 1);
    EXPECT_EQ(done_, total_);
    EXPECT_EQ(total_, passes.count());
  }

  static cv::Mat unchanged(const cv::Mat& window) { return window.clone(); }

  const RunPtr run_ = std::make_shared<PictureRun>(queue::Job{});
  int completed_ = 0;
  int done_ = 0;
  int total_ = 0;
  std::string error_;
  std::vector<std::pair<int, cv::Mat>> placed_;
};

class EnlargingPassesTest : public PicturePassesTest {
 protected:
  EnlargingPassesTest() : PicturePassesTest(2) {}

  static cv::Mat doubled(const cv::Mat& window) {
    cv::Mat large;
    cv::resize(window, large, {}, 2, 2, cv::INTER_CUBIC);
    return large;
  }
};

TEST_F(PicturePassesTest, EveryPageGoesThroughWithItsOwnSizeAndType) {
  run_->picture.colour = random_picture({300, 200}, CV_8UC3, 0, 256);
  run_->picture.pages.resize(2);
  run_->picture.pages[0].colour = random_picture({140, 310}, CV_16UC1, 0, 65536);
  run_->picture.pages[1].colour = random_picture({100, 100}, CV_32FC3, -1, 2);
  const image::Picture before = run_->picture;
  run(unchanged);
  EXPECT_EQ(cv::norm(run_->picture.colour, before.colour, cv::NORM_INF), 0);
  for (std::size_t i = 0; i < 2; ++i)
    EXPECT_EQ(cv::norm(run_->picture.pages[i].colour, before.pages[i].colour, cv::NORM_INF), 0) << i;
  EXPECT_NE(run_->picture.colour.data, before.colour.data) << "planes are never written in place";
}

TEST_F(PicturePassesTest, OneTileThatFailsFailsTheRun) {
  run_->picture.colour = random_picture({64, 64}, CV_8UC3, 0, 256);
  run_->picture.pages.resize(1);
  run_->picture.pages[0].colour = random_picture({64, 64}, CV_8UC3, 0, 256);
  plan();
  queue::TileScheduler scheduler(1'000);
  PicturePasses passes(run_, ends());
  ASSERT_TRUE(passes.push_tiles(scheduler));
  compute(scheduler, unchanged, 1);
  const auto batch =
      scheduler.pull({[](const queue::Bin&) { return std::size_t{1}; }, std::chrono::milliseconds(0), [] { return true; }},
                     std::chrono::milliseconds(0));
  ASSERT_TRUE(batch);
  static_cast<TiledPass&>(*batch->tiles.front().owner).fail(make_error(ErrorCode::kDeviceFailed, "lost"));
  EXPECT_EQ(error_, "lost");
  EXPECT_EQ(completed_, 0);
}

TEST_F(PicturePassesTest, FinishedTilesOfAllPagesAreTakenUpAgain) {
  const auto pages = [this] {
    run_->picture.colour = random_picture({300, 200}, CV_8UC3, 0, 256);
    run_->picture.pages.resize(1);
    run_->picture.pages[0].colour = random_picture({290, 210}, CV_8UC3, 0, 256);
  };
  pages();
  run(unchanged);
  const auto finished = std::exchange(placed_, {});
  const cv::Mat wanted = run_->picture.pages[0].colour;
  pages();
  queue::TileScheduler scheduler(1'000);
  PicturePasses passes(run_, ends());
  for (const auto& [index, kept] : finished) {
    if (index % 3 != 0) passes.resume(index, kept);
  }
  passes.resume(passes.count(), finished.front().second);  // of a damaged file
  ASSERT_TRUE(passes.push_tiles(scheduler));
  compute(scheduler, unchanged);
  EXPECT_EQ(completed_, 2);
  EXPECT_EQ(placed_.size(), (finished.size() + 2) / 3);
  EXPECT_EQ(cv::norm(run_->picture.pages[0].colour, wanted, cv::NORM_INF), 0);
}

TEST_F(PicturePassesTest, WhatIsHiddenDoesNotBleedIntoWhatIsVisible) {
  run_->picture = white_disc({200, 200});
  run_->picture.colour.at<cv::Vec3b>(0, 0) = {1, 2, 3};
  const image::Picture before = run_->picture;
  run_->filled = image::fill_hidden_colours(before.colour, before.alpha);
  run([](const cv::Mat& window) {
    cv::Mat blurred;
    cv::blur(window, blurred, {7, 7});
    return blurred;
  });
  cv::Mat visible = run_->picture.colour.clone();
  visible.setTo(cv::Scalar::all(255), before.alpha == 0);
  double darkest = 0;
  cv::minMaxLoc(visible.reshape(1), &darkest, nullptr);
  EXPECT_GE(darkest, 254) << "a fringe";
  cv::Mat hidden = run_->picture.colour.clone();
  hidden.setTo(cv::Scalar::all(0), before.alpha > 0);
  cv::Mat hidden_before = before.colour.clone();
  hidden_before.setTo(cv::Scalar::all(0), before.alpha > 0);
  EXPECT_EQ(cv::norm(hidden, hidden_before, cv::NORM_INF), 0) << "put back";
  EXPECT_EQ(run_->picture.alpha.data, before.alpha.data) << "not touched";
}

TEST_F(EnlargingPassesTest, AlphaIsEnlargedByTheNetworkToo) {
  run_->picture = white_disc({200, 180});
  const cv::Mat alpha = run_->picture.alpha;
  run(doubled);
  ASSERT_EQ(run_->picture.alpha.size(), cv::Size(400, 360));
  ASSERT_EQ(run_->picture.alpha.type(), CV_8UC1);
  EXPECT_EQ(run_->picture.alpha.at<std::uint8_t>(180, 200), 255);
  EXPECT_EQ(run_->picture.alpha.at<std::uint8_t>(2, 2), 0);
  EXPECT_EQ(run_->picture.colour.size(), cv::Size(400, 360));
  EXPECT_EQ(total_, 2 * run_->plan.tiles.count());
}

TEST_F(EnlargingPassesTest, AnEvenAlphaIsOnlyResized) {
  run_->picture.colour = random_picture({200, 180}, CV_8UC3, 0, 256);
  run_->picture.alpha = cv::Mat(180, 200, CV_8UC1, cv::Scalar(77));
  run(doubled);
  EXPECT_EQ(total_, run_->plan.tiles.count());
  ASSERT_EQ(run_->picture.alpha.size(), cv::Size(400, 360));
  EXPECT_TRUE(image::is_even(run_->picture.alpha));
  EXPECT_EQ(run_->picture.alpha.at<std::uint8_t>(0, 0), 77);
}

}  // namespace
}  // namespace retouchd::stages
