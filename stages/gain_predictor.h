#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "image/gain_features.h"

namespace retouchd::stages {

/// Whether restoration would improve a picture visibly: a logistic regression over image::GainFeatures, fitted by
/// training/fit_skip.py to what a network gained on pictures whose truth is known (models/skip-good.md).
/// A value. Threads: safe while nobody assigns.
class GainPredictor {
 public:
  static constexpr const char* kFile = "skip-good.json";  ///< in a model folder

  /// kInputMissing when there is no such file; kBadWeights naming the file and what is wrong with it.
  [[nodiscard]] static Result<GainPredictor> load(const std::filesystem::path& file);

  /// Of a gain above gain_db(), 0..1.
  [[nodiscard]] double probability(const image::GainFeatures& features) const noexcept;

  [[nodiscard]] const std::string& network() const noexcept { return network_; }  ///< whose gain it knows
  [[nodiscard]] double gain_db() const noexcept { return gain_db_; }
  /// Pictures whose probability is below it are good enough as they are.
  [[nodiscard]] double threshold() const noexcept { return threshold_; }

 private:
  GainPredictor() = default;

  struct Term {
    double mean = 0;
    double scale = 1;
    double weight = 0;
  };

  std::vector<Term> terms_;  ///< in the order of the features' names
  double bias_ = 0;
  double gain_db_ = 0.5;
  double threshold_ = 0.5;
  std::string network_;
};

}  // namespace retouchd::stages
