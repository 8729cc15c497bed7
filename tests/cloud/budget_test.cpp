#include "cloud/budget.h"

#include <gtest/gtest.h>

#include <chrono>

#include "tests/temporary_folder.h"

namespace retouchd::cloud {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr UnixMillis kStart{hours(1'000)};

class BudgetTest : public testing::Test {
 protected:
  TemporaryFolder folder_;
  std::filesystem::path file_ = folder_.path() / "cloud_budget.json";
};

TEST_F(BudgetTest, GivesAsManyEscalationsAsItHas) {
  Budget budget(2, {}, {}, kStart);
  EXPECT_EQ(budget.escalations_left(kStart), 2);
  EXPECT_TRUE(budget.take(mebibytes(100), kStart));
  EXPECT_TRUE(budget.take(mebibytes(100), kStart));
  EXPECT_FALSE(budget.take(mebibytes(100), kStart));
  EXPECT_EQ(budget.ready_at(mebibytes(100), kStart), kStart + minutes(30));
  EXPECT_EQ(budget.bytes_left(kStart), std::nullopt);
}

TEST_F(BudgetTest, GivesAsManyBytesAsItHas) {
  Budget budget(0, mebibytes(60), {}, kStart);
  EXPECT_TRUE(budget.take(mebibytes(50), kStart));
  EXPECT_FALSE(budget.take(mebibytes(20), kStart)) << "and takes nothing then";
  EXPECT_EQ(budget.bytes_left(kStart), mebibytes(10));
  EXPECT_EQ(budget.ready_at(mebibytes(20), kStart), kStart + minutes(10));
  EXPECT_EQ(budget.escalations_left(kStart), std::nullopt);
}

TEST_F(BudgetTest, PaysBackWhatWasChargedBeyond) {
  Budget budget(0, mebibytes(60), {}, kStart);
  budget.charge(mebibytes(90), kStart);
  EXPECT_EQ(budget.bytes_left(kStart), Bytes{0});
  EXPECT_EQ(budget.ready_at(Bytes{0}, kStart), kStart + minutes(30));
}

TEST_F(BudgetTest, IsNotFilledUpByARestart) {
  {
    Budget budget(60, mebibytes(60), file_, kStart);
    EXPECT_TRUE(budget.take(mebibytes(60), kStart));
    for (int i = 0; i < 59; ++i) (void)budget.take({}, kStart);
  }
  Budget again(60, mebibytes(60), file_, kStart + seconds(1));
  EXPECT_FALSE(again.take({}, kStart + seconds(1)));
  Budget later(60, mebibytes(60), file_, kStart + minutes(6));
  EXPECT_EQ(later.escalations_left(kStart + minutes(6)), 6);
  EXPECT_EQ(later.bytes_left(kStart + minutes(6)), mebibytes(6));
}

TEST_F(BudgetTest, BeginsFullWithoutAFile) {
  Budget budget(60, mebibytes(60), file_, kStart);
  EXPECT_EQ(budget.escalations_left(kStart), 60);
}

TEST_F(BudgetTest, BeginsEmptyWithAFileThatCannotBeRead) {
  for (const char* text : {"nonsense", "[]", "{}", "{\"at_ms\": \"x\"}", "{\"at_ms\": -5, \"escalations_left\": 60}"}) {
    write_text(file_, text);
    Budget budget(60, mebibytes(60), file_, kStart);
    EXPECT_EQ(budget.escalations_left(kStart), 0) << text;
    EXPECT_EQ(budget.escalations_left(kStart + minutes(5)), 5) << text;
  }
}

TEST_F(BudgetTest, ANewBoundBeginsFull) {
  { EXPECT_TRUE(Budget(60, {}, file_, kStart).take({}, kStart)); }
  Budget budget(60, mebibytes(60), file_, kStart);
  EXPECT_EQ(budget.escalations_left(kStart), 59);
  EXPECT_EQ(budget.bytes_left(kStart), mebibytes(60));
}

TEST_F(BudgetTest, LeavesNoOtherFileBehind) {
  Budget budget(60, mebibytes(60), file_, kStart);
  EXPECT_TRUE(budget.take(mebibytes(1), kStart));
  int files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder_.path())) ++files;
  EXPECT_EQ(files, 1);
}

}  // namespace
}  // namespace retouchd::cloud
