#include "base/error.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <set>
#include <string>

#include "base/result.h"

namespace retouchd {
namespace {

TEST(ErrorTable, EveryCodeHasItsOwnNameAndARemedy) {
  std::set<std::string_view> names;
  for (int code = 0; code <= static_cast<int>(ErrorCode::kInternal); ++code) {
    const ErrorTraits& traits = traits_of(static_cast<ErrorCode>(code));
    EXPECT_EQ(static_cast<int>(traits.code), code) << "not in the table";
    EXPECT_TRUE(names.insert(traits.name).second) << traits.name << " stands twice";
    EXPECT_FALSE(traits.remedy.empty()) << traits.name;
    EXPECT_EQ(error_code_from_name(traits.name), traits.code);
    EXPECT_GT(traits.exit_code, 0) << traits.name;
  }
}

TEST(ErrorTable, AnUnknownNameIsAnInternalError) { EXPECT_EQ(error_code_from_name("no such code"), ErrorCode::kInternal); }

TEST(ErrorFromErrno, TellsReadingFromWriting) {
  EXPECT_EQ(error_from_errno(ENOENT, "x", true).code, ErrorCode::kInputMissing);
  EXPECT_EQ(error_from_errno(EACCES, "x", true).code, ErrorCode::kInputUnreadable);
  EXPECT_EQ(error_from_errno(EACCES, "x", false).code, ErrorCode::kOutputDenied);
  EXPECT_EQ(error_from_errno(ENOSPC, "x", false).code, ErrorCode::kDiskFull);
  EXPECT_EQ(error_from_errno(EDQUOT, "x", false).code, ErrorCode::kDiskFull);
  EXPECT_EQ(error_from_errno(EIO, "x", true).code, ErrorCode::kIoError);
}

TEST(Result, HoldsAValueOrAnError) {
  const Result<std::string> good(std::string("value"));
  ASSERT_TRUE(good);
  EXPECT_EQ(*good, "value");
  const Result<std::string> bad(make_error(ErrorCode::kTimeout, "too late"));
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().name(), "timeout");
  EXPECT_TRUE(Result<void>());
}

}  // namespace
}  // namespace retouchd
