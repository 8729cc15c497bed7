#include "stages/calibration.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>

#include "tests/temporary_folder.h"

namespace retouchd::stages {
namespace {

std::vector<double> values(std::size_t count, unsigned seed = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<double> decibels(36, 6);
  std::vector<double> drawn(count);
  for (double& value : drawn) value = decibels(random);
  return drawn;
}

Calibration fitted(const std::vector<double>& measured, double rate) {
  auto calibration = Calibration::fit(measured, rate);
  EXPECT_TRUE(calibration.ok());
  return *calibration;
}

std::size_t escalated(const Calibration& calibration, const std::vector<double>& measured) {
  return static_cast<std::size_t>(
      std::count_if(measured.begin(), measured.end(), [&](double value) { return calibration.score(value) < 0.9; }));
}

TEST(Calibration, EscalatesExactlyTheWorstOfWhatItWasFittedOn) {
  for (const std::size_t count : {10, 11, 40, 200, 999}) {
    for (const double rate : {0.05, 0.1, 0.25, 0.5, 0.8}) {
      const auto measured = values(count);
      const auto expected =
          std::clamp<std::size_t>(static_cast<std::size_t>(std::lround(rate * static_cast<double>(count))), 1, count - 1);
      EXPECT_EQ(escalated(fitted(measured, rate), measured), expected) << count << " at " << rate;
    }
  }
}

TEST(Calibration, HoldsForOtherPicturesOfTheKind) {
  const auto others = values(4000, 2);
  const Calibration calibration = fitted(values(2000, 3), 0.10);
  EXPECT_NEAR(static_cast<double>(escalated(calibration, others)) / 4000, 0.10, 0.02);
  EXPECT_NEAR(calibration.expected_error(), 1.96 * std::sqrt(0.09 / 2000), 1e-12);
}

TEST(Calibration, ScoresFromZeroToOneAndNeverFalls) {
  for (const double rate : {0.02, 0.1, 0.5, 0.9}) {
    const Calibration calibration = fitted(values(300), rate);
    double before = 0;
    for (double db = 0; db < 80; db += 0.05) {
      const double score = calibration.score(db);
      EXPECT_GE(score, before) << db;
      EXPECT_LE(score, 1) << db;
      before = score;
    }
    EXPECT_EQ(calibration.score(0), 0);
    EXPECT_EQ(calibration.score(100), 1);
    EXPECT_EQ(calibration.score(calibration.threshold_db()), 0.9);
    EXPECT_EQ(calibration.score(calibration.middle_db()), 0.95);
    EXPECT_EQ(calibration.score(std::numeric_limits<double>::quiet_NaN()), 0);
  }
}

TEST(Calibration, TheMiddlePictureScoresNinetyFive) {
  const auto measured = values(401);
  auto sorted = measured;
  std::sort(sorted.begin(), sorted.end());
  EXPECT_NEAR(fitted(measured, 0.1).score(sorted[200]), 0.95, 0.001);
}

TEST(Calibration, BearsPicturesThatAreAllAlike) {
  const std::vector<double> same(50, 33.0);
  const Calibration calibration = fitted(same, 0.1);
  EXPECT_EQ(escalated(calibration, same), 0U);
  EXPECT_LT(calibration.score(32.9), 0.9);
}

TEST(Calibration, RefusesTooFewPicturesAndRatesWithoutSense) {
  EXPECT_EQ(Calibration::fit(values(9), 0.1).error().code, ErrorCode::kInvalidRequest);
  EXPECT_EQ(Calibration::fit(values(100), 0.0).error().code, ErrorCode::kInvalidRequest);
  EXPECT_EQ(Calibration::fit(values(100), 1.0).error().code, ErrorCode::kInvalidRequest);
  auto broken = values(100);
  broken[50] = std::numeric_limits<double>::infinity();
  EXPECT_EQ(Calibration::fit(broken, 0.1).error().code, ErrorCode::kInvalidRequest);
}

TEST(Calibration, TheBuiltInOneIsMarkedAndUsable) {
  const Calibration& calibration = Calibration::built_in();
  EXPECT_FALSE(calibration.is_users());
  EXPECT_EQ(calibration.knots().size(), Calibration::kKnots);
  EXPECT_TRUE(std::is_sorted(calibration.knots().begin(), calibration.knots().end()));
  EXPECT_DOUBLE_EQ(calibration.rate(), 0.10);
  EXPECT_LT(calibration.score(20), 0.9);
  EXPECT_GT(calibration.score(45), 0.9);
}

class CalibrationFile : public ::testing::Test {
 protected:
  [[nodiscard]] std::string refusal_of(const std::string& content) const {
    write_text(file_, content);
    const auto loaded = Calibration::load(file_);
    if (loaded) return "accepted";
    EXPECT_EQ(loaded.error().code, ErrorCode::kBadConfig);
    EXPECT_NE(loaded.error().message.find(file_.string()), std::string::npos) << loaded.error().message;
    return loaded.error().message;
  }
  [[nodiscard]] nlohmann::json good() const {
    EXPECT_TRUE(fitted(values(120), 0.2).save(file_).ok());
    return nlohmann::json::parse(read_text(file_));
  }

