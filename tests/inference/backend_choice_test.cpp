#include "inference/backend_choice.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <opencv2/core.hpp>

#include "golden_networks.h"
#include "inference/device_identity.h"
#include "inference/networks/by_shape_network.h"

namespace retouchd::inference {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// Returns its number everywhere, and remembers the batches that it was given.
class Constant final : public TorchNetwork {
 public:
  explicit Constant(float number, std::vector<std::int64_t>* batches = nullptr) : number_(number), batches_(batches) {}
  at::Tensor forward(const at::Tensor& input) const override {
    if (batches_ != nullptr) batches_->push_back(input.size(0));
    return at::full(input.sizes(), number_);
  }

 private:
  const float number_;
  std::vector<std::int64_t>* batches_;
};

class Broken final : public TorchNetwork {
 public:
  at::Tensor forward(const at::Tensor& /*input*/) const override { throw std::runtime_error("no kernel image"); }
};

float answer(const TorchNetwork& network, std::int64_t height, std::int64_t width, std::int64_t batch = 1) {
  const at::Tensor output = network.forward(at::zeros({batch, height, width, 3}));
  EXPECT_EQ(output.sizes(), at::IntArrayRef({batch, height, width, 3}));
  return output.mean().item<float>();
}

Candidate candidate(int width, int height, float number, const std::string& compiler = "inductor", int batch = 8) {
  CompiledPackage package;
  package.network = "mine";
  package.compiler = compiler;
  package.width = width;
  package.height = height;
  package.batch = batch;
  return {package, std::make_unique<Constant>(number)};
}

/// `taken`: seconds that a call of a compiler's package takes; optimized takes 0.24 s.
Judges judges(std::map<std::string, double> taken) {
  Judges judges;
  judges.batch = 8;
  judges.check = [](const Candidate&) { return Result<void>(); };
  judges.trial = [taken = std::move(taken)](const TorchNetwork&, const Candidate& candidate) {
    return Trial{0.24, taken.at(candidate.package.compiler), 9};
  };
  judges.memory = [](const TorchNetwork&, const Candidate&) { return 2.5; };
  judges.warn = [](const std::string&) {};
  return judges;
}

std::vector<Candidate> list_of(Candidate first) {
  std::vector<Candidate> candidates;
  candidates.push_back(std::move(first));
  return candidates;
}

TEST(BackendChoice, AFasterPackageComputesItsShapeAndOptimizedTheRest) {
  const auto chosen =
      pick(std::make_unique<Constant>(1), list_of(candidate(96, 64, 2)), Backend::kAuto, judges({{"inductor", 0.16}}));
  EXPECT_EQ(chosen.choice.backend, Backend::kCompiled);
  EXPECT_EQ(chosen.choice.name, "compiled");
  EXPECT_EQ(chosen.choice.memory, 2.5);
  EXPECT_EQ(chosen.choice.reason,
            "compiled for 96x64 (AOTInductor): 1.50 times as fast as optimized (20 against 30 ms a tile, batch 8)");
  EXPECT_THAT(chosen.choice.warnings, IsEmpty());
  EXPECT_EQ(answer(*chosen.network, 64, 96), 2);
  EXPECT_EQ(answer(*chosen.network, 96, 64), 1) << "height and width are not the same";
  EXPECT_EQ(answer(*chosen.network, 64, 64), 1);
}

TEST(BackendChoice, ASlowerPackageIsLeftAlone) {
  const auto chosen =
      pick(std::make_unique<Constant>(1), list_of(candidate(64, 64, 2)), Backend::kAuto, judges({{"inductor", 0.235}}));
  EXPECT_EQ(chosen.choice.backend, Backend::kOptimized);
  EXPECT_EQ(chosen.choice.name, "optimized");
  EXPECT_THAT(chosen.choice.reason,
              HasSubstr("optimized for 64x64, as the package (AOTInductor) is not faster (29 against 30 ms a tile, batch 8)"));
  EXPECT_EQ(answer(*chosen.network, 64, 64), 1);
}

TEST(BackendChoice, WhoAsksForCompiledGetsItWithoutATrial) {
  Judges no_trial = judges({});
  no_trial.trial = [](const TorchNetwork&, const Candidate&) -> Trial { throw std::logic_error("nobody asked"); };
  const auto chosen = pick(std::make_unique<Constant>(1), list_of(candidate(64, 64, 2)), Backend::kCompiled, no_trial);
  EXPECT_EQ(chosen.choice.reason, "compiled for 64x64 (AOTInductor): asked for");
  EXPECT_THAT(chosen.choice.warnings, IsEmpty());
  EXPECT_EQ(answer(*chosen.network, 64, 64), 2);
}

TEST(BackendChoice, TheFastestOfTwoCompilersIsTaken) {
  for (const bool tensorrt_first : {true, false}) {
    std::vector<Candidate> candidates;
    candidates.push_back(candidate(64, 64, 2, tensorrt_first ? "tensorrt" : "inductor"));
    candidates.push_back(candidate(64, 64, 3, tensorrt_first ? "inductor" : "tensorrt"));
    const auto chosen = pick(std::make_unique<Constant>(1), std::move(candidates), Backend::kAuto,
                             judges({{"inductor", 0.2}, {"tensorrt", 0.1}}));
    EXPECT_EQ(chosen.choice.name, "compiled (tensorrt)");
    EXPECT_THAT(chosen.choice.reason, HasSubstr("(TensorRT): 2.40 times as fast"));
    EXPECT_EQ(answer(*chosen.network, 64, 64), tensorrt_first ? 2 : 3);
  }
}

TEST(BackendChoice, AWrongPackageIsRefusedWithItsFigure) {
  Judges strict = judges({{"inductor", 0.1}});
  strict.check = [](const Candidate&) -> Result<void> {
    return make_error(ErrorCode::kDeviceFailed, "its mean difference is 0.2");
  };
  for (const Backend wanted : {Backend::kAuto, Backend::kCompiled}) {
    const auto chosen = pick(std::make_unique<Constant>(1), list_of(candidate(64, 64, 2)), wanted, strict);
    EXPECT_EQ(chosen.choice.backend, Backend::kOptimized);
    EXPECT_THAT(chosen.choice.warnings, ElementsAre(AllOf(HasSubstr("the compiled package of mine for 64x64 (AOTInductor)"),
                                                          HasSubstr("is not used: its mean difference is 0.2"))));
    EXPECT_EQ(answer(*chosen.network, 64, 64), 1);
  }
}

TEST(BackendChoice, APackageThatThrowsIsRefused) {
  Judges throwing = judges({});
  throwing.check = [](const Candidate& candidate) {
    (void)candidate.network->forward(at::zeros({1, 8, 8, 3}));
    return Result<void>();
  };
  std::vector<Candidate> candidates = list_of(candidate(64, 64, 2));
  candidates.front().network = std::make_unique<Broken>();
  const auto chosen = pick(std::make_unique<Constant>(1), std::move(candidates), Backend::kAuto, throwing);
  EXPECT_EQ(chosen.choice.backend, Backend::kOptimized);
  EXPECT_THAT(chosen.choice.warnings, ElementsAre(HasSubstr("no kernel image")));
}

TEST(BackendChoice, WhatLibTorchThrowsIsToldWithoutItsBacktrace) {
  Judges throwing = judges({});
  throwing.check = [](const Candidate&) -> Result<void> { TORCH_CHECK(false, "the driver is too old"); };
  const auto chosen = pick(std::make_unique<Constant>(1), list_of(candidate(64, 64, 2)), Backend::kAuto, throwing);
  EXPECT_THAT(chosen.choice.warnings, ElementsAre(testing::EndsWith("is not used: the driver is too old")));
}

TEST(ByShapeNetwork, LargerBatchesGoInParts) {
  std::vector<std::int64_t> batches;
  std::vector<ShapedNetwork> shaped;
  shaped.push_back({64, 64, 4, "it", std::make_unique<Constant>(2, &batches)});
  const auto network = make_by_shape(std::make_unique<Constant>(1), std::move(shaped), {});
  EXPECT_EQ(answer(*network, 64, 64, 10), 2);
  EXPECT_THAT(batches, ElementsAre(4, 4, 2));
}

TEST(ByShapeNetwork, OneThatFailsIsLeftOutAfterwards) {
  std::vector<std::string> warnings;
  std::vector<ShapedNetwork> shaped;
  shaped.push_back({64, 64, 4, "the package", std::make_unique<Broken>()});
  const auto network = make_by_shape(std::make_unique<Constant>(1), std::move(shaped),
                                     [&warnings](const std::string& warning) { warnings.push_back(warning); });
  EXPECT_EQ(answer(*network, 64, 64), 1);
  EXPECT_EQ(answer(*network, 64, 64), 1);
  EXPECT_THAT(warnings, ElementsAre("the package failed and is not used any more: no kernel image"));
}

TEST(ByShapeNetwork, WhatFailsBothWaysIsTheCallersToKnow) {
  std::vector<std::string> warnings;
  std::vector<ShapedNetwork> shaped;
  shaped.push_back({64, 64, 4, "the package", std::make_unique<Broken>()});
  const auto network = make_by_shape(std::make_unique<Broken>(), std::move(shaped),
                                     [&warnings](const std::string& warning) { warnings.push_back(warning); });
  EXPECT_THROW((void)network->forward(at::zeros({1, 64, 64, 3})), std::runtime_error);
  EXPECT_THAT(warnings, IsEmpty());
}

class DeviceBackend : public testing::Test {
 protected:
  std::unique_ptr<Device> device(Backend backend, bool deterministic = false) const {
    DeviceOptions options{"cpu", 2};
    options.backend = backend;
    options.compiled = folder_.path();
    options.deterministic = deterministic;
    return std::move(open_devices(options)->front());
  }

