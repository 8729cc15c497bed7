#include "inference/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "weight_files.h"

namespace retouchd::inference {
namespace {

using testing::HasSubstr;

class SafetensorsTest : public testing::Test {
 protected:
  /// The reason why a file with this header and these data is refused.
  std::string refusal(const std::string& header, const std::string& data) {
    const auto file = folder_.write_weights("bad.safetensors", header, data);
    const auto read = read_safetensors(file);
    if (read) return "accepted";
    EXPECT_EQ(read.error().code, ErrorCode::kBadWeights);
    EXPECT_THAT(read.error().message, HasSubstr(file.string()));
    return read.error().message;
  }

  WeightFolder folder_;
};

TEST_F(SafetensorsTest, ReadsTensorsAndMetadata) {
  const auto file = folder_.write_weights("good.safetensors",
                                          R"({"__metadata__":{"arch":"x"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                                          R"("b":{"dtype":"U8","shape":[3],"data_offsets":[8,11]}})",
                                          std::string(8, '\1') + "xyz");
  const auto read = read_safetensors(file);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->header.metadata.at("arch"), "x");
  EXPECT_EQ(read->header.elements(), 5U);
  EXPECT_EQ(read->header.tensors.at("b").begin, 8U);
  EXPECT_EQ(read->data.at(10), 'z');
}

TEST_F(SafetensorsTest, RefusesAHeaderThatIsNoJson) { EXPECT_THAT(refusal("not json", ""), testing::Not("accepted")); }

TEST_F(SafetensorsTest, RefusesOffsetsBeyondTheFile) {
  EXPECT_THAT(refusal(R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}})", "12345678"), testing::Not("accepted"));
}

TEST_F(SafetensorsTest, RefusesSizesThatDoNotFitTheShape) {
  EXPECT_THAT(refusal(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}})", "12345678"), testing::Not("accepted"));
}

TEST_F(SafetensorsTest, RefusesShapesWhoseProductOverflows) {
  EXPECT_THAT(refusal(R"({"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}})", ""),
              testing::Not("accepted"));
}

TEST_F(SafetensorsTest, RefusesOverlappingTensors) {
  EXPECT_THAT(
      refusal(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}})",
              "123456"),
      testing::Not("accepted"));
}

TEST_F(SafetensorsTest, RefusesUnknownTypes) {
  EXPECT_THAT(refusal(R"({"a":{"dtype":"F7","shape":[1],"data_offsets":[0,4]}})", "1234"), HasSubstr("F7"));
}

TEST_F(SafetensorsTest, RefusesATruncatedFile) {
  const auto file = folder_.write("short.safetensors", "123");
  const auto read = read_safetensors_header(file);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ErrorCode::kBadWeights);
}

TEST_F(SafetensorsTest, RefusesAHeaderLengthBeyondTheFileWithoutAllocatingIt) {
  const auto file = folder_.write("huge.safetensors", std::string(8, '\x7f') + "{}");
  EXPECT_EQ(read_safetensors_header(file).error().code, ErrorCode::kBadWeights);
}

TEST_F(SafetensorsTest, NamesTheFileThatIsNotThere) {
  const auto read = read_safetensors(folder_.path() / "absent.safetensors");
  ASSERT_FALSE(read);
  EXPECT_THAT(read.error().message, HasSubstr("absent.safetensors"));
}

}  // namespace
}  // namespace retouchd::inference
