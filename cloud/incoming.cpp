#include "cloud/incoming.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <exception>
#include <opencv2/imgproc.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "base/file.h"
#include "image/orientation.h"

namespace retouchd::cloud {
namespace {

using image::FileFormat;

constexpr int kMostScale = 8;
constexpr int kCells = 8;                ///< along a side of the small copies that are compared
constexpr double kMeanTolerance = 0.10;  ///< of the full range; restoring changes the mean by less than 0.01
constexpr double kCellTolerance = 0.15;  ///< root mean square over the cells

Error refused(std::string why) {
  return make_error(ErrorCode::kCloudFailed, "the cloud node's result is refused: " + std::move(why));
}

/// What is remembered of a picture to compare another with.
struct Impression {
  int width = 0;
  int height = 0;
  int type = 0;      ///< of OpenCV
  int channels = 0;  ///< without alpha
  bool has_alpha = false;
  bool is_flat = false;  ///< one value per channel
  double mean = 0;       ///< 0..1
  cv::Mat cells;         ///< CV_32FC1 or CV_32FC3, 0..1
};

Impression impression_of(const cv::Mat& colour) {
  Impression seen;
  seen.width = colour.cols;
  seen.height = colour.rows;
  seen.type = colour.type();
  seen.channels = colour.channels();
  const cv::Mat flat = colour.reshape(1);
  // Channel by channel a flat red picture is flat too.
  seen.is_flat = true;
  std::vector<cv::Mat> planes;
  for (int channel = 0; channel < colour.channels() && seen.is_flat; ++channel) {
    cv::Mat plane;
    cv::extractChannel(colour, plane, channel);
    double low = 0;
    double high = 0;
    cv::minMaxLoc(plane, &low, &high);
    seen.is_flat = low == high;
  }
  const double range = colour.depth() == CV_16U ? 65'535.0 : 255.0;
  const cv::Size size(std::min(kCells, colour.cols), std::min(kCells, colour.rows));
  cv::resize(colour, seen.cells, size, 0, 0, cv::INTER_AREA);
  seen.cells.convertTo(seen.cells, CV_32F, 1.0 / range);
  seen.mean = cv::mean(flat)[0] / range;
  return seen;
}

double cell_difference(const cv::Mat& a, const cv::Mat& b) {
  cv::Mat difference;
  cv::subtract(a, b, difference);
  const cv::Mat flat = difference.reshape(1);
  return std::sqrt(flat.dot(flat) / static_cast<double>(flat.total()));
}

std::optional<Error> fault_of_header(const image::PictureHeader& header, const Impression& sent) {
  if (header.format != FileFormat::kPng && header.format != FileFormat::kJpeg)
    return refused(fmt::format("it is {}, not PNG or JPEG", image::name_of(header.format)));
  const auto width = static_cast<std::uint32_t>(sent.width);
  const auto height = static_cast<std::uint32_t>(sent.height);
  const std::uint32_t scale = header.width / width;
  if (scale < 1 || scale > kMostScale || header.width != scale * width || header.height != scale * height) {
    return refused(fmt::format("it has {}x{} pixels, which is no whole multiple (1 to {}) of {}x{}", header.width, header.height,
                               kMostScale, sent.width, sent.height));
  }
  const bool is_transparent = sent.has_alpha && header.channels == sent.channels + 1;
  if (header.channels != sent.channels && !is_transparent)
    return refused(fmt::format("it has {} channels, and the picture has {}", header.channels, sent.channels));
  return std::nullopt;
}

std::optional<Error> fault_of_pixels(const Impression& result, const Impression& sent) {
  if (result.type != sent.type) return refused("it has another depth than the picture");
  const double scale = static_cast<double>(result.width) / sent.width;
  if (result.width != scale * sent.width || result.height != scale * sent.height)
    return refused("it decodes to another size than its header says");
  if (result.is_flat && !sent.is_flat) return refused("it has one colour only");
  if (!(std::abs(result.mean - sent.mean) <= kMeanTolerance))
    return refused(fmt::format("its mean brightness is {:.2f}, that of the picture {:.2f}", result.mean, sent.mean));
  if (!(cell_difference(result.cells, sent.cells) <= kCellTolerance)) return refused("it shows something else than the picture");
  return std::nullopt;
}

Result<Impression> impression_of_sent(image::FileCodec& codec, const Parcel& sent, const image::DecodeLimits& limits) {
  const auto file = open_input(sent.file, sent.size);
  if (!file) return make_error(ErrorCode::kIoError, file.error().message);
  const auto picture = codec.decode(*file, limits);
  if (!picture) return picture.error();
  Impression seen = impression_of(picture->colour);
  seen.has_alpha = !picture->alpha.empty();
  return seen;
}

Result<std::filesystem::path> put_durably(const std::filesystem::path& path, const std::vector<std::uint8_t>& bytes) {
  auto temporary = path;
  temporary += ".new";
  if (auto written = write_file_synced(temporary, bytes); !written) {
    std::error_code ignored;
    std::filesystem::remove(temporary, ignored);
    return written.error();
  }
  if (std::rename(temporary.c_str(), path.c_str()) != 0)
    return error_from_errno(errno, "cannot rename " + temporary.string(), false);
  if (auto synced = sync_directory(path.parent_path()); !synced) return synced.error();
  return path;
}

Result<std::filesystem::path> accept_unguarded(image::FileCodec& codec, const std::filesystem::path& part,
                                               const Announced& announced, const Parcel& sent, const std::filesystem::path& to,
                                               const image::DecodeLimits& limits) {
  const auto original = impression_of_sent(codec, sent, limits);
  if (!original) return original.error();

  auto bytes = read_file(part, announced.size);
  if (!bytes) return refused(bytes.error().message);
  if (bytes->size() != announced.size.value)
    return refused(fmt::format("{} bytes came instead of {}", bytes->size(), announced.size.value));
  if (sha256_hex(*bytes) != announced.sha256) return refused("its content does not have the hash that was announced");

  // The header decides before memory is touched.
  const auto file = input_of(*bytes);  // what was hashed, whatever becomes of the part
  if (!file) return file.error();
  const auto header = codec.read_header(*file, limits);
  if (!header) return refused(header.error().message);
  if (auto fault = fault_of_header(*header, *original)) return *fault;
  auto picture = codec.decode(*file, *header, limits);
  if (!picture) return refused(picture.error().message);
  if (auto fault = fault_of_pixels(impression_of(picture->colour), *original)) return *fault;

  const bool is_jpeg = header->format == FileFormat::kJpeg;
  auto path = to;
  if (sent.turn == 1) {
    path += is_jpeg ? ".jpg" : ".png";
    return put_durably(path, *bytes);
  }
  bytes->clear();
  picture->colour = image::upright(picture->colour, sent.turn);
  picture->alpha = image::upright(picture->alpha, sent.turn);
  picture->metadata.reset();
  image::EncodeOptions options;
  options.png_level = 1;  // read once more here, then removed
  auto turned = codec.encode(*picture, FileFormat::kPng, options);
  if (!turned) return turned.error();
  path += ".png";
  return put_durably(path, *turned);
}

}  // namespace

Result<std::filesystem::path> accept_result(image::FileCodec& codec, const std::filesystem::path& part,
                                            const Announced& announced, const Parcel& sent, const std::filesystem::path& to,
                                            const image::DecodeLimits& limits) {
  try {
    return accept_unguarded(codec, part, announced, sent, to, limits);
  } catch (const std::exception& error) {
    return refused(error.what());
  }
}

}  // namespace retouchd::cloud
