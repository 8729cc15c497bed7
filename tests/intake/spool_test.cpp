#include "intake/spool.h"

#include <gtest/gtest.h>

#include "zmq_fixture.h"

namespace retouchd::intake {
namespace {

namespace fs = std::filesystem;

std::span<const std::uint8_t> bytes(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

std::string hash(const std::string& text) { return sha256_hex(bytes(text)); }

TEST(Spool, KeyAndContentNameTheFile) {
  const Spool spool("/spool");
  EXPECT_EQ(spool.path_for("k", hash("a"), ".jpg"), spool.path_for("k", hash("a"), ".jpg"));
  EXPECT_NE(spool.path_for("k", hash("a"), ".jpg"), spool.path_for("k", hash("b"), ".jpg"));
  EXPECT_NE(spool.path_for("k", hash("a"), ".jpg"), spool.path_for("l", hash("a"), ".jpg"));
}

TEST(Spool, PutLeavesOneWholeFileThatOthersCannotRead) {
  const TemporaryFolder folder;
  const Spool spool(folder.path() / "spool");
  const auto path = spool.path_for("k", hash("content"), ".jpg");
  ASSERT_TRUE(spool.put(path, bytes("content")).ok());
  const auto again = spool.put(path, bytes("content"));
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->identity.size, 7U);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path() / "spool"), fs::directory_iterator()), 1);
  EXPECT_EQ(fs::status(folder.path() / "spool").permissions(), fs::perms::owner_all);
}

TEST(Spool, AdoptingGivesAFileASecondNameWithoutACopy) {
  const TemporaryFolder folder;
  const Spool spool(folder.path() / "spool");
  const auto file = folder.write("upload", "content");
  const auto path = spool.path_for("k", hash("content"), ".jpg");
  const auto entry = spool.adopt(path, file);
  ASSERT_TRUE(entry.ok()) << entry.error().message;
  EXPECT_EQ(entry->identity, *identify_file(file));
  EXPECT_TRUE(spool.adopt(path, file).ok()) << "sent again";
  EXPECT_EQ(fs::hard_link_count(file), 2U);
  fs::remove(file);
  EXPECT_EQ(read_text(path), "content");
  const auto missing = spool.adopt(spool.path_for("l", hash("content"), ".jpg"), file);
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code, ErrorCode::kInputMissing);
}

TEST(Spool, SweepingLeavesTheNamesOfUploads) {
  const TemporaryFolder folder;
  const Spool spool(folder.path() / "spool");
  MemoryJobStore store;
  const auto file = folder.write("upload", "content");
  const auto path = spool.path_for("k", hash("content"), ".jpg");
  ASSERT_TRUE(spool.adopt(path, file).ok());
  EXPECT_EQ(*spool.sweep(store, std::chrono::seconds(-1)), 0);
  fs::remove(file);
  EXPECT_EQ(*spool.sweep(store, std::chrono::seconds(-1)), 1);
}

TEST(Spool, SweepingSparesWhatJobsStillNeed) {
  const TemporaryFolder folder;
  const Spool spool(folder.path() / "spool");
  MemoryJobStore store;
  const auto used = spool.path_for("used", hash("1"), ".jpg");
  const auto orphan = spool.path_for("orphan", hash("2"), ".jpg");
  ASSERT_TRUE(spool.put(used, bytes("1")).ok());
  ASSERT_TRUE(spool.put(orphan, bytes("2")).ok());
  queue::JobRequest request;
  request.key = "used";
  request.source = used;
  ASSERT_TRUE(store.accept_and_wait(request).ok());
  EXPECT_EQ(*spool.sweep(store, std::chrono::hours(1)), 0);
  EXPECT_EQ(*spool.sweep(store, std::chrono::seconds(-1)), 1);
  using queue::JobState;
  for (const JobState state : {JobState::kRunning, JobState::kPublishing, JobState::kEscalated, JobState::kFailed}) {
    store.change(1, "changed", "{}", [&](queue::Job& job) { job.state = state; });
    EXPECT_EQ(*spool.sweep(store, std::chrono::seconds(-1)), 0) << queue::name_of(state);
  }
  EXPECT_TRUE(fs::exists(used));
  EXPECT_FALSE(fs::exists(orphan));
}

}  // namespace
}  // namespace retouchd::intake
