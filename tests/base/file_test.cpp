#include "base/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/temporary_folder.h"

namespace retouchd {
namespace {

using testing::HasSubstr;

std::string text(const std::vector<std::uint8_t>& data) { return {data.begin(), data.end()}; }

TEST(File, ReadsTheWholeOrABeginningAndTellsTheSize) {
  const TemporaryFolder folder;
  const auto file = folder.write("a", "0123456789");
  FileIdentity identity;
  EXPECT_EQ(text(*read_file(file, Bytes{10}, &identity)), "0123456789");
  EXPECT_EQ(identity.size, 10U);
  EXPECT_EQ(text(*read_file_prefix(file, Bytes{4}, &identity)), "0123");
  EXPECT_EQ(identity.size, 10U);
  EXPECT_EQ(text(*read_file_prefix(file, Bytes{100})), "0123456789");
}

TEST(File, EveryReasonNotToReadHasItsCodeAndNamesTheFile) {
  const TemporaryFolder folder;
  const auto refusal = [](const std::filesystem::path& path) {
    const auto read = read_file(path, Bytes{8});
    EXPECT_FALSE(read);
    EXPECT_THAT(read.error().message, HasSubstr(path.string()));
    return read.error().code;
  };
  EXPECT_EQ(refusal(folder.path() / "absent"), ErrorCode::kInputMissing);
  EXPECT_EQ(refusal(folder.path()), ErrorCode::kInputUnreadable);
  EXPECT_EQ(refusal(folder.write("empty", "")), ErrorCode::kInputEmpty);
  EXPECT_EQ(refusal(folder.write("large", "123456789")), ErrorCode::kPictureTooLarge);
  const auto fifo = folder.path() / "fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_EQ(refusal(fifo), ErrorCode::kInputUnreadable);  // and does not hang
}

TEST(File, IdentityTellsVersionsApart) {
  const TemporaryFolder folder;
  const auto before = identify_file(folder.write("a", "one"));
  const auto same = identify_file(folder.path() / "a");
  const auto after = identify_file(folder.write("a", "three"));
  EXPECT_EQ(*before, *same);
  EXPECT_NE(*before, *after);
}

TEST(File, WritesAndReplaces) {
  const TemporaryFolder folder;
  ASSERT_TRUE(make_directories_synced(folder.path() / "b/c"));
  const auto file = folder.path() / "b/c/d";
  for (const std::string content : {"longer content", "short"}) {
    ASSERT_TRUE(write_file_synced(file, std::vector<std::uint8_t>(content.begin(), content.end())));
    EXPECT_EQ(read_text(file), content);
  }
}

TEST(File, SaysWhichFolderCannotBeMade) {
  const TemporaryFolder folder;
  folder.write("a", "a file");
  const auto made = make_directories_synced(folder.path() / "a/b/c");
  ASSERT_FALSE(made);
  EXPECT_THAT(made.error().message, HasSubstr((folder.path() / "a").string()));
}

// FIPS 180-2, appendix B.
TEST(File, Sha256OfTheStandardsExamples) {
  const TemporaryFolder folder;
  EXPECT_EQ(*sha256_hex_of_file(folder.write("abc", "abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex(std::vector<std::uint8_t>{}), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

}  // namespace
}  // namespace retouchd
