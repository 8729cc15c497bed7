#include "stages/encode.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <opencv2/imgproc.hpp>
#include <optional>

#include "image/codec.h"

namespace retouchd::stages {
namespace {

using image::FileFormat;

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
  nlohmann::json details{
      {"width", run.picture.width()}, {"height", run.picture.height()}, {"network", run.network.name}, {"route", run.route},
      {"tiles", run.tiles},           {"tile_side", run.tile_side},     {"seconds", run.seconds}};
  if (!warning.empty()) details["warning"] = warning;
  return details.dump();
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
  const std::filesystem::path target = target_for(picture, run->job.request.output, &format);
  std::string warning = picture.metadata_warning;
  const auto file = image::encode(picture, format, settings->output, &warning);
  if (!file) return file.error();
  run->seconds[std::string(kName)] = Seconds(std::chrono::steady_clock::now() - start).count();

  const auto identity = identify_file(run->job.request.source);
  if (!identity) return identity.error();
  if (*identity != run->identity) {
    return make_error(ErrorCode::kInputChanged, run->job.request.source.string() + " changed while it was being restored");
  }
  if (!run->begin_publishing()) return {};  // cancelled meanwhile
  if (auto published = publisher_.publish(run->job, target, *file, details_of(*run, warning)); !published) return published;
  spdlog::info("job {} done: {} ({})", run->job.id, target.string(), to_string(Bytes{file->size()}));
  outcomes_.done(*run);
  return {};
}

}  // namespace retouchd::stages
