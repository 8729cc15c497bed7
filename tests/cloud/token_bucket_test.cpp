#include "cloud/token_bucket.h"

#include <gtest/gtest.h>

#include <chrono>

namespace retouchd::cloud {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr UnixMillis kStart{hours(1'000)};

TEST(TokenBucket, BeginsFullAndFillsEvenly) {
  TokenBucket bucket(60, kStart);
  EXPECT_TRUE(bucket.has(60, kStart));
  bucket.take(60, kStart);
  EXPECT_FALSE(bucket.has(1, kStart));
  EXPECT_FALSE(bucket.has(1, kStart + seconds(59)));
  EXPECT_TRUE(bucket.has(1, kStart + minutes(1)));
  EXPECT_DOUBLE_EQ(bucket.level(kStart + minutes(30)), 30);
}

TEST(TokenBucket, HoldsOneHoursWorthAtMost) {
  TokenBucket bucket(60, kStart);
  bucket.take(10, kStart);
  EXPECT_DOUBLE_EQ(bucket.level(kStart + hours(48)), 60);
}

TEST(TokenBucket, TellsWhenEnoughWillBeThere) {
  TokenBucket bucket(120, kStart);
  EXPECT_EQ(bucket.ready_at(5, kStart), kStart);
  bucket.take(120, kStart);
  EXPECT_EQ(bucket.ready_at(1, kStart), kStart + seconds(30));
  EXPECT_TRUE(bucket.has(1, bucket.ready_at(1, kStart)));
  EXPECT_TRUE(bucket.has(77, bucket.ready_at(77, kStart)));
}

TEST(TokenBucket, LetsSomethingLargerThanAnHoursWorthGoWhenItIsFull) {
  TokenBucket bucket(100, kStart);
  EXPECT_TRUE(bucket.has(250, kStart));
  bucket.take(250, kStart);
  EXPECT_DOUBLE_EQ(bucket.level(kStart), -150);
  EXPECT_EQ(bucket.ready_at(1, kStart), kStart + minutes(90) + seconds(36));
  EXPECT_FALSE(bucket.has(250, kStart + hours(2)));
  EXPECT_TRUE(bucket.has(250, kStart + minutes(150)));
}

TEST(TokenBucket, WithoutABoundHasEverything) {
  TokenBucket bucket(0, kStart);
  bucket.take(1e15, kStart);
  EXPECT_FALSE(bucket.is_bounded());
  EXPECT_TRUE(bucket.has(1e15, kStart));
  EXPECT_EQ(bucket.ready_at(1e15, kStart), kStart);
}

TEST(TokenBucket, GivesNothingForAClockThatIsSetBack) {
  TokenBucket bucket(60, kStart);
  bucket.take(60, kStart);
  EXPECT_DOUBLE_EQ(bucket.level(kStart - hours(5)), 0);
  bucket.take(0, kStart - hours(5));
  EXPECT_DOUBLE_EQ(bucket.level(kStart), 0) << "the five hours are not counted twice";
}

TEST(TokenBucket, KeepsWhatIsThereWhenTheBoundChanges) {
  TokenBucket bucket(60, kStart);
  bucket.take(50, kStart);
  bucket.set_bound(600, kStart);
  EXPECT_DOUBLE_EQ(bucket.level(kStart), 10);
  bucket.set_bound(5, kStart);
  EXPECT_DOUBLE_EQ(bucket.level(kStart), 5);
}

TEST(TokenBucket, BeginsFullWhenABoundIsNew) {
  TokenBucket bucket(0, kStart);
  bucket.set_bound(30, kStart);
  EXPECT_DOUBLE_EQ(bucket.level(kStart), 30);
}

TEST(TokenBucket, GoesOnFromWhereItWas) {
  TokenBucket bucket(60, kStart);
  bucket.restore(3, kStart - minutes(4), kStart);
  EXPECT_DOUBLE_EQ(bucket.level(kStart), 7);
}

TEST(TokenBucket, BelievesNoNonsense) {
  TokenBucket bucket(60, kStart);
  bucket.restore(1e300, kStart, kStart);
  EXPECT_DOUBLE_EQ(bucket.level(kStart), 60);
  bucket.restore(-1e300, kStart, kStart);
  EXPECT_LE(bucket.ready_at(1, kStart), kStart + hours(25));
  bucket.restore(std::numeric_limits<double>::quiet_NaN(), kStart + hours(9), kStart);
  EXPECT_DOUBLE_EQ(bucket.level(kStart), 0);
}

}  // namespace
}  // namespace retouchd::cloud
