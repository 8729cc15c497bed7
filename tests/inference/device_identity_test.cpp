#include "inference/device_identity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace retouchd::inference {
namespace {

std::string cpuinfo(const std::string& model, const std::string& flags) {
  return "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel\t\t: 143\nmodel name\t: " + model + "\nflags\t\t: " + flags +
         "\n\nprocessor\t: 1\nmodel name\t: other\n";
}

TEST(DeviceIdentity, OfACpuIsItsModelAndInstructionSets) {
  const auto identity = identify_cpu(cpuinfo("AMD EPYC", "fpu avx2 avx512f avx512_bf16 fma"));
  EXPECT_EQ(identity.description, "AMD EPYC, AVX512 with bf16");
  EXPECT_THAT(identity.key, testing::MatchesRegex("cpu-[0-9a-f]{12}"));
  EXPECT_EQ(identify_cpu(cpuinfo("AMD EPYC", "avx512_bf16 avx512f fma avx2 ibrs_enhanced")).key, identity.key)
      << "order and flags of the kernel do not matter";
  EXPECT_NE(identify_cpu(cpuinfo("AMD EPYC", "fpu avx2 fma")).key, identity.key);
  EXPECT_NE(identify_cpu(cpuinfo("Intel", "fpu avx2 avx512f avx512_bf16 fma")).key, identity.key);
  EXPECT_EQ(identify_cpu("").description, "CPU");
}

TEST(DeviceIdentity, OfAGpuCanBePartOfAFileName) {
  const auto identity = identify_gpu("NVIDIA RTX 6000 Ada Generation (x/y)", 8, 9);
  EXPECT_EQ(identity.key, "cuda-nvidia-rtx-6000-ada-generation-x-y-sm89");
  EXPECT_EQ(identity.description, "NVIDIA RTX 6000 Ada Generation (x/y), compute capability 8.9");
}

TEST(DeviceIdentity, OfThisCpuIsAlwaysTheSame) {
  const auto identity = identify_device(at::kCPU);
  EXPECT_EQ(identify_device(at::kCPU).key, identity.key);
  EXPECT_TRUE(identity.key.starts_with("cpu-"));
}

}  // namespace
}  // namespace retouchd::inference
