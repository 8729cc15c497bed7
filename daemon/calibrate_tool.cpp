#include "daemon/calibrate_tool.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <nlohmann/json.hpp>
#include <opencv2/core.hpp>
#include <system_error>
#include <thread>
#include <vector>

#include "base/file.h"
#include "daemon/engine.h"
#include "daemon/tool_refusal.h"
#include "image/codec.h"
#include "image/lost_detail.h"
#include "image/resize.h"
#include "stages/calibration.h"

namespace retouchd::daemon {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::size_t kNamed = 5;      // refused pictures that are told by name
constexpr std::size_t kAdvised = 200;  // pictures, below which the share is little more than a guess
constexpr Bytes kSignature{64};

struct Refused {
  fs::path file;
  std::string reason;
};

/// What was found below the folder. Threads: several measure, one at a time writes here.
struct Survey {
  std::mutex mutex;
  std::vector<double> values_db;
  std::size_t small = 0;    ///< no larger than a preview: they lose nothing
  std::size_t skipped = 0;  ///< no pictures
  std::vector<Refused> refused;
};

Result<std::vector<fs::path>> files_below(const fs::path& folder) {
  std::error_code error;
  if (!fs::is_directory(folder, error))
    return make_error(error ? ErrorCode::kInputMissing : ErrorCode::kInputUnreadable,
                      folder.string() + " is no folder" + (error ? ": " + error.message() : ""));
  std::vector<fs::path> files;
  auto entry = fs::recursive_directory_iterator(folder, fs::directory_options::skip_permission_denied, error);
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    std::error_code ignored;
    const bool is_hidden = entry->path().filename().string().starts_with('.');
    if (is_hidden && entry->is_directory(ignored)) entry.disable_recursion_pending();
    if (!is_hidden && entry->is_regular_file(ignored)) files.push_back(entry->path());
  }
  if (error) return make_error(ErrorCode::kInputUnreadable, "cannot look through " + folder.string() + ": " + error.message());
  std::sort(files.begin(), files.end());
  return files;
}

bool is_picture(const fs::path& file) {
  const auto beginning = read_file_prefix(file, kSignature);
  return beginning && image::sniff(*beginning).ok();
}

Result<image::LostDetail> measure(image::FileCodec& codec, const fs::path& path, const stages::Settings& settings) {
  const auto file = open_input(path, settings.file_size);
  if (!file) return file.error();
  try {
    const auto picture = codec.decode(*file, settings.limits);
    if (!picture) return picture.error();
    const cv::Size small = image::size_within(picture->colour.size(), settings.preview_megapixels);
    return image::measure_lost_detail(picture->colour, small);
  } catch (const std::exception& error) {  // no memory for a large one
    return make_error(ErrorCode::kInternal, error.what());
  }
}

void measure_into(image::FileCodec& codec, Survey& survey, const fs::path& file, const stages::Settings& settings) {
  if (!is_picture(file)) {
    const std::lock_guard lock(survey.mutex);
    ++survey.skipped;
    return;
  }
  const auto lost = measure(codec, file, settings);
  const std::lock_guard lock(survey.mutex);
  if (!lost) {
    survey.refused.push_back({file, lost.error().message});
    return;
  }
  survey.values_db.push_back(lost->value());
  if (lost->mean_db >= 100) ++survey.small;
}

