#include "cli/cells.h"

#include <gmock/gmock.h>

namespace retouchd::cli {
namespace {

TEST(Cells, CountColumnsAndNotBytes) {
  EXPECT_EQ(cells("abc"), 3u);
  EXPECT_EQ(cells("über"), 4u);
  EXPECT_EQ(cells("u\xCC\x88"), 1u) << "u and a combining diaeresis";
  EXPECT_EQ(cells("写真"), 4u);
  EXPECT_EQ(cells("📷"), 2u);
}

TEST(Cells, ShortTextsAreFilled) {
  EXPECT_EQ(fitted("ab", 4), "ab  ");
  EXPECT_EQ(fitted("写", 4), "写  ");
  EXPECT_EQ(fitted("", 2), "  ");
  EXPECT_EQ(fitted("abcd", 4), "abcd");
}

TEST(Cells, LongTextsAreCutAtTheEndOrAtTheBeginning) {
  EXPECT_EQ(fitted("abcdefghij", 6), "abc...");
  EXPECT_EQ(fitted("abcdefghij", 6, Keep::kEnd), "...hij");
  EXPECT_EQ(fitted("写真写真", 6), "写... ") << "half of a wide letter cannot be shown";
  EXPECT_EQ(fitted("写真写真", 6, Keep::kEnd), "...真 ");
}

TEST(Cells, EveryWidthIsKept) {
  for (std::size_t width = 0; width < 20; ++width) {
    for (const auto* text : {"", "a", "a longer text that is cut", "写真写真写真写真写真写真", "u\xCC\x88u\xCC\x88u\xCC\x88"}) {
      for (const Keep keep : {Keep::kBeginning, Keep::kEnd}) EXPECT_EQ(cells(fitted(text, width, keep)), width) << text;
    }
  }
}

TEST(Cells, WhatWouldMoveTheCursorIsReplaced) {
  EXPECT_EQ(fitted("a\x1b[2J\n", 6), "a?[2J?");
  EXPECT_EQ(fitted("\xC2\x9B"
                   "2J",
                   3),
            "?2J")
      << "U+009B does the same as Escape [";
  EXPECT_EQ(fitted("\xE2\x80\xAEgpj", 4), "?gpj") << "U+202E writes from right to left";
  EXPECT_EQ(fitted("\xFFx\xE5\x86", 4), "?x??") << "not UTF-8";
}

}  // namespace
}  // namespace retouchd::cli
