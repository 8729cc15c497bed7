#include "image/jpeg_segments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <exiv2/exiv2.hpp>
#include <string_view>

#include "image/md5.h"
#include "image/xmp_packet.h"
#include "tests/image/sample_pictures.h"

namespace retouchd::image {
namespace {

using namespace std::string_view_literals;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

/// Like make_xmp(), with a description of `size` bytes.
std::string xmp_with(std::size_t size) {
  std::string packet = testing::make_xmp();
  packet.insert(packet.find("<dc:title>"), "<dc:source>" + std::string(size, 'x') + "END</dc:source>");
  return packet;
}

ByteVector file_of(const std::vector<JpegSegment>& segments) {
  ByteVector file{0xFF, 0xD8};
  for (const JpegSegment& segment : segments) {
    const std::size_t length = segment.payload.size() + 2;
    const ByteVector head{0xFF, static_cast<std::uint8_t>(segment.marker), static_cast<std::uint8_t>(length >> 8),
                          static_cast<std::uint8_t>(length & 0xFF)};
    file.insert(file.end(), head.begin(), head.end());
    file.insert(file.end(), segment.payload.begin(), segment.payload.end());
  }
  file.insert(file.end(), {0xFF, 0xDA, 0, 2});
  return file;
}

struct Read {
  Metadata metadata;
  std::string warnings;
};

Read read(const std::vector<JpegSegment>& segments, Bytes limit = mebibytes(16)) {
  Read result;
  read_jpeg_segments(file_of(segments), limit, result.metadata, result.warnings);
  return result;
}

std::vector<JpegSegment> segments_of_xmp(const std::string& packet) {
  Metadata blocks;
  blocks.xmp = packet;
  std::string warnings;
  std::vector<JpegSegment> segments = jpeg_segments_of(blocks, warnings);
  EXPECT_EQ(warnings, "");
  return segments;
}

TEST(JpegSegments, XmpBeyondOneSegmentIsSplitAndMerged) {
  for (const std::size_t size : {65'000U, 70'000U, 300'000U}) {
    const std::vector<JpegSegment> segments = segments_of_xmp(xmp_with(size));
    ASSERT_GE(segments.size(), 2U);
    for (const JpegSegment& segment : segments) EXPECT_LE(segment.payload.size(), 65'533U);
    const Read back = read(segments);
    EXPECT_EQ(back.warnings, "");
    EXPECT_THAT(back.metadata.xmp, HasSubstr("xEND"));
    EXPECT_GT(back.metadata.xmp.size(), size);
    EXPECT_THAT(back.metadata.xmp, HasSubstr("Harbour"));
    EXPECT_THAT(back.metadata.xmp, Not(HasSubstr("HasExtendedXMP")));
  }
}

TEST(JpegSegments, PartsOfTheExtendedXmpMayComeInAnyOrder) {
  std::vector<JpegSegment> segments = segments_of_xmp(xmp_with(300'000));
  std::reverse(segments.begin(), segments.end());
  const Read back = read(segments);
  EXPECT_EQ(back.warnings, "");
  EXPECT_THAT(back.metadata.xmp, HasSubstr("xEND"));
}

TEST(JpegSegments, AnExtendedXmpThatIsNotWholeIsAWarning) {
  constexpr std::size_t kOffset = "http://ns.adobe.com/xmp/extension/\0"sv.size() + 32 + 4;
  const std::vector<JpegSegment> whole = segments_of_xmp(xmp_with(300'000));
  std::vector<std::vector<JpegSegment>> broken;
  broken.push_back(whole);
  broken.back().pop_back();
  broken.push_back(whole);
  broken.back().push_back(whole.back());  // twice
  for (const std::uint8_t value : {std::uint8_t{0x01}, std::uint8_t{0xFF}}) {
    broken.push_back(whole);
    broken.back()[2].payload[kOffset] = value;  // far away
    broken.push_back(whole);
    broken.back()[2].payload[kOffset - 4] = value;  // of a larger packet
    broken.push_back(whole);
    broken.back()[2].payload[kOffset - 5] = value;  // of another packet
  }
  broken.push_back(whole);
  broken.back()[1].payload.resize(50);
  for (const std::vector<JpegSegment>& segments : broken) {
    const Read back = read(segments);
    EXPECT_THAT(back.warnings, HasSubstr("extended part of the XMP is incomplete"));
    EXPECT_THAT(back.metadata.xmp, HasSubstr("Harbour"));
    EXPECT_THAT(back.metadata.xmp, Not(HasSubstr("xEND")));
  }
}

TEST(JpegSegments, TheLimitCountsBothPartsOfTheXmp) {
  const Read back = read(segments_of_xmp(xmp_with(300'000)), kibibytes(200));
  EXPECT_THAT(back.warnings, HasSubstr("limits.metadata"));
  EXPECT_LT(back.metadata.xmp.size(), 10'000U);
}

TEST(JpegSegments, CommentsAreKeptAsTheyAre) {
  const ByteVector first{'G', 'r', 0xFC, 0xDF, 'e'};  // Latin-1
  const Read back = read({{0xFE, first}, {0xFE, {'z', 'w', 'e', 'i'}}});
  EXPECT_EQ(back.metadata.comment,
            "Gr\xFC\xDF"
            "e");
  std::string warnings;
  const std::vector<JpegSegment> segments = jpeg_segments_of(back.metadata, warnings);
  ASSERT_EQ(segments.size(), 2U);
  EXPECT_EQ(segments[0].marker, 0xFE);
  EXPECT_EQ(segments[0].payload, first);
  EXPECT_EQ(segments[1].payload, ByteVector({'z', 'w', 'e', 'i'}));
}

TEST(JpegSegments, CommentsBeyondTheLimitAreAWarning) {
  const Read back = read({{0xFE, ByteVector(500, 'a')}}, Bytes{100});
  EXPECT_THAT(back.warnings, HasSubstr("limits.metadata"));
  EXPECT_THAT(back.metadata.comment, IsEmpty());
}

TEST(JpegSegments, IptcBeyondOneSegmentGoesOnInTheNext) {
  Metadata blocks;
  blocks.iptc = ByteVector(150'001, 7);
  std::string warnings;
  const std::vector<JpegSegment> segments = jpeg_segments_of(blocks, warnings);
  EXPECT_EQ(warnings, "");
  EXPECT_EQ(segments.size(), 3U);
  EXPECT_EQ(read(segments).metadata.iptc, blocks.iptc);
}

TEST(Md5, IsThatOfRfc1321) {
  const auto of = [](std::string_view text) {
    return md5_hex({reinterpret_cast<const unsigned char*>(text.data()), text.size()});
  };
  EXPECT_EQ(of(""), "D41D8CD98F00B204E9800998ECF8427E");
  EXPECT_EQ(of("message digest"), "F96B697D7CB7938D525A2F31AAF161D0");
  EXPECT_EQ(of("12345678901234567890123456789012345678901234567890123456789012345678901234567890"),
            "57EDF4A22BE3C955AC49DA2E2107B67A");
}

TEST(XmpPacket, KeepsStructuresQualifiersAndLanguages) {
  const std::string packet =
      R"(<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:own="http://example.com/own/"
 xmlns:mwg-rs="http://www.metadataworkinggroup.com/schemas/regions/" xmlns:stArea="http://ns.adobe.com/xmp/sType/Area#">
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">Harbour</rdf:li><rdf:li xml:lang="de-DE">Hafen</rdf:li></rdf:Alt></dc:title>
<dc:subject><rdf:Bag><rdf:li>boats</rdf:li><rdf:li>dawn</rdf:li></rdf:Bag></dc:subject>
<mwg-rs:Regions rdf:parseType="Resource"><mwg-rs:RegionList><rdf:Bag><rdf:li rdf:parseType="Resource">
<mwg-rs:Name>Ada</mwg-rs:Name><mwg-rs:Area stArea:x="0.5" stArea:y="0.25"/></rdf:li></rdf:Bag></mwg-rs:RegionList></mwg-rs:Regions>
<own:note>mine</own:note></rdf:Description></rdf:RDF></x:xmpmeta>)";
  Picture picture = testing::make_picture(4, 3, CV_8UC1);
  picture.provenance = {{"Route", "local"}};
  const std::string prepared = prepare_xmp(packet, picture, false, {});
  for (const char* part : {"Harbour", "de-DE", "Hafen", "boats", "dawn", "Ada", "0.25", "http://example.com/own/", "mine"}) {
    EXPECT_THAT(prepared, HasSubstr(part));
  }
}

std::string packet_of(const std::string& properties) {
  return R"(<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">)"
         R"(<rdf:Description rdf:about="" xmlns:own="http://example.com/own/">)" +
         properties + "</rdf:Description></rdf:RDF></x:xmpmeta>";
}

TEST(XmpPacket, ShapesThatWouldTakeTheToolkitForeverAreRefused) {
  Picture picture = testing::make_picture(4, 3, CV_8UC1);
  picture.provenance = {{"Route", "local"}};
  std::string many;
  for (int i = 0; i < 6000; ++i) many += "<own:p" + std::to_string(i) + ">1</own:p" + std::to_string(i) + ">";
  EXPECT_THROW((void)prepare_xmp(packet_of(many), picture, false, {}), std::runtime_error);
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += "<own:p>";
  EXPECT_THROW((void)prepare_xmp(packet_of(deep), picture, false, {}), std::runtime_error);
  std::string bag = "<own:list><rdf:Bag>";
  for (int i = 0; i < 20'000; ++i) bag += "<rdf:li>1</rdf:li>";
  EXPECT_THAT(prepare_xmp(packet_of(bag + "</rdf:Bag></own:list>"), picture, false, {}), HasSubstr("Route"));
}

TEST(XmpPacket, WhatOnePacketDeclaresDoesNotChangeTheNext) {
  const Picture picture = testing::make_picture(4, 3, CV_8UC1);
  std::string other = testing::make_xmp();
  constexpr std::string_view kCore = "http://purl.org/dc/elements/1.1/";
  other.replace(other.find(kCore), kCore.size(), "http://example.com/not-what-you-think/");
  (void)prepare_xmp(other, picture, false, {});
  const std::string prepared = prepare_xmp(testing::make_xmp(), picture, false, testing::make_iptc());
  EXPECT_THAT(prepared, HasSubstr(kCore));
  EXPECT_THAT(prepared, Not(HasSubstr("not-what-you-think")));
  EXPECT_THAT(prepared, HasSubstr(R"(<rdf:li xml:lang="x-default">Boats at dawn</rdf:li>)"));
}

TEST(XmpPacket, BecomesUtf8) {
  std::string wide;
  for (const char c : packet_of("<own:note>mine</own:note>")) {
    wide += '\0';
    wide += c;
  }
  EXPECT_THAT(prepare_xmp("\xFE\xFF" + wide, testing::make_picture(4, 3, CV_8UC1), false, {}), HasSubstr("mine"));
}

}  // namespace
}  // namespace retouchd::image
