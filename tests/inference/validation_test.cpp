#include "inference/validation.h"

#include <ATen/Context.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "golden_networks.h"

namespace retouchd::inference {
namespace {

using testing::HasSubstr;

/// The tensors of `source` whose names begin with `prefix`, without it, as a file in `folder`.
std::filesystem::path example_of(const TemporaryFolder& folder, const std::filesystem::path& source, const std::string& prefix) {
  const auto from = read_safetensors(source);
  WeightFile example{{}, from->data};
  for (const auto& [name, entry] : from->header.tensors) {
    if (name.starts_with(prefix)) example.header.tensors[name.substr(prefix.size())] = entry;
  }
  EXPECT_TRUE(write_safetensors(folder.path() / "example.safetensors", example));
  return folder.path() / "example.safetensors";
}

ValidationRequest request_for(const NetworkInfo& network) { return {network, {"cpu", 2}, std::nullopt}; }

TEST(Validation, TheBuiltInNetworkPassesWithAndWithoutGoldenTensors) {
  auto request = request_for(listed(kModels / "student-tiny.safetensors"));
  const auto alone = validate(request);
  ASSERT_TRUE(alone) << alone.error().message;
  ASSERT_EQ(alone->checks.size(), 1U);
  EXPECT_EQ(alone->checks[0].against, "plain fp32");
  EXPECT_TRUE(alone->passed());
  EXPECT_GT(alone->seconds, 0.0);

  request.golden = kModels / "student-tiny.golden.safetensors";
  const auto with = validate(request);
  ASSERT_TRUE(with) << with.error().message;
  ASSERT_EQ(with->checks.size(), 2U);
  EXPECT_EQ(with->checks[0].against, "golden");
  EXPECT_EQ(with->input, (std::vector<std::int64_t>{1, 3, 64, 64}));
  EXPECT_TRUE(with->passed());
}

TEST(Validation, Fp32IsNotRoundedToTf32) {
  at::globalContext().setAllowTF32CuDNN(true);  // as LibTorch begins
  ASSERT_TRUE(validate(request_for(listed(kModels / "student-tiny.safetensors"))));
  EXPECT_FALSE(at::globalContext().allowTF32CuDNN());
  EXPECT_FALSE(at::globalContext().allowTF32CuBLAS());
}

TEST(Validation, KernelsThatAreNotThereAreNotReplaced) {
  auto request = request_for(listed(kModels / "student-tiny.safetensors"));
  request.device.backend = Backend::kFused;
  const auto report = validate(request);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, ErrorCode::kDeviceFailed);
  EXPECT_THAT(report.error().message, HasSubstr("there are no kernels for student-tiny: cpu is no CUDA device"));
}

TEST(Validation, GoldenOutputsThatAreOffFail) {
  const TemporaryFolder folder;
  auto golden = read_safetensors(kModels / "student-tiny.golden.safetensors");
  auto& output = golden->header.tensors.at("output");
  const float wrong = 0.75F;
  std::memcpy(golden->data.data() + output.begin, &wrong, sizeof wrong);
  ASSERT_TRUE(write_safetensors(folder.path() / "off.safetensors", *golden));
  auto request = request_for(listed(kModels / "student-tiny.safetensors"));
  request.golden = folder.path() / "off.safetensors";
  const auto report = validate(request);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_FALSE(report->passed());
  EXPECT_FALSE(report->checks[0].passed);
  EXPECT_TRUE(report->checks[1].passed) << "the plain path agrees; only the golden outputs do not";
}

TEST(Validation, PublishedComputationsOfLargeNetworksPass) {
  for (const char* name : {"restormer-with-bias", "restormer-dual-pixel", "restormer-gray", "drct-x4", "drct-x3"}) {
    const TemporaryFolder folder;
    auto request = request_for(network_of_golden(folder, name));
    request.golden = example_of(folder, kGolden / (std::string(name) + ".safetensors"), "golden.");
    const auto report = validate(request);
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_TRUE(report->passed()) << name << ": " << report->checks[0].difference.largest;
  }
}

TEST(Validation, AGoldenInputOfAnotherNetworkIsRefused) {
  const TemporaryFolder folder;
  auto request = request_for(listed(kModels / "student-tiny.safetensors"));
  request.golden = example_of(folder, kGolden / "restormer-gray.safetensors", "golden.");
  const auto channels = validate(request);
  ASSERT_FALSE(channels);
  EXPECT_EQ(channels.error().code, ErrorCode::kBadWeights);
  EXPECT_THAT(channels.error().message, HasSubstr("`input` has 1 channels, the network takes 3"));

  request.golden = example_of(folder, kGolden / "drct-x3.safetensors", "golden.");
  const auto side = validate(request);
  ASSERT_FALSE(side);
  EXPECT_THAT(side.error().message, HasSubstr("no multiple of 8"));

  request.golden = folder.path() / "nothing.safetensors";
  EXPECT_FALSE(validate(request));
  request.golden = kModels / "student-tiny.safetensors";
  const auto other = validate(request);
  ASSERT_FALSE(other);
  EXPECT_THAT(other.error().message, HasSubstr("`input`"));
}

TEST(Validation, SaysWhatReplacedAPrecision) {
  const TemporaryFolder folder;
  auto request = request_for(network_of_golden(folder, "drct-x4"));
  request.device.precision = Precision::kFp16;
  const auto report = validate(request);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_NE(report->precision, Precision::kFp16);
  EXPECT_THAT(report->warning, HasSubstr("fp16 was asked for"));
  EXPECT_TRUE(report->passed());
}

TEST(Judgement, NumbersThatAreNoneNeverPass) {
  Difference difference;
  difference.reference_peak = 1;
  EXPECT_TRUE(judge("x", difference, Precision::kFp32).passed);
  difference.is_finite = false;
  EXPECT_FALSE(judge("x", difference, Precision::kFp32).passed);
  EXPECT_FALSE(judge("x", difference, Precision::kBf16).passed);
  difference.is_finite = true;
  difference.mean = difference.largest = std::numeric_limits<double>::quiet_NaN();
  EXPECT_FALSE(judge("x", difference, Precision::kBf16).passed);
}

TEST(Judgement, Fp32IsBoundAtItsWorstPixelAndOthersOnAverage) {
  Difference difference;
  difference.largest = 2e-3;
  difference.mean = 1e-6;
  difference.reference_peak = 1;
  EXPECT_FALSE(judge("x", difference, Precision::kFp32).passed);
  EXPECT_TRUE(judge("x", difference, Precision::kBf16).passed);
  difference.mean = 2e-3;
  EXPECT_FALSE(judge("x", difference, Precision::kBf16).passed);
  EXPECT_TRUE(judge("x", difference, Precision::kInt8).passed);
}

}  // namespace
}  // namespace retouchd::inference