  const TemporaryFolder folder_;
  const std::filesystem::path file_ = folder_.path() / "calibration.json";
};

TEST_F(CalibrationFile, ComesBackAsItWasSaved) {
  const auto saved = Calibration::fit(values(120), 0.2, 2.5);
  ASSERT_TRUE(saved->save(file_).ok());
  const auto loaded = Calibration::load(file_);
  ASSERT_TRUE(loaded.ok()) << loaded.error().message;
  EXPECT_EQ(loaded->knots(), saved->knots());
  EXPECT_EQ(loaded->pictures(), 120U);
  EXPECT_DOUBLE_EQ(loaded->rate(), 0.2);
  EXPECT_DOUBLE_EQ(loaded->megapixels(), 2.5);
  EXPECT_TRUE(loaded->is_users());
}

TEST_F(CalibrationFile, ThatIsNotThereIsMissing) { EXPECT_EQ(Calibration::load(file_).error().code, ErrorCode::kInputMissing); }

TEST_F(CalibrationFile, IsRefusedWhenItMakesNoSense) {
  const auto with = [this](const char* key, const nlohmann::json& value) {
    auto json = good();
    json[key] = value;
    return refusal_of(json.dump());
  };
  const auto names = [](const std::string& message, const char* word) { return message.find(word) != std::string::npos; };
  EXPECT_TRUE(names(refusal_of("not json"), "JSON"));
  EXPECT_TRUE(names(refusal_of("[1, 2]"), "JSON"));
  EXPECT_TRUE(names(refusal_of("{}"), "version"));
  EXPECT_TRUE(names(refusal_of(""), "cannot be used"));
  EXPECT_TRUE(names(with("version", 2), "version"));
  EXPECT_TRUE(names(with("resampler", "lanczos"), "lanczos"));
  EXPECT_TRUE(names(with("rate", 1.5), "rate"));
  EXPECT_TRUE(names(with("rate", "often"), "type"));
  EXPECT_TRUE(names(with("megapixels", -1), "megapixels"));
  EXPECT_TRUE(names(with("pictures", 3), "pictures"));
  EXPECT_TRUE(names(with("knots", std::vector<double>{1, 2, 3}), "33"));
  std::vector<double> falling(33);
  for (std::size_t i = 0; i < falling.size(); ++i) falling[i] = 50.0 - static_cast<double>(i);
  EXPECT_TRUE(names(with("knots", falling), "rise"));
  auto holed = good();
  holed["knots"][5] = nullptr;
  EXPECT_NE(refusal_of(holed.dump()), "accepted");
  std::string huge = good().dump();
  const auto comma = huge.find(',', huge.find("knots"));
  EXPECT_NE(refusal_of(huge.replace(comma, 1, ",1e999,")), "accepted");
}

}  // namespace
}  // namespace retouchd::stages
