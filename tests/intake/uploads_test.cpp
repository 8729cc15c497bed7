#include "intake/uploads.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <optional>

#include "base/file.h"
#include "tests/temporary_folder.h"

namespace retouchd::intake {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

std::span<const std::uint8_t> bytes(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

struct UploadsTest : testing::Test {
  TemporaryFolder folder;
  Uploads::Limits limits{mebibytes(1), mebibytes(4), std::chrono::hours(24)};
  std::optional<Uploads> uploads = std::optional<Uploads>(std::in_place, folder.path() / "uploads", limits);

  static wire::Upload upload_of(const std::string& whole, std::uint64_t offset = 0) {
    return {sha256_hex(bytes(whole)), whole.size(), offset};
  }
  Result<Uploads::Progress> append(const std::string& owner, const std::string& whole, std::size_t offset, std::size_t size) {
    return uploads->append(owner, upload_of(whole, offset), bytes(whole).subspan(offset, size));
  }
  void expect(const Result<Uploads::Progress>& progress, std::uint64_t have, bool is_complete) {
    ASSERT_TRUE(progress.ok()) << progress.error().message;
    EXPECT_EQ(progress->have, have);
    EXPECT_EQ(progress->is_complete, is_complete);
  }
  void restart(Bytes spare = Bytes{0}) { uploads.emplace(folder.path() / "uploads", limits, system_clock(), spare); }
  int files() const {
    int count = 0;
    for (const auto& entry : fs::recursive_directory_iterator(folder.path())) count += entry.is_regular_file() ? 1 : 0;
    return count;
  }
};

TEST_F(UploadsTest, PartsBecomeAWholeThatOnlyItsOwnerGets) {
  const std::string whole = "a picture in three parts";
  expect(uploads->find("cloud:a", upload_of(whole)), 0, false);
  expect(append("cloud:a", whole, 0, 10), 10, false);
  EXPECT_FALSE(uploads->content("cloud:a", upload_of(whole).sha256).ok()) << "not complete yet";
  expect(append("cloud:a", whole, 10, 10), 20, false);
  expect(append("cloud:a", whole, 20, 4), 24, true);
  expect(uploads->find("cloud:a", upload_of(whole)), 24, true);
  const auto file = uploads->content("cloud:a", upload_of(whole).sha256);
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(read_text(*file), whole);
  EXPECT_EQ(fs::status(file->parent_path()).permissions(), fs::perms::owner_all);

  expect(uploads->find("cloud:b", upload_of(whole)), 0, false);
  const auto foreign = uploads->content("cloud:b", upload_of(whole).sha256);
  ASSERT_FALSE(foreign.ok());
  EXPECT_EQ(foreign.error().code, ErrorCode::kInputMissing);
  expect(append("cloud:b", whole, 0, 24), 24, true);
  EXPECT_EQ(uploads->held().value, 48U);
  EXPECT_EQ(files(), 2);
}

TEST_F(UploadsTest, APartAtAnotherOffsetChangesNothing) {
  const std::string whole(100, 'x');
  expect(append("o", whole, 10, 10), 0, false);
  expect(append("o", whole, 0, 40), 40, false);
  expect(append("o", whole, 0, 40), 40, false);
  expect(append("o", whole, 39, 10), 40, false);
  expect(append("o", whole, 41, 10), 40, false);
  expect(append("o", whole, 40, 60), 100, true);
  expect(append("o", whole, 0, 40), 100, true);
  EXPECT_EQ(read_text(*uploads->content("o", upload_of(whole).sha256)), whole);
}

TEST_F(UploadsTest, GoesOnAfterEitherSideWasKilled) {
  const std::string whole = "first half second half";
  expect(append("o", whole, 0, 11), 11, false);
  restart();
  EXPECT_EQ(uploads->held().value, 11U);
  expect(uploads->find("o", upload_of(whole)), 11, false);
  // Killed between the last part and the comparison of the hash.
  write_text(folder.path() / "uploads/o" / (upload_of(whole).sha256 + ".part"), whole);
  restart();
  expect(uploads->find("o", upload_of(whole)), whole.size(), true);
  EXPECT_EQ(uploads->held().value, whole.size());
}

TEST_F(UploadsTest, BytesWithAnotherHashAreThrownAway) {
  const std::string whole = "the real thing";
  auto upload = upload_of("the fake thing");
  const auto refused = uploads->append("o", upload, bytes(whole));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidRequest);
  EXPECT_THAT(refused.error().message, HasSubstr("another SHA-256"));
  EXPECT_EQ(files(), 0);
  EXPECT_EQ(uploads->held().value, 0U);
  expect(uploads->append("o", upload, bytes("the fake thing")), upload.size, true);
}

TEST_F(UploadsTest, PartsThatDoNotFitAreRefused) {
  const std::string whole(100, 'x');
  const auto code_of = [&](const wire::Upload& upload, const std::string& part) {
    const auto refused = uploads->append("o", upload, bytes(part));
    return refused ? ErrorCode::kInternal : refused.error().code;
  };
  EXPECT_EQ(code_of(upload_of(whole), whole + "x"), ErrorCode::kInvalidRequest);
  EXPECT_EQ(code_of(upload_of(whole, 90), std::string(11, 'x')), ErrorCode::kInvalidRequest);
  EXPECT_EQ(code_of(upload_of(whole, 101), "x"), ErrorCode::kInvalidRequest);
  EXPECT_EQ(code_of(upload_of(whole), ""), ErrorCode::kInvalidRequest);
  EXPECT_EQ(code_of({upload_of(whole).sha256, (1U << 20U) + 1U, 0}, whole), ErrorCode::kPictureTooLarge);
  expect(append("o", whole, 0, 100), 100, true);
  EXPECT_EQ(code_of({upload_of(whole).sha256, 99, 0}, "x"), ErrorCode::kInvalidRequest) << "complete with another size";
  EXPECT_EQ(files(), 1);
}

TEST_F(UploadsTest, AnUploadBegunWithAWrongSizeBeginsAnew) {
  const std::string whole(50, 'x');
  auto longer = upload_of(whole);
  longer.size = 80;
  expect(uploads->append("o", longer, bytes(std::string(60, 'x'))), 60, false);
  expect(uploads->find("o", upload_of(whole)), 0, false);
  expect(append("o", whole, 0, 50), 50, true);
  EXPECT_EQ(uploads->held().value, 50U);
}

TEST_F(UploadsTest, WhatWasBegunHasItsRoomAndMoreIsRefused) {
  limits.disk = Bytes{250};
  restart();
  const std::string first(100, 'a'), second(100, 'b'), third(100, 'c');
  expect(append("o", first, 0, 1), 1, false);
  expect(append("p", second, 0, 1), 1, false);
  const auto refused = append("o", third, 0, 1);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kDiskFull);
  EXPECT_THAT(refused.error().message, HasSubstr("serve.disk is 250 B"));
  EXPECT_EQ(uploads->held().value, 200U);
  expect(append("o", first, 1, 99), 100, true);
  expect(append("p", second, 1, 99), 100, true);
  limits.disk = Bytes{300};
  uploads->reconfigure(limits);
  expect(append("o", third, 0, 100), 100, true);
}

