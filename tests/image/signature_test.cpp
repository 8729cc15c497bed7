#include "image/signature.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "image/codec.h"

namespace retouchd::image {
namespace {

using namespace std::string_literals;
using ::testing::HasSubstr;

Result<FileFormat> sniff_text(const std::string& text) {
  return sniff({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
}

TEST(Signature, KnowsOurFormats) {
  EXPECT_EQ(*sniff_text("\xFF\xD8\xFF\xE0"s), FileFormat::kJpeg);
  EXPECT_EQ(*sniff_text("\x89PNG\r\n\x1A\n"s), FileFormat::kPng);
  EXPECT_EQ(*sniff_text("II*\0"s), FileFormat::kTiff);
  EXPECT_EQ(*sniff_text("MM\0*"s), FileFormat::kTiff);
  EXPECT_EQ(*sniff_text("MM\0+"s), FileFormat::kTiff);
  EXPECT_EQ(*sniff_text("RIFF\1\2\3\4WEBPVP8 "s), FileFormat::kWebp);
}

TEST(Signature, NamesWhatTheFileIsInstead) {
  const auto refused = sniff_text("%PDF-1.7\n");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kUnsupportedFormat);
  EXPECT_THAT(refused.error().message, HasSubstr("a PDF document"));
  EXPECT_THAT(sniff_text("\0\0\0\x18"
                         "ftypheic"s)
                  .error()
                  .message,
              HasSubstr("HEIC"));
  EXPECT_THAT(sniff_text("\0\0\0\x18"
                         "ftypisom"s)
                  .error()
                  .message,
              HasSubstr("video"));
  EXPECT_THAT(sniff_text("II*\0\x10\0\0\0CR\2\0"s).error().message, HasSubstr("camera raw"));
}

TEST(Signature, EmptyAndShortFilesAreTheirOwnErrors) {
  EXPECT_EQ(sniff({}).error().code, ErrorCode::kInputEmpty);
  EXPECT_EQ(sniff_text("\xFF\xD8"s).error().code, ErrorCode::kTruncatedPicture);
  EXPECT_EQ(sniff_text("RIFF\1\2"s).error().code, ErrorCode::kTruncatedPicture);
  EXPECT_EQ(sniff_text("hello, world").error().code, ErrorCode::kUnsupportedFormat);
}

}  // namespace
}  // namespace retouchd::image
