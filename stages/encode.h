#pragma once

#include <filesystem>
#include <optional>
#include <string_view>

#include "base/result.h"
#include "image/file_codec.h"
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

  Encode(const SettingsCell& settings, image::FileCodec& codec, queue::Publisher& publisher, Outcomes& outcomes)
      : settings_(settings), codec_(codec), publisher_(publisher), outcomes_(outcomes) {}

  [[nodiscard]] Result<void> process(const RunPtr& run);

  /// The format that the suffix of a result's name asks for; nullopt: that of the original.
  [[nodiscard]] static std::optional<image::FileFormat> format_named_by(const std::filesystem::path& path);

  /// Where the result of `picture`, which came from `source`, goes when `wanted` was asked for: the suffix says the format; it is
  /// replaced by one of a format that can hold the picture (JPEG cannot hold alpha or 16 bits, HEIC is not written), and appended
  /// when it names none.
  [[nodiscard]] static std::filesystem::path target_for(const image::Picture& picture, const std::filesystem::path& source,
                                                        const std::filesystem::path& wanted, image::FileFormat* format);

 private:
  /// What publishing calls: the file, then all checks, then the details.
  [[nodiscard]] Result<std::string> write(PictureRun& run, const std::filesystem::path& target, image::FileFormat format,
                                          const Settings& settings, int fd);

  const SettingsCell& settings_;
  image::FileCodec& codec_;
  queue::Publisher& publisher_;
  Outcomes& outcomes_;
};

}  // namespace retouchd::stages
