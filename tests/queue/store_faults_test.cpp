// The store on a disk that is full, fails to sync, or holds something else than a job store.

#include <gmock/gmock.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "faulty_storage.h"
#include "queue/file_placement.h"
#include "queue/publisher.h"
#include "store_fixture.h"

namespace retouchd::queue {
namespace {

class StoreFaultsTest : public StoreTest {
 protected:
  void TearDown() override { FaultyStorage::repair(); }

  void execute(const std::string& sql) {
    sqlite3* connection = nullptr;
    ASSERT_EQ(sqlite3_open(file_.c_str(), &connection), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(connection, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(connection);
    sqlite3_close(connection);
  }
  /// Opening is refused with kStoreFailed; its message.
  std::string refusal() {
    store_.reset();
    const auto opened = try_open();
    EXPECT_FALSE(opened);
    if (opened) return {};
    EXPECT_EQ(opened.error().code, ErrorCode::kStoreFailed);
    EXPECT_THAT(opened.error().message, testing::HasSubstr(file_.string()));
    return opened.error().message;
  }

  FaultyStorage storage_;
};

TEST_F(StoreFaultsTest, LosesNothingWhateverWriteFindsTheDiskFull) {
  for (int n = 0; n < 60; ++n) {
    SCOPED_TRACE("the disk is full after " + std::to_string(n) + " writes");
    store_.reset();
    std::filesystem::remove(file_);
    open();
    const JobId before = accept("before");

    FaultyStorage::fill_disk_after(n);
    std::vector<JobId> kept{before};
    for (int i = 0; i < 4; ++i) {
      const auto accepted = store_->accept_and_wait(request("job" + std::to_string(i)));
      if (accepted) kept.push_back(accepted->id);
      if (!accepted) {
        EXPECT_EQ(accepted.error().code, ErrorCode::kDiskFull) << accepted.error().message;
      }
    }
    const auto claimed = store_->claim({});
    bool done = false;
    if (claimed) {
      const Claim claim = claim_of(claimed->front());
      done = store_->begin_publishing(claim, publication("a")) && store_->complete(claim, "{}");
    } else {
      EXPECT_EQ(claimed.error().code, ErrorCode::kDiskFull);
    }

    FaultyStorage::repair();
    kept.push_back(accept("after"));  // goes on by itself
    const auto counts = *store_->counts();
    EXPECT_EQ(counts[static_cast<std::size_t>(JobState::kDone)], done ? 1 : 0);
    open();
    for (const JobId id : kept) EXPECT_TRUE(store_->get(id)) << id;
    EXPECT_EQ(store_->list({})->size(), kept.size());
    EXPECT_EQ(job(before).state, done ? JobState::kDone : JobState::kQueued);
  }
}

TEST_F(StoreFaultsTest, NeverSyncsAgainAfterAFailedSync) {
  const JobId id = accept("a");
  FaultyStorage::fail_syncs();
  const auto refused = store_->accept_and_wait(request("b"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kStoreFailed);
  const int tried = FaultyStorage::syncs_tried();
  EXPECT_EQ(store_->accept_and_wait(request("c")).error().code, ErrorCode::kStoreFailed);
  EXPECT_EQ(store_->claim({}).error().code, ErrorCode::kStoreFailed);
  store_.reset();
  EXPECT_EQ(FaultyStorage::syncs_tried(), tried);
  FaultyStorage::repair();
  open();
  EXPECT_EQ(job(id).state, JobState::kQueued);
}

TEST_F(StoreFaultsTest, TellsItsObserverOfCommitsAndOfTheFailureThatEndsIt) {
  commits_ = 0;
  accept("before");
  EXPECT_EQ(commits_, 1);
  FaultyStorage::fail_syncs();
  EXPECT_FALSE(store_->accept_and_wait(request("lost")));
  EXPECT_EQ(lasting_failures_, 1);
  EXPECT_EQ(commits_, 1);
}

TEST_F(StoreFaultsTest, RefusesAFileThatIsNoDatabase) {
  store_.reset();
  write_text(file_, std::string(8192, 'x'));
  EXPECT_THAT(refusal(), testing::HasSubstr("not a database"));
  EXPECT_EQ(read_text(file_), std::string(8192, 'x'));
}

TEST_F(StoreFaultsTest, RefusesADamagedDatabase) {
  for (int i = 0; i < 300; ++i) accept("job" + std::to_string(i));
  store_.reset();
  std::string content = read_text(file_);
  ASSERT_GT(content.size(), 40'000U);
  for (std::size_t page = 4096; page < content.size(); page += 4096) content.replace(page, 200, 200, '\x5a');
  write_text(file_, content);
  EXPECT_THAT(refusal(), testing::HasSubstr("backup"));
}

TEST_F(StoreFaultsTest, RefusesADatabaseCutShort) {
  for (int i = 0; i < 300; ++i) accept("job" + std::to_string(i));
  store_.reset();
  std::filesystem::resize_file(file_, std::filesystem::file_size(file_) / 2);
  refusal();
}

TEST_F(StoreFaultsTest, RefusesANewerSchema) {
  store_.reset();
  execute("PRAGMA user_version=99");
  EXPECT_THAT(refusal(), testing::HasSubstr("newer retouchd (schema 99"));
}

TEST_F(StoreFaultsTest, RefusesAnotherProgramsDatabase) {
  store_.reset();
  std::filesystem::remove(file_);
  execute("CREATE TABLE cats(name TEXT)");
  EXPECT_THAT(refusal(), testing::HasSubstr("another program"));
}

TEST_F(StoreFaultsTest, NamesAFolderThatIsNotThere) {
  file_ = folder_.path() / "missing" / "jobs.sqlite";
  EXPECT_THAT(refusal(), testing::HasSubstr("No such file or directory"));
}

TEST_F(StoreFaultsTest, KeepsTheFileFromOthersEyes) {
  accept("a");
  for (const char* suffix : {"", "-wal", "-shm"}) {
    struct stat info {};
    ASSERT_EQ(::stat((file_.string() + suffix).c_str(), &info), 0) << suffix;
    EXPECT_EQ(info.st_mode & 0777U, 0600U) << suffix;
  }
}

/// A real file system of one mebibyte.
class FullDiskTest : public StoreTest {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(disk_);
    if (::mount("tmpfs", disk_.c_str(), "tmpfs", 0, "size=1m") != 0) {
      GTEST_SKIP() << "cannot mount a tmpfs here: " << std::strerror(errno);
    }
    mounted_ = true;
    StoreTest::SetUp();
  }
  void TearDown() override {
    store_.reset();
    if (mounted_) ::umount2(disk_.c_str(), MNT_DETACH);
  }
  void fill_disk() {
    std::ofstream ballast(disk_ / "ballast", std::ios::binary);
    const std::string block(4096, 'x');
    while (ballast.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) {
    }
  }
  void free_disk() { std::filesystem::remove(disk_ / "ballast"); }

  std::filesystem::path disk_ = folder_.path() / "disk";
  bool mounted_ = false;
};

TEST_F(FullDiskTest, LeavesNothingOfAnOutputAndGoesOnWhenThereIsRoom) {
  JobRequest wanted = request("a");
  wanted.output = disk_ / "out" / "a.jpg";
  accept(wanted);
  const Job claimed = claim_one();
  fill_disk();
  Publisher publisher(*store_);
  const std::vector<std::uint8_t> data(300'000, 7);
  const auto refused = publisher.publish(claimed, wanted.output, writes(data));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kDiskFull) << refused.error().message;
  EXPECT_FALSE(std::filesystem::exists(wanted.output));
  EXPECT_FALSE(std::filesystem::exists(disk_ / "out" / kTemporaryFolder));

  ASSERT_TRUE(store_->retry_at(claim_of(claimed), refused.error(), clock_.now(), false));
  free_disk();
  const Job again = claim_one();
  EXPECT_EQ(again.attempts, 0);
  ASSERT_TRUE(publisher.publish(again, wanted.output, writes(data)));
  EXPECT_EQ(std::filesystem::file_size(wanted.output), data.size());
}

TEST_F(FullDiskTest, AnswersDiskFullAndAcceptsAgainWhenThereIsRoom) {
  file_ = disk_ / "jobs.sqlite";
  open();
  const JobId before = accept("before");
  fill_disk();
  int accepted = 0;
  ErrorCode code = ErrorCode::kInternal;
  for (int i = 0; i < 2000 && code == ErrorCode::kInternal; ++i) {
    const auto answer = store_->accept_and_wait(request("job" + std::to_string(i)));
    accepted += answer ? 1 : 0;
    if (!answer) code = answer.error().code;
  }
  EXPECT_EQ(code, ErrorCode::kDiskFull);
  free_disk();
  accept("after");
  open();
  EXPECT_EQ(job(before).state, JobState::kQueued);
  EXPECT_EQ(count(JobState::kQueued), accepted + 2);
}

}  // namespace
}  // namespace retouchd::queue
