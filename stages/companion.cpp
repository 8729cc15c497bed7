#include "stages/companion.h"

#include <cmath>
#include <opencv2/imgproc.hpp>
#include <string>

#include "base/file.h"
#include "image/orientation.h"

namespace retouchd::stages {
namespace {

using inference::Companion;

constexpr std::string_view kDepthSuffix = ".depth.png";

std::string size_text(cv::Size size) { return std::to_string(size.width) + "x" + std::to_string(size.height); }

bool is_same_shape(cv::Size a, cv::Size b) {
  // Rounded sides may differ by a pixel.
  const double ratio = static_cast<double>(b.width) / a.width;
  return std::abs(a.height * ratio - b.height) <= std::max(1.0, ratio);
}

/// Whether both pictures are upright for certain, given that their upright sizes fit. Programs that write depth often drop the
/// tag; then nobody knows whether its pixels were turned, unless lying sides against upright ones would tell.
bool are_both_upright(const image::Picture& first, const image::Picture& second) {
  const int a = first.orientation;
  const int b = second.orientation;
  return a == b || (image::swaps_sides(a) != image::swaps_sides(b) && first.width() != first.height());
}

/// Nothing when `second` fits as it is, else the reason.
std::string misfit(const image::Picture& first, const image::Picture& second, Companion companion) {
  const cv::Size a = first.colour.size();
  const cv::Size b = second.colour.size();
  if (companion == Companion::kDepth) {
    if (second.colour.type() != CV_16UC1 || !second.alpha.empty())
      return "depth is a 16-bit gray picture without alpha, in millimetres";
    if (!is_same_shape(a, b)) {
      return "it has " + size_text(b) + ", the picture " + size_text(a) +
             "; both need the same proportions and the same rotation";
    }
  } else if (a != b || first.colour.type() != second.colour.type()) {
    return "both views need the same size, colours and depth of bits";
  }
  if (are_both_upright(first, second)) return {};
  return "their EXIF orientations are " + std::to_string(second.orientation) + " and " + std::to_string(first.orientation) +
         "; store both upright, or give both the same orientation";
}

Error missing(const std::filesystem::path& source, const std::filesystem::path& path) {
  const std::string name = source.filename().string();
  std::string message = "the network restores pairs: " + name + " needs " + path.filename().string() + " beside it";
  if (name.ends_with(kDepthSuffix)) message = name + " is the depth of a pair; submit the colour picture beside it";
  return make_error(ErrorCode::kInputMissing, message);
}

}  // namespace

std::filesystem::path companion_path(const std::filesystem::path& source, Companion companion) {
  std::filesystem::path path = source;
  switch (companion) {
    case Companion::kNone:
      return {};
    case Companion::kDepth:
      return path.replace_extension(kDepthSuffix);
    case Companion::kRightView:
      break;
  }
  return path.replace_extension("." + std::string(inference::name_of(companion)) + source.extension().string());
}

Result<CompanionPicture> read_companion(image::FileCodec& codec, const std::filesystem::path& source, const image::Picture& first,
                                        Companion companion, const image::DecodeLimits& limits, Bytes file_limit) {
  const std::filesystem::path path = companion_path(source, companion);
  CompanionPicture second;
  const auto file = open_input(path, file_limit);
  if (!file) return file.error().code == ErrorCode::kInputMissing ? missing(source, path) : file.error();
  second.identity = file->identity;
  auto decoded = codec.decode(*file, limits);
  if (!decoded) {
    Error error = decoded.error();
    error.message = path.string() + ": " + error.message;
    return error;
  }
  second.picture = *std::move(decoded);
  if (const std::string reason = misfit(first, second.picture, companion); !reason.empty()) {
    return make_error(ErrorCode::kInvalidRequest, path.string() + " does not fit " + source.filename().string() + ": " + reason);
  }
  cv::Mat& pixels = second.picture.colour;
  if (pixels.size() != first.colour.size()) cv::resize(pixels, pixels, first.colour.size(), 0, 0, cv::INTER_NEAREST_EXACT);
  return second;
}

std::filesystem::path depth_output(const std::filesystem::path& source, const std::filesystem::path& wanted) {
  const std::string name = source.stem().string();
  const std::string stem = wanted.stem().string();
  if (stem != name && stem != name + "_restored") return wanted;
  return wanted.parent_path() / (stem + std::string(kDepthSuffix));
}

}  // namespace retouchd::stages
