#include "config/quantity.h"

#include <gtest/gtest.h>

namespace retouchd::config {
namespace {

using namespace std::chrono_literals;

TEST(Duration, ReadsEveryUnit) {
  EXPECT_EQ(parse_duration("5ms"), 5ms);
  EXPECT_EQ(parse_duration("90s"), 90s);
  EXPECT_EQ(parse_duration("2m"), 2min);
  EXPECT_EQ(parse_duration("24h"), 24h);
  EXPECT_EQ(parse_duration("7d"), 7 * 24h);
  EXPECT_EQ(parse_duration("0s"), 0ms);
}

TEST(Duration, RefusesWhatHasNoUnitOrIsNotWhole) {
  for (const char* text : {"", "5", "s", "1.5s", "-1s", "+1s", " 1s", "1s ", "1 s", "1S", "1w", "1s2ms", "0x1s"}) {
    EXPECT_EQ(parse_duration(text), std::nullopt) << text;
  }
}

TEST(Duration, RefusesWhatDoesNotFitInsteadOfWrappingAround) {
  EXPECT_EQ(parse_duration("9223372036854775807ms"), std::chrono::milliseconds::max());
  EXPECT_EQ(parse_duration("9223372036854775808ms"), std::nullopt);
  EXPECT_EQ(parse_duration("9223372036854775807s"), std::nullopt);
  EXPECT_EQ(parse_duration("99999999999999999999s"), std::nullopt);
}

TEST(Duration, PrintsTheLargestUnitThatFits) {
  EXPECT_EQ(to_text(0ms), "0s");
  EXPECT_EQ(to_text(300'000ms), "5m");
  EXPECT_EQ(to_text(1'500ms), "1500ms");
  EXPECT_EQ(to_text(90s), "90s");
  EXPECT_EQ(to_text(48h), "2d");
}

TEST(Size, ReadsEveryUnit) {
  EXPECT_EQ(parse_size("65536"), Bytes{65'536});
  EXPECT_EQ(parse_size("10B"), Bytes{10});
  EXPECT_EQ(parse_size("4KiB"), kibibytes(4));
  EXPECT_EQ(parse_size("512MiB"), mebibytes(512));
  EXPECT_EQ(parse_size("8GiB"), gibibytes(8));
  EXPECT_EQ(parse_size("1TiB"), gibibytes(1024));
}

TEST(Size, RefusesUnitsThatMeanDifferentThingsToDifferentPeople) {
  for (const char* text : {"", "MiB", "8GB", "8G", "8g", "8gib", "1.5GiB", "-1", "1 GiB", "0x10"}) {
    EXPECT_EQ(parse_size(text), std::nullopt) << text;
  }
}

TEST(Size, RefusesWhatDoesNotFitInsteadOfWrappingAround) {
  EXPECT_EQ(parse_size("16777216TiB"), std::nullopt);
  EXPECT_EQ(parse_size("18446744073709551616"), std::nullopt);
}

TEST(Size, PrintsTheLargestUnitThatFits) {
  EXPECT_EQ(to_text(Bytes{0}), "0");
  EXPECT_EQ(to_text(Bytes{1'000}), "1000");
  EXPECT_EQ(to_text(kibibytes(1'536)), "1536KiB");
  EXPECT_EQ(to_text(gibibytes(2'048)), "2TiB");
}

}  // namespace
}  // namespace retouchd::config
