#include "stages/device_gate.h"

#include <spdlog/spdlog.h>

namespace retouchd::stages {

DeviceGate::Turn::Turn(DeviceGate& gate, Kind kind) : gate_(gate) {
  std::unique_lock lock(gate_.mutex_);
  const std::uint64_t ticket = gate_.next_ticket_++;
  gate_.called_.wait(
      lock, [&] { return gate_.now_serving_ == ticket && !gate_.alone_ && (kind == Kind::kShared || gate_.inside_ == 0); });
  ++gate_.inside_;
  gate_.alone_ = kind == Kind::kAlone;
  ++gate_.now_serving_;
  gate_.called_.notify_all();
}

DeviceGate::Turn::~Turn() {
  {
    const std::lock_guard lock(gate_.mutex_);
    --gate_.inside_;
    gate_.alone_ = false;  // whoever was alone was the only one inside
  }
  gate_.called_.notify_all();
}

inference::Measurements::Key DeviceGate::key_of(const inference::NetworkInfo& network) const {
  // What compiled packages take is another matter; what measure() found out about them is kept apart.
  const auto backend = device_.backend_for(network);
  const bool is_usual = backend.backend == inference::Backend::kOptimized;
  return {device_.description(), network.id() + (is_usual ? "" : " " + backend.name), device_.precision_for(network).precision,
          optimize_};
}

std::optional<inference::CostModel> DeviceGate::known(const inference::NetworkInfo& network) const {
  const std::lock_guard lock(mutex_);
  const auto found = costs_.find(network.id());
  if (found == costs_.end()) return std::nullopt;
  return found->second;
}

bool DeviceGate::is_loaded(const inference::NetworkInfo& network) const {
  const std::lock_guard lock(mutex_);
  const auto found = loaded_.find(network.name);
  return found != loaded_.end() && found->second == network.id();
}

Result<void> DeviceGate::load(const inference::NetworkInfo& network) {
  const auto loaded = device_.load(network);
  const std::lock_guard lock(mutex_);
  states_[network.id()] = loaded ? "" : loaded.error().message;
  if (loaded) loaded_[network.name] = network.id();
  return loaded;
}

Result<inference::CostModel> DeviceGate::load_and_measure(const inference::NetworkInfo& network) {
  if (auto loaded = load(network); !loaded) return loaded.error();
  const inference::Measurements::Key key = key_of(network);
  auto cost = measurements_.find(key);
  if (!cost) {
    auto measured = inference::measure_cost(device_, network);
    if (!measured) return measured.error();
    cost = *measured;
    if (auto written = measurements_.put(key, *cost); !written)
      spdlog::info("what {} takes will be measured again after the next start: {}", network.name, written.error().message);
  }
  const std::lock_guard lock(mutex_);
  costs_[network.id()] = *cost;
  keys_[network.id()] = key;
  return *cost;
}

Result<inference::CostModel> DeviceGate::prepare(const inference::NetworkInfo& network) {
  if (const auto cost = known(network)) return *cost;
  const Turn turn(*this, Turn::Kind::kAlone);
  if (const auto cost = known(network)) return *cost;  // somebody else's turn did it
  return load_and_measure(network);
}

Result<std::vector<inference::Restored>> DeviceGate::restore(const inference::NetworkInfo& network, cv::Size tensor,
                                                             std::span<const inference::Window> windows,
                                                             const inference::RestoreOptions& options) {
  if (auto prepared = prepare(network); !prepared) return prepared.error();
  while (true) {
    {
      const Turn turn(*this, Turn::Kind::kShared);
      if (is_loaded(network)) return device_.restore(network, tensor, windows, options);
    }
    // Another version of the name came between; the device may have dropped this one.
    const Turn turn(*this, Turn::Kind::kAlone);
    if (auto loaded = load(network); !loaded) return loaded.error();
  }
}

Result<void> DeviceGate::probe(const inference::NetworkInfo& network) {
  const Turn turn(*this, Turn::Kind::kAlone);
  if (auto loaded = load(network); !loaded) return loaded;
  const int side = 8 * network.multiple;
  const auto measured = device_.measure(network, {side, side}, 1);
  return measured ? Result<void>{} : measured.error();
}

void DeviceGate::give_back_memory() {
  const Turn turn(*this, Turn::Kind::kAlone);
  device_.give_back_memory();
}

std::optional<double> DeviceGate::bearable_pixels(const std::string& network) const {
  inference::Measurements::Key key;
  {
    const std::lock_guard lock(mutex_);
    const auto found = keys_.find(network);
    if (found == keys_.end()) return std::nullopt;
    key = found->second;
  }
  return measurements_.bearable_pixels(key);
}

void DeviceGate::learn_bearable(const inference::NetworkInfo& network, double pixels) {
  if (auto written = measurements_.remember_bearable(key_of(network), pixels); !written)
    spdlog::info("{}: how much {} can take at once is remembered until the next start only: {}", device_.name(), network.name,
                 written.error().message);
}

std::uint64_t DeviceGate::waiting() const {
  const std::lock_guard lock(mutex_);
  return next_ticket_ - now_serving_;
}

std::map<std::string, std::string> DeviceGate::states() const {
  const std::lock_guard lock(mutex_);
  return states_;
}

}  // namespace retouchd::stages