TEST_F(UploadsTest, ADiskThatIsNearlyFullTakesNoMore) {
  restart(gibibytes(1U << 30U));
  const auto refused = append("o", "picture", 0, 7);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kDiskFull);
  EXPECT_THAT(refused.error().message, HasSubstr("left"));
  EXPECT_EQ(files(), 0);
}

TEST_F(UploadsTest, WhatNobodyUsesGoesAndJobsKeepTheirLinks) {
  const std::string old_part(10, 'a'), old_whole(10, 'b'), used(10, 'c'), fresh(10, 'd');
  expect(append("o", old_part, 0, 5), 5, false);
  for (const auto& whole : {old_whole, used}) expect(append("o", whole, 0, 10), 10, true);
  const auto link = folder.path() / "spooled";
  fs::create_hard_link(*uploads->content("o", upload_of(old_whole).sha256), link);
  for (const auto& entry : fs::directory_iterator(folder.path() / "uploads/o")) {
    const std::array<timespec, 2> long_ago{timespec{1'000'000'000, 0}, timespec{1'000'000'000, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, entry.path().c_str(), long_ago.data(), 0), 0);
  }
  const auto before = *identify_file(folder.path() / "uploads/o" / upload_of(used).sha256);
  EXPECT_EQ(*identify_file(*uploads->content("o", upload_of(used).sha256)), before) << "use must not change what jobs compare";
  expect(append("o", fresh, 0, 3), 3, false);
  EXPECT_EQ(uploads->held().value, 40U);
  EXPECT_EQ(uploads->sweep(), 2);
  EXPECT_EQ(uploads->held().value, 20U);
  expect(uploads->find("o", upload_of(old_part)), 0, false);
  expect(uploads->find("o", upload_of(old_whole)), 0, false);
  expect(uploads->find("o", upload_of(used)), 10, true);
  expect(uploads->find("o", upload_of(fresh)), 3, false);
  EXPECT_EQ(read_text(link), old_whole);
}

}  // namespace
}  // namespace retouchd::intake
