#include "stages/gain_predictor.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/temporary_folder.h"

namespace retouchd::stages {
namespace {

const std::filesystem::path kShipped = std::filesystem::path(RETOUCHD_SOURCE_DIR) / "models" / GainPredictor::kFile;

image::GainFeatures noisy(double sigma) {
  image::GainFeatures features;
  features.noise_sigma = 0.67 * sigma;
  features.detail = 200;
  features.residual_rms = sigma;
  features.residual_calm = 0.9 * sigma;
  features.residual_grain = 1;
  return features;
}

TEST(GainPredictor, TheShippedOneKnowsNoiseWhenItSeesIt) {
  const auto predictor = GainPredictor::load(kShipped);
  ASSERT_TRUE(predictor.ok()) << predictor.error().message;
  EXPECT_EQ(predictor->network(), "student-tiny");
  EXPECT_GT(predictor->probability(noisy(15)), 0.95);
  EXPECT_GT(predictor->threshold(), 0);
  EXPECT_LT(predictor->threshold(), 1);

  image::GainFeatures clean;
  clean.detail = 300;
  clean.residual_rms = 0.3;
  clean.residual_grain = 0.7;
  EXPECT_LT(predictor->probability(clean), 0.1);
  EXPECT_LT(predictor->probability(clean), predictor->threshold());
}

TEST(GainPredictor, TheShippedOneExpectsMoreTheMoreNoiseThereIs) {
  const auto predictor = GainPredictor::load(kShipped);
  ASSERT_TRUE(predictor.ok()) << predictor.error().message;
  double before = 0;
  for (const double sigma : {0.3, 1.0, 2.0, 4.0, 8.0}) {
    const double probability = predictor->probability(noisy(sigma));
    EXPECT_GT(probability, before) << sigma;
    EXPECT_LT(probability, 1) << sigma;
    before = probability;
  }
}

class GainPredictorFile : public ::testing::Test {
 protected:
  [[nodiscard]] std::string refusal_of(const nlohmann::json& json) const {
    write_text(file_, json.dump());
    const auto loaded = GainPredictor::load(file_);
    if (loaded) return "accepted";
    EXPECT_EQ(loaded.error().code, ErrorCode::kBadWeights);
    EXPECT_NE(loaded.error().message.find(file_.string()), std::string::npos);
    return loaded.error().message;
  }

  const TemporaryFolder folder_;
  const std::filesystem::path file_ = folder_.path() / GainPredictor::kFile;
};

TEST_F(GainPredictorFile, ThatIsNotThereIsMissing) {
  EXPECT_EQ(GainPredictor::load(file_).error().code, ErrorCode::kInputMissing);
}

TEST_F(GainPredictorFile, IsRefusedWhenItMakesNoSense) {
  const auto good = nlohmann::json::parse(read_text(kShipped));
  EXPECT_EQ(refusal_of(good), "accepted");
  for (const char* key : {"version", "network", "gain_db", "threshold", "bias", "terms"}) {
    auto json = good;
    json.erase(key);
    EXPECT_NE(refusal_of(json).find(key), std::string::npos) << key;
  }
  auto unknown = good;
  unknown["version"] = 99;
  EXPECT_NE(refusal_of(unknown).find("version"), std::string::npos);
  auto flat = good;
  flat["terms"]["log_noise"]["scale"] = 0;
  EXPECT_NE(refusal_of(flat).find("log_noise"), std::string::npos);
  auto more = good;
  more["terms"]["beauty"] = {{"mean", 0}, {"scale", 1}, {"weight", 1}};
  EXPECT_NE(refusal_of(more).find("terms"), std::string::npos);
  EXPECT_NE(refusal_of(nlohmann::json::array()).find("JSON"), std::string::npos);
}

}  // namespace
}  // namespace retouchd::stages
