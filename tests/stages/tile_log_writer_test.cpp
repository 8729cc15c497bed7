#include "stages/tile_log_writer.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <thread>
#include <vector>

#include "tests/temporary_folder.h"

namespace retouchd::stages {
namespace {

namespace fs = std::filesystem;
using std::chrono::hours;

std::shared_ptr<TileLog> open_log(const fs::path& file) {
  auto log = TileLog::open(file, "key");
  EXPECT_TRUE(log) << log.error().message;
  return std::move(*log);
}

cv::Mat tile(int value) { return {16, 16, CV_8UC1, cv::Scalar(value)}; }  // 256 bytes

/// The indices in a file, in their order.
std::vector<int> kept_in(const fs::path& file) {
  std::vector<int> indices;
  EXPECT_TRUE(open_log(file)->replay([&](int index, const cv::Mat& pixels) {
    EXPECT_EQ(pixels.at<std::uint8_t>(15, 15), index);
    indices.push_back(index);
  }));
  return indices;
}

TEST(TileLogWriter, ItsEndKeepsWhatIsQueued) {
  const TemporaryFolder folder;
  const fs::path first = folder.path() / "1.tiles";
  const fs::path second = folder.path() / "2.tiles";
  {
    TileLogWriter writer(mebibytes(1), hours(1));
    const auto one = open_log(first);
    const auto two = open_log(second);
    for (int i = 0; i < 100; ++i) writer.add(i % 2 == 0 ? one : two, i, tile(i));
    EXPECT_EQ(writer.dropped(), 0U);
  }
  std::vector<int> even(50);
  for (int i = 0; i < 50; ++i) even[static_cast<std::size_t>(i)] = 2 * i;
  EXPECT_EQ(kept_in(first), even);
  EXPECT_EQ(kept_in(second).size(), 50U);
}

TEST(TileLogWriter, AFinishedPictureLeavesNoFile) {
  const TemporaryFolder folder;
  const fs::path done = folder.path() / "done.tiles";
  const fs::path going = folder.path() / "going.tiles";
  {
    TileLogWriter writer;
    const auto one = open_log(done);
    const auto two = open_log(going);
    for (int i = 0; i < 50; ++i) {
      writer.add(one, i, tile(i));
      writer.add(two, i, tile(i));
    }
    writer.finish(one);
    EXPECT_FALSE(fs::exists(done));
    EXPECT_EQ(one.use_count(), 1) << "the writer let go of it";
    writer.add(one, 50, tile(50));  // a late tile
  }
  EXPECT_FALSE(fs::exists(done));
  EXPECT_EQ(kept_in(going).size(), 50U);
}

TEST(TileLogWriter, AFullQueueDropsInsteadOfBlocking) {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "job.tiles";
  {
    TileLogWriter writer(Bytes{255});  // a byte less than a tile
    const auto log = open_log(file);
    for (int i = 0; i < 10; ++i) writer.add(log, i, tile(i));
    EXPECT_EQ(writer.dropped(), 10U);
  }
  EXPECT_TRUE(kept_in(file).empty());
}

TEST(TileLogWriter, EveryTileIsKeptOrCounted) {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "job.tiles";
  std::uint64_t dropped = 0;
  {
    TileLogWriter writer(Bytes{600}, std::chrono::nanoseconds(1));  // two tiles; synced after each write
    const auto log = open_log(file);
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&writer, &log, t] {
        for (int i = 0; i < 50; ++i) writer.add(log, 50 * t + i, tile(50 * t + i));
      });
    }
    threads.clear();
    dropped = writer.dropped();
  }
  std::vector<int> kept = kept_in(file);
  EXPECT_EQ(kept.size() + dropped, 200U);
  std::sort(kept.begin(), kept.end());
  EXPECT_EQ(std::unique(kept.begin(), kept.end()), kept.end());
}

TEST(TileLogWriter, ADiskThatRefusesCostsNothingButTheFile) {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "job.tiles";
  const auto log = open_log(file);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit tight{100, before.rlim_max};
  const auto signal_before = std::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &tight), 0);
  {
    TileLogWriter writer;
    for (int i = 0; i < 20; ++i) writer.add(log, i, tile(i));
  }
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, signal_before);
  EXPECT_TRUE(kept_in(file).empty());
}

}  // namespace
}  // namespace retouchd::stages
