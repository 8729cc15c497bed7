#include "intake/tree_scan.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <set>

#include "intake/watched_file.h"
#include "tests/temporary_folder.h"

namespace retouchd::intake {
namespace {

class TreeScanTest : public testing::Test {
 protected:
  std::set<std::string> scan(const std::string& folder = "", bool recursive = true) {
    std::set<std::string> files;
    TreeScan::Visitor visitor;
    visitor.enter = [this](const std::string& entered) { return entered != passed_over_; };
    visitor.file = [&](const std::string& in, const std::string& name, int) {
      EXPECT_TRUE(files.insert(join_path(in, name)).second);
    };
    TreeScan scan(root_, folder, recursive, visitor);
    while (scan.step(2)) {
    }
    return files;
  }

  TemporaryFolder scratch_;
  std::filesystem::path root_ = scratch_.path();
  std::string passed_over_ = "-";
};

using Files = std::set<std::string>;

TEST_F(TreeScanTest, FindsEveryFileOnce) {
  for (const char* name : {"a.jpg", "b.jpg", "x/c.jpg", "x/y/z/d.jpg", "w/e.jpg"}) write_text(root_ / name, "1");
  std::filesystem::create_directory(root_ / "empty");
  EXPECT_EQ(scan(), (Files{"a.jpg", "b.jpg", "x/c.jpg", "x/y/z/d.jpg", "w/e.jpg"}));
}

TEST_F(TreeScanTest, StaysInTheFolderWhenNotRecursive) {
  for (const char* name : {"a.jpg", "x/c.jpg"}) write_text(root_ / name, "1");
  EXPECT_EQ(scan("", false), Files{"a.jpg"});
}

TEST_F(TreeScanTest, BeginsAtASubfolder) {
  for (const char* name : {"a.jpg", "x/c.jpg", "x/y/d.jpg"}) write_text(root_ / name, "1");
  EXPECT_EQ(scan("x"), (Files{"x/c.jpg", "x/y/d.jpg"}));
}

TEST_F(TreeScanTest, PassesOverFoldersOnRequest) {
  for (const char* name : {"a.jpg", "x/c.jpg", "x/y/d.jpg", "w/e.jpg"}) write_text(root_ / name, "1");
  passed_over_ = std::string("x");  // g++ 12 warns of the plain assignment (PR 105651)
  EXPECT_EQ(scan(), (Files{"a.jpg", "w/e.jpg"}));
}

TEST_F(TreeScanTest, FollowsNoLinksAndReportsNoSpecialFiles) {
  write_text(root_ / "x/a.jpg", "1");
  std::filesystem::create_directory_symlink(root_, root_ / "x" / "loop");
  std::filesystem::create_directory_symlink("/usr/share", root_ / "outside");
  std::filesystem::create_symlink(root_ / "x/a.jpg", root_ / "link.jpg");
  ASSERT_EQ(::mkfifo((root_ / "fifo.jpg").c_str(), 0600), 0);
  EXPECT_EQ(scan(), Files{"x/a.jpg"});
}

TEST_F(TreeScanTest, AFolderThatIsGoneIsNoError) { EXPECT_EQ(scan("nowhere"), Files{}); }

TEST(WatchedFile, IsNotReachedThroughALink) {
  const TemporaryFolder scratch;
  write_text(scratch.path() / "real/a.jpg", "12345");
  std::filesystem::create_directory_symlink(scratch.path() / "real", scratch.path() / "link");
  const auto direct = snapshot_beneath(scratch.path(), "real/a.jpg", true);
  ASSERT_TRUE(direct);
  EXPECT_EQ(direct->identity.size, 5U);
  EXPECT_FALSE(snapshot_beneath(scratch.path(), "link/a.jpg", false));
}

TEST(WatchKey, TellsVersionsApartAndSurvivesARemount) {
  FileIdentity identity{1, 2, 300, 400};
  const std::string key = watch_key("photos", "a/b.jpg", identity);
  EXPECT_TRUE(key.starts_with("watch:"));
  EXPECT_EQ(key.size(), 6U + 64U);
  FileIdentity remounted = identity;
  remounted.device = 9;
  remounted.inode = 9;
  EXPECT_EQ(watch_key("photos", "a/b.jpg", remounted), key);
  FileIdentity touched = identity;
  touched.mtime_ns = 401;
  EXPECT_NE(watch_key("photos", "a/b.jpg", touched), key);
  FileIdentity grown = identity;
  grown.size = 301;
  EXPECT_NE(watch_key("photos", "a/b.jpg", grown), key);
  EXPECT_NE(watch_key("photos", "a/c.jpg", identity), key);
  EXPECT_NE(watch_key("other", "a/b.jpg", identity), key);
}

TEST(WatchKey, TellsVersionsOfASecondPictureApart) {
  const FileIdentity identity{1, 2, 300, 400};
  FileIdentity second{1, 3, 500, 600};
  const std::string key = watch_key("photos", "a/b.jpg", identity, &second);
  EXPECT_NE(key, watch_key("photos", "a/b.jpg", identity));
  second.inode = 9;
  EXPECT_EQ(watch_key("photos", "a/b.jpg", identity, &second), key);
  second.mtime_ns = 601;
  EXPECT_NE(watch_key("photos", "a/b.jpg", identity, &second), key);
}

}  // namespace
}  // namespace retouchd::intake
