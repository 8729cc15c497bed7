#include "daemon/calibrate_tool.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>

#include "base/file.h"
#include "image/codec.h"
#include "stages/calibration.h"
#include "tests/temporary_folder.h"

namespace retouchd::daemon {
namespace {

class CalibrateTool : public ::testing::Test {
 protected:
  CalibrateTool() {
    config_.preview.megapixels = 0.01;
    config_.cascade.calibration = folder_.path() / "state/calibration.json";
  }

  /// Pictures of 200x150 that get sharper by the number.
  void write_pictures(int count) const {
    for (int i = 0; i < count; ++i) {
      cv::Mat noise(150, 200, CV_8UC3);
      cv::RNG luck(static_cast<std::uint64_t>(i) + 1);
      luck.fill(noise, cv::RNG::UNIFORM, 0, 256);
      image::Picture picture;
      cv::GaussianBlur(noise, picture.colour, {}, 4.0 / (i + 1) + 0.5);
      const auto file = image::encode(picture, image::FileFormat::kPng, {});
      const auto path = pictures_ / (i % 2 == 0 ? "" : "more") / (std::to_string(i) + ".png");
      write_text(path, {reinterpret_cast<const char*>(file->data()), file->size()});
    }
  }

  struct Outcome {
    int code = 0;
    std::string out;
    std::string err;
  };
  [[nodiscard]] Outcome run(bool json = false) {
    options_.folder = pictures_;
    options_.json = json;
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    const int code = calibrate_tool(config_, options_);
    std::fflush(stdout);
    return {code, ::testing::internal::GetCapturedStdout(), ::testing::internal::GetCapturedStderr()};
  }

  const TemporaryFolder folder_;
  const std::filesystem::path pictures_ = folder_.path() / "pictures";
  config::Config config_;
  CalibrateOptions options_;
};

TEST_F(CalibrateTool, WritesWhatTheConfigurationNames) {
  write_pictures(20);
  options_.rate = 0.25;
  const Outcome outcome = run();
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto calibration = stages::Calibration::load(config_.cascade.calibration);
  ASSERT_TRUE(calibration.ok()) << calibration.error().message;
  EXPECT_EQ(calibration->pictures(), 20U);
  EXPECT_DOUBLE_EQ(calibration->rate(), 0.25);
  EXPECT_DOUBLE_EQ(calibration->megapixels(), 0.01);
  EXPECT_NE(outcome.out.find(config_.cascade.calibration.string()), std::string::npos);
  EXPECT_NE(outcome.out.find("warning: 20 pictures are few"), std::string::npos);
}

TEST_F(CalibrateTool, TakesTheRateOfTheConfigurationAndAnotherFile) {
  write_pictures(12);
  config_.cascade.rate = 0.5;
  const auto file = folder_.path() / "mine.json";
  options_.output = file;
  const Outcome outcome = run(true);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto report = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(report.at("pictures"), 12);
  EXPECT_EQ(report.at("rate"), 0.5);
  EXPECT_EQ(report.at("knots").size(), stages::Calibration::kKnots);
  EXPECT_EQ(report.at("output"), file.string());
  EXPECT_TRUE(stages::Calibration::load(file).ok());
  EXPECT_FALSE(std::filesystem::exists(config_.cascade.calibration));
}

TEST_F(CalibrateTool, SkipsWhatIsNoPictureAndNamesWhatIsBroken) {
  write_pictures(12);
  write_text(pictures_ / "notes.txt", "no picture");
  write_text(pictures_ / ".hidden.png", "not looked at");
  write_text(pictures_ / "broken.png", "\x89PNG\r\n\x1a\n and then nothing");
  const Outcome outcome = run(true);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto report = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(report.at("skipped"), 1);
  ASSERT_EQ(report.at("refused").size(), 1U);
  EXPECT_EQ(report.at("refused")[0].at("file"), (pictures_ / "broken.png").string());
  EXPECT_NE(run().out.find("broken.png"), std::string::npos);
}

TEST_F(CalibrateTool, RefusesAHandfulOfPictures) {
  write_pictures(9);
  const Outcome outcome = run();
  EXPECT_EQ(outcome.code, 2);
  EXPECT_NE(outcome.err.find("9 pictures"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("10 are needed"), std::string::npos) << outcome.err;
  EXPECT_FALSE(std::filesystem::exists(config_.cascade.calibration));
}

TEST_F(CalibrateTool, DoesNotCountPicturesThatArePreviewsAlready) {
  write_pictures(20);
  config_.preview.megapixels = 1;
  EXPECT_EQ(run().code, 2);
}

TEST_F(CalibrateTool, SaysWhenTheFolderIsNotThere) {
  const Outcome outcome = run();
  EXPECT_EQ(outcome.code, 3);
  EXPECT_NE(outcome.err.find(pictures_.string()), std::string::npos) << outcome.err;
}

}  // namespace
}  // namespace retouchd::daemon
