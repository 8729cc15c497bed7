#include "intake/ignore_rules.h"

#include <gtest/gtest.h>

namespace retouchd::intake {
namespace {

class UnfinishedNames : public testing::TestWithParam<const char*> {};

TEST_P(UnfinishedNames, ArePassedOver) { EXPECT_TRUE(IgnoreRules().ignores_file(GetParam())) << GetParam(); }

INSTANTIATE_TEST_SUITE_P(IgnoreRules, UnfinishedNames,
                         testing::Values("a.jpg.part", "a.jpg.crdownload", "a.jpg.tmp", "a.jpg~", "sub/a.JPG.Partial",
                                         "a.filepart", ".syncthing.a.jpg.tmp", "~syncthing~a.jpg.tmp", "~$a.jpg", ".a.jpg.X3dQ",
                                         "._a.jpg", ".retouchd-tmp", "2024/.hidden.png", "a.jpg.error.txt", "a.preview.jpg",
                                         "Thumbs.db", "desktop.ini"));

TEST(IgnoreRules, TakeOrdinaryPictures) {
  for (const char* name : {"a.jpg", "2024/May/IMG 0001.JPEG", "part.jpg", "tmp.png", "a~b.webp", "x.part.jpg"}) {
    EXPECT_FALSE(IgnoreRules().ignores_file(name)) << name;
  }
}

TEST(IgnoreRules, PassOverFoldersOfIndexersAndRecycleBins) {
  for (const char* name :
       {".stfolder", ".stversions", ".git", "@eaDir", "2024/@eaDir", "#recycle", "$RECYCLE.BIN", ".retouchd-tmp"}) {
    EXPECT_TRUE(IgnoreRules().ignores_folder(name)) << name;
  }
  EXPECT_FALSE(IgnoreRules().ignores_folder("2024/May"));
}

TEST(IgnoreRules, ReadTheUsersList) {
  const IgnoreRules rules("# mine\n\n*_raw.jpg\r\nprivate/\n/2023/*.png\nold/deep/a.jpg  \n");
  EXPECT_TRUE(rules.ignores_file("x_raw.jpg"));
  EXPECT_TRUE(rules.ignores_file("sub/x_raw.jpg"));
  EXPECT_TRUE(rules.ignores_folder("sub/private"));
  EXPECT_FALSE(rules.ignores_file("private"));
  EXPECT_TRUE(rules.ignores_file("2023/a.png"));
  EXPECT_FALSE(rules.ignores_file("sub/2023/a.png"));
  EXPECT_FALSE(rules.ignores_file("2023/deep/a.png"));
  EXPECT_TRUE(rules.ignores_file("old/deep/a.jpg"));
  EXPECT_FALSE(rules.ignores_file("a.jpg"));
}

TEST(IgnoreRules, DoNotStumbleOverAnEmptyPattern) {
  const IgnoreRules rules("/\n//\n \n#");
  EXPECT_FALSE(rules.ignores_file("a.jpg"));
  EXPECT_FALSE(rules.ignores_folder("sub"));
}

}  // namespace
}  // namespace retouchd::intake
