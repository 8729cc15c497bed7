#include "inference/measurements.h"

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <system_error>

#include "base/file.h"

namespace retouchd::inference {
namespace {

constexpr Bytes kMaxFile = mebibytes(4);
constexpr std::chrono::hours kBearableFor{24};
constexpr const char* kBearable = "bearable";
/// Sides of the result: larger than a strip of the optimised path, so that the line through both holds beyond. Networks that
/// enlarge work on strips of their input, and one of a small window would weigh more than all of its result.
constexpr int kSmall = 256;
constexpr int kLarge = 384;
constexpr int kSmallEnlarged = 384;
constexpr int kLargeEnlarged = 512;

std::string text_of(const Measurements::Key& key) {
  return key.device + " | " + key.network + " | " + std::string(name_of(key.precision)) + (key.optimize ? "" : " | plain");
}

CostModel model_in(const nlohmann::json& json) {
  return {json.at("bytes_per_pixel").get<double>(), json.at("fixed_bytes").get<double>(),
          json.at("seconds_per_megapixel").get<double>(), json.at("fixed_seconds").get<double>()};
}

Bearable bearable_in(const nlohmann::json& json) {
  return {json.at("pixels").get<double>(), UnixMillis(std::chrono::milliseconds(json.at("at").get<std::int64_t>()))};
}

int round_up(int side, int multiple) { return (side + multiple - 1) / multiple * multiple; }

}  // namespace

Bytes CostModel::memory_for(double pixels) const noexcept {
  return {static_cast<std::uint64_t>(std::max(0.0, bytes_per_pixel * pixels + fixed_bytes))};
}

double CostModel::seconds_for(double pixels) const noexcept {
  return std::max(0.0, seconds_per_megapixel * pixels / 1e6 + fixed_seconds);
}

Result<CostModel> measure_cost(Device& device, const NetworkInfo& network) {
  // Super-resolution works at the output's size; so do its windows.
  const bool enlarges = network.scale > 1;
  const int small = round_up((enlarges ? kSmallEnlarged : kSmall) / network.scale, network.multiple);
  const int large =
      std::max(round_up((enlarges ? kLargeEnlarged : kLarge) / network.scale, network.multiple), small + network.multiple);
  if (auto warmed = device.measure(network, {small, small}, 1); !warmed) return warmed.error();
  const auto first = device.measure(network, {small, small}, 1);
  if (!first) return first.error();
  const auto second = device.measure(network, {large, large}, 1);
  if (!second) return second.error();

  const double more = static_cast<double>(large) * large - static_cast<double>(small) * small;
  CostModel model;
  model.bytes_per_pixel = (static_cast<double>(second->peak.value) - static_cast<double>(first->peak.value)) / more;
  model.fixed_bytes = static_cast<double>(first->peak.value) - model.bytes_per_pixel * small * small;
  model.seconds_per_megapixel = std::max(0.0, (second->time - first->time).count()) / more * 1e6;
  model.fixed_seconds = std::max(0.0, first->time.count() - model.seconds_per_megapixel * small * small / 1e6);
  return model;
}

Measurements::Measurements(std::filesystem::path file, const Clock& clock) : file_(std::move(file)), clock_(clock) {
  const auto content = read_file(file_, kMaxFile);
  if (!content) return;
  const auto json = nlohmann::json::parse(*content, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return;
  try {
    for (const auto& [key, value] : json.items()) {
      Entry& entry = entries_[key];
      if (value.contains(kBearable)) entry.bearable = bearable_in(value.at(kBearable));
      if (!value.contains(kBearable) || value.size() > 1) entry.model = model_in(value);
    }
  } catch (const nlohmann::json::exception&) {
    entries_.clear();
  }
}

std::optional<CostModel> Measurements::find(const Key& key) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(text_of(key));
  return found == entries_.end() ? std::nullopt : found->second.model;
}

Result<void> Measurements::put(const Key& key, const CostModel& model) {
  const std::lock_guard lock(mutex_);
  entries_[text_of(key)].model = model;
  return write();
}

std::optional<double> Measurements::bearable_pixels(const Key& key) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(text_of(key));
  if (found == entries_.end() || !found->second.bearable) return std::nullopt;
  const auto age = clock_.now() - found->second.bearable->at;
  if (age < std::chrono::hours(0) || age >= kBearableFor) return std::nullopt;
  return found->second.bearable->pixels;
}

Result<void> Measurements::remember_bearable(const Key& key, double pixels) {
  const std::lock_guard lock(mutex_);
  entries_[text_of(key)].bearable = Bearable{pixels, clock_.now()};
  return write();
}

Result<void> Measurements::write() const {
  nlohmann::json json = nlohmann::json::object();
  for (const auto& [key, entry] : entries_) {
    nlohmann::json& value = json[key];
    if (entry.model) {
      value = {{"bytes_per_pixel", entry.model->bytes_per_pixel},
               {"fixed_bytes", entry.model->fixed_bytes},
               {"seconds_per_megapixel", entry.model->seconds_per_megapixel},
               {"fixed_seconds", entry.model->fixed_seconds}};
    }
    if (entry.bearable)
      value[kBearable] = {{"pixels", entry.bearable->pixels}, {"at", entry.bearable->at.time_since_epoch().count()}};
  }
  const std::string text = json.dump(2) + "\n";
  const std::filesystem::path temporary = file_.string() + ".tmp";
  if (auto written = write_file_synced(temporary, {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}); !written)
    return written;
  std::error_code failed;
  std::filesystem::rename(temporary, file_, failed);
  if (failed) return make_error(ErrorCode::kIoError, "cannot replace " + file_.string() + ": " + failed.message());
  return {};
}

}  // namespace retouchd::inference
