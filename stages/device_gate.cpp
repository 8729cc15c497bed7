#include "stages/device_gate.h"

#include <spdlog/spdlog.h>

namespace retouchd::stages {

DeviceGate::Turn::Turn(DeviceGate& gate) : gate_(gate) {
  std::unique_lock lock(gate_.mutex_);
  const std::uint64_t ticket = gate_.next_ticket_++;
  gate_.called_.wait(lock, [&] { return gate_.now_serving_ == ticket; });
}

DeviceGate::Turn::~Turn() {
  {
    const std::lock_guard lock(gate_.mutex_);
    ++gate_.now_serving_;
  }
  gate_.called_.notify_all();
}

Result<inference::CostModel> DeviceGate::prepare(const inference::NetworkInfo& network) {
  const std::string id = network.id();
  const auto known = [&]() -> std::optional<inference::CostModel> {
    const std::lock_guard lock(mutex_);
    const auto found = ready_.find(id);
    if (found == ready_.end()) return std::nullopt;
    return found->second;
  };
  if (const auto cost = known()) return *cost;

  const Turn turn(*this);
  if (const auto cost = known()) return *cost;  // somebody else's turn did it
  const auto loaded = device_.load(network);
  {
    const std::lock_guard lock(mutex_);
    states_[id] = loaded ? "" : loaded.error().message;
  }
  if (!loaded) return loaded.error();

  const inference::Measurements::Key key{device_.description(), id, device_.precision_for(network).precision, optimize_};
  auto cost = measurements_.find(key);
  if (!cost) {
    auto measured = inference::measure_cost(device_, network);
    if (!measured) return measured.error();
    cost = *measured;
    if (auto written = measurements_.put(key, *cost); !written)
      spdlog::info("what {} takes will be measured again after the next start: {}", network.name, written.error().message);
  }
  const std::lock_guard lock(mutex_);
  ready_[id] = *cost;
  return *cost;
}

Result<std::vector<cv::Mat>> DeviceGate::restore(const inference::NetworkInfo& network, cv::Size tensor,
                                                 std::span<const inference::Window> windows) {
  const Turn turn(*this);
  if (auto loaded = device_.load(network); !loaded) return loaded.error();
  return device_.restore(network, tensor, windows);
}

std::uint64_t DeviceGate::waiting() const {
  const std::lock_guard lock(mutex_);
  const std::uint64_t here = next_ticket_ - now_serving_;
  return here > 0 ? here - 1 : 0;
}

std::map<std::string, std::string> DeviceGate::states() const {
  const std::lock_guard lock(mutex_);
  return states_;
}

}  // namespace retouchd::stages
