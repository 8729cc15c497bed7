#include "intake/spool.h"

#include <gtest/gtest.h>

#include "zmq_fixture.h"

namespace retouchd::intake {
namespace {

namespace fs = std::filesystem;

std::span<const std::uint8_t> bytes(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

TEST(Spool, KeyAndContentNameTheFile) {
  const Spool spool("/spool");
  EXPECT_EQ(spool.path_for("k", bytes("a"), ".jpg"), spool.path_for("k", bytes("a"), ".jpg"));
  EXPECT_NE(spool.path_for("k", bytes("a"), ".jpg"), spool.path_for("k", bytes("b"), ".jpg"));
  EXPECT_NE(spool.path_for("k", bytes("a"), ".jpg"), spool.path_for("l", bytes("a"), ".jpg"));
}

TEST(Spool, PutLeavesOneWholeFileThatOthersCannotRead) {
  const TemporaryFolder folder;
  const Spool spool(folder.path() / "spool");
  const auto path = spool.path_for("k", bytes("content"), ".jpg");
  ASSERT_TRUE(spool.put(path, bytes("content")).ok());
  const auto again = spool.put(path, bytes("content"));
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->identity.size, 7U);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path() / "spool"), fs::directory_iterator()), 1);
  EXPECT_EQ(fs::status(folder.path() / "spool").permissions(), fs::perms::owner_all);
}

TEST(Spool, SweepingSparesWhatJobsStillNeed) {
  const TemporaryFolder folder;
  const Spool spool(folder.path() / "spool");
  MemoryJobStore store;
  const auto used = spool.path_for("used", bytes("1"), ".jpg");
  const auto orphan = spool.path_for("orphan", bytes("2"), ".jpg");
  ASSERT_TRUE(spool.put(used, bytes("1")).ok());
  ASSERT_TRUE(spool.put(orphan, bytes("2")).ok());
  queue::JobRequest request;
  request.key = "used";
  request.source = used;
  ASSERT_TRUE(store.accept_and_wait(request).ok());
  EXPECT_EQ(*spool.sweep(store, std::chrono::hours(1)), 0);
  EXPECT_EQ(*spool.sweep(store, std::chrono::seconds(-1)), 1);
  EXPECT_TRUE(fs::exists(used));
  EXPECT_FALSE(fs::exists(orphan));
}

}  // namespace
}  // namespace retouchd::intake
