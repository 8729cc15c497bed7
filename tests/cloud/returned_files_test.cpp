#include "cloud/returned_files.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "cloud/edge_id.h"
#include "tests/queue/store_fixture.h"

namespace retouchd::cloud {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;

class ReturnedFilesTest : public queue::StoreTest {
 protected:
  void put(const std::string& name) { write_text(files_folder_ / name, "x"); }
  void put_all(queue::JobId job, std::int64_t epoch) {
    const auto stem = std::to_string(job) + "." + std::to_string(epoch);
    for (const char* suffix : {".send", ".0123456789abcdef.part", ".png", ".jpg", ".png.new"}) put(stem + suffix);
  }
  [[nodiscard]] std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(files_folder_)) names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
  }
  queue::Job escalated(const std::string& key) {
    accept(key);
    auto claimed = claim_one();
    EXPECT_TRUE(store_->escalate(claim_of(claimed), "{}"));
    return claimed;
  }

  fs::path files_folder_ = folder_.path() / "escalated";
  ReturnedFiles files_{files_folder_};
};

TEST_F(ReturnedFilesTest, TheFolderIsForItsOwnerAlone) {
  ASSERT_TRUE(files_.prepare());
  ASSERT_TRUE(files_.prepare());
  EXPECT_EQ(fs::status(files_folder_).permissions(), fs::perms::owner_all);
}

TEST_F(ReturnedFilesTest, NamesTellJobAndClaim) {
  EXPECT_EQ(files_.stem({17, 3}), files_folder_ / "17.3");
  EXPECT_EQ(files_.parcel({17, 3}), files_folder_ / "17.3.send");
}

TEST_F(ReturnedFilesTest, OneClaimsFilesGoAlone) {
  put_all(1, 1);
  put("1.2.send");
  put("1.11.send");
  put("11.1.send");
  files_.remove(queue::Claim{1, 1});
  EXPECT_THAT(names(), ElementsAre("1.11.send", "1.2.send", "11.1.send"));
  files_.remove(queue::JobId{1});
  EXPECT_THAT(names(), ElementsAre("11.1.send"));
}

TEST_F(ReturnedFilesTest, TheResultOutlivesWhatItWasMadeOf) {
  put_all(1, 1);
  files_.remove_all_but_result({1, 1});
  EXPECT_THAT(names(), ElementsAre("1.1.jpg", "1.1.png"));
}

TEST_F(ReturnedFilesTest, OtherPeoplesFilesStay) {
  for (const char* name : {"notes.txt", "1", "1.x.png", ".1.1.png", "1.1"}) put(name);
  files_.remove(queue::JobId{1});
  ASSERT_TRUE(files_.sweep(*store_));
  EXPECT_EQ(names().size(), 5U);
}

TEST_F(ReturnedFilesTest, SweepsWhatNoJobWaitsFor) {
  const auto away = escalated("away");
  put_all(away.id, away.epoch);
  put_all(away.id, away.epoch + 7);
  const auto done = bring_to(queue::JobState::kDone, "done");
  put_all(done.id, done.epoch);
  put_all(99, 1);
  ASSERT_TRUE(files_.sweep(*store_));
  EXPECT_THAT(files_.jobs(), ElementsAre(away.id));
  EXPECT_EQ(names().size(), 5U) << "of the present claim";
}

TEST_F(ReturnedFilesTest, AResultStaysUntilItsJobIsDoneWithIt) {
  const auto away = escalated("away");
  put_all(away.id, away.epoch);
  auto result = files_.stem(queue::StoreTest::claim_of(away));
  result += ".png";
  ASSERT_TRUE(store_->take_back(claim_of(away), "{}", result, "{}"));
  ASSERT_TRUE(files_.sweep(*store_));
  EXPECT_THAT(names(), ElementsAre(result.filename().string()));
  const auto again = claim_one();
  ASSERT_TRUE(files_.sweep(*store_));
  EXPECT_THAT(names(), ElementsAre(result.filename().string())) << "the claim after it reads it";
  ASSERT_TRUE(store_->begin_publishing(claim_of(again), publication("a")));
  ASSERT_TRUE(store_->complete(claim_of(again), "{}"));
  ASSERT_TRUE(files_.sweep(*store_));
  EXPECT_TRUE(names().empty());
}

TEST(EdgeId, IsMadeOnceAndKept) {
  TemporaryFolder folder;
  const auto first = edge_id(folder.path());
  ASSERT_TRUE(first);
  EXPECT_EQ(first->size(), 32U);
  EXPECT_EQ(*edge_id(folder.path()), *first);
  TemporaryFolder other;
  EXPECT_NE(*edge_id(other.path()), *first);
}

TEST(EdgeId, ADamagedOneIsReplaced) {
  TemporaryFolder folder;
  folder.write("edge_id", "garbage");
  const auto made = edge_id(folder.path());
  ASSERT_TRUE(made);
  EXPECT_EQ(*edge_id(folder.path()), *made);
}

}  // namespace
}  // namespace retouchd::cloud
