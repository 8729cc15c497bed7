#include "image/signature.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "image/codec.h"
#include "tests/image/sample_raws.h"

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

/// A first box with these brands behind the major one.
std::string boxed(const std::string& major, const std::string& compatible = "") {
  return "\0\0\0"s + static_cast<char>(16 + compatible.size()) + "ftyp" + major + "\0\0\0\0"s + compatible + "\0\0\0\x08more"s;
}

TEST(Signature, BrandsTellHeicFromAvifAndVideo) {
  for (const char* brand : {"avif", "avis"}) EXPECT_EQ(*sniff_text(boxed(brand)), FileFormat::kAvif);
  for (const char* brand : {"heic", "heix", "heim", "heis", "hevc"}) EXPECT_EQ(*sniff_text(boxed(brand)), FileFormat::kHeic);
  EXPECT_EQ(*sniff_text(boxed("mif1", "mif1miafavif")), FileFormat::kAvif);
  EXPECT_EQ(*sniff_text(boxed("mif1", "mif1heic")), FileFormat::kHeic);
  EXPECT_EQ(*sniff_text(boxed("msf1", "hevcmsf1")), FileFormat::kHeic);
  EXPECT_EQ(*sniff_text(boxed("crx ", "crx isom")), FileFormat::kRaw);
  EXPECT_THAT(sniff_text(boxed("mif1", "mif1jpeg")).error().message, HasSubstr("HEIF"));
  EXPECT_THAT(sniff_text(boxed("isom", "isomavif")).error().message, HasSubstr("video"));
  EXPECT_EQ(sniff_text("\0\0\0\030ftyp"s).error().code, ErrorCode::kTruncatedPicture);
  EXPECT_EQ(sniff_text(boxed("mif1", "mif1").substr(0, 16)).error().code, ErrorCode::kTruncatedPicture);
}

TEST(Signature, KnowsJpegXlWithAndWithoutBoxes) {
  EXPECT_EQ(*sniff_text("\xFF\x0A\x7F\x90"s), FileFormat::kJxl);
  EXPECT_EQ(*sniff_text("\0\0\0\x0CJXL \r\n\x87\n\0\0\0\x14"s), FileFormat::kJxl);
}

TEST(Signature, KnowsPnmByItsNumberAndWhiteSpace) {
  for (const char* text : {"P1\n2 2", "P2 2 2", "P3\t1", "P4\r1", "P5#a", "P6\n1"})
    EXPECT_EQ(*sniff_text(text), FileFormat::kPnm) << text;
  EXPECT_FALSE(sniff_text("P7\n1").ok());
  EXPECT_FALSE(sniff_text("P50 1").ok());
  EXPECT_EQ(sniff_text("P6").error().code, ErrorCode::kTruncatedPicture);
}

TEST(Signature, KnowsRawFilesByTheirFirstBytes) {
  for (const std::string& text : {"II*\0\x10\0\0\0CR\2\0"s, "IIRO\x08\0\0\0"s, "IIRS\x08\0\0\0"s, "MMOR\0\0\0\x08"s,
                                  "IIU\0\x18\0\0\0"s, "FUJIFILMCCD-RAW 0201"s, "II\x1A\0\0\0HEAPCCDR"s, "\0MRM\0\0\0\0"s}) {
    EXPECT_EQ(*sniff_text(text), FileFormat::kRaw);
  }
}

TEST(Signature, KnowsRawFilesThatLookLikeTiffByTheirDirectories) {
  const testing::TiffEntries plain{{256, 4, {10}}, {259, 3, {1}}, {262, 3, {2}}, testing::text_entry(271, "NIKON CORPORATION")};
  EXPECT_EQ(*sniff(testing::write_directories(plain, {}, {})), FileFormat::kTiff);
  EXPECT_EQ(*sniff(testing::write_directories(plain, {plain, plain}, {})), FileFormat::kTiff);
  const testing::TiffEntries sensor{{254, 4, {0}}, {262, 3, {32'803}}};
  EXPECT_EQ(*sniff(testing::write_directories(sensor, {}, {})), FileFormat::kRaw);
  EXPECT_EQ(*sniff(testing::write_directories(plain, {sensor}, {})), FileFormat::kRaw);
  EXPECT_EQ(*sniff(testing::write_directories(plain, {plain, plain, sensor}, {})), FileFormat::kRaw);
  EXPECT_EQ(*sniff(testing::write_directories({{259, 3, {34'713}}}, {}, {})), FileFormat::kRaw);
  EXPECT_EQ(*sniff(testing::write_directories({{259, 3, {32'773}}, {262, 3, {2}}}, {}, {})), FileFormat::kTiff);  // PackBits
  EXPECT_EQ(*sniff(testing::write_directories({{50'706, 1, {1, 4, 0, 0}}}, {}, {})), FileFormat::kRaw);
}

TEST(Signature, DirectoriesThatLeadNowhereOrInCirclesEnd) {
  EXPECT_EQ(*sniff_text("II*\0\xFF\xFF\xFF\xFF"s), FileFormat::kTiff);
  EXPECT_EQ(*sniff_text("MM\0*\0\0\0\x08\xFF\xFF"s), FileFormat::kTiff);
  EXPECT_EQ(*sniff_text("II*\0\x08\0\0\0\0\0\x08\0\0\0"s), FileFormat::kTiff);  // the next one is itself
  EXPECT_EQ(*sniff_text("II*\0\x08\0\0\0\x01\0\x4A\x01\x04\0\xFF\xFF\xFF\xFF\x02\0\0\0"s), FileFormat::kTiff);
}

TEST(Signature, NamesWhatTheFileIsInstead) {
  const auto refused = sniff_text("%PDF-1.7\n");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kUnsupportedFormat);
  EXPECT_THAT(refused.error().message, HasSubstr("a PDF document"));
}

TEST(Signature, EmptyAndShortFilesAreTheirOwnErrors) {
  EXPECT_EQ(sniff({}).error().code, ErrorCode::kInputEmpty);
  EXPECT_EQ(sniff_text("\xFF\xD8"s).error().code, ErrorCode::kTruncatedPicture);
  EXPECT_EQ(sniff_text("RIFF\1\2"s).error().code, ErrorCode::kTruncatedPicture);
  EXPECT_EQ(sniff_text("hello, world").error().code, ErrorCode::kUnsupportedFormat);
}

}  // namespace
}  // namespace retouchd::image
