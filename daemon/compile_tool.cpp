#include "daemon/compile_tool.h"

#include <fmt/chrono.h>
#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <system_error>

#include "daemon/engine.h"
#include "daemon/tool_refusal.h"
#include "inference/compilation.h"

namespace retouchd::daemon {
namespace {

namespace fs = std::filesystem;
using inference::CompiledCache;
using inference::CompiledPackage;
using nlohmann::json;

/// "528x496": width and height.
std::optional<cv::Size> size_in(const std::string& text) {
  cv::Size size;
  const char* end = text.data() + text.size();
  const auto width = std::from_chars(text.data(), end, size.width);
  if (width.ec != std::errc{} || width.ptr == end || *width.ptr != 'x') return std::nullopt;
  const auto height = std::from_chars(width.ptr + 1, end, size.height);
  if (height.ec != std::errc{} || height.ptr != end) return std::nullopt;
  return size;
}

/// Installed beside the program, or in its source tree.
fs::path find_script() {
  std::error_code ignored;
  const fs::path program = fs::read_symlink("/proc/self/exe", ignored);
  const fs::path installed = program.parent_path().parent_path() / "share/retouchd/compile/compile_network.py";
  return fs::exists(installed, ignored) ? installed : fs::path(RETOUCHD_SOURCE_TRAINING) / "compile_network.py";
}

std::string time_of(std::int64_t milliseconds) {
  return fmt::format("{:%Y-%m-%d %H:%M}", fmt::localtime(static_cast<std::time_t>(milliseconds / 1000)));
}

json to_json(const CompiledPackage& package) {
  return {{"file", package.file.string()},
          {"network", package.network},
          {"weights_sha256", package.weights_sha256},
          {"device", package.device.description},
          {"precision", inference::name_of(package.precision)},
          {"width", package.width},
          {"height", package.height},
          {"batch", package.batch},
          {"compiler", package.compiler},
          {"torch", package.torch},
          {"made_ms", package.made_ms}};
}

json to_json(const inference::CompilationReport& report) {
  json all = to_json(report.package);
  all.update({{"warning", report.precision.warning},
              {"compile_seconds", report.compile_seconds},
              {"check",
               {{"against", report.check.against},
                {"max_difference", report.check.difference.largest},
                {"mean_difference", report.check.difference.mean},
                {"tolerance", report.check.tolerance},
                {"tolerance_of", report.check.measured}}},
              {"trial_batch", report.batch},
              {"optimized_seconds", report.trial.first},
              {"compiled_seconds", report.trial.second}});
  return all;
}

void print(const inference::CompilationReport& report) {
  const CompiledPackage& package = report.package;
  if (!report.precision.warning.empty()) fmt::print("{}\n", report.precision.warning);
  fmt::print("{} for {} in {} on {}, batches of up to {}: compiled in {:.0f} s\n", package.network, shape_of(package),
             inference::name_of(package.precision), package.device.description, package.batch, report.compile_seconds);
  fmt::print("  against {}  max {:.3g}  mean {:.3g}  {} up to {:.3g}: passed\n", report.check.against,
             report.check.difference.largest, report.check.difference.mean, report.check.measured, report.check.tolerance);
  const double tiles = report.batch;
  fmt::print("  {:.4g} ms a tile, optimized {:.4g} ms (batch {}): {:.2f} times as fast{}\n", 1000 * report.trial.second / tiles,
             1000 * report.trial.first / tiles, report.batch, report.trial.first / report.trial.second,
             report.trial.second_is_faster() ? "" : "; backend: auto will not take it");
  fmt::print("  {}\n", package.file.string());
}

/// Why a package can never be used again by the networks that are here; empty when it can.
std::string staleness(const CompiledCache::Entry& entry, const std::vector<inference::NetworkInfo>& networks) {
  if (!entry.package) return "its description is damaged";
  const CompiledPackage& package = *entry.package;
  std::error_code ignored;
  if (!fs::exists(package.file, ignored)) return "its file is gone";
  if (package.torch != inference::libtorch_version()) return "made by PyTorch " + package.torch;
  const bool is_known = std::any_of(networks.begin(), networks.end(),
                                    [&](const auto& network) { return network.sha256 == package.weights_sha256; });
  return is_known ? "" : "no network has these weights any more";
}

int list(const config::Config& config, const CompileOptions& options) {
  const CompiledCache cache(compiled_folder(config));
  const auto networks = inference::Registry(registry_options(config)).contents()->networks;
  for (const auto& entry : cache.list()) {
    const std::string stale = staleness(entry, networks);
    if (options.remove && stale.empty()) continue;
    if (options.remove) cache.remove(entry);
    json object = entry.package ? to_json(*entry.package) : json{{"file", entry.description.string()}};
    object["stale"] = stale;
    if (options.json) {
      fmt::print("{}\n", object.dump());
    } else if (entry.package) {
      const CompiledPackage& package = *entry.package;
      fmt::print("{}{} {} {} batch {}, {}, PyTorch {}, {}{}\n", options.remove ? "removed " : "", package.network,
                 shape_of(package), inference::name_of(package.precision), package.batch, package.device.description,
                 package.torch, time_of(package.made_ms), stale.empty() ? "" : ": " + stale);
    } else {
      fmt::print("{}{}: {}\n", options.remove ? "removed " : "", entry.description.string(), stale);
    }
  }
  return 0;
}

}  // namespace

int compile_tool(const config::Config& config, const CompileOptions& options) {
  if (options.list || options.remove) return list(config, options);
  inference::CompilationRequest request;
  const auto network =
      inference::Registry(registry_options(config)).find(options.network.empty() ? config.network : options.network);
  if (!network) return refuse(network.error());
  request.network = *network;
  request.device = device_options(config);
  request.batch = options.batch;
  request.tensorrt = options.compiler == "tensorrt";
  request.autotune = options.autotune;
  request.python = options.python;
  request.script = find_script();
  std::vector<cv::Size> tiles{{config.tile.size, config.tile.size}};
  if (!options.tiles.empty()) tiles.clear();
  for (const std::string& text : options.tiles) {
    const auto size = size_in(text);
    if (!size) return refuse(make_error(ErrorCode::kInvalidRequest, "--tile is a size such as 528x496, not `" + text + "`"));
    tiles.push_back(*size);
  }
  for (const cv::Size tile : tiles) {
    request.tile = tile;
    if (!options.json)
      fmt::print(stderr, "compiling {} for {}x{}, which can take minutes...\n", network->name, tile.width, tile.height);
    const auto report = inference::compile_network(request);
    if (!report) return refuse(report.error());
    if (options.json) {
      fmt::print("{}\n", to_json(*report).dump());
    } else {
      print(*report);
    }
  }
  return 0;
}

}  // namespace retouchd::daemon
