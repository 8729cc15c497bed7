#include "inference/weights/weight_file.h"

#include <gmock/gmock.h>

#include <set>

#include "inference/weights/safetensors.h"
#include "pth_files.h"
#include "weight_files.h"

namespace retouchd::inference {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

std::string bytes_of(const WeightFile& file, const WeightHeader::Entry& entry) {
  return {file.data.begin() + static_cast<std::ptrdiff_t>(entry.begin),
          file.data.begin() + static_cast<std::ptrdiff_t>(entry.end)};
}

/// Files that PyTorch wrote (data/make_pth.py), by what they show.
class PyTorchFile : public testing::TestWithParam<const char*> {
 protected:
  const fs::path file_ = kPthFolder / (GetParam() + std::string(".pth"));
};

/// Those that are small enough to damage each byte in turn.
class SmallPyTorchFile : public PyTorchFile {};

std::string name_of(const testing::TestParamInfo<const char*>& file) { return file.param; }

TEST_P(PyTorchFile, HoldsWhatPyTorchSays) {
  const auto golden = read_safetensors(kPthFolder / (GetParam() + std::string(".golden.safetensors")));
  ASSERT_TRUE(golden) << golden.error().message;
  const auto read = read_weights(file_);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->header.tensors.size(), golden->header.tensors.size());
  for (const auto& [name, expected] : golden->header.tensors) {
    const auto* entry = read->header.find(name);
    ASSERT_NE(entry, nullptr) << name;
    EXPECT_EQ(entry->dtype, expected.dtype) << name;
    EXPECT_EQ(entry->shape, expected.shape) << name;
    EXPECT_EQ(bytes_of(*read, *entry), bytes_of(*golden, expected)) << name;
  }
}

TEST_P(PyTorchFile, HasTheSameTableWithoutTheNumbers) {
  const auto read = read_weights(file_);
  const auto header = read_weight_header(file_);
  ASSERT_TRUE(read && header);
  ASSERT_EQ(header->tensors.size(), read->header.tensors.size());
  for (const auto& [name, entry] : read->header.tensors) {
    const auto* same = header->find(name);
    ASSERT_NE(same, nullptr);
    EXPECT_EQ(std::tie(same->dtype, same->shape, same->begin, same->end),
              std::tie(entry.dtype, entry.shape, entry.begin, entry.end));
  }
}

TEST_P(PyTorchFile, IsRecognisedByItsContent) {
  const auto format = detect_weight_format(file_);
  ASSERT_TRUE(format);
  EXPECT_EQ(*format, std::string_view(GetParam()).ends_with("_legacy") ? WeightFormat::kPthLegacy : WeightFormat::kPthZip);
}

TEST_P(PyTorchFile, IsRefusedWhereverItIsCutShort) {
  const auto whole = read_text(file_);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const std::string_view cut = std::string_view(whole).substr(0, size);
    const auto read = read_weights(source_of(cut));
    ASSERT_FALSE(read) << size;
    ASSERT_EQ(read.error().code, ErrorCode::kBadWeights) << size;
    ASSERT_FALSE(read_weight_header(source_of(cut))) << size;
  }
}

TEST_P(SmallPyTorchFile, SurvivesEveryDamagedByte) {
  auto damaged = read_text(file_);
  for (std::size_t at = 0; at < damaged.size(); ++at) {
    const char original = damaged[at];
    for (const int value : {0, 0xff, original ^ 1, original ^ 0x80, original + 1, static_cast<int>('t')}) {
      damaged[at] = static_cast<char>(value);
      const auto read = read_weights(source_of(damaged), mebibytes(1));
      if (!read) {
        ASSERT_EQ(read.error().code, ErrorCode::kBadWeights);
        continue;
      }
      for (const auto& [name, entry] : read->header.tensors)
        ASSERT_TRUE(entry.begin <= entry.end && entry.end <= read->data.size());
    }
    damaged[at] = original;
  }
}

INSTANTIATE_TEST_SUITE_P(Fixtures, PyTorchFile,
                         testing::Values("bare", "bare_legacy", "params", "params_legacy", "params_ema", "data_parallel",
                                         "single_entry", "types", "types_legacy", "views", "views_legacy", "edge", "edge_legacy",
                                         "parameter", "parameter_legacy", "training", "training_legacy", "beside"),
                         name_of);
INSTANTIATE_TEST_SUITE_P(Fixtures, SmallPyTorchFile, testing::Values("edge", "views_legacy", "beside", "parameter_legacy"),
                         name_of);

