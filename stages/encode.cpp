#include "stages/encode.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <opencv2/imgproc.hpp>
#include <optional>

#include "base/picture_suffixes.h"
#include "image/output_file.h"
#include "stages/companion.h"
#include "stages/provenance.h"

namespace retouchd::stages {
namespace {

using image::FileFormat;
using inference::Companion;

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

Result<void> check_unchanged(const PictureRun& run) {
  const std::filesystem::path& source = run.job.request.source;
  if (auto same = check_unchanged(source, run.identity); !same) return same;
  if (run.network.companion == Companion::kNone) return {};
  return check_unchanged(companion_path(source, run.network.companion), run.companion_identity);
}

/// The original's bytes, for pictures that are passed on as they are.
Result<void> copy_file(const std::filesystem::path& source, Bytes limit, int fd) {
  const auto bytes = read_file(source, limit);
  if (!bytes) return bytes.error();
  image::DescriptorFile to(fd);
  if (!to.append(*bytes)) return to.error();
  return {};
}

Result<void> keep_time(const FileIdentity& source, int fd) {
  constexpr std::int64_t kSecond = 1'000'000'000;
  const std::int64_t nanoseconds = (source.mtime_ns % kSecond + kSecond) % kSecond;
  const timespec modified{static_cast<time_t>((source.mtime_ns - nanoseconds) / kSecond), static_cast<long>(nanoseconds)};
  const std::array<timespec, 2> times{timespec{0, UTIME_OMIT}, modified};
  if (::futimens(fd, times.data()) != 0) return error_from_errno(errno, "cannot set the modification time of the result", false);
  return {};
}

}  // namespace

std::optional<FileFormat> Encode::format_named_by(const std::filesystem::path& path) {
  std::string suffix = path.extension().string();
  std::transform(suffix.begin(), suffix.end(), suffix.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  constexpr std::array<std::pair<std::string_view, FileFormat>, 14> kSuffixes{{{".jpg", FileFormat::kJpeg},
                                                                               {".jpeg", FileFormat::kJpeg},
                                                                               {".jpe", FileFormat::kJpeg},
                                                                               {".jfif", FileFormat::kJpeg},
                                                                               {".png", FileFormat::kPng},
                                                                               {".tif", FileFormat::kTiff},
                                                                               {".tiff", FileFormat::kTiff},
                                                                               {".webp", FileFormat::kWebp},
                                                                               {".avif", FileFormat::kAvif},
                                                                               {".jxl", FileFormat::kJxl},
                                                                               {".ppm", FileFormat::kPnm},
                                                                               {".pgm", FileFormat::kPnm},
                                                                               {".pbm", FileFormat::kPnm},
                                                                               {".pnm", FileFormat::kPnm}}};
  const auto* found = std::find_if(kSuffixes.begin(), kSuffixes.end(), [&](const auto& entry) { return entry.first == suffix; });
  if (found == kSuffixes.end()) return std::nullopt;
  return found->second;
}

std::filesystem::path Encode::target_for(const image::Picture& picture, const std::filesystem::path& source,
                                         const std::filesystem::path& wanted, FileFormat* format) {
  const auto named = format_named_by(wanted);
  *format = image::format_for(picture, named.value_or(picture.format));
  if (named == *format) return wanted;
  return with_suffix(wanted, image::suffix_of(*format), source, Renamed::kThis);
}

Result<std::string> Encode::write(PictureRun& run, const std::filesystem::path& target, FileFormat format,
                                  const Settings& settings, int fd) {
  const auto start = std::chrono::steady_clock::now();
  image::Picture& picture = run.picture;
  std::string warning = picture.metadata_warning;
  if (run.decision.route == queue::Route::kSkip) {
    if (auto copied = copy_file(run.job.request.source, settings.file_size, fd); !copied) return copied.error();
  } else {
    if (!settings.software.empty()) picture.provenance = provenance_of(run, settings.software);
    const auto lost = codec_.encode(picture, format, settings.output, fd);
    if (!lost) return make_error(lost.error().code, target.string() + ": " + lost.error().message);
    if (!lost->empty()) warning += (warning.empty() ? "" : "; ") + *lost;
  }
  if (settings.keep_file_time) {
    if (auto kept = keep_time(run.identity, fd); !kept) return kept.error();
  }
  run.seconds[std::string(kName)] = Seconds(std::chrono::steady_clock::now() - start).count();

  if (auto same = check_unchanged(run); !same) return same.error();
  if (!run.begin_publishing()) return make_error(ErrorCode::kCancelled, "cancelled while the result was written");
  return details_of(run, warning);
}

Result<void> Encode::process(const RunPtr& run) {
  const auto settings = settings_.get();
  cv::Mat& alpha = run->picture.alpha;
  if (!alpha.empty() && alpha.size() != run->picture.colour.size()) {
    cv::resize(alpha, alpha, run->picture.colour.size(), 0, 0, cv::INTER_CUBIC);  // it did not go through the network
  }
  const queue::JobRequest& request = run->job.request;
  const bool is_depth = run->network.companion == Companion::kDepth;
  FileFormat format = run->picture.format;
  const std::filesystem::path target =
      target_for(run->picture, request.source, is_depth ? depth_output(request.source, request.output) : request.output, &format);
  const auto published = publisher_.publish(run->job, target, [&](int fd) { return write(*run, target, format, *settings, fd); });
  if (!published) return published;
  spdlog::info("job {} done: {}", run->job.id, target.string());
  outcomes_.done(*run);
  return {};
}

}  // namespace retouchd::stages
