#include "stages/calibration.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "queue/publisher.h"
#include "stages/json_file.h"

namespace retouchd::stages {
namespace {

constexpr int kVersion = 1;
constexpr const char* kResampler = "area-cubic";  // the preview's way down, and image::LostDetail's way up
constexpr double kThresholdScore = 0.90;
constexpr double kMiddleScore = 0.95;
// Knots from the worst picture to the rate, to the middle, to the best.
constexpr std::size_t kRateKnot = 10;
constexpr std::size_t kMiddleKnot = 21;
constexpr std::size_t kLastKnot = Calibration::kKnots - 1;

/// Score of a knot.
constexpr std::array<double, Calibration::kKnots> kScores = [] {
  std::array<double, Calibration::kKnots> scores{};
  for (std::size_t i = 0; i <= kRateKnot; ++i) scores[i] = kThresholdScore * static_cast<double>(i) / kRateKnot;
  for (std::size_t i = kRateKnot; i <= kMiddleKnot; ++i)
    scores[i] =
        kThresholdScore + (kMiddleScore - kThresholdScore) * static_cast<double>(i - kRateKnot) / (kMiddleKnot - kRateKnot);
  for (std::size_t i = kMiddleKnot; i <= kLastKnot; ++i)
    scores[i] = kMiddleScore + (1 - kMiddleScore) * static_cast<double>(i - kMiddleKnot) / (kLastKnot - kMiddleKnot);
  return scores;
}();

/// Rank of a knot among n + 1 positions, 0..n; that of the rate is a whole number, so that exactly so many lie below.
double rank_of(std::size_t knot, double rate, std::size_t n) {
  const double count = static_cast<double>(n);
  const double at_rate = std::clamp(std::round(rate * count), 1.0, count - 1);
  const double middle = at_rate < count / 2 ? count / 2 : (at_rate + count) / 2;
  const auto between = [knot](double from, double to, std::size_t first, std::size_t last) {
    return from + (to - from) * static_cast<double>(knot - first) / static_cast<double>(last - first);
  };
  if (knot <= kRateKnot) return between(0, at_rate, 0, kRateKnot);
  if (knot <= kMiddleKnot) return between(at_rate, middle, kRateKnot, kMiddleKnot);
  return between(middle, count - 1, kMiddleKnot, kLastKnot);
}

Error refused(const std::filesystem::path& file, const std::string& reason) {
  return make_error(ErrorCode::kBadConfig, "the calibration " + file.string() + " cannot be used: " + reason);
}

}  // namespace

Result<Calibration> Calibration::fit(std::vector<double> values_db, double rate, double megapixels) {
  if (values_db.size() < kFewestPictures)
    return make_error(ErrorCode::kInvalidRequest, fmt::format("{} pictures are too few to calibrate with: at least {} are needed",
                                                              values_db.size(), kFewestPictures));
  if (!(rate > 0 && rate < 1))
    return make_error(ErrorCode::kInvalidRequest, fmt::format("a rate of {} makes no sense: it lies between 0 and 1", rate));
  if (!std::all_of(values_db.begin(), values_db.end(), [](double value) { return std::isfinite(value); }))
    return make_error(ErrorCode::kInvalidRequest, "a measured value is no number");
  std::sort(values_db.begin(), values_db.end());
  std::vector<double> knots(kKnots);
  for (std::size_t i = 0; i < kKnots; ++i) {
    const double rank = rank_of(i, rate, values_db.size());
    const auto below = static_cast<std::size_t>(rank);
    const double share = rank - static_cast<double>(below);
    const double next = values_db[std::min(below + 1, values_db.size() - 1)];
    knots[i] = values_db[below] + share * (next - values_db[below]);
  }
  return Calibration(std::move(knots), values_db.size(), rate, megapixels, true);
}

double Calibration::score(double db) const noexcept {
  if (!(db >= knots_.front())) return 0;  // also what is no number
  const auto above = std::upper_bound(knots_.begin(), knots_.end(), db);
  if (above == knots_.end()) return 1;
  const auto i = static_cast<std::size_t>(above - knots_.begin());
  const double share = (db - knots_[i - 1]) / (knots_[i] - knots_[i - 1]);
  return kScores[i - 1] + share * (kScores[i] - kScores[i - 1]);
}

double Calibration::threshold_db() const noexcept { return knots_[kRateKnot]; }

double Calibration::middle_db() const noexcept { return knots_[kMiddleKnot]; }

double Calibration::expected_error() const noexcept {
  return 1.96 * std::sqrt(rate_ * (1 - rate_) / static_cast<double>(std::max<std::size_t>(pictures_, 1)));
}

Result<Calibration> Calibration::load(const std::filesystem::path& file) {
  const auto read = read_json_object(file);
  if (!read) return read.error().code == ErrorCode::kInputMissing ? read.error() : refused(file, read.error().message);
  const nlohmann::json& json = *read;
  try {
    if (const int version = json.at("version").get<int>(); version != kVersion)
      return refused(file, fmt::format("its version is {}, and {} is known", version, kVersion));
    if (const auto resampler = json.at("resampler").get<std::string>(); resampler != kResampler)
      return refused(file, "it was made for the resampler `" + resampler + "`, not `" + kResampler + "`");
    const double rate = json.at("rate").get<double>();
    const double megapixels = json.at("megapixels").get<double>();
    const auto pictures = json.at("pictures").get<std::int64_t>();
    auto knots = json.at("knots").get<std::vector<double>>();
    if (!(rate > 0 && rate < 1)) return refused(file, fmt::format("`rate` is {} and not between 0 and 1", rate));
    if (!(megapixels > 0)) return refused(file, fmt::format("`megapixels` is {}", megapixels));
    if (pictures < static_cast<std::int64_t>(kFewestPictures)) return refused(file, fmt::format("`pictures` is {}", pictures));
    if (knots.size() != kKnots) return refused(file, fmt::format("it has {} knots instead of {}", knots.size(), kKnots));
    if (!std::is_sorted(knots.begin(), knots.end())) return refused(file, "its knots do not rise");
    return Calibration(std::move(knots), static_cast<std::size_t>(pictures), rate, megapixels, true);
  } catch (const nlohmann::json::exception& error) {
    return refused(file, error.what());
  }
}

Result<void> Calibration::save(const std::filesystem::path& file) const {
  const nlohmann::json json{{"version", kVersion},       {"pictures", pictures_},   {"rate", rate_},
                            {"megapixels", megapixels_}, {"resampler", kResampler}, {"knots", knots_}};
  const std::string text = json.dump(2) + "\n";
  return queue::Publisher::write_atomically(file, std::vector<std::uint8_t>(text.begin(), text.end()));
}

const Calibration& Calibration::built_in() {
  // The knots that bench/cascade prints with seed 1.
  static const Calibration calibration(
      {19.21, 22.26, 25.13, 26.16, 27.45, 27.82, 28.31, 28.64, 28.80, 29.13, 29.72, 30.44, 31.13, 31.87, 32.57, 33.23, 33.69,
       34.27, 34.76, 35.50, 35.87, 36.87, 37.76, 38.84, 39.74, 40.61, 41.41, 42.07, 42.82, 43.79, 45.12, 47.09, 56.51},
      500, 0.10, 1.0, false);
  return calibration;
}

}  // namespace retouchd::stages
