#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "inference/drct/drct_config.h"
#include "inference/manifest.h"
#include "inference/registry.h"
#include "inference/restormer/restormer_config.h"

namespace retouchd::inference {
namespace {

namespace fs = std::filesystem;

/// Side of the attention windows with `attention: local`: the largest crop that the published Restormers were trained with, which
/// Chu et al., "Improving Image Restoration by Revisiting Global Information Aggregation" (ECCV 2022), found to restore better
/// than attention over all of a large picture.
constexpr int kLocalWindow = 384;

constexpr std::string_view kUnknownLicense = "unknown: see where the weights come from";

std::optional<int> number(const WeightHeader& header, const std::string& key) {
  const auto found = header.metadata.find(key);
  if (found == header.metadata.end()) return std::nullopt;
  int value = 0;
  const auto* end = found->second.data() + found->second.size();
  if (std::from_chars(found->second.data(), end, value).ptr != end || value < 0) return std::nullopt;
  return value;
}

std::string text(const WeightHeader& header, const std::string& key) {
  const auto found = header.metadata.find(key);
  return found != header.metadata.end() ? found->second : std::string{};
}

/// The task is not in the numbers; published files have it in their names.
std::string task_named_by(const std::string& name) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 6> kHints{{{"defocus", "deblur"},
                                                                                 {"deblur", "deblur"},
                                                                                 {"derain", "derain"},
                                                                                 {"denois", "denoise"},
                                                                                 {"dehaz", "dehaze"},
                                                                                 {"depth", "depth"}}};
  const auto* found =
      std::find_if(kHints.begin(), kHints.end(), [&](const auto& hint) { return name.find(hint.first) != std::string::npos; });
  return found != kHints.end() ? std::string(found->second) : std::string{};
}

Result<void> describe_table(NetworkInfo& info, const WeightHeader& header) {
  const auto bad = [&info](const std::string& reason) {
    return make_error(ErrorCode::kBadWeights, info.weights.string() + ": " + reason);
  };
  info.architecture = architecture_of(header);
  info.task = text(header, "task");
  info.license = text(header, "license");
  info.parameters = header.elements();
  if (info.architecture == "restormer") {
    const auto config = restormer_config(header);
    if (!config) return bad(config.error().message);
    info.variant = describe(*config);
    info.multiple = config->multiple();
    info.companion = config->dual_pixel ? Companion::kRightView : Companion::kNone;
    info.channels = static_cast<int>(config->dual_pixel ? config->in_channels / 2 : config->in_channels);
    if (info.channels != config->out_channels || (info.channels != 1 && info.channels != 3))
      return bad("a Restormer of " + std::to_string(config->in_channels) + " to " + std::to_string(config->out_channels) +
                 " channels cannot restore pictures; 1 to 1, 3 to 3, and 6 to 3 (dual pixel) can");
  } else if (info.architecture == "drct") {
    const auto config = drct_config(header);
    if (!config) return bad(config.error().message);
    info.variant = describe(*config);
    info.multiple = config->window;
    info.scale = config->scale;
    if (info.task.empty()) info.task = "super-resolution";
  } else if (info.architecture == "student-tiny" || info.architecture == "rgbd-tiny") {
    info.scale = 1;
    info.multiple = std::max(8, number(header, "multiple").value_or(8));
    info.receptive_field = number(header, "receptive_field");
    if (info.architecture == "rgbd-tiny") info.companion = Companion::kDepth;
  } else if (!info.architecture.empty()) {
    return bad("architecture `" + info.architecture + "` is not supported");
  } else {
    return bad("its tensors are those of no network known here (Restormer, DRCT, student-tiny, rgbd-tiny)");
  }
  return {};
}

Result<void> apply(NetworkInfo& info, const Manifest& manifest, bool is_package) {
  const auto bad = [&info](const std::string& reason) {
    return make_error(ErrorCode::kBadWeights, manifest_of(info.weights).string() + ": " + reason);
  };
  if (manifest.task) info.task = *manifest.task;
  if (manifest.license) info.license = *manifest.license;
  info.wants_srgb = manifest.wants_srgb.value_or(false);
  if (!is_package) {
    if (manifest.scale || manifest.channels || manifest.companion || manifest.multiple || manifest.range ||
        manifest.receptive_field)
      return bad("only `task`, `license`, `colour` and `attention` may be set: the rest is read from the weights");
    return {};
  }
  if (manifest.local_attention) return bad("`attention` is for Restormer's weights");
  info.scale = manifest.scale.value_or(1);
  info.channels = manifest.channels.value_or(3);
  info.companion = manifest.companion.value_or(Companion::kNone);
  info.multiple = manifest.multiple.value_or(8);
  info.range = manifest.range.value_or(1);
  info.receptive_field = manifest.receptive_field;
  if (info.scale != 1 && info.companion != Companion::kNone) return bad("`scale` must be 1 for a network with a companion");
  return {};
}

}  // namespace

std::string architecture_of(const WeightHeader& header) {
  if (is_restormer(header)) return "restormer";
  if (is_drct(header)) return "drct";
  return text(header, "arch");
}

Result<NetworkInfo> describe_network(const fs::path& file, bool is_ours, bool local_attention, Bytes largest_file) {
  const auto format = detect_weight_format(file);
  if (!format) return format.error();
  const auto identity = identify_file(file);
  if (!identity) return identity.error();
  NetworkInfo info;
  info.name = file.stem().string();
  info.weights = file;
  info.file_size = {identity->size};

  const bool is_package = *format == WeightFormat::kTorchScript || *format == WeightFormat::kAotInductor;
  const auto manifest = read_manifest(file);
  if (!manifest) return manifest.error();
  if (is_package) {
    info.architecture = *format == WeightFormat::kTorchScript ? "torchscript" : "aotinductor";
    if (!is_ours)
      return make_error(ErrorCode::kBadWeights, file.string() + " is a package of code; those run only from a model folder");
    if (!*manifest)
      return make_error(ErrorCode::kBadWeights, file.string() + " is a package of code and needs a manifest beside it, " +
                                                    manifest_of(file).filename().string());
  } else {
    const auto header = read_weight_header(file, largest_file);
    if (!header) return header.error();
    if (auto described = describe_table(info, *header); !described) return described.error();
  }
  if (*manifest) {
    if (auto applied = apply(info, **manifest, is_package); !applied) return applied.error();
    if (info.wants_srgb && info.companion != Companion::kNone)
      return make_error(ErrorCode::kBadWeights,
                        manifest_of(file).string() + ": `colour: srgb` is for networks of single pictures");
  }
  if (info.architecture == "restormer" && info.multiple == 8 &&
      (*manifest && (*manifest)->local_attention ? *(*manifest)->local_attention : local_attention))
    info.local_window = kLocalWindow;
  if (info.task.empty()) info.task = task_named_by(info.name);
  if (info.license.empty()) info.license = kUnknownLicense;
  return info;
}

}  // namespace retouchd::inference
