// With the network `identity` on a device that computes, what differs between a picture and its result is a fault of ours.
#include "queue/decision.h"
#include "tests/daemon/pipeline_fixture.h"

namespace retouchd::daemon {
namespace {

class LosslessPipelineTest : public PipelineTest {
 protected:
  LosslessPipelineTest() {
    inference::DeviceOptions options{"cpu", 2};
    options.precision = inference::Precision::kBf16;  // identity computes in fp32 all the same
    auto devices = inference::open_devices(options);
    EXPECT_TRUE(devices) << devices.error().message;
    owned_ = *std::move(devices);
    options_.settings.limits.all_pages = true;
  }

  /// What a file holds.
  image::Picture read(const std::filesystem::path& path) const {
    const auto file = read_file(path, mebibytes(64));
    EXPECT_TRUE(file) << file.error().message;
    auto picture = image::decode(*file, options_.settings.limits);
    EXPECT_TRUE(picture) << picture.error().message;
    return picture ? *std::move(picture) : image::Picture{};
  }

  /// `picture` through the pipeline as a file of that format.
  image::Picture restored(const image::Picture& picture, image::FileFormat format) {
    const auto file = image::encode(picture, format, {});
    EXPECT_TRUE(file) << file.error().message;
    source_ = temporary_.write("picture" + std::string(image::suffix_of(format)), std::string(file->begin(), file->end()));
    start();
    queue::JobRequest request;
    request.network = "identity";
    job_ = submit(source_, request);
    wait_for(job_, "done");
    return read(store_->get(job_)->output);
  }

  static cv::Mat noise(cv::Size size, int type) {
    cv::Mat picture(size, type);
    const int depth = CV_MAT_DEPTH(type);
    cv::RNG generator(static_cast<std::uint64_t>(size.width));
    if (depth == CV_32F) {
      generator.fill(picture, cv::RNG::UNIFORM, -0.25, 1.75);
    } else {
      generator.fill(picture, cv::RNG::UNIFORM, 0, depth == CV_16U ? 65536 : 256);
    }
    return picture;
  }

  /// Values of which a third is 0 and a third full.
  static cv::Mat ragged_alpha(cv::Size size, int depth) {
    cv::Mat alpha = noise(size, CV_MAKETYPE(depth, 1));
    const int third = size.width / 3;
    alpha.colRange(0, third).setTo(0);
    alpha.colRange(third, 2 * third).setTo(depth == CV_8U ? 255 : 65535);
    return alpha;
  }

  static void expect_equal(const cv::Mat& a, const cv::Mat& b) {
    ASSERT_EQ(a.type(), b.type());
    ASSERT_EQ(a.size(), b.size());
    EXPECT_EQ(cv::norm(a, b, cv::NORM_INF), 0);
  }

  std::filesystem::path source_;
  queue::JobId job_ = 0;
};

TEST_F(LosslessPipelineTest, SixteenBitsWithAlphaComeBackBitForBit) {
  image::Picture picture;
  picture.colour = noise({701, 333}, CV_16UC3);
  picture.alpha = ragged_alpha(picture.colour.size(), CV_16U);
  const image::Picture result = restored(picture, image::FileFormat::kPng);
  expect_equal(result.colour, picture.colour);
  expect_equal(result.alpha, picture.alpha);
}

TEST_F(LosslessPipelineTest, EightBitsWithAlphaComeBackBitForBit) {
  image::Picture picture;
  picture.colour = noise({555, 240}, CV_8UC3);
  picture.alpha = ragged_alpha(picture.colour.size(), CV_8U);
  const image::Picture result = restored(picture, image::FileFormat::kPng);
  expect_equal(result.colour, picture.colour);
  expect_equal(result.alpha, picture.alpha);
}

TEST_F(LosslessPipelineTest, FloatsComeBackBitForBit) {
  image::Picture picture;
  picture.colour = noise({620, 350}, CV_32FC3);
  picture.file_bits = 32;
  const image::Picture result = restored(picture, image::FileFormat::kTiff);
  const image::Picture original = read(source_);
  EXPECT_TRUE(result.is_float());
  expect_equal(result.colour, original.colour);
  EXPECT_EQ(result.range.low, original.range.low);
  EXPECT_EQ(result.range.high, original.range.high);
}

TEST_F(LosslessPipelineTest, EveryPageOfAFileComesBack) {
  image::Picture picture;
  picture.colour = noise({620, 350}, CV_16UC1);
  picture.file_bits = 16;
  picture.pages.resize(2);
  picture.pages[0].colour = noise({200, 100}, CV_8UC3);
  picture.pages[1].colour = noise({100, 400}, CV_16UC3);
  picture.pages[1].file_bits = 16;
  const image::Picture result = restored(picture, image::FileFormat::kTiff);
  expect_equal(result.colour, picture.colour);
  ASSERT_EQ(result.pages.size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) expect_equal(result.pages[i].colour, picture.pages[i].colour);
  EXPECT_EQ(queue::decision_from_text(store_->get(job_)->decision)->code, "pages");
}

}  // namespace
}  // namespace retouchd::daemon