class WeightFileTest : public testing::Test {
 protected:
  static std::string refusal(const fs::path& file) {
    const auto read = read_weights(file);
    const auto header = read_weight_header(file);
    if (read) return "accepted";
    EXPECT_EQ(read.error().code, ErrorCode::kBadWeights);
    EXPECT_THAT(read.error().message, HasSubstr(file.string()));
    EXPECT_EQ(header.ok() ? "accepted" : header.error().message, read.error().message);
    return read.error().message;
  }

  WeightFolder folder_;
};

TEST_F(WeightFileTest, RefusesWhatPyTorchWroteButIsNoWeights) {
  EXPECT_THAT(refusal(kPthFolder / "gadget.pth"), HasSubstr("an object of `posix.system`"));
  EXPECT_THAT(refusal(kPthFolder / "gadget_legacy.pth"), HasSubstr("an object of `posix.system`"));
  EXPECT_FALSE(fs::exists("/tmp/retouchd-pickle-was-executed"));
  EXPECT_THAT(refusal(kPthFolder / "whole_module.pth"), HasSubstr("an object of `torch.nn.modules.linear.Linear`"));
  EXPECT_THAT(refusal(kPthFolder / "no_weights.pth"), HasSubstr("`optimizer` (a dictionary)"));
  EXPECT_THAT(refusal(kPthFolder / "complex.pth"), HasSubstr("torch.ComplexFloatStorage are not supported"));
  EXPECT_THAT(refusal(kPthFolder / "protocol4.pth"), HasSubstr("pickle protocol 4"));
  EXPECT_THAT(refusal(kPthFolder / "compressed.pth"), HasSubstr("compressed"));
  EXPECT_THAT(refusal(kPthFolder / "tar.pth"), HasSubstr("before 0.1.10"));
}

TEST_F(WeightFileTest, FilesWithCodeAreDetectedAndNotRead) {
  const auto script = kPthFolder / "torchscript.pt";
  ASSERT_TRUE(detect_weight_format(script));
  EXPECT_EQ(*detect_weight_format(script), WeightFormat::kTorchScript);
  EXPECT_THAT(refusal(script), HasSubstr("only as a network in a model folder"));

  const auto package = folder_.write("net.pt2", zip({{"net/archive_format", "pt2"}, {"net/data/aotinductor/model/x.so", "ELF"}}));
  ASSERT_TRUE(detect_weight_format(package));
  EXPECT_EQ(*detect_weight_format(package), WeightFormat::kAotInductor);
  EXPECT_THAT(refusal(package), HasSubstr("AOTInductor package"));
}

TEST_F(WeightFileTest, SafetensorsLoseTheirCommonPrefixOnly) {
  const auto file =
      folder_.write_weights("a.safetensors",
                            R"({"__metadata__":{"k":"v"},"module.params":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                            R"("module.b":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
                            "xy");
  ASSERT_TRUE(detect_weight_format(file));
  EXPECT_EQ(*detect_weight_format(file), WeightFormat::kSafetensors);
  const auto read = read_weights(file);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->header.metadata.at("k"), "v");
  EXPECT_EQ(bytes_of(*read, read->header.tensors.at("b")), "y");
  EXPECT_NE(read_weight_header(file)->find("params"), nullptr);
  EXPECT_FALSE(read_weights(file, Bytes{50}));
}

TEST_F(WeightFileTest, SaysWhatOtherFilesAre) {
  EXPECT_THAT(refusal(folder_.write("lfs.pth", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n")),
              HasSubstr("git lfs pull"));
  EXPECT_THAT(refusal(folder_.write("page.pth", "<!DOCTYPE html>")), HasSubstr("web page"));
  EXPECT_THAT(refusal(folder_.write("plain.pth", "\x80\x02}.")), HasSubstr("none that torch.save wrote"));
  EXPECT_THAT(refusal(folder_.write("keras.pth", "\x89HDF\r\n")), HasSubstr("HDF5"));
  EXPECT_THAT(refusal(folder_.write("other.zip", zip({{"readme.txt", "hello"}}))), HasSubstr("zip archive"));
  EXPECT_THAT(refusal(folder_.write("junk.pth", "something else entirely")), HasSubstr("neither"));
  EXPECT_THAT(refusal(folder_.write("empty.pth", "")), HasSubstr("empty"));
  EXPECT_THAT(refusal(folder_.path()), HasSubstr("directory"));
  EXPECT_THAT(refusal(folder_.path() / "absent.pth"), HasSubstr("No such file"));
}

}  // namespace
}  // namespace retouchd::inference
