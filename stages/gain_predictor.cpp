#include "stages/gain_predictor.h"

#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "stages/json_file.h"

namespace retouchd::stages {
namespace {

constexpr int kVersion = 1;
constexpr double kSmallest = 0.1;  // keeps logarithms finite

/// The names that the file gives, in the order of inputs().
constexpr std::array<const char*, 7> kNames{"log_noise",        "log_blockiness",    "log_detail",    "clipped",
                                            "log_residual_rms", "log_residual_calm", "residual_grain"};

std::array<double, kNames.size()> inputs(const image::GainFeatures& features) {
  const auto log = [](double value) { return std::log(std::max(value, kSmallest)); };
  return {log(features.noise_sigma),  log(features.blockiness),    log(features.detail),   features.clipped,
          log(features.residual_rms), log(features.residual_calm), features.residual_grain};
}

Error refused(const std::filesystem::path& file, const std::string& reason) {
  return make_error(ErrorCode::kBadWeights, file.string() + " cannot be used: " + reason);
}

}  // namespace

Result<GainPredictor> GainPredictor::load(const std::filesystem::path& file) {
  const auto read = read_json_object(file);
  if (!read) return read.error().code == ErrorCode::kInputMissing ? read.error() : refused(file, read.error().message);
  const nlohmann::json& json = *read;
  GainPredictor predictor;
  try {
    if (json.at("version").get<int>() != kVersion) return refused(file, "its version is unknown");
    predictor.network_ = json.at("network").get<std::string>();
    predictor.gain_db_ = json.at("gain_db").get<double>();
    predictor.threshold_ = json.at("threshold").get<double>();
    predictor.bias_ = json.at("bias").get<double>();
    const auto& terms = json.at("terms");
    if (terms.size() != kNames.size()) return refused(file, "it has another number of terms than there are features");
    for (const char* name : kNames) {
      const auto& term = terms.at(name);
      predictor.terms_.push_back(
          {term.at("mean").get<double>(), term.at("scale").get<double>(), term.at("weight").get<double>()});
      if (!(predictor.terms_.back().scale > 0)) return refused(file, std::string("the scale of `") + name + "` is not positive");
    }
  } catch (const nlohmann::json::exception& error) {
    return refused(file, error.what());
  }
  return predictor;
}

double GainPredictor::probability(const image::GainFeatures& features) const noexcept {
  double sum = bias_;
  const auto values = inputs(features);
  for (std::size_t i = 0; i < values.size(); ++i) sum += terms_[i].weight * (values[i] - terms_[i].mean) / terms_[i].scale;
  return 1 / (1 + std::exp(-sum));
}

}  // namespace retouchd::stages
