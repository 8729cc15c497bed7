#include "inference/weights/safetensors.h"

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

TEST_F(SafetensorsTest, RefusesDeepAndLongHeaders) {
  EXPECT_THAT(refusal("{\"a\":" + std::string(100'000, '['), ""), HasSubstr("too deep"));
  const auto file = folder_.write_weights("long.safetensors", "{}" + std::string(33U << 20U, ' '), "");
  EXPECT_THAT(read_safetensors(file).error().message, HasSubstr("longer than 32 MiB"));
}

TEST_F(SafetensorsTest, RefusesWrongTypesInTheHeader) {
  for (const char* header :
       {R"({"a":1})", R"({"a":{}})", R"({"a":{"dtype":1,"shape":[],"data_offsets":[0,0]}})",
        R"({"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,0]}})", R"({"__metadata__":{"k":1}})",
        R"({"a":{"dtype":"U8","shape":"x","data_offsets":[0,0]}})",
        R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0,1e300]}})",
        R"({"a":{"dtype":"U8","shape":[0.0],"data_offsets":[0,0]}})",
        R"({"a":{"dtype":"U8","shape":[false],"data_offsets":[0,0]}})",
        R"({"a":{"dtype":"U8","shape":[9223372036854775808,0],"data_offsets":[0,0]}})", "{\"\xff\":{}}", "{"}) {
    EXPECT_NE(refusal(header, ""), "accepted") << header;
  }
}

TEST_F(SafetensorsTest, RefusesFilesBeyondTheLimit) {
  const auto file = folder_.write_weights("good.safetensors", R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}})", "xyz");
  EXPECT_TRUE(read_safetensors(file));
  EXPECT_FALSE(read_safetensors(file, Bytes{20}));
  EXPECT_FALSE(read_safetensors_header(file, Bytes{20}));
}

TEST_F(SafetensorsTest, WritesWhatItReads) {
  WeightFile file;
  file.header.metadata = {{"task", "caf\xc3\xa9"}};
  file.header.tensors = {
      {"a", {"U8", {3}, 0, 3}}, {"b", {"F16", {1, 2}, 4, 8}}, {"c", {"I64", {}, 8, 16}}, {"d", {"F32", {0}, 3, 3}}};
  for (std::uint8_t i = 0; i < 16; ++i) file.data.push_back(i);
  const auto path = folder_.path() / "new.safetensors";
  ASSERT_TRUE(write_safetensors(path, file));
  const auto read = read_safetensors(path);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->header.metadata, file.header.metadata);
  EXPECT_EQ(read->data, (std::vector<std::uint8_t>{8, 9, 10, 11, 12, 13, 14, 15, 4, 5, 6, 7, 0, 1, 2}))
      << "largest numbers first";
  EXPECT_EQ(read->header.tensors.at("b").shape, (std::vector<std::int64_t>{1, 2}));
  EXPECT_EQ((std::filesystem::file_size(path) - read->data.size()) % 8, 0U);
}

TEST_F(SafetensorsTest, CannotNameATensorLikeTheMetadata) {
  WeightFile file;
  file.header.tensors["__metadata__"] = {"U8", {0}, 0, 0};
  EXPECT_EQ(write_safetensors(folder_.path() / "new.safetensors", file).error().code, ErrorCode::kBadWeights);
}

}  // namespace
}  // namespace retouchd::inference
