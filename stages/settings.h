#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/units.h"
#include "image/codec.h"

namespace retouchd::stages {

class Calibration;
class GainPredictor;

/// What of the stages' behaviour may change while the daemon runs.
struct Settings {
  /// Whether pictures go through the network whole.
  enum class Mode { kAuto, kTiled, kSinglePass } mode = Mode::kAuto;
  image::DecodeLimits limits;
  Bytes file_size = gibibytes(2);  ///< larger files are refused
  image::EncodeOptions output;
  std::string software;                         ///< "retouchd 1.2.3": results say in their XMP what was done; empty: they do not
  bool keep_file_time = false;                  ///< results get the modification time of their originals
  std::chrono::seconds resume_longer_than{60};  ///< of the device's time for a picture: it keeps its finished tiles on disk
  bool preview = true;
  double preview_megapixels = 1.0;
  int preview_quality = 85;

  double threshold = 0.9;           ///< of the score, below which `hybrid` escalates
  double good_enough_db = 36;       ///< `progressive` ends with a level that lost no more
  std::vector<double> levels{4.0};  ///< megapixels between preview and full size, rising
  double skip_share = 0.5;          ///< of the recent pictures that may be passed on untouched
  enum class Fallback { kLocalFull, kLocalPreview, kQueue } fallback = Fallback::kLocalFull;  ///< node away or over budget
  std::shared_ptr<const Calibration> calibration;                                             ///< null: the built-in one
  std::shared_ptr<const GainPredictor> gain;  ///< null: no picture is passed on untouched
};

/// The settings in force. A stage asks once for each picture. Threads: safe.
class SettingsCell {
 public:
  explicit SettingsCell(const Settings& settings) : settings_(std::make_shared<const Settings>(settings)) {}

  [[nodiscard]] std::shared_ptr<const Settings> get() const {
    const std::lock_guard lock(mutex_);
    return settings_;
  }
  void set(const Settings& settings) {
    auto fresh = std::make_shared<const Settings>(settings);
    const std::lock_guard lock(mutex_);
    settings_ = std::move(fresh);
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const Settings> settings_;
};

}  // namespace retouchd::stages
