#include "stages/tile_log.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <opencv2/core.hpp>
#include <utility>
#include <vector>

#include "tests/temporary_folder.h"

namespace retouchd::stages {
namespace {

namespace fs = std::filesystem;

const std::string kKey = R"({"network":"paper@1","tile":[512,512]})";

using Tiles = std::vector<std::pair<int, cv::Mat>>;

/// Pixels that tell which tile they are of.
cv::Mat tile(int index, int rows = 5, int cols = 7, int type = CV_8UC3) {
  cv::Mat pixels(rows, cols, type);
  cv::RNG random(static_cast<std::uint64_t>(index) + 1);
  random.fill(pixels, cv::RNG::UNIFORM, 0, 200);
  return pixels;
}

bool is_same(const cv::Mat& a, const cv::Mat& b) {
  return a.size() == b.size() && a.type() == b.type() && cv::norm(a, b, cv::NORM_INF) == 0;
}

std::unique_ptr<TileLog> open_log(const fs::path& file, const std::string& key = kKey) {
  auto log = TileLog::open(file, key);
  EXPECT_TRUE(log) << log.error().message;
  return std::move(*log);
}

Tiles replayed(TileLog& log) {
  Tiles tiles;
  const auto count = log.replay([&](int index, const cv::Mat& pixels) { tiles.emplace_back(index, pixels); });
  EXPECT_TRUE(count) << count.error().message;
  EXPECT_EQ(*count, tiles.size());
  return tiles;
}

/// A file with that many whole tiles, numbered from 0.
std::string content_with(const TemporaryFolder& folder, int tiles) {
  const fs::path file = folder.path() / "made.tiles";
  const auto log = open_log(file);
  for (int i = 0; i < tiles; ++i) EXPECT_TRUE(log->append(i, tile(i)));
  std::string content = read_text(file);
  log->remove();
  return content;
}

TEST(TileLog, GivesBackWhatWasAppendedInItsOrder) {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "job.tiles";
  const Tiles written{{3, tile(3)},
                      {0, tile(0, 1, 1, CV_16UC1)},
                      {7, tile(7, 64, 48, CV_32FC3)},
                      {3, tile(4, 2, 300, CV_16UC3)},
                      {1, tile(1, 300, 2, CV_64FC1)}};
  {
    const auto log = open_log(file);
    EXPECT_TRUE(replayed(*log).empty());
    for (const auto& [index, pixels] : written) ASSERT_TRUE(log->append(index, pixels));
    EXPECT_TRUE(log->sync());
  }
  const Tiles found = replayed(*open_log(file));
  ASSERT_EQ(found.size(), written.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i].first, written[i].first);
    EXPECT_EQ(found[i].second.type(), written[i].second.type());
    EXPECT_TRUE(is_same(found[i].second, written[i].second)) << i;
  }
}

TEST(TileLog, TakesPartsOfAPicture) {
  const TemporaryFolder folder;
  const cv::Mat picture = tile(1, 100, 80);
  const cv::Mat part = picture(cv::Rect(10, 20, 33, 21));
  ASSERT_FALSE(part.isContinuous());
  const auto log = open_log(folder.path() / "job.tiles");
  ASSERT_TRUE(log->append(0, part));
  const Tiles found = replayed(*log);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_TRUE(is_same(found.front().second, part));
}

TEST(TileLog, ATailTornAtAnyByteIsCutOffAndWrittenAgain) {
  const TemporaryFolder folder;
  const std::string two = content_with(folder, 2);
  const std::string three = content_with(folder, 3);
  for (std::size_t length = two.size(); length < three.size(); ++length) {
    SCOPED_TRACE(length);
    const fs::path file = folder.write("job.tiles", std::string_view(three).substr(0, length));
    const auto log = open_log(file);
    ASSERT_EQ(replayed(*log).size(), 2U);
    ASSERT_EQ(fs::file_size(file), two.size());
    ASSERT_TRUE(log->append(2, tile(2)));
    ASSERT_EQ(read_text(file), three);
  }
}

TEST(TileLog, AFirstLineTornAtAnyByteBeginsAnew) {
  const TemporaryFolder folder;
  const std::string whole = content_with(folder, 1);
  for (std::size_t length = 0; length <= kKey.size(); ++length) {
    const fs::path file = folder.write("job.tiles", std::string_view(whole).substr(0, length));
    ASSERT_TRUE(replayed(*open_log(file)).empty());
    ASSERT_EQ(read_text(file), kKey + "\n");
  }
}

TEST(TileLog, AnotherKeyBeginsAnew) {
  const TemporaryFolder folder;
  for (const std::string& key : {kKey + " ", kKey.substr(1), std::string(), kKey.substr(0, kKey.size() - 1)}) {
    const fs::path file = folder.write("job.tiles", content_with(folder, 2));
    EXPECT_TRUE(replayed(*open_log(file, key)).empty()) << key;
    EXPECT_EQ(read_text(file), key + "\n");
  }
}

TEST(TileLog, EveryFlippedBitOfARecordIsFound) {
  const TemporaryFolder folder;
  const std::string one = content_with(folder, 1);
  const std::string three = content_with(folder, 3);
  const std::size_t record = one.size() - kKey.size() - 1;
  for (std::size_t at = one.size(); at < one.size() + record; ++at) {
    for (const int bit : {0, 6, 7}) {
      SCOPED_TRACE(testing::Message() << "byte " << at - one.size() << " of the second record, bit " << bit);
      std::string damaged = three;
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << bit));
      const fs::path file = folder.write("job.tiles", damaged);
      ASSERT_EQ(replayed(*open_log(file)).size(), 1U);
      ASSERT_EQ(read_text(file), one) << "what follows a damaged record is not trusted either";
    }
  }
}

