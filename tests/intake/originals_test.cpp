#include "intake/originals.h"

#include <gtest/gtest.h>

#include "intake/job_ending.h"
#include "tests/temporary_folder.h"

namespace retouchd::intake {
namespace {

class OriginalsTest : public testing::Test {
 protected:
  OriginalsTest() {
    watch_.name = "photos";
    watch_.path = scratch_.path() / "in";
    watch_.output = scratch_.path() / "out";
    watch_.move_to = scratch_.path() / "originals";
    write_text(original_, "the original");
    job_.id = 1;
    job_.state = queue::JobState::kDone;
    job_.request.origin = "watch:photos";
    job_.request.name = "2024/a.jpg";
    job_.request.source = original_;
    job_.request.identity = *identify_file(original_);
  }

  using OnSuccess = config::Watch::OnSuccess;

  TemporaryFolder scratch_;
  const std::filesystem::path original_ = scratch_.path() / "in/2024/a.jpg";
  const std::filesystem::path moved_ = scratch_.path() / "originals/2024/a.jpg";
  config::Watch watch_;
  queue::Job job_;
};

TEST_F(OriginalsTest, AreKeptByDefault) {
  ASSERT_TRUE(finish_job(&watch_, job_));
  EXPECT_EQ(read_text(original_), "the original");
}

TEST_F(OriginalsTest, AreMovedWithTheirFolders) {
  watch_.on_success = OnSuccess::kMove;
  ASSERT_TRUE(finish_job(&watch_, job_));
  EXPECT_FALSE(std::filesystem::exists(original_));
  EXPECT_EQ(read_text(moved_), "the original");
}

TEST_F(OriginalsTest, ReplaceNothingWhereTheyGo) {
  watch_.on_success = OnSuccess::kMove;
  write_text(moved_, "an older one");
  ASSERT_TRUE(finish_job(&watch_, job_));
  EXPECT_EQ(read_text(moved_), "an older one");
  EXPECT_EQ(read_text(scratch_.path() / "originals/2024/a.2.jpg"), "the original");
}

TEST_F(OriginalsTest, AreDeletedWhenThatIsAskedFor) {
  watch_.on_success = OnSuccess::kDelete;
  ASSERT_TRUE(finish_job(&watch_, job_));
  EXPECT_TRUE(std::filesystem::is_empty(original_.parent_path()));
}

class PairedOriginalsTest : public OriginalsTest {
 protected:
  PairedOriginalsTest() {
    write_text(depth_, "its depth");
    const auto identity = *identify_file(depth_);
    job_.details = R"({"companion":{"path":")" + depth_.string() + R"(","inode":)" + std::to_string(identity.inode) +
                   R"(,"size":)" + std::to_string(identity.size) + R"(,"mtime_ns":)" + std::to_string(identity.mtime_ns) + "}}";
  }

  const std::filesystem::path depth_ = scratch_.path() / "in/2024/a.depth.png";
};

TEST_F(PairedOriginalsTest, GoTogether) {
  watch_.on_success = OnSuccess::kMove;
  ASSERT_TRUE(finish_job(&watch_, job_));
  EXPECT_TRUE(std::filesystem::is_empty(original_.parent_path()));
  EXPECT_EQ(read_text(moved_), "the original");
  EXPECT_EQ(read_text(scratch_.path() / "originals/2024/a.depth.png"), "its depth");
}

TEST_F(PairedOriginalsTest, StillBelongTogetherUnderAnotherName) {
  watch_.on_success = OnSuccess::kMove;
  write_text(moved_, "an older one");
  ASSERT_TRUE(finish_job(&watch_, job_));
  EXPECT_EQ(read_text(scratch_.path() / "originals/2024/a.2.jpg"), "the original");
  EXPECT_EQ(read_text(scratch_.path() / "originals/2024/a.2.depth.png"), "its depth");
}

TEST_F(PairedOriginalsTest, AreDeletedTogether) {
  watch_.on_success = OnSuccess::kDelete;
  ASSERT_TRUE(finish_job(&watch_, job_));
  EXPECT_TRUE(std::filesystem::is_empty(original_.parent_path()));
}

TEST_F(PairedOriginalsTest, ANewerSecondPictureStays) {
  watch_.on_success = OnSuccess::kDelete;
  write_text(depth_, "a newer depth");
  const auto finished = finish_job(&watch_, job_);
  ASSERT_FALSE(finished);
  EXPECT_EQ(finished.error().code, ErrorCode::kInputChanged);
  EXPECT_EQ(read_text(depth_), "a newer depth");
}

TEST_F(OriginalsTest, StayWhenSomebodyReplacedThem) {
  write_text(original_, "a newer version");
  for (const auto what : {OnSuccess::kMove, OnSuccess::kDelete}) {
    watch_.on_success = what;
    const auto finished = finish_job(&watch_, job_);
    ASSERT_FALSE(finished);
    EXPECT_EQ(finished.error().code, ErrorCode::kInputChanged);
    EXPECT_EQ(read_text(original_), "a newer version");
  }
}

TEST_F(OriginalsTest, StayWhenTheJobFailedOrTheWatchIsAnotherOne) {
  watch_.on_success = OnSuccess::kDelete;
  watch_.path = scratch_.path() / "elsewhere";
  ASSERT_TRUE(finish_job(&watch_, job_));
  ASSERT_TRUE(finish_job(nullptr, job_));
  watch_.path = scratch_.path() / "in";
  job_.state = queue::JobState::kFailed;
  ASSERT_TRUE(finish_job(&watch_, job_));
  EXPECT_EQ(read_text(original_), "the original");
}

TEST_F(OriginalsTest, AreMovedButNeverDeletedOnOldEvidence) {
  watch_.on_success = OnSuccess::kDelete;
  ASSERT_TRUE(make_up_for(watch_, job_, system_clock().now()));
  EXPECT_TRUE(std::filesystem::exists(original_));
  watch_.on_success = OnSuccess::kMove;
  ASSERT_TRUE(make_up_for(watch_, job_, system_clock().now()));
  EXPECT_EQ(read_text(moved_), "the original");
}

TEST_F(OriginalsTest, AreMovedToAnotherFileSystem) {
  std::error_code error;
  const std::filesystem::path other = "/dev/shm/retouchd-originals-test-" + scratch_.path().filename().string();
  if (!std::filesystem::is_directory("/dev/shm", error)) GTEST_SKIP() << "no other file system here";
  const auto moved = move_original(watch_.path, "2024/a.jpg", job_.request.identity, other);
  ASSERT_TRUE(moved) << moved.error().message;
  EXPECT_EQ(read_text(*moved), "the original");
  EXPECT_FALSE(std::filesystem::exists(original_));
  EXPECT_EQ(identify_file(*moved)->mtime_ns, job_.request.identity.mtime_ns);
  std::filesystem::remove_all(other);
}

}  // namespace
}  // namespace retouchd::intake
