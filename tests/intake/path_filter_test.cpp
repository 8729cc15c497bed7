#include "intake/path_filter.h"

#include <gtest/gtest.h>

#include "tests/temporary_folder.h"

namespace retouchd::intake {
namespace {

TEST(PathFilter, StaysOutOfExcludedFoldersBelow) {
  const TemporaryFolder scratch;
  PathFilter filter(scratch.path(), {scratch.path() / "out/", scratch.path() / "moved" / "here", "/elsewhere", ""});
  ASSERT_TRUE(filter.refresh());
  EXPECT_FALSE(filter.wants_folder("out"));
  EXPECT_FALSE(filter.reaches_file("out/a.jpg"));
  EXPECT_FALSE(filter.reaches_file("out/deep/a.jpg"));
  EXPECT_TRUE(filter.reaches_file("moved/a.jpg"));
  EXPECT_FALSE(filter.reaches_file("moved/here/a.jpg"));
  EXPECT_TRUE(filter.reaches_file("outer/a.jpg"));
  EXPECT_TRUE(filter.reaches_file("a.jpg"));
}

TEST(PathFilter, FindsExcludedFoldersBehindLinks) {
  const TemporaryFolder scratch;
  std::filesystem::create_directories(scratch.path() / "real" / "out");
  std::filesystem::create_directory_symlink(scratch.path() / "real", scratch.path() / "link");
  PathFilter filter(scratch.path() / "link", {scratch.path() / "real" / "out"});
  ASSERT_TRUE(filter.refresh());
  EXPECT_FALSE(filter.wants_folder("out"));
}

TEST(PathFilter, ReadsTheIgnoreFileAnewAtEachRefresh) {
  const TemporaryFolder scratch;
  PathFilter filter(scratch.path(), {});
  ASSERT_TRUE(filter.refresh());
  EXPECT_TRUE(filter.wants_file("a.jpg"));
  write_text(scratch.path() / ".retouchdignore", "a.*\n");
  ASSERT_TRUE(filter.refresh());
  EXPECT_FALSE(filter.wants_file("a.jpg"));
  std::filesystem::remove(scratch.path() / ".retouchdignore");
  ASSERT_TRUE(filter.refresh());
  EXPECT_TRUE(filter.wants_file("a.jpg"));
}

TEST(PathFilter, WantsOnlyPictures) {
  const TemporaryFolder scratch;
  PathFilter filter(scratch.path(), {});
  ASSERT_TRUE(filter.refresh());
  EXPECT_FALSE(filter.reaches_file("notes.txt"));
  EXPECT_FALSE(filter.reaches_file(".hidden/a.jpg"));
}

}  // namespace
}  // namespace retouchd::intake
