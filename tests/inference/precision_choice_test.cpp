#include "inference/precision_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace retouchd::inference {
namespace {

using testing::HasSubstr;

const DeviceTraits kEverything{"cuda:0", true, true, true, true};
const DeviceTraits kOldCpu{"cpu", false, false, false, false};
const DeviceTraits kNewCpu{"cpu", false, false, true, true};
const DeviceTraits kVolta{"cuda:0", false, true, false, true};

NetworkInfo network(const char* architecture, Companion companion = Companion::kNone) {
  NetworkInfo info;
  info.name = "mine";
  info.architecture = architecture;
  info.companion = companion;
  return info;
}

struct Case {
  const char* architecture;
  const DeviceTraits* device;
  Precision wanted;
  Precision expected;
  const char* why_not;  ///< part of the warning; nullptr: none
};

class PrecisionFallback : public testing::TestWithParam<Case> {};

TEST_P(PrecisionFallback, TakesTheNearestThatDeviceAndNetworkCanDo) {
  const Case& given = GetParam();
  const auto choice = choose_precision(network(given.architecture), *given.device, given.wanted, true);
  EXPECT_EQ(choice.precision, given.expected) << name_of(choice.precision);
  if (given.why_not == nullptr) {
    EXPECT_EQ(choice.warning, "");
    EXPECT_EQ(choice.reason, "asked for");
    return;
  }
  EXPECT_THAT(choice.warning, HasSubstr(given.why_not));
  EXPECT_THAT(choice.warning, HasSubstr(std::string(name_of(given.wanted)) + " was asked for, but "));
  EXPECT_THAT(choice.warning, HasSubstr("mine computes in " + std::string(name_of(given.expected)) + " instead"));
  EXPECT_EQ(choice.reason, "instead of " + std::string(name_of(given.wanted)));
}

INSTANTIATE_TEST_SUITE_P(Table, PrecisionFallback,
                         testing::Values(
                             // What is there is used as it was asked for.
                             Case{"restormer", &kEverything, Precision::kFp32, Precision::kFp32, nullptr},
                             Case{"restormer", &kEverything, Precision::kTf32, Precision::kTf32, nullptr},
                             Case{"restormer", &kEverything, Precision::kFp16, Precision::kFp16, nullptr},
                             Case{"restormer", &kEverything, Precision::kBf16, Precision::kBf16, nullptr},
                             Case{"restormer", &kEverything, Precision::kMixed, Precision::kMixed, nullptr},
                             Case{"restormer", &kEverything, Precision::kInt8, Precision::kInt8, nullptr},
                             Case{"student-tiny", &kOldCpu, Precision::kFp32, Precision::kFp32, nullptr},
                             // A device without it.
                             Case{"restormer", &kOldCpu, Precision::kTf32, Precision::kFp32, "cpu has no fast TF32"},
                             Case{"restormer", &kOldCpu, Precision::kFp16, Precision::kFp32, "cpu has no fast fp16"},
                             Case{"restormer", &kOldCpu, Precision::kBf16, Precision::kFp32, "cpu has no fast bf16"},
                             Case{"restormer", &kOldCpu, Precision::kMixed, Precision::kFp32, "cpu has no fast bf16"},
                             Case{"restormer", &kOldCpu, Precision::kInt8, Precision::kFp32, "cpu has no fast int8"},
                             Case{"restormer", &kNewCpu, Precision::kFp16, Precision::kMixed, "cpu has no fast fp16"},
                             Case{"restormer", &kNewCpu, Precision::kTf32, Precision::kFp32, "cpu has no fast TF32"},
                             Case{"restormer", &kVolta, Precision::kBf16, Precision::kFp32, "cuda:0 has no fast bf16"},
                             Case{"restormer", &kVolta, Precision::kTf32, Precision::kFp32, "cuda:0 has no fast TF32"},
                             // A network that it does not suit.
                             Case{"drct", &kEverything, Precision::kFp16, Precision::kMixed, "leaves the range of fp16"},
                             Case{"drct", &kVolta, Precision::kFp16, Precision::kFp32, "leaves the range of fp16"},
                             Case{"student-tiny", &kEverything, Precision::kInt8, Precision::kMixed, "too thin"},
                             Case{"torchscript", &kEverything, Precision::kFp16, Precision::kFp32, "computes as it was made"},
                             Case{"aotinductor", &kEverything, Precision::kInt8, Precision::kFp32, "computes as it was made"}));

TEST(PrecisionChoice, LargeNetworksAreMixedWhereBf16IsFastAndSmallOnesStayExact) {
  EXPECT_EQ(choose_precision(network("restormer"), kEverything, std::nullopt, true).precision, Precision::kMixed);
  EXPECT_EQ(choose_precision(network("drct"), kNewCpu, std::nullopt, true).precision, Precision::kMixed);
  EXPECT_EQ(choose_precision(network("restormer"), kOldCpu, std::nullopt, true).precision, Precision::kFp32);
  EXPECT_EQ(choose_precision(network("restormer"), kVolta, std::nullopt, true).precision, Precision::kFp32);
  EXPECT_EQ(choose_precision(network("student-tiny"), kEverything, std::nullopt, true).precision, Precision::kFp32);
  EXPECT_EQ(choose_precision(network("torchscript"), kEverything, std::nullopt, true).precision, Precision::kFp32);
  EXPECT_EQ(choose_precision(network("restormer"), kEverything, std::nullopt, true).warning, "") << "nothing was asked for";
}

TEST(PrecisionChoice, DistancesAreNeverRounded) {
  const NetworkInfo depth = network("rgbd-tiny", Companion::kDepth);
  for (const auto wanted : {Precision::kFp16, Precision::kBf16, Precision::kMixed, Precision::kInt8}) {
    const auto choice = choose_precision(depth, kEverything, wanted, true);
    EXPECT_EQ(choice.precision, Precision::kFp32) << name_of(wanted);
    EXPECT_THAT(choice.warning, HasSubstr("distances need fp32"));
  }
}

TEST(PrecisionChoice, ThePlainPathIsFp32AndSaysSoWhenSomethingElseWasAskedFor) {
  const auto quiet = choose_precision(network("restormer"), kEverything, std::nullopt, false);
  EXPECT_EQ(quiet.precision, Precision::kFp32);
  EXPECT_EQ(quiet.warning, "");
  const auto warned = choose_precision(network("restormer"), kEverything, Precision::kBf16, false);
  EXPECT_EQ(warned.precision, Precision::kFp32);
  EXPECT_THAT(warned.warning, HasSubstr("optimize: false"));
  EXPECT_EQ(choose_precision(network("restormer"), kEverything, Precision::kFp32, false).warning, "");
}

TEST(Precision, NamesAreReadAsTheyAreWritten) {
  for (const auto precision :
       {Precision::kFp32, Precision::kTf32, Precision::kFp16, Precision::kBf16, Precision::kMixed, Precision::kInt8}) {
    EXPECT_EQ(precision_named(name_of(precision)), precision);
  }
  EXPECT_EQ(precision_named("half"), std::nullopt);
}

}  // namespace
}  // namespace retouchd::inference
