#include "daemon/plan_tool.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "daemon/engine.h"
#include "daemon/process_tuning.h"
#include "daemon/tool_refusal.h"
#include "image/codec.h"
#include "inference/compiled_cache.h"
#include "stages/memory_estimate.h"
#include "stages/planner.h"

namespace retouchd::daemon {
namespace {

using nlohmann::json;

/// "3296x2192": an 8-bit colour JPEG of that size.
std::optional<cv::Size> size_in(const std::string& text) {
  const auto cross = text.find('x');
  if (cross == std::string::npos) return std::nullopt;
  const auto number = [&text](std::size_t from, std::size_t to) -> int {
    int value = 0;
    const auto [end, error] = std::from_chars(text.data() + from, text.data() + to, value);
    return error == std::errc{} && end == text.data() + to && value > 0 && value <= 1'000'000 ? value : 0;
  };
  const cv::Size size(number(0, cross), number(cross + 1, text.size()));
  if (size.width == 0 || size.height == 0) return std::nullopt;
  return size;
}

Result<image::PictureHeader> look_at(const std::string& picture, const config::Config& config) {
  if (const auto size = size_in(picture)) {
    image::PictureHeader header;
    header.width = static_cast<std::uint32_t>(size->width);
    header.height = static_cast<std::uint32_t>(size->height);
    return header;
  }
  const stages::Settings settings = settings_of(config);
  const auto file = open_input(picture, settings.file_size);
  if (!file) return file.error();
  const auto codec = open_codec(config);
  if (!codec) return codec.error();
  auto header = (*codec)->read_header(*file, settings.limits);
  if (!header) return make_error(header.error().code, picture + ": " + header.error().message);
  return header;
}

/// Least overlap of neighbours along both axes; 0 for a single tile.
int overlap_of(const stages::TilePlan& plan) {
  int least = 0;
  const auto look = [&least](const stages::TileAxis& axis, int tile) {
    for (std::size_t i = 0; i + 1 < axis.windows.size(); ++i) {
      const int overlap = axis.windows[i].origin + tile - axis.windows[i + 1].origin;
      least = least == 0 ? overlap : std::min(least, overlap);
    }
  };
  look(plan.x, plan.tile.width);
  look(plan.y, plan.tile.height);
  return least;
}

/// Whether there is a package for these tiles; whether it can be used and is faster is found out when a device loads it.
std::string what_is_compiled(const config::Config& config, const inference::NetworkInfo& network, inference::Precision precision,
                             cv::Size tile) {
  for (const auto& [description, package] : inference::CompiledCache(compiled_folder(config)).list()) {
    if (package && package->weights_sha256 == network.sha256 && package->precision == precision &&
        package->local_window == network.local_window && cv::Size(package->width, package->height) == tile)
      return "compiled for these tiles on " + package->device.description;
  }
  return fmt::format("nothing is compiled for {}x{}", tile.width, tile.height);
}

void print(const json& plan) {
  const auto line = [](std::string_view name, const std::string& value, const json& entry) {
    fmt::print("{:<10} {:<28} {}\n", name, value, entry.value("reason", ""));
  };
  const json& tile = plan.at("tile");
  fmt::print("{} {}x{}, {:.1f} MP, on {}\n", plan.at("picture").value("name", ""), plan.at("picture").value("width", 0),
             plan.at("picture").value("height", 0), plan.at("picture").value("megapixels", 0.0), plan.value("device", ""));
  line("route", plan.at("route").value("value", ""), plan.at("route"));
  line("network", plan.at("network").value("name", ""), {{"reason", plan.at("network").value("variant", "")}});
  line("precision", plan.at("precision").value("value", ""), plan.at("precision"));
  line("backend", plan.at("backend").value("value", ""), plan.at("backend"));
  line("mode", plan.at("mode").value("value", ""), plan.at("mode"));
  line("tile",
       fmt::format("{} of {}x{}, overlap {}", tile.value("count", 0), tile.value("width", 0), tile.value("height", 0),
                   tile.value("overlap", 0)),
       tile);
  line("work", fmt::format("{:.2f} x the picture", plan.at("work_ratio").value("value", 0.0)), plan.at("work_ratio"));
  line("batch", std::to_string(plan.at("batch").value("value", 0)), plan.at("batch"));
  const json& memory = plan.at("memory");
  line("memory", memory.at("bytes").is_null() ? "unknown" : to_string(Bytes{memory.value("bytes", std::uint64_t{0})}), memory);
  line("picture", to_string(Bytes{plan.at("picture_memory").value("bytes", std::uint64_t{0})}), plan.at("picture_memory"));
  const json& time = plan.at("time");
  line("time", time.at("seconds").is_null() ? "unknown" : fmt::format("{:.1f} s", time.value("seconds", 0.0)), time);
}

}  // namespace

int plan_tool(config::Config config, const PlanOptions& options) {
  if (!options.network.empty()) config.network = options.network;
  if (options.memory) config.memory = *options.memory;
  const auto asked = look_at(options.picture, config);
  if (!asked) return refuse(asked.error());
  const inference::Registry networks(registry_options(config));
  const auto network = networks.find(config.network);
  if (!network) return refuse(network.error());
  auto devices = inference::open_devices(device_options(config));
  if (!devices) return refuse(devices.error());
  inference::Measurements measurements(measurements_file(config), system_clock());
  const stages::DevicePool pool(*std::move(devices), measurements, pool_options(config));
  const inference::Device& device = *pool.members().front()->device;
  const auto choice = device.precision_for(*network);

  const cv::Size size(static_cast<int>(asked->width), static_cast<int>(asked->height));
  const Bytes picture_memory = stages::estimate_memory(*asked, *network);
  const Bytes budget = config.memory - resident_memory() - unseen_memory();
  const auto on_device = pool.memory();
  stages::PlanFacts facts = pool.facts(*network);
  facts.mode = settings_of(config).mode;
  facts.largest_tile = config.tile.size;
  facts.memory = options.memory || !on_device ? budget - picture_memory : *on_device;
  facts.cost = measurements.find({device.description(), network->id(), choice.precision, config.optimize});
  const stages::PicturePlan plan = stages::plan_picture(size, *network, facts);
  const auto reason = [&plan](const std::string& about) { return plan.reasons.contains(about) ? plan.reasons.at(about) : ""; };

  const json report{
      {"picture",
       {{"name", options.picture}, {"width", size.width}, {"height", size.height}, {"megapixels", asked->megapixels()}}},
      {"network", {{"name", network->name}, {"architecture", network->architecture}, {"variant", network->variant}}},
      {"device", pool.description()},
      {"route", {{"value", "local"}, {"reason", "no cloud node is configured"}}},
      {"precision",
       {{"value", inference::name_of(choice.precision)}, {"reason", choice.warning.empty() ? choice.reason : choice.warning}}},
      {"backend",
       {{"value", inference::name_of(device_options(config).backend)},
        {"reason", what_is_compiled(config, *network, choice.precision, plan.tiles.tile)}}},
      {"mode", {{"value", plan.is_single_pass ? "single_pass" : "tiled"}, {"reason", reason("mode")}}},
      {"tile",
       {{"width", plan.tiles.tile.width},
        {"height", plan.tiles.tile.height},
        {"count", plan.tiles.count()},
        {"overlap", overlap_of(plan.tiles)},
        {"reason", reason("tile")}}},
      {"work_ratio", {{"value", plan.tiles.work_ratio()}, {"reason", "pixels computed over pixels of the picture"}}},
      {"batch",
       {{"value", plan.batch},
        {"reason", plan.batch == 1 ? "one tile" : "tiles of this picture; those of others fill it when there are fewer"}}},
      {"memory", {{"bytes", plan.memory ? json(plan.memory->value) : json()}, {"reason", reason("memory")}}},
      {"picture_memory",
       {{"bytes", picture_memory.value}, {"reason", "decoded, restored and encoded picture at the worst moment"}}},
      {"memory_budget", {{"bytes", facts.memory.value}, {"reason", "what is left for the tensors of one picture"}}},
      {"time",
       {{"seconds", plan.seconds ? json(*plan.seconds) : json()},
        {"reason", "of the device alone, from the same measurement as the memory"}}}};
  if (options.json) {
    fmt::print("{}\n", report.dump());
  } else {
    print(report);
  }
  return 0;
}

}  // namespace retouchd::daemon
