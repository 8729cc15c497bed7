#include "daemon/device_series.h"

#include <array>
#include <numeric>

namespace retouchd::daemon {
namespace {

const Buckets kTiles{1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 128};
const Buckets kPictures{1, 2, 3, 4, 6, 8, 12, 16, 32};
// 1 is a picture without seams; above 1.1 they are clearly visible (stages/seam_meter.h).
const Buckets kSeamRatios{0.9, 1, 1.02, 1.05, 1.1, 1.2, 1.5, 2, 4};

constexpr std::array kReasons{stages::RerunReason::kNotFinite, stages::RerunReason::kRange, stages::RerunReason::kConstant,
                              stages::RerunReason::kOutOfMemory, stages::RerunReason::kDeviceLost};

prometheus::Labels labels(std::string_view device) { return {{"device", std::string(device)}}; }

prometheus::Labels labels(std::string_view device, stages::StarvedCause cause) {
  return {{"device", std::string(device)}, {"cause", std::string(stages::name_of(cause))}};
}

prometheus::Labels labels(std::string_view device, stages::RerunReason reason) {
  return {{"device", std::string(device)}, {"reason", std::string(stages::name_of(reason))}};
}

}  // namespace

DeviceSeries::DeviceSeries(prometheus::Registry& registry)
    : tiles_(counters(registry, "tiles_total", "Tiles that left the device, by kind.")),
      batch_tiles_(histograms(registry, "batch_tiles", "Tiles in a batch.").Add({}, kTiles)),
      batch_pictures_(histograms(registry, "batch_pictures", "Different pictures in a batch.").Add({}, kPictures)),
      batch_fill_(
          gauges(registry, "batch_fill_ratio", "Tiles per batch against the capacity, mean of the last 60 batches.").Add({})),
      useful_pixels_(
          counters(registry, "useful_pixels_total", "Pixels of pictures that the devices restored, each counted once.").Add({})),
      computed_pixels_(
          counters(registry, "computed_pixels_total", "Pixels that the devices computed, with overlap and padding.").Add({})),
      waste_(gauges(registry, "waste_ratio", "Pixels computed for each useful one, in the last minute.").Add({})),
      up_(gauges(registry, "device_up", "1 while the inference device works.")),
      busy_ratio_(gauges(registry, "device_busy_ratio", "The part of the last minute in which the device computed.")),
      busy_(counters(registry, "device_busy_seconds_total", "Time the device computed.")),
      starved_(counters(registry, "device_starved_seconds_total", "Time the device had nothing to do, by cause.")),
      rerun_(counters(registry, "tiles_rerun_total", "Tiles that had to be computed again, by reason.")),
      resumed_(counters(registry, "tiles_resumed_total", "Tiles of an earlier attempt that were not computed again.").Add({})),
      seam_ratio_(histograms(registry, "seam_ratio", "Steps at the seams of a picture against those beside them; 1: no seams.")
                      .Add({}, kSeamRatios)),
      fairness_(gauges(registry, "fairness_index", "Jain's index of what the clients got in the last minute; 1: all the same.")
                    .Add({})),
      clients_(
          gauges(registry, "scheduler_clients", "Clients that wait for a device, or were served in the last minute.").Add({})) {
  for (const auto* kind : {"picture", "preview"}) tiles_.Add({{"kind", kind}});
  waste_.Set(1);
  fairness_.Set(1);
}

void DeviceSeries::add(std::string_view device) {
  const std::lock_guard lock(mutex_);
  if (known_.contains(device)) return;
  known_.emplace(device);
  up_.Add(labels(device));
  busy_ratio_.Add(labels(device));
  busy_.Add(labels(device));
  for (const auto cause : kStarvedCauses) starved_.Add(labels(device, cause));
  for (const auto reason : kReasons) rerun_.Add(labels(device, reason));
}

void DeviceSeries::batch_finished(const stages::BatchReport& batch) {
  add(batch.device);
  batch_tiles_.Observe(static_cast<double>(batch.tiles));
  batch_pictures_.Observe(static_cast<double>(batch.pictures));
  useful_pixels_.Increment(static_cast<double>(batch.useful_pixels));
  computed_pixels_.Increment(static_cast<double>(batch.computed_pixels));
  if (batch.capacity == 0) return;
  const std::lock_guard lock(mutex_);
  fills_.push_back(static_cast<double>(batch.tiles) / static_cast<double>(batch.capacity));
  if (fills_.size() > kFillWindow) fills_.pop_front();
  batch_fill_.Set(std::accumulate(fills_.begin(), fills_.end(), 0.0) / static_cast<double>(fills_.size()));
}

void DeviceSeries::tile_finished(bool preview) { tiles_.Add({{"kind", preview ? "preview" : "picture"}}).Increment(); }

void DeviceSeries::device_busy(std::string_view device, stages::Seconds computed) {
  add(device);
  busy_.Add(labels(device)).Increment(computed.count());
}

void DeviceSeries::device_starved(std::string_view device, stages::StarvedCause cause, stages::Seconds waited) {
  add(device);
  starved_.Add(labels(device, cause)).Increment(waited.count());
}

void DeviceSeries::device_up(std::string_view device, bool is_up) {
  add(device);
  up_.Add(labels(device)).Set(is_up ? 1 : 0);
  const std::lock_guard lock(mutex_);
  told_up_.insert_or_assign(std::string(device), is_up);
}

void DeviceSeries::tiles_rerun(std::string_view device, stages::RerunReason reason, std::size_t tiles) {
  add(device);
  rerun_.Add(labels(device, reason)).Increment(static_cast<double>(tiles));
}

void DeviceSeries::tiles_resumed(std::size_t tiles) { resumed_.Increment(static_cast<double>(tiles)); }

void DeviceSeries::seams_measured(double ratio) { seam_ratio_.Observe(ratio); }

void DeviceSeries::show(const std::vector<DeviceSnapshot>& devices, const DeviceLoad& all,
                        const std::vector<ClientSnapshot>& clients) {
  for (const DeviceSnapshot& device : devices) {
    add(device.name);
    up_.Add(labels(device.name)).Set(device.up ? 1 : 0);
    busy_ratio_.Add(labels(device.name)).Set(device.load.busy_ratio);
  }
  waste_.Set(all.waste_ratio.value_or(1));
  fairness_.Set(fairness_index(clients));
  clients_.Set(static_cast<double>(clients.size()));
}

std::map<std::string, bool> DeviceSeries::told_up() const {
  const std::lock_guard lock(mutex_);
  return told_up_;
}

}  // namespace retouchd::daemon
