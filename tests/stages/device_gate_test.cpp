#include "stages/device_gate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <opencv2/core.hpp>
#include <thread>

#include "networks.h"
#include "tests/temporary_folder.h"

namespace retouchd::stages {
namespace {

using inference::Footprint;
using inference::NetworkInfo;

/// Computes nothing, and notes who came.
class ScriptedDevice final : public inference::Device {
 public:
  std::string name() const override { return "scripted"; }
  std::string description() const override { return "a device of tests"; }
  int default_batch() const override { return 1; }
  int concurrency() const override { return 4; }
  int compute_lanes() const override { return 1; }
  bool computes_together() const override { return true; }
  void give_back_memory() override {}
  Result<void> load(const NetworkInfo& network) override {
    loads.push_back(network.name);
    if (network.name == "bad") return make_error(ErrorCode::kBadWeights, "bad is bad");
    return {};
  }
  inference::PrecisionChoice precision_for(const NetworkInfo&) const override { return {}; }
  Result<std::vector<inference::Restored>> restore(const NetworkInfo& network, cv::Size, std::span<const inference::Window>,
                                                   const inference::RestoreOptions&) override {
    const int now_inside = ++inside;
    most_inside = std::max(most_inside.load(), now_inside);
    bool is_first = false;
    {
      const std::lock_guard lock(mutex);
      batches.push_back(network.name);
      is_first = batches.size() == 1;
    }
    if (during_first_batch && is_first) during_first_batch();
    --inside;
    return std::vector<inference::Restored>{};
  }
  Result<Footprint> measure(const NetworkInfo&, cv::Size tensor, int) override {
    EXPECT_EQ(inside.load(), 0) << "nobody else may be inside";
    ++measured;
    return Footprint{Bytes{static_cast<std::uint64_t>(tensor.area()) * 10 + 1000}, std::chrono::duration<double>(0.1)};
  }
  std::optional<Bytes> memory() const override { return std::nullopt; }

  std::vector<std::string> loads;
  std::mutex mutex;
  std::vector<std::string> batches;
  std::atomic<int> inside = 0;
  std::atomic<int> most_inside = 0;
  int measured = 0;
  std::function<void()> during_first_batch;
};

NetworkInfo named(const std::string& name) {
  NetworkInfo network = network_on_paper(39);
  network.name = name;
  return network;
}

class DeviceGateTest : public testing::Test {
 protected:
  const TemporaryFolder folder_;
  ScriptedDevice device_;
  inference::Measurements measurements_{folder_.path() / "measurements.json", system_clock()};
  DeviceGate gate_{device_, measurements_, true};
};

TEST_F(DeviceGateTest, LetsANewNetworkBePreparedBetweenTheBatchesOfABusyOne) {
  // Somebody asks to prepare a network while the first batch runs; the busy one then asks again at once, as a worker does.
  ASSERT_TRUE(gate_.prepare(named("busy")));
  std::thread other;
  device_.during_first_batch = [&] {
    other = std::thread([this] { EXPECT_TRUE(gate_.restore(named("other"), {64, 64}, {})); });
    while (gate_.waiting() == 0) std::this_thread::yield();
  };
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(gate_.restore(named("busy"), {64, 64}, {}));
  other.join();
  EXPECT_EQ(device_.loads, (std::vector<std::string>{"busy", "other"}));
  EXPECT_EQ(device_.batches.size(), 4U);
  EXPECT_EQ(gate_.waiting(), 0U);
}

TEST_F(DeviceGateTest, LetsBatchesInTogetherAndPreparationAlone) {
  ASSERT_TRUE(gate_.prepare(named("mine")));
  std::thread second;
  device_.during_first_batch = [&] {  // ends only when a second batch was inside beside it
    second = std::thread([this] { EXPECT_TRUE(gate_.restore(named("mine"), {64, 64}, {})); });
    while (device_.most_inside.load() < 2) std::this_thread::yield();
  };
  EXPECT_TRUE(gate_.restore(named("mine"), {64, 64}, {}));
  second.join();

  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([this, t] {
      for (int i = 0; i < 50; ++i) {
        EXPECT_TRUE(gate_.restore(named("mine"), {64, 64}, {}));
        if (i % 10 == t) {
          EXPECT_TRUE(gate_.prepare(named(std::to_string(t) + "-" + std::to_string(i))));
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(device_.batches.size(), 202U);
}

TEST_F(DeviceGateTest, GoesBackToAnEarlierVersionOfANetwork) {
  NetworkInfo old = named("mine");
  old.sha256 = "1";
  NetworkInfo fresh = named("mine");
  fresh.sha256 = "2";
  EXPECT_TRUE(gate_.restore(old, {64, 64}, {}));
  EXPECT_TRUE(gate_.restore(fresh, {64, 64}, {}));
  EXPECT_TRUE(gate_.restore(old, {64, 64}, {}));
  EXPECT_EQ(device_.loads.size(), 3U) << "the device was asked again, as it may have dropped the old version";
}

TEST_F(DeviceGateTest, RemembersHowMuchADeviceCanBearAcrossRestarts) {
  const NetworkInfo network = named("mine");
  ASSERT_TRUE(gate_.prepare(network));
  EXPECT_EQ(gate_.bearable_pixels(network.id()), std::nullopt);
  gate_.learn_bearable(network, 1e6);
  EXPECT_EQ(gate_.bearable_pixels(network.id()), 1e6);

  inference::Measurements reread(folder_.path() / "measurements.json", system_clock());
  DeviceGate restarted(device_, reread, true);
  ASSERT_TRUE(restarted.prepare(network));
  EXPECT_EQ(restarted.bearable_pixels(network.id()), 1e6);
}

TEST_F(DeviceGateTest, LoadsAndMeasuresANetworkOnce) {
  const auto first = gate_.prepare(named("mine"));
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_DOUBLE_EQ(first->bytes_per_pixel, 10.0);
  EXPECT_DOUBLE_EQ(first->fixed_bytes, 1000.0);
  const int measured = device_.measured;
  EXPECT_GE(measured, 2);
  ASSERT_TRUE(gate_.prepare(named("mine")));
  EXPECT_EQ(device_.loads.size(), 1U);
  EXPECT_EQ(device_.measured, measured);
  EXPECT_EQ(gate_.states().at(named("mine").id()), "");
}

TEST_F(DeviceGateTest, AskingAgainAfterARestartMeasuresNothing) {
  ASSERT_TRUE(gate_.prepare(named("mine")));
  const int measured = device_.measured;
  inference::Measurements reread(folder_.path() / "measurements.json", system_clock());
  DeviceGate restarted(device_, reread, true);
  const auto cost = restarted.prepare(named("mine"));
  ASSERT_TRUE(cost);
  EXPECT_DOUBLE_EQ(cost->bytes_per_pixel, 10.0);
  EXPECT_EQ(device_.measured, measured);

  DeviceGate plain(device_, reread, false);
  ASSERT_TRUE(plain.prepare(named("mine")));
  EXPECT_GT(device_.measured, measured) << "the plain path costs something else";
}

TEST_F(DeviceGateTest, RemembersWhyANetworkWasRefused) {
  const auto refused = gate_.prepare(named("bad"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kBadWeights);
  EXPECT_EQ(gate_.states().at(named("bad").id()), "bad is bad");
  EXPECT_FALSE(gate_.restore(named("bad"), {64, 64}, {}));
  ASSERT_TRUE(gate_.prepare(named("mine"))) << "a refusal lets the next one in";
}

}  // namespace
}  // namespace retouchd::stages
