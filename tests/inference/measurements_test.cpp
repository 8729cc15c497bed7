#include "inference/measurements.h"

#include <gtest/gtest.h>

#include "golden_networks.h"

namespace retouchd::inference {
namespace {

constexpr CostModel kModel{100.5, 2e6, 0.25, 0.001};

Measurements::Key key(const std::string& network, Precision precision = Precision::kFp32, bool optimize = true) {
  return {"CPU, 2 threads", network, precision, optimize};
}

TEST(Measurements, SurviveARestart) {
  const TemporaryFolder folder;
  const auto file = folder.path() / "measurements.json";
  {
    Measurements measurements(file);
    EXPECT_FALSE(measurements.find(key("a")));
    ASSERT_TRUE(measurements.put(key("a"), kModel));
    ASSERT_TRUE(measurements.put(key("b"), {}));
  }
  const Measurements again(file);
  const auto found = again.find(key("a"));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->bytes_per_pixel, kModel.bytes_per_pixel);
  EXPECT_EQ(found->fixed_bytes, kModel.fixed_bytes);
  EXPECT_EQ(found->seconds_per_megapixel, kModel.seconds_per_megapixel);
  EXPECT_EQ(found->fixed_seconds, kModel.fixed_seconds);
  EXPECT_TRUE(again.find(key("b")));
}

TEST(Measurements, HoldForOneDeviceNetworkPrecisionAndPath) {
  const TemporaryFolder folder;
  Measurements measurements(folder.path() / "measurements.json");
  ASSERT_TRUE(measurements.put(key("a"), kModel));
  EXPECT_FALSE(measurements.find(key("a", Precision::kBf16)));
  EXPECT_FALSE(measurements.find(key("a", Precision::kFp32, false)));
  EXPECT_FALSE(measurements.find({"CPU, 4 threads", "a", Precision::kFp32, true}));
}

TEST(Measurements, ABrokenFileIsAnEmptyOneAndIsReplaced) {
  for (const char* text : {"", "{", "[1, 2]", R"({"a": 1})", R"({"a": {"bytes_per_pixel": "many"}})", R"({"a": {"bearable": 3}})",
                           R"({"a": {"bearable": {"pixels": 3}}})", "\xff\xfe"}) {
    const TemporaryFolder folder;
    const auto file = folder.write("measurements.json", text);
    Measurements measurements(file);
    EXPECT_FALSE(measurements.find(key("a"))) << text;
    ASSERT_TRUE(measurements.put(key("a"), kModel));
    EXPECT_TRUE(Measurements(file).find(key("a"))) << text;
  }
}

TEST(Measurements, AreKeptInMemoryWhenTheyCannotBeWritten) {
  const TemporaryFolder folder;
  Measurements measurements(folder.path() / "missing" / "measurements.json");
  EXPECT_FALSE(measurements.put(key("a"), kModel));
  EXPECT_TRUE(measurements.find(key("a")));
}

class Hands final : public Clock {
 public:
  [[nodiscard]] UnixMillis now() const override { return now_; }
  [[nodiscard]] std::chrono::steady_clock::time_point steady_now() const override { return {}; }
  void advance(std::chrono::milliseconds by) { now_ += by; }

 private:
  UnixMillis now_{std::chrono::milliseconds(1'750'000'000'000)};
};

TEST(Measurements, RememberWhatADeviceCouldBearForADay) {
  const TemporaryFolder folder;
  const auto file = folder.path() / "measurements.json";
  Hands hands;
  {
    Measurements measurements(file, hands);
    EXPECT_FALSE(measurements.bearable_pixels(key("a")));
    ASSERT_TRUE(measurements.remember_bearable(key("a"), 4e6));
    ASSERT_TRUE(measurements.remember_bearable(key("a"), 2e6));
    ASSERT_TRUE(measurements.put(key("b"), kModel));
    ASSERT_TRUE(measurements.remember_bearable(key("b"), 1e6));
  }
  const Measurements again(file, hands);
  EXPECT_EQ(again.bearable_pixels(key("a")), 2e6);
  EXPECT_FALSE(again.find(key("a"))) << "it has not been measured";
  EXPECT_EQ(again.bearable_pixels(key("b")), 1e6);
  EXPECT_TRUE(again.find(key("b")));
  EXPECT_FALSE(again.bearable_pixels(key("a", Precision::kBf16)));

  hands.advance(std::chrono::hours(24) - std::chrono::milliseconds(1));
  EXPECT_TRUE(again.bearable_pixels(key("a")));
  hands.advance(std::chrono::milliseconds(1));
  EXPECT_FALSE(again.bearable_pixels(key("a")));
  EXPECT_TRUE(again.find(key("b"))) << "what a pass costs does not change";
}

TEST(Measurements, AMomentInTheFutureIsNotBelieved) {
  const TemporaryFolder folder;
  const auto file = folder.path() / "measurements.json";
  Hands hands;
  ASSERT_TRUE(Measurements(file, hands).remember_bearable(key("a"), 2e6));
  hands.advance(-std::chrono::hours(1));
  EXPECT_FALSE(Measurements(file, hands).bearable_pixels(key("a")));
}

TEST(CostModel, IsAStraightLineThatNeverGoesBelowZero) {
  EXPECT_EQ(kModel.memory_for(1e6), Bytes{102'500'000});
  EXPECT_DOUBLE_EQ(kModel.seconds_for(2e6), 0.501);
  const CostModel steep{10, -1e6, 1, -1};
  EXPECT_EQ(steep.memory_for(100), Bytes{0});
  EXPECT_EQ(steep.seconds_for(100), 0.0);
}

class MeasuredCost : public testing::Test {
 protected:
  /// The model comes from windows of 256 and 384 pixels (of the result; 384 and 512 where it enlarges); a larger one of another
  /// shape must follow it.
  static void expect_prediction(const NetworkInfo& network, cv::Size other) {
    const auto device = cpu_device();
    const auto loaded = device->load(network);
    ASSERT_TRUE(loaded) << loaded.error().message;
    const auto model = measure_cost(*device, network);
    ASSERT_TRUE(model) << model.error().message;
    const auto measured = device->measure(network, other, 1);
    ASSERT_TRUE(measured) << measured.error().message;
    const auto predicted = static_cast<double>(model->memory_for(other.area()).value);
    const auto peak = static_cast<double>(measured->peak.value);
    EXPECT_NEAR(predicted / peak, 1.0, 0.15) << network.name << ": " << to_string(measured->peak) << " measured";
    RecordProperty("predicted_of_measured", std::to_string(predicted / peak));
  }
};

TEST_F(MeasuredCost, PredictsTheBuiltInNetwork) { expect_prediction(listed(kModels / "student-tiny.safetensors"), {640, 512}); }

TEST_F(MeasuredCost, PredictsARestormer) {
  const TemporaryFolder folder;
  expect_prediction(network_of_golden(folder, "restormer-with-bias"), {640, 512});
}

TEST_F(MeasuredCost, PredictsADrct) {
  const TemporaryFolder folder;
  expect_prediction(network_of_golden(folder, "drct-x4"), {192, 160});
}

}  // namespace
}  // namespace retouchd::inference