  BackendChoice choice_of(Backend backend, bool deterministic = false) const {
    const auto cpu = device(backend, deterministic);
    EXPECT_TRUE(cpu->backend_for(network_).reason.empty());
    const auto loaded = cpu->load(network_);
    EXPECT_TRUE(loaded) << loaded.error().message;
    return cpu->backend_for(network_);
  }

  const TemporaryFolder folder_;
  const NetworkInfo network_ = listed(kModels / "student-tiny.safetensors");
};

TEST_F(DeviceBackend, WithoutPackagesIsOptimizedAndSaysWhy) {
  EXPECT_THAT(choice_of(Backend::kAuto).reason, HasSubstr("nothing is compiled for it"));
  EXPECT_THAT(choice_of(Backend::kAuto).warnings, IsEmpty());
  EXPECT_EQ(choice_of(Backend::kOptimized).reason, "asked for");
  const BackendChoice compiled = choice_of(Backend::kCompiled);
  EXPECT_EQ(compiled.backend, Backend::kOptimized);
  EXPECT_THAT(compiled.warnings, ElementsAre(AllOf(HasSubstr("there is no package of student-tiny in fp32 for this device"),
                                                   HasSubstr("`retouch compile student-tiny`"))));
  EXPECT_THAT(choice_of(Backend::kAuto, true).reason, HasSubstr("deterministic"));
}

TEST_F(DeviceBackend, FusedOnACpuFallsBackWithAWarning) {
  const BackendChoice fused = choice_of(Backend::kFused);
  EXPECT_EQ(fused.backend, Backend::kOptimized);
  EXPECT_THAT(fused.warnings, ElementsAre(HasSubstr("backend: fused was asked for, but ")));
}

TEST_F(DeviceBackend, APackageThatIsNoneDoesNoHarm) {
  CompiledPackage package;
  package.compiler = "inductor";
  package.network = network_.name;
  package.weights_sha256 = network_.sha256;
  package.device = identify_device(at::kCPU);
  package.width = package.height = 256;
  package.torch = libtorch_version();
  for (const std::string compiler : {"inductor", "tensorrt"}) {
    package.compiler = compiler;
    package.runtime = "/nowhere/libtorchtrt_runtime.so";
    write_text(folder_.path() / "made", "this is no package");
    ASSERT_TRUE(CompiledCache(folder_.path()).add(folder_.path() / "made", package));
  }
  const auto cpu = device(Backend::kAuto);
  ASSERT_TRUE(cpu->load(network_));
  const BackendChoice choice = cpu->backend_for(network_);
  EXPECT_EQ(choice.backend, Backend::kOptimized);
  EXPECT_EQ(choice.warnings.size(), 2U);
  EXPECT_THAT(choice.warnings, testing::Contains(HasSubstr("needs TensorRT's runtime")));
  EXPECT_THAT(choice.warnings, testing::Contains(HasSubstr("cannot be opened")));
  const cv::Mat picture(64, 64, CV_8UC3, cv::Scalar::all(100));
  EXPECT_TRUE(cpu->restore(network_, {64, 64}, std::vector<Window>(1, {picture, {}})));
}

}  // namespace
}  // namespace retouchd::inference