TEST(TileLog, SizesThatCannotBeTakeNoMemory) {
  const TemporaryFolder folder;
  const std::string one = content_with(folder, 1);
  // bytes, then rows and columns, of a record behind which the file is 8 GiB of nothing.
  const std::vector<std::array<std::uint64_t, 3>> claims{
      {~0ULL, 1, 1}, {1ULL << 62U, 0x7fffffff, 0x7fffffff}, {7ULL << 30U, 7 << 10, 1 << 20},
      {105, 0, 0},   {105, 0xffffffff, 0xffffffff},         {0, 0, 0}};
  for (const auto& [bytes, rows, cols] : claims) {
    std::string damaged = one;
    const auto put = [&damaged, start = kKey.size() + 1](std::size_t offset, const void* value, std::size_t size) {
      damaged.replace(start + offset, size, static_cast<const char*>(value), size);
    };
    const auto rows32 = static_cast<std::uint32_t>(rows);
    const auto cols32 = static_cast<std::uint32_t>(cols);
    put(0, &bytes, 8);
    put(12, &rows32, 4);
    put(16, &cols32, 4);
    const fs::path file = folder.write("job.tiles", damaged);
    fs::resize_file(file, 8ULL << 30U);  // with a hole
    EXPECT_TRUE(replayed(*open_log(file)).empty());
    EXPECT_EQ(read_text(file), kKey + "\n");
  }
}

TEST(TileLog, AnyBytesBehindTheKeyAreSurvived) {
  const TemporaryFolder folder;
  cv::RNG random(20);
  for (int round = 0; round < 500; ++round) {
    std::string noise(static_cast<std::size_t>(random.uniform(0, 200)), '\0');
    for (char& byte : noise) byte = static_cast<char>(random.uniform(0, 4) == 0 ? random.uniform(0, 256) : 0);
    const fs::path file = folder.write("job.tiles", kKey + "\n" + noise);
    const auto log = open_log(file);
    ASSERT_TRUE(replayed(*log).empty()) << "round " << round;
    ASSERT_TRUE(log->append(1, tile(1)));
    ASSERT_EQ(replayed(*log).size(), 1U);
  }
}

TEST(TileLog, AppendsBehindWholeRecordsAlsoWithoutAReplay) {
  const TemporaryFolder folder;
  const std::string three = content_with(folder, 3);
  const fs::path file = folder.write("job.tiles", std::string_view(three).substr(0, three.size() - 1));
  ASSERT_TRUE(open_log(file)->append(2, tile(2)));
  EXPECT_EQ(read_text(file), three);
}

TEST(TileLog, AFullDiskIsToldAndLeavesTheFileAsItWas) {
  const TemporaryFolder folder;
  const std::string one = content_with(folder, 1);
  const fs::path file = folder.write("job.tiles", one);
  const auto log = open_log(file);
  ASSERT_EQ(replayed(*log).size(), 1U);

  // The nearest thing to a full disk that needs no privileges: files may not grow beyond the middle of the next record.
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit tight{one.size() + 50, before.rlim_max};
  const auto signal_before = std::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &tight), 0);
  const auto refused = log->append(1, tile(1));
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, signal_before);

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kIoError);
  EXPECT_NE(refused.error().message.find(file.string()), std::string::npos);
  EXPECT_EQ(read_text(file), one);
  EXPECT_TRUE(log->append(1, tile(1))) << "there is room again";
  EXPECT_EQ(replayed(*log).size(), 2U);
}

TEST(TileLog, WhatIsNoFileIsRefused) {
  const TemporaryFolder folder;
  for (const fs::path& path : {folder.path(), folder.path() / "missing" / "job.tiles", fs::path("/dev/full")}) {
    const auto log = TileLog::open(path, kKey);
    ASSERT_FALSE(log) << path;
    EXPECT_EQ(log.error().code, ErrorCode::kOutputDenied);
    EXPECT_NE(log.error().message.find(path.string()), std::string::npos);
  }
}

TEST(TileLog, AnEmptyTileIsRefused) {
  const TemporaryFolder folder;
  const auto log = open_log(folder.path() / "job.tiles");
  EXPECT_FALSE(log->append(0, cv::Mat()));
  EXPECT_FALSE(log->append(-1, tile(0)));
  EXPECT_TRUE(replayed(*log).empty());
}

TEST(TileLog, AKilledProcessLosesNothingThatWasAppended) {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "job.tiles";
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const auto log = open_log(file);
    for (int i = 0; i < 3; ++i) (void)log->append(i, tile(i));
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  const Tiles found = replayed(*open_log(file));
  ASSERT_EQ(found.size(), 3U);
  EXPECT_TRUE(is_same(found[2].second, tile(2)));
}

TEST(TileLog, IsGoneAfterItsRemoval) {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "job.tiles";
  const auto log = open_log(file);
  ASSERT_TRUE(log->append(0, tile(0)));
  log->remove();
  EXPECT_FALSE(fs::exists(file));
  EXPECT_TRUE(log->append(1, tile(1))) << "a late tile does no harm";
  EXPECT_FALSE(fs::exists(file));
}

}  // namespace
}  // namespace retouchd::stages
