#include "intake/failure_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "intake/job_ending.h"
#include "tests/temporary_folder.h"

namespace retouchd::intake {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class FailureReportTest : public testing::Test {
 protected:
  FailureReportTest() {
    watch_.name = "photos";
    watch_.path = scratch_.path() / "in";
    watch_.output = scratch_.path() / "out";
    write_text(watch_.path / "2024/a.jpg", "0123456789");
    job_.id = 17;
    job_.claims = 3;
    job_.state = queue::JobState::kFailed;
    job_.finished_at = UnixMillis{std::chrono::milliseconds(1'700'000'000'000)};
    job_.error = Error{ErrorCode::kCorruptPicture, "2024/a.jpg: the decoder stopped at row 12", "decode"};
    job_.request.origin = "watch:photos";
    job_.request.name = "2024/a.jpg";
    job_.request.source = watch_.path / "2024/a.jpg";
    job_.request.identity = *identify_file(job_.request.source);
    job_.request.output = watch_.output / "2024/a.jpg";
    job_.request.error_report = report_;
  }

  TemporaryFolder scratch_;
  config::Watch watch_;
  const std::filesystem::path report_ = scratch_.path() / "out/2024/a.jpg.error.txt";
  queue::Job job_;
};

TEST_F(FailureReportTest, SaysWhatWhyAndWhatToDo) {
  const std::string text = failure_report(job_);
  EXPECT_THAT(text, StartsWith("retouchd could not restore this picture.\n"));
  EXPECT_THAT(text, HasSubstr("File:        2024/a.jpg\n"));
  EXPECT_THAT(text, HasSubstr("Reason:      2024/a.jpg: the decoder stopped at row 12 (corrupt_picture)\n"));
  EXPECT_THAT(text, HasSubstr("What to do:  Copy the file again from its source"));
  EXPECT_THAT(text, HasSubstr("Attempts:    3\n"));
  EXPECT_THAT(text, HasSubstr("2023-11-14 22:13:20 UTC"));
  EXPECT_THAT(text, HasSubstr("  retouch retry 17\n"));
  EXPECT_THAT(text, HasSubstr("The original was left as it is."));
}

TEST_F(FailureReportTest, ANameCannotForgeLines) {
  job_.request.name = "a\nReason: none.jpg";
  job_.request.source = "/in/it's\n$(x).jpg";
  const std::string text = failure_report(job_);
  EXPECT_THAT(text, HasSubstr("File:        a\\x0aReason: none.jpg\n"));
  EXPECT_THAT(text, HasSubstr("  touch $'/in/it\\'s\\x0a$(x).jpg'    or\n"));
  EXPECT_THAT(text, Not(HasSubstr("\nReason: none")));
}

TEST_F(FailureReportTest, IsWrittenOnFailureAndRemovedOnSuccess) {
  ASSERT_TRUE(finish_job(&watch_, job_));
  EXPECT_EQ(read_text(report_), failure_report(job_));
  job_.error->message = "another reason";
  ASSERT_TRUE(finish_job(&watch_, job_));
  EXPECT_THAT(read_text(report_), HasSubstr("another reason"));
  EXPECT_FALSE(std::filesystem::exists(report_.parent_path() / ".retouchd-tmp"));

  job_.state = queue::JobState::kDone;
  ASSERT_TRUE(finish_job(&watch_, job_));
  EXPECT_FALSE(std::filesystem::exists(report_));
  EXPECT_TRUE(finish_job(&watch_, job_));
}

TEST_F(FailureReportTest, LeavesFilesOfOthersAlone) {
  write_text(report_, "my own notes");
  const auto written = finish_job(&watch_, job_);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, ErrorCode::kOutputExists);
  job_.state = queue::JobState::kDone;
  EXPECT_TRUE(finish_job(&watch_, job_));
  EXPECT_EQ(read_text(report_), "my own notes");
}

TEST_F(FailureReportTest, IsNotWrittenForAVersionThatWasReplaced) {
  write_text(job_.request.source, "a newer and longer version");
  ASSERT_TRUE(finish_job(&watch_, job_));
  EXPECT_FALSE(std::filesystem::exists(report_));
}

TEST_F(FailureReportTest, IsMadeUpForAfterACrashButDoesNotComeBackLater) {
  const auto soon = *job_.finished_at + std::chrono::minutes(5);
  ASSERT_TRUE(make_up_for(watch_, job_, soon));
  EXPECT_TRUE(std::filesystem::exists(report_));
  std::filesystem::remove(report_);
  ASSERT_TRUE(make_up_for(watch_, job_, soon + std::chrono::hours(48)));
  EXPECT_FALSE(std::filesystem::exists(report_));
}

TEST_F(FailureReportTest, NowhereMeansNowhere) {
  job_.request.error_report.clear();
  EXPECT_TRUE(finish_job(nullptr, job_));
  EXPECT_FALSE(std::filesystem::exists(watch_.output));
}

}  // namespace
}  // namespace retouchd::intake
