#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"

namespace retouchd::stages {

/// Turns decibels of image::LostDetail::value() into a score from 0 to 1 whose meaning is a share of pictures: 0.9 is where
/// `rate` of the pictures it was fitted on lie below, 0.95 half of them, 0 and 1 are the worst and the best. What a decibel means
/// depends on what is photographed and on the preview's size; so users fit it on their own pictures (`retouch calibrate`). A
/// value: copy it. Threads: safe while nobody assigns.
class Calibration {
 public:
  static constexpr std::size_t kKnots = 33;
  static constexpr std::size_t kFewestPictures = 10;  ///< fit() needs

  /// `values_db`: one of each picture, at least kFewestPictures, finite; `rate`: 0 < rate < 1; `megapixels`: the preview's size.
  /// Of n distinct values exactly round(rate * n) will score below 0.9. kInvalidRequest otherwise.
  [[nodiscard]] static Result<Calibration> fit(std::vector<double> values_db, double rate, double megapixels = 1.0);

  /// Fitted on generated pictures at a rate of 0.10, for those who have not calibrated.
  [[nodiscard]] static const Calibration& built_in();

  /// kInputMissing when there is no such file; kBadConfig naming the file and what is wrong with it.
  [[nodiscard]] static Result<Calibration> load(const std::filesystem::path& file);
  /// Appears whole or not at all.
  [[nodiscard]] Result<void> save(const std::filesystem::path& file) const;

  /// 0..1, never falling with `db`.
  [[nodiscard]] double score(double db) const noexcept;

  [[nodiscard]] std::size_t pictures() const noexcept { return pictures_; }
  [[nodiscard]] double rate() const noexcept { return rate_; }
  [[nodiscard]] double megapixels() const noexcept { return megapixels_; }            ///< of the previews it holds for
  [[nodiscard]] bool is_users() const noexcept { return is_users_; }                  ///< false: built_in()
  [[nodiscard]] const std::vector<double>& knots() const noexcept { return knots_; }  ///< dB, rising
  [[nodiscard]] double threshold_db() const noexcept;                                 ///< scores 0.9
  [[nodiscard]] double middle_db() const noexcept;                                    ///< scores 0.95
  /// 95 of 100 times the share of further pictures of that kind below 0.9 is within so much of `rate`.
  [[nodiscard]] double expected_error() const noexcept;

 private:
  Calibration(std::vector<double> knots, std::size_t pictures, double rate, double megapixels, bool is_users)
      : knots_(std::move(knots)), pictures_(pictures), rate_(rate), megapixels_(megapixels), is_users_(is_users) {}

  std::vector<double> knots_;  ///< kKnots
  std::size_t pictures_;
  double rate_;
  double megapixels_;
  bool is_users_;
};

}  // namespace retouchd::stages