/// Each thread holds one picture.
void measure_all(image::FileCodec& codec, Survey& survey, const std::vector<fs::path>& files, const stages::Settings& settings) {
  cv::setNumThreads(1);
  std::atomic<std::size_t> next = 0;
  std::vector<std::thread> threads;
  const std::size_t count = std::min<std::size_t>(files.size(), std::max(1U, std::thread::hardware_concurrency()));
  for (std::size_t i = 0; i < count; ++i) {
    threads.emplace_back([&] {
      for (std::size_t file = next++; file < files.size(); file = next++) measure_into(codec, survey, files[file], settings);
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::sort(survey.refused.begin(), survey.refused.end(), [](const Refused& a, const Refused& b) { return a.file < b.file; });
}

std::string warning_about(const stages::Calibration& calibration) {
  if (calibration.pictures() >= kAdvised) return "";
  return fmt::format("{} pictures are few: with {} or more the share that is escalated comes out as asked for",
                     calibration.pictures(), kAdvised);
}

void print(const stages::Calibration& calibration, const Survey& survey, const fs::path& folder, const fs::path& output) {
  const auto& knots = calibration.knots();
  fmt::print("{} pictures below {}", calibration.pictures(), folder.string());
  if (survey.small > 0) fmt::print(", {} of them no larger than a preview", survey.small);
  fmt::print("\n");
  if (!survey.refused.empty()) fmt::print("  {} more could not be read:\n", survey.refused.size());
  for (std::size_t i = 0; i < std::min(kNamed, survey.refused.size()); ++i)
    fmt::print("    {}: {}\n", survey.refused[i].file.string(), survey.refused[i].reason);
  if (survey.refused.size() > kNamed) fmt::print("    and {} others\n", survey.refused.size() - kNamed);
  fmt::print("  detail kept by a preview of {:g} megapixels: {:.1f} dB at worst, {:.1f} dB in the middle, {:.1f} dB at best\n",
             calibration.megapixels(), knots.front(), calibration.middle_db(), knots.back());
  fmt::print("  below {:.1f} dB the score is below 0.9: {:.1f} % of these pictures, {:.1f} to {:.1f} % of others like them\n",
             calibration.threshold_db(), 100 * calibration.rate(),
             100 * std::max(0.0, calibration.rate() - calibration.expected_error()),
             100 * std::min(1.0, calibration.rate() + calibration.expected_error()));
  if (const std::string warning = warning_about(calibration); !warning.empty()) fmt::print("  warning: {}\n", warning);
  fmt::print("written to {}\nA running daemon takes it when it reloads: systemctl reload retouchd, or SIGHUP.\n",
             output.string());
}

json to_json(const stages::Calibration& calibration, const Survey& survey, const fs::path& output) {
  json refused = json::array();
  for (const Refused& each : survey.refused) refused.push_back({{"file", each.file.string()}, {"reason", each.reason}});
  return {{"pictures", calibration.pictures()},
          {"small", survey.small},
          {"skipped", survey.skipped},
          {"refused", refused},
          {"rate", calibration.rate()},
          {"expected_error", calibration.expected_error()},
          {"megapixels", calibration.megapixels()},
          {"threshold_db", calibration.threshold_db()},
          {"knots", calibration.knots()},
          {"warning", warning_about(calibration)},
          {"output", output.string()}};
}

}  // namespace

int calibrate_tool(const config::Config& config, const CalibrateOptions& options) {
  const auto files = files_below(options.folder);
  if (!files) return refuse(files.error());
  const auto codec = open_codec(config);
  if (!codec) return refuse(codec.error());
  Survey survey;
  measure_all(**codec, survey, *files, settings_of(config));
  const std::size_t usable = survey.values_db.size() - survey.small;
  if (usable < stages::Calibration::kFewestPictures) {
    std::string found = fmt::format("{} pictures below {} are larger than a preview, and {} are needed to calibrate", usable,
                                    options.folder.string(), stages::Calibration::kFewestPictures);
    if (!survey.refused.empty())
      found += fmt::format("; {} could not be read, such as {}: {}", survey.refused.size(), survey.refused.front().file.string(),
                           survey.refused.front().reason);
    return refuse(make_error(ErrorCode::kInvalidRequest, found));
  }
  const auto calibration =
      stages::Calibration::fit(survey.values_db, options.rate.value_or(config.cascade.rate), config.preview.megapixels);
  if (!calibration) return refuse(calibration.error());
  const fs::path output = options.output ? fs::absolute(*options.output) : config.cascade.calibration;
  if (auto made = make_directories_synced(output.parent_path()); !made) return refuse(made.error());
  if (auto saved = calibration->save(output); !saved) return refuse(saved.error());
  if (options.json) {
    fmt::print("{}\n", to_json(*calibration, survey, output).dump());
  } else {
    print(*calibration, survey, options.folder, output);
  }
  return 0;
}

}  // namespace retouchd::daemon
