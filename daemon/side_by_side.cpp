#include "daemon/side_by_side.h"

#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>

#include "base/file.h"
#include "daemon/engine.h"
#include "image/resize.h"
#include "inference/full_scale.h"
#include "queue/publisher.h"

namespace retouchd::daemon {
namespace {

constexpr double kMegapixels = 2.0;
constexpr int kLine = 4;

/// Decoded, 8-bit RGB, at most kMegapixels.
Result<cv::Mat> load(image::FileCodec& codec, const std::filesystem::path& path, const stages::Settings& settings) {
  const auto file = open_input(path, settings.file_size);
  if (!file) return file.error();
  auto picture = codec.decode(*file, settings.limits);
  if (!picture) return make_error(picture.error().code, path.string() + ": " + picture.error().message);
  cv::Mat half = image::shrink_to(picture->colour, kMegapixels);
  half.convertTo(half, CV_8U, 255.0 / inference::full_scale(half.depth()));
  if (half.channels() == 1) cv::cvtColor(half, half, cv::COLOR_GRAY2RGB);
  return half;
}

}  // namespace

Result<void> write_side_by_side(const config::Config& config, const std::filesystem::path& before,
                                const std::filesystem::path& after, const std::filesystem::path& output) {
  const stages::Settings settings = settings_of(config);
  const auto codec = open_codec(config);
  if (!codec) return codec.error();
  auto left = load(**codec, before, settings);
  if (!left) return left.error();
  const auto right = load(**codec, after, settings);
  if (!right) return right.error();
  if (left->rows != right->rows) {
    const int width = static_cast<int>(static_cast<std::int64_t>(left->cols) * right->rows / left->rows);
    cv::resize(*left, *left, cv::Size(std::max(1, width), right->rows), 0, 0, cv::INTER_AREA);
  }
  image::Picture both;
  const cv::Mat line(right->rows, kLine, CV_8UC3, cv::Scalar::all(255));
  cv::hconcat(std::vector<cv::Mat>{*left, line, *right}, both.colour);
  image::EncodeOptions options;
  const auto file = (*codec)->encode(both, image::FileFormat::kJpeg, options);
  if (!file) return file.error();
  return queue::Publisher::write_atomically(output, *file);
}

}  // namespace retouchd::daemon
