#include "inference/weights/weight_conversion.h"

#include <gmock/gmock.h>

#include "base/file.h"
#include "inference/weights/safetensors.h"
#include "pth_files.h"
#include "weight_files.h"

namespace retouchd::inference {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

class WeightConversionTest : public testing::Test {
 protected:
  ConversionRequest request(const fs::path& source) const {
    return {.source = source,
            .target = folder_.path() / "out.safetensors",
            .dtype = "",
            .task = "denoise",
            .license = "Apache-2.0",
            .tool = "retouch 1.2.3",
            .when = UnixMillis(1'600'000'000'000ms)};
  }
  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_.path())) names.push_back(entry.path().filename().string());
    return names;
  }

  WeightFolder folder_;
};

TEST_F(WeightConversionTest, KeepsEveryNumber) {
  const auto report = convert_weights(request(kPthFolder / "types.pth"));
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->source_format, WeightFormat::kPthZip);
  EXPECT_EQ(report->header.tensors.size(), 10U);
  const auto before = read_weights(kPthFolder / "types.pth");
  const auto after = read_weights(folder_.path() / "out.safetensors");
  ASSERT_TRUE(before && after);
  EXPECT_EQ(after->data, before->data);
  EXPECT_EQ(report->size.value, before->data.size());
  EXPECT_EQ(files(), std::vector<std::string>{"out.safetensors"}) << "no temporary is left";
}

TEST_F(WeightConversionTest, TellsWhereTheWeightsComeFrom) {
  ASSERT_TRUE(convert_weights(request(kPthFolder / "bare_legacy.pth")));
  const auto header = read_safetensors_header(folder_.path() / "out.safetensors");
  ASSERT_TRUE(header);
  EXPECT_EQ(header->metadata,
            (std::map<std::string, std::string>{{"source_file", "bare_legacy.pth"},
                                                {"source_sha256", *sha256_hex_of_file(kPthFolder / "bare_legacy.pth")},
                                                {"source_format", "pth (legacy)"},
                                                {"converted_by", "retouch 1.2.3"},
                                                {"converted_at", "2020-09-13T12:26:40Z"},
                                                {"task", "denoise"},
                                                {"license", "Apache-2.0"}}));
}

TEST_F(WeightConversionTest, MetadataOfASafetensorsSourceIsKept) {
  auto asked = request(folder_.write_weights("in.safetensors", R"({"__metadata__":{"arch":"x","task":"old"}})", ""));
  asked.license.clear();
  const auto report = convert_weights(asked);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->header.metadata.at("arch"), "x");
  EXPECT_EQ(report->header.metadata.at("task"), "denoise");
  EXPECT_FALSE(report->header.metadata.contains("license"));
}

TEST_F(WeightConversionTest, ChangesTheNumbersType) {
  auto asked = request(kPthFolder / "types.pth");
  asked.dtype = "BF16";
  const auto report = convert_weights(asked);
  ASSERT_TRUE(report) << report.error().message;
  for (const char* name : {"f16", "bf16", "f32", "f64"}) EXPECT_EQ(report->header.tensors.at(name).dtype, "BF16") << name;
  EXPECT_EQ(report->header.tensors.at("i64").dtype, "I64");
  EXPECT_TRUE(read_weights(asked.target));
}

TEST_F(WeightConversionTest, LeavesOutBuffersThatNetworksCompute) {
  const std::string entry = R"({"dtype":"U8","shape":[1],"data_offsets":[)";
  const auto source = folder_.write_weights("in.safetensors",
                                            R"({"a.attn.relative_position_index":)" + entry + R"(0,1]},"a.attn_mask":)" + entry +
                                                R"(1,2]},"a.relative_position_bias_table":)" + entry + "2,3]}}",
                                            "xyz");
  const auto report = convert_weights(request(source));
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->left_out, (std::vector<std::string>{"a.attn.relative_position_index", "a.attn_mask"}));
  const auto read = read_weights(folder_.path() / "out.safetensors");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->header.tensors.size(), 1U);
  EXPECT_EQ(read->data, std::vector<std::uint8_t>{'z'});
}

TEST_F(WeightConversionTest, DoesNotOverwriteUnlessTold) {
  folder_.write("out.safetensors", "precious");
  auto asked = request(kPthFolder / "bare.pth");
  const auto refused = convert_weights(asked);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kOutputExists);
  EXPECT_EQ(read_text(asked.target), "precious");
  asked.overwrite = true;
  EXPECT_TRUE(convert_weights(asked));
  EXPECT_TRUE(read_weights(asked.target));
}

TEST_F(WeightConversionTest, FailuresLeaveNothingBehind) {
  EXPECT_EQ(convert_weights(request(kPthFolder / "gadget.pth")).error().code, ErrorCode::kBadWeights);
  EXPECT_EQ(convert_weights(request(folder_.path() / "absent.pth")).error().code, ErrorCode::kInputMissing);
  EXPECT_TRUE(files().empty());
  auto nowhere = request(kPthFolder / "bare.pth");
  nowhere.target = folder_.path() / "no/such/folder/out.safetensors";
  EXPECT_EQ(convert_weights(nowhere).error().code, ErrorCode::kOutputDenied);
}

}  // namespace
}  // namespace retouchd::inference
