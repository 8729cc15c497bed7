#include "stages/encode.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <opencv2/imgproc.hpp>
#include <optional>

#include "image/codec.h"
#include "stages/companion.h"

namespace retouchd::stages {
namespace {

using image::FileFormat;
using inference::Companion;

std::optional<FileFormat> format_named_by(const std::filesystem::path& path) {
  std::string suffix = path.extension().string();
  std::transform(suffix.begin(), suffix.end(), suffix.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  constexpr std::array<std::pair<std::string_view, FileFormat>, 8> kSuffixes{{{".jpg", FileFormat::kJpeg},
                                                                              {".jpeg", FileFormat::kJpeg},
                                                                              {".jpe", FileFormat::kJpeg},
                                                                              {".jfif", FileFormat::kJpeg},
                                                                              {".png", FileFormat::kPng},
                                                                              {".tif", FileFormat::kTiff},
                                                                              {".tiff", FileFormat::kTiff},
                                                                              {".webp", FileFormat::kWebp}}};
  const auto* found = std::find_if(kSuffixes.begin(), kSuffixes.end(), [&](const auto& entry) { return entry.first == suffix; });
  if (found == kSuffixes.end()) return std::nullopt;
  return found->second;
}

std::string details_of(const PictureRun& run, std::string_view warning) {
  nlohmann::json details{{"width", run.picture.width()},
                         {"height", run.picture.height()},
                         {"network", run.network.name},
                         {"network_sha256", run.network.sha256},
                         {"route", queue::name_of(run.decision.route)},
                         {"seconds", run.seconds}};
  if (run.is_tiled.load()) {
    details["mode"] = run.plan.is_single_pass ? "single_pass" : "tiled";
    details["tiles"] = run.plan.tiles.count();
    details["tile"] = {run.plan.tiles.tile.width, run.plan.tiles.tile.height};
  }
  if (run.decision.level_megapixels > 0) details["level_megapixels"] = run.decision.level_megapixels;
  if (!run.decision.node.empty() && (run.is_returned || run.decision.route == queue::Route::kServer)) {
    details["node"] = run.decision.node;
  }
  if (!run.decision.fallback.empty()) details["fallback"] = run.decision.fallback;
  if (run.network.companion != Companion::kNone) {
    const FileIdentity& identity = run.companion_identity;  // intake takes the file that was used along with its original
    details["companion"] = {{"path", companion_path(run.job.request.source, run.network.companion).string()},
                            {"device", identity.device},
                            {"inode", identity.inode},
                            {"size", identity.size},
                            {"mtime_ns", identity.mtime_ns}};
  }
  if (run.seam_ratio) details["seam_ratio"] = *run.seam_ratio;
  if (run.resumed_tiles > 0) details["resumed_tiles"] = run.resumed_tiles;
  if (!warning.empty()) details["warning"] = warning;
  return details.dump();
}

/// kInputChanged when `path` is no longer what was read.
Result<void> check_unchanged(const std::filesystem::path& path, const FileIdentity& was) {
  const auto now = identify_file(path);
  if (!now) return now.error();
  if (*now == was) return {};
  return make_error(ErrorCode::kInputChanged, path.string() + " changed while it was being restored");
}

}  // namespace

std::filesystem::path Encode::target_for(const image::Picture& picture, const std::filesystem::path& wanted, FileFormat* format) {
  const auto named = format_named_by(wanted);
  *format = image::format_for(picture, named.value_or(picture.format));
  std::filesystem::path target = wanted;
  if (!named) {
    target += image::suffix_of(*format);
  } else if (*named != *format) {
    target.replace_extension(image::suffix_of(*format));
  }
  return target;
}

Result<void> Encode::process(const RunPtr& run) {
  const auto settings = settings_.get();
  const auto start = std::chrono::steady_clock::now();
  image::Picture& picture = run->picture;
  if (!picture.alpha.empty() && picture.alpha.size() != picture.colour.size()) {
    cv::resize(picture.alpha, picture.alpha, picture.colour.size(), 0, 0,
               cv::INTER_CUBIC);  // super-resolution restores the colours only
  }
  FileFormat format = picture.format;
  const queue::JobRequest& request = run->job.request;
  const bool is_depth = run->network.companion == Companion::kDepth;
  const std::filesystem::path wanted = is_depth ? depth_output(request.source, request.output) : request.output;
  const std::filesystem::path target = target_for(picture, wanted, &format);
  std::string warning = picture.metadata_warning;
  const bool is_untouched = run->decision.route == queue::Route::kSkip;
  const auto file =
      is_untouched ? read_file(request.source, settings->file_size) : image::encode(picture, format, settings->output, &warning);
  if (!file) return file.error();
  run->seconds[std::string(kName)] = Seconds(std::chrono::steady_clock::now() - start).count();

  if (auto same = check_unchanged(request.source, run->identity); !same) return same;
  if (run->network.companion != Companion::kNone) {
    const auto path = companion_path(request.source, run->network.companion);
    if (auto same = check_unchanged(path, run->companion_identity); !same) return same;
  }
  if (!run->begin_publishing()) return {};  // cancelled meanwhile
  if (auto published = publisher_.publish(run->job, target, *file, details_of(*run, warning)); !published) return published;
  spdlog::info("job {} done: {} ({})", run->job.id, target.string(), to_string(Bytes{file->size()}));
  outcomes_.done(*run);
  return {};
}

}  // namespace retouchd::stages
