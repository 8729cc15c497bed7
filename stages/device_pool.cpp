#include "stages/device_pool.h"

#include <algorithm>
#include <numeric>

namespace retouchd::stages {
namespace {

PlanFacts facts_of(const DevicePool::Member& member) {
  const inference::Device& device = *member.device;
  PlanFacts facts;
  facts.batch = static_cast<int>(member.batch);
  facts.passes = device.compute_lanes();
  facts.together = device.computes_together();
  return facts;
}

}  // namespace

DevicePool::Member::Member(std::unique_ptr<inference::Device> owned, inference::Measurements& measurements,
                           const Options& options)
    : device(std::move(owned)),
      gate(*device, measurements, options.optimize),
      batch(static_cast<std::size_t>(options.batch > 0 ? options.batch : device->default_batch())) {}

std::size_t DevicePool::Member::most(const queue::Bin& bin) const {
  const auto bearable = gate.bearable_pixels(bin.network);
  if (!bearable) return batch;
  return std::clamp<std::size_t>(static_cast<std::size_t>(*bearable / static_cast<double>(bin.pixels())), 1, batch);
}

DevicePool::DevicePool(std::vector<std::unique_ptr<inference::Device>> devices, inference::Measurements& measurements,
                       const Options& options)
    : options_(options) {
  for (auto& device : devices) members_.push_back(std::make_unique<Member>(std::move(device), measurements, options));
}

Result<inference::CostModel> DevicePool::prepare(const inference::NetworkInfo& network) {
  std::optional<inference::CostModel> worst;
  std::optional<Error> error;
  for (const auto& member : members_) {
    std::optional<inference::CostModel> cost = member->gate.known(network);
    if (!cost && member->is_up.load()) {
      auto prepared = member->gate.prepare(network);
      if (prepared) {
        cost = *prepared;
      } else if (!error) {
        error = prepared.error();
      }
    }
    if (cost && (!worst || cost->bytes_per_pixel > worst->bytes_per_pixel)) worst = cost;
  }
  if (worst) return *worst;
  return error.value_or(make_error(ErrorCode::kDeviceFailed, "no device answers"));
}

PlanFacts DevicePool::facts(const inference::NetworkInfo& network) const {
  PlanFacts facts = facts_of(*members_.front());
  for (const auto& member : members_) {
    const PlanFacts other = facts_of(*member);
    if (other.batch * other.passes > facts.batch * facts.passes) facts = other;
  }
  for (const auto& member : members_) {
    const auto bearable = member->gate.bearable_pixels(network.id());
    if (bearable && (!facts.bearable_pixels || *bearable < *facts.bearable_pixels)) facts.bearable_pixels = bearable;
  }
  return facts;
}

std::optional<Bytes> DevicePool::memory() const {
  std::optional<Bytes> least;
  for (const auto& member : members_) {
    const auto memory = member->device->memory();
    if (memory && (!least || *memory < *least)) least = memory;
  }
  return least;
}

Bytes DevicePool::host_memory(const inference::NetworkInfo& network, cv::Size tile, const inference::CostModel& cost) const {
  Bytes sum;
  for (const auto& member : members_) {
    if (member->device->memory()) continue;
    PlanFacts facts = facts_of(*member);
    facts.cost = cost;
    sum += batch_memory(network, tile, facts);
  }
  return sum;
}

std::size_t DevicePool::tiles_at_once() const noexcept {
  return std::accumulate(members_.begin(), members_.end(), std::size_t{0}, [](std::size_t sum, const auto& member) {
    return sum + member->batch * static_cast<std::size_t>(member->device->concurrency());
  });
}

bool DevicePool::any_up() const noexcept {
  return std::any_of(members_.begin(), members_.end(), [](const auto& member) { return member->is_up.load(); });
}

std::map<std::string, std::string> DevicePool::states() const {
  std::map<std::string, std::string> all;
  for (const auto& member : members_) {
    for (const auto& [id, reason] : member->gate.states()) {
      const auto [entry, is_new] = all.emplace(id, reason);
      if (!is_new && reason.empty()) entry->second.clear();
    }
  }
  return all;
}

std::string DevicePool::computed_as(const inference::NetworkInfo& network) const {
  std::string text = "LibTorch " + inference::libtorch_version() + (options_.optimize ? "" : ", plain");
  for (const auto& member : members_) {
    text +=
        ", " + member->device->name() + " " + std::string(inference::name_of(member->device->precision_for(network).precision));
    const inference::BackendChoice backend = member->device->backend_for(network);
    if (backend.backend != inference::Backend::kOptimized) text += " " + backend.name;
  }
  return text;
}

std::string DevicePool::description() const {
  if (members_.size() == 1) return members_.front()->device->description();
  std::string text = std::to_string(members_.size()) + " devices: ";
  for (const auto& member : members_) {
    if (member != members_.front()) text += "; ";
    text += member->device->description();
  }
  return text;
}

}  // namespace retouchd::stages
