#include "intake/folder_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <string_view>

#include "folder_watch_fixture.h"

namespace retouchd::intake {
namespace {

using namespace std::chrono_literals;

using Names = std::set<std::string>;

TEST_F(FolderWatchTest, MakesAPictureAJobThatMirrorsItsFolders) {
  watch_.priority = 3;
  start_and_see_it_up();
  write_text(watch_.path / "2024/May/a.jpg", "0123456789");
  ASSERT_TRUE(run_until_jobs(1));
  const queue::JobRequest request = store_.jobs()[0].request;
  EXPECT_EQ(request.origin, "watch:photos");
  EXPECT_EQ(request.name, "2024/May/a.jpg");
  EXPECT_EQ(request.source, watch_.path / "2024/May/a.jpg");
  EXPECT_EQ(request.output, watch_.output / "2024/May/a.jpg");
  EXPECT_EQ(request.error_report, watch_.output / "2024/May/a.jpg.error.txt");
  EXPECT_EQ(request.identity, *identify_file(request.source));
  EXPECT_EQ(request.network, "small");
  EXPECT_EQ(request.priority, 3);
  EXPECT_FALSE(request.overwrite);
  EXPECT_TRUE(run_until([&] { return status().accepted == 1 && status().pending == 0; }));
}

TEST_F(FolderWatchTest, FindsWhatIsThereAlready) {
  for (const char* name : {"a.jpg", "x/b.png", "x/y/c.webp"}) write_text(watch_.path / name, name);
  start();
  ASSERT_TRUE(run_until_jobs(3));
  EXPECT_EQ(names(), (Names{"a.jpg", "x/b.png", "x/y/c.webp"}));
}

TEST_F(FolderWatchTest, StaysInTheFolderWhenNotRecursive) {
  watch_.recursive = false;
  write_text(watch_.path / "x/b.png", "1");
  start_and_see_it_up();
  write_text(watch_.path / "x/c.png", "1");
  write_text(watch_.path / "y/c.png", "1");
  ASSERT_TRUE(run_until_all_is_seen());
  EXPECT_EQ(store_.size(), 1U);
}

TEST_F(FolderWatchTest, DoesNotTakeASlowCopyBeforeItIsClosed) {
  watch_.settle_unseen = 1h;  // nothing but its close makes the copy complete
  start_and_see_it_up();
  if (status().polling) GTEST_SKIP() << "no inotify left on this machine";
  ASSERT_TRUE(run_until_scanned());
  std::ofstream slow(watch_.path / "slow.jpg", std::ios::binary);
  for (int part = 0; part < 5; ++part) {
    slow << "some part of a picture" << std::flush;
    ASSERT_TRUE(run_until_all_is_seen());
    EXPECT_FALSE(names().contains("slow.jpg"));
  }
  slow.close();
  ASSERT_TRUE(run_until([&] { return names().contains("slow.jpg"); }));
  EXPECT_EQ(store_.jobs().back().request.identity.size, 5 * std::string_view("some part of a picture").size());
}

TEST_F(FolderWatchTest, TakesAFileThatIsRenamedIntoPlace) {
  start_and_see_it_up();
  write_text(watch_.path / "a.jpg.part", "0123456789");
  ASSERT_TRUE(run_until_all_is_seen());
  EXPECT_EQ(store_.size(), 1U);
  std::filesystem::rename(watch_.path / "a.jpg.part", watch_.path / "a.jpg");
  ASSERT_TRUE(run_until([&] { return names().contains("a.jpg"); }));
}

TEST_F(FolderWatchTest, TakesAFolderThatIsMovedIn) {
  for (const char* name : {"new/a.jpg", "new/deep/b.jpg"}) write_text(scratch_.path() / name, name);
  start_and_see_it_up();
  std::filesystem::rename(scratch_.path() / "new", watch_.path / "new");
  ASSERT_TRUE(run_until_jobs(2));
  write_text(watch_.path / "new/deep/c.jpg", "later");
  ASSERT_TRUE(run_until_jobs(3));
  EXPECT_EQ(names(), (Names{"new/a.jpg", "new/deep/b.jpg", "new/deep/c.jpg"}));
}

TEST_F(FolderWatchTest, TakesABurstWithFewPlacesToWait) {
  options_.max_pending = 20;
  options_.max_accepts = 4;
  start_and_see_it_up();
  for (int i = 0; i < 500; ++i)
    write_text(watch_.path / ("folder" + std::to_string(i % 7)) / (std::to_string(i) + ".jpg"), "burst");
  ASSERT_TRUE(run_until_jobs(500));
  ASSERT_TRUE(run_until([&] { return status().accepted == 500; }));
  ASSERT_TRUE(run_until_scanned());
  EXPECT_EQ(store_.size(), 500U);
  EXPECT_EQ(names().size(), 500U);
}

TEST_F(FolderWatchTest, FindsWhatLostNotificationsWereAbout) {
  start_and_see_it_up();
  ASSERT_TRUE(run_until_scanned());
  // Nobody reads meanwhile, so these overflow the kernel's list (fs.inotify.max_queued_events, 16,384 by default).
  constexpr int kFiles = 9'000;
  std::filesystem::create_directory(watch_.path / "x");
  for (int i = 0; i < kFiles; ++i) std::ofstream(watch_.path / (i < kFiles / 2 ? "" : "x") / (std::to_string(i) + ".jpg")) << i;
  ASSERT_TRUE(run_until_jobs(kFiles));
  ASSERT_TRUE(run_until_all_is_seen());
  EXPECT_EQ(store_.size(), kFiles + 1U);
}

TEST_F(FolderWatchTest, ARescanMakesNoJobTwice) {
  for (const char* name : {"a.jpg", "b.jpg"}) write_text(watch_.path / name, name);
  start();
  ASSERT_TRUE(run_until_jobs(2));
  ASSERT_TRUE(run_until_scanned());
  ASSERT_TRUE(run_until_all_is_seen());
  EXPECT_EQ(store_.size(), 3U);
}

TEST_F(FolderWatchTest, ARestartMakesNoJobTwice) {
  for (const char* name : {"a.jpg", "b.jpg"}) write_text(watch_.path / name, name);
  start();
  ASSERT_TRUE(run_until_jobs(2));
  options_.network = "another";
  start();
  ASSERT_TRUE(run_until([&] { return status().duplicates == 2; }));
  ASSERT_TRUE(run_until_all_is_seen());
  EXPECT_EQ(store_.size(), 3U);
}

TEST_F(FolderWatchTest, AChangedFileIsANewJob) {
  write_text(watch_.path / "a.jpg", "first");
  start();
  ASSERT_TRUE(run_until_jobs(1));
  write_text(watch_.path / "a.jpg", "second version");
  ASSERT_TRUE(run_until_jobs(2));
  const auto jobs = store_.jobs();
  EXPECT_EQ(jobs[1].request.name, "a.jpg");
  EXPECT_NE(jobs[1].request.key, jobs[0].request.key);
}

TEST_F(FolderWatchTest, AnEmptyFileBecomesAJobThatWillFailWithAReport) {
  start_and_see_it_up();
  write_text(watch_.path / "empty.jpg", "");
  ASSERT_TRUE(run_until_jobs(1));
  EXPECT_EQ(store_.jobs()[0].request.identity.size, 0U);
}

TEST_F(FolderWatchTest, PassesOverResultsReportsAndUnfinishedFiles) {
  watch_.output = watch_.path / "restored";
  options_.excluded = {watch_.path / "other-results"};
  for (const char* name : {"restored/a.jpg", "other-results/b.jpg", "restored/.retouchd-tmp/1.1.jpg", "c.jpg.error.txt",
                           ".syncthing.d.jpg.tmp", ".e.jpg", "f.jpg.crdownload"}) {
    write_text(watch_.path / name, name);
  }
  start_and_see_it_up();
  write_text(watch_.path / "restored/later.jpg", "result");
  write_text(watch_.path / "restored/new/later.jpg", "result");
  ASSERT_TRUE(run_until_all_is_seen());
  ASSERT_TRUE(run_until_all_is_seen());
  EXPECT_EQ(names(), (Names{"marker-1.jpg", "marker-2.jpg"}));
}

TEST_F(FolderWatchTest, HeedsANewIgnoreFile) {
  start_and_see_it_up();
  write_text(watch_.path / ".retouchdignore", "private_*\n");
  ASSERT_TRUE(run_until_all_is_seen());
  write_text(watch_.path / "private_a.jpg", "1");
  ASSERT_TRUE(run_until_all_is_seen());
  EXPECT_FALSE(names().contains("private_a.jpg"));
}

TEST_F(FolderWatchTest, FollowsNoLinks) {
  write_text(scratch_.path() / "secret.jpg", "secret");
  write_text(watch_.path / "x/a.jpg", "1");
  std::filesystem::create_directory_symlink(watch_.path, watch_.path / "x/loop");
  std::filesystem::create_symlink(scratch_.path() / "secret.jpg", watch_.path / "link.jpg");
  start();
  ASSERT_TRUE(run_until_jobs(1));
  std::filesystem::create_symlink(scratch_.path() / "secret.jpg", watch_.path / "link2.jpg");
  ASSERT_TRUE(run_until_all_is_seen());
  EXPECT_EQ(names(), (Names{"x/a.jpg", "marker-1.jpg"}));
}

TEST_F(FolderWatchTest, WaitsWhileTheStoreIsBusy) {
  store_.refuse_next(ErrorCode::kBusy, 3);
  for (const char* name : {"a.jpg", "b.jpg"}) write_text(watch_.path / name, name);
  start();
  ASSERT_TRUE(run_until([&] { return status().accepted == 2; }));
  EXPECT_EQ(names(), (Names{"a.jpg", "b.jpg"}));
  EXPECT_EQ(status().pending, 0U);
}

TEST_F(FolderWatchTest, WaitsForAFolderThatComesLate) {
  std::filesystem::remove_all(watch_.path);
  start();
  io_.restart();
  io_.run_one_for(1s);
  EXPECT_FALSE(status().up);
  write_text(watch_.path / "a.jpg", "1");
  ASSERT_TRUE(run_until_jobs(1));
  EXPECT_TRUE(status().up);
}

TEST_F(FolderWatchTest, ComesBackWithItsFolder) {
  write_text(watch_.path / "a.jpg", "1");
  start();
  ASSERT_TRUE(run_until_jobs(1));
  std::filesystem::remove_all(watch_.path);
  ASSERT_TRUE(run_until([&] { return !status().up; }));
  write_text(watch_.path / "b.jpg", "2");
  ASSERT_TRUE(run_until_jobs(2));
  EXPECT_TRUE(status().up);
  write_text(watch_.path / "sub/c.jpg", "3");
  ASSERT_TRUE(run_until_jobs(3));
  EXPECT_EQ(names(), (Names{"a.jpg", "b.jpg", "sub/c.jpg"}));
}

TEST_F(FolderWatchTest, NoticesThatItsFolderWasExchanged) {
  write_text(scratch_.path() / "other/b.jpg", "2");
  start_and_see_it_up();
  std::filesystem::rename(watch_.path, scratch_.path() / "away");
  std::filesystem::rename(scratch_.path() / "other", watch_.path);
  ASSERT_TRUE(run_until_jobs(1));
  write_text(scratch_.path() / "away/c.jpg", "not watched any more");
  ASSERT_TRUE(run_until_all_is_seen());
  EXPECT_EQ(names(), (Names{"b.jpg", "marker-1.jpg"}));
}

TEST_F(FolderWatchTest, PollsWhereNotificationsMayBeMissing) {
  options_.needs_polling = [](const auto&) { return true; };
  start_and_see_it_up();
  EXPECT_TRUE(status().polling);
  for (const char* name : {"a.jpg", "x/b.jpg"}) write_text(watch_.path / name, name);
  ASSERT_TRUE(run_until_jobs(2));
}

TEST_F(FolderWatchTest, EndsItsWorkWhenStopped) {
  for (int i = 0; i < 50; ++i) write_text(watch_.path / (std::to_string(i) + ".jpg"), "1");
  start_and_see_it_up();
  folder_watch_->stop();
  folder_watch_->stop();
  io_.restart();
  io_.run();  // returns: nothing is left to wait for
  EXPECT_FALSE(status().up);
  const auto before = store_.size();
  write_text(watch_.path / "later.jpg", "1");
  io_.restart();
  io_.run();
  EXPECT_EQ(store_.size(), before);
}

}  // namespace
}  // namespace retouchd::intake
