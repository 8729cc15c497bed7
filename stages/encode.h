#pragma once

#include <filesystem>
#include <string_view>

#include "base/result.h"
#include "queue/publisher.h"
#include "stages/outcomes.h"
#include "stages/picture_run.h"
#include "stages/settings.h"

namespace retouchd::stages {

/// Restored picture -> published file, and the end of the job.
/// Threads: process() from several at once for different runs.
class Encode {
 public:
  static constexpr std::string_view kName = "encode";

  Encode(const SettingsCell& settings, queue::Publisher& publisher, Outcomes& outcomes)
      : settings_(settings), publisher_(publisher), outcomes_(outcomes) {}

  [[nodiscard]] Result<void> process(const RunPtr& run);

  /// Where the result of `picture` goes when `wanted` was asked for: the suffix says the format; it is replaced by one of a
  /// format that can hold the picture (JPEG cannot hold alpha or 16 bits), and appended when it names none.
  [[nodiscard]] static std::filesystem::path target_for(const image::Picture& picture, const std::filesystem::path& wanted,
                                                        image::FileFormat* format);

 private:
  const SettingsCell& settings_;
  queue::Publisher& publisher_;
  Outcomes& outcomes_;
};

}  // namespace retouchd::stages
