#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <string>

#include "folder_watch_fixture.h"

namespace retouchd::intake {
namespace {

using namespace std::chrono_literals;
using Names = std::set<std::string>;

/// A watch whose network wants depth with each picture.
class FolderWatchPairsTest : public FolderWatchTest {
 protected:
  FolderWatchPairsTest() {
    watch_.settle_unseen = 30s;  // so patience lasts longer than any test, unless it says otherwise
    options_.companion_of = [](const std::string&, const std::filesystem::path& picture) {
      return std::filesystem::path(picture).replace_extension(".depth.png");
    };
  }

  bool run_until_all_is_seen() {
    const std::string name = "marker-" + std::to_string(++markers_);
    write_text(watch_.path / (name + ".depth.png"), "marker");
    write_text(watch_.path / (name + ".jpg"), "marker");
    return run_until([&] { return names().contains(name + ".jpg"); });
  }
  void start_notified() {
    start_and_see_it_up();
    if (status().polling) GTEST_SKIP() << "no inotify left on this machine";
    ASSERT_TRUE(run_until_scanned());  // what comes now is told of
  }
};

TEST_F(FolderWatchPairsTest, APictureWaitsForItsDepth) {
  start_notified();
  write_text(watch_.path / "room.jpg", "picture");
  ASSERT_TRUE(run_until_all_is_seen());
  EXPECT_FALSE(names().contains("room.jpg"));
  EXPECT_TRUE(run_until([&] { return status().pending == 1; }));
  write_text(watch_.path / "room.depth.png", "depth");
  ASSERT_TRUE(run_until([&] { return names().contains("room.jpg"); }));
  EXPECT_EQ(names(), (Names{"marker-1.jpg", "room.jpg"}));
}

TEST_F(FolderWatchPairsTest, DepthWaitsForItsPicture) {
  start_notified();
  write_text(watch_.path / "room.depth.png", "depth");
  ASSERT_TRUE(run_until_all_is_seen());
  write_text(watch_.path / "room.JPG", "picture");
  ASSERT_TRUE(run_until([&] { return names().contains("room.JPG"); }));
  EXPECT_EQ(names(), (Names{"marker-1.jpg", "room.JPG"}));
}

TEST_F(FolderWatchPairsTest, HalfADepthIsNotTaken) {
  start_notified();
  std::ofstream depth(watch_.path / "room.depth.png", std::ios::binary);
  depth << "one half" << std::flush;
  write_text(watch_.path / "room.jpg", "picture");
  ASSERT_TRUE(run_until_all_is_seen());
  ASSERT_TRUE(run_until_all_is_seen());
  EXPECT_FALSE(names().contains("room.jpg"));
  depth << "the other half" << std::flush;
  depth.close();
  ASSERT_TRUE(run_until([&] { return names().contains("room.jpg"); }));
}

TEST_F(FolderWatchPairsTest, FindsPairsThatAreThereAlready) {
  watch_.settle_unseen = 40ms;
  for (const char* name : {"a.jpg", "a.depth.png", "x/b.png", "x/b.depth.png"}) write_text(watch_.path / name, name);
  start();
  ASSERT_TRUE(run_until_jobs(2));
  EXPECT_EQ(names(), (Names{"a.jpg", "x/b.png"}));
}

TEST_F(FolderWatchPairsTest, PollsForPairs) {
  watch_.settle_unseen = 40ms;
  options_.needs_polling = [](const auto&) { return true; };
  start_and_see_it_up();
  write_text(watch_.path / "room.jpg", "picture");
  write_text(watch_.path / "room.depth.png", "depth");
  ASSERT_TRUE(run_until([&] { return status().accepted > 0 && status().pending == 0; }));
  EXPECT_TRUE(names().contains("room.jpg"));
  EXPECT_FALSE(names().contains("room.depth.png"));
}

TEST_F(FolderWatchPairsTest, PatienceEndsAndLateDepthIsANewChance) {
  watch_.settle_unseen = 20ms;
  start_and_see_it_up();
  write_text(watch_.path / "room.jpg", "picture");
  ASSERT_TRUE(run_until_jobs(1));  // it will fail and say what is missing
  write_text(watch_.path / "room.depth.png", "depth");
  ASSERT_TRUE(run_until_jobs(2));
  EXPECT_EQ(names(), Names{"room.jpg"});
  EXPECT_NE(store_.jobs()[0].request.key, store_.jobs()[1].request.key);
}

TEST_F(FolderWatchPairsTest, ChangedDepthMakesANewJob) {
  watch_.settle_unseen = 20ms;
  write_text(watch_.path / "room.jpg", "picture");
  write_text(watch_.path / "room.depth.png", "depth");
  start();
  ASSERT_TRUE(run_until_jobs(1));
  write_text(watch_.path / "room.depth.png", "better depth");
  ASSERT_TRUE(run_until_jobs(2));
  EXPECT_EQ(names(), Names{"room.jpg"});
}

TEST_F(FolderWatchPairsTest, NeitherARestartNorARescanMakesAPairAJobTwice) {
  watch_.settle_unseen = 40ms;
  write_text(watch_.path / "room.jpg", "picture");
  write_text(watch_.path / "room.depth.png", "depth");
  start();
  ASSERT_TRUE(run_until_jobs(1));
  start();
  ASSERT_TRUE(run_until([&] { return status().duplicates == 1; }));
  ASSERT_TRUE(run_until_scanned());
  ASSERT_TRUE(run_until_all_is_seen());
  EXPECT_EQ(store_.size(), 2U);
}

TEST_F(FolderWatchPairsTest, ManyPairsWithFewPlacesToWait) {
  watch_.settle_unseen = 40ms;
  options_.max_pending = 10;
  constexpr int kPairs = 60;
  for (int i = 0; i < kPairs; ++i) {
    write_text(watch_.path / (std::to_string(i) + ".jpg"), "picture");
    write_text(watch_.path / (std::to_string(i) + ".depth.png"), "depth");
  }
  start();
  ASSERT_TRUE(run_until([&] { return names().size() == kPairs; }));
  EXPECT_EQ(store_.size(), static_cast<std::size_t>(kPairs));
}

}  // namespace
}  // namespace retouchd::intake
