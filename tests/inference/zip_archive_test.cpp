#include "inference/weights/zip_archive.h"

#include <gmock/gmock.h>

#include "inference/weights/malformed_weights.h"
#include "pth_files.h"

namespace retouchd::inference {
namespace {

using testing::HasSubstr;

ZipArchive open(const std::string& file) { return ZipArchive::open(source_of(file)); }

std::string refusal(const std::string& file) {
  try {
    open(file);
  } catch (const MalformedWeights& reason) {
    return reason.what();
  }
  return "accepted";
}

std::string replaced(std::string text, const std::string& from, const std::string& to, std::size_t times = 1) {
  std::size_t at = 0;
  for (std::size_t i = 0; i < times && (at = text.find(from, at)) != std::string::npos; ++i, at += to.size()) {
    text.replace(at, from.size(), to);
  }
  return text;
}

TEST(ZipArchive, FindsStoredEntries) {
  const auto file = zip({{"a", "first"}, {"b/c", "second"}, {"empty", ""}});
  const auto archive = open(file);
  ASSERT_EQ(archive.entries().size(), 3U);
  const auto& entry = archive.stored("b/c");
  EXPECT_EQ(file.substr(entry.offset, entry.size), "second");
  EXPECT_EQ(archive.stored("empty").size, 0U);
  EXPECT_THROW(static_cast<void>(archive.stored("d")), MalformedWeights);
}

TEST(ZipArchive, ReadsZip64) {
  // Sizes and offset of the only entry are in its extra field, the directory's place in the zip64 end.
  const std::string local = "PK\3\4" + number(0, 22) + number(1, 2) + number(4, 2) + "a" + number(0, 4) + "data";
  const std::string central = "PK\1\2" + number(0, 16) + number(0xffffffff, 4) + number(0xffffffff, 4) + number(1, 2) +
                              number(28, 2) + number(0, 10) + number(0xffffffff, 4) + "a" + number(1, 2) + number(24, 2) +
                              number(4, 8) + number(4, 8) + number(0, 8);
  const std::string end64 = "PK\6\6" + number(44, 8) + number(0, 12) + number(1, 8) + number(1, 8) + number(central.size(), 8) +
                            number(local.size(), 8);
  const std::string locator = "PK\6\7" + number(0, 4) + number(local.size() + central.size(), 8) + number(1, 4);
  const std::string end = "PK\5\6" + number(0, 4) + number(0xffff, 2) + number(0xffff, 2) + number(0xffffffff, 4) +
                          number(0xffffffff, 4) + number(0, 2);
  const auto file = local + central + end64 + locator + end;
  const auto archive = open(file);
  const auto& entry = archive.stored("a");
  EXPECT_EQ(file.substr(entry.offset, entry.size), "data");
  const auto beyond = replaced(file, number(4, 8) + number(4, 8), number(~0ULL, 8) + number(~0ULL, 8));
  EXPECT_THAT(refusal(beyond), HasSubstr("reaches into it"));
}

TEST(ZipArchive, CompressedEntriesAreListedButNotRead) {
  const auto archive = open(zip({{"a", "data", 8}}));
  EXPECT_TRUE(archive.entries().at("a").compressed);
  EXPECT_THROW(static_cast<void>(archive.stored("a")), MalformedWeights);
}

TEST(ZipArchive, RefusesTwoEntriesOfOneName) { EXPECT_THAT(refusal(zip({{"a", "1"}, {"a", "2"}})), HasSubstr("one name")); }

TEST(ZipArchive, RefusesEntriesThatShareBytes) {
  // The second directory record points at the first entry, whose name it also carries in the local header.
  auto file = zip({{"a", "1"}, {"b", "2"}});
  EXPECT_THAT(refusal(replaced(file, "PK\3\4", "PK\3\5")), HasSubstr("local header"));
  const auto nested = zip({{"a",
                            "xxxx"
                            "PK\3\4" +
                                number(0, 22) + number(1, 2) + number(0, 2) + "b2"},
                           {"b", "2"}});
  const std::size_t inner = nested.find("PK\3\4", 1);
  const std::size_t record = nested.rfind("PK\1\2");
  auto shared = nested;
  shared.replace(record + 42, 4, number(inner, 4));
  EXPECT_THAT(refusal(shared), HasSubstr("overlap"));
}

TEST(ZipArchive, RefusesNamesThatDifferBetweenDirectoryAndEntry) {
  EXPECT_THAT(refusal(replaced(zip({{"abc", "1"}}), "abc", "abd")), HasSubstr("two names"));
}

TEST(ZipArchive, RefusesSizesBeyondTheFile) {
  EXPECT_THAT(refusal(zip({{"a", "data", 0, 5'000'000}})), HasSubstr("reaches into it"));
}

TEST(ZipArchive, RefusesADirectoryThatIsSomewhereElse) {
  const auto file = zip({{"a", "data"}});
  EXPECT_NE(refusal(file + "x"), "accepted") << "bytes behind the end";
  EXPECT_NE(refusal("x" + file), "accepted") << "bytes before the start";
  auto longer = file;
  longer.replace(longer.size() - 10, 4, number(0x7fffffff, 4));
  EXPECT_NE(refusal(longer), "accepted");
  auto more = file;
  more.replace(more.size() - 14, 4, number(2, 2) + number(2, 2));
  EXPECT_NE(refusal(more), "accepted") << "more entries than there are";
  auto fewer = file;
  fewer.replace(fewer.size() - 14, 4, number(0, 4));
  EXPECT_THAT(refusal(fewer), HasSubstr("belong to no entry"));
}

TEST(ZipArchive, RefusesEveryPrefix) {
  const auto file = zip({{"a", "first"}, {"b/c", "second"}});
  for (std::size_t size = 0; size < file.size(); ++size) EXPECT_NE(refusal(file.substr(0, size)), "accepted") << size;
}

}  // namespace
}  // namespace retouchd::inference
