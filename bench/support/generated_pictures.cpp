#include "bench/support/generated_pictures.h"

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>
#include <string>

#include "image/codec.h"

namespace retouchd::bench {
namespace {

constexpr int kFine = 2;  // scenes are drawn at so many times their size
constexpr int kTextureSide = 1024;
constexpr int kTextures = 20;

/// Uniform in [0, 1].
double chance(cv::RNG& luck) { return luck.uniform(0.0, 1.0); }

double exponential(cv::RNG& luck, double mean) { return -mean * std::log(1.0 - luck.uniform(0.0, 0.999999)); }

cv::Mat normalised(cv::Mat field) {
  cv::Scalar mean;
  cv::Scalar deviation;
  cv::meanStdDev(field, mean, deviation);
  return (field - mean[0]) / std::max(1e-6, deviation[0]);
}

/// Waves whose phase wobbles: cloth, fences, brick.
cv::Mat waves(cv::RNG& luck) {
  const double angle = luck.uniform(0.0, CV_PI);
  const double period = std::exp(luck.uniform(std::log(5.0), std::log(80.0)));
  cv::Mat coarse(10, 10, CV_32FC1);
  luck.fill(coarse, cv::RNG::NORMAL, 0.0, luck.uniform(0.0, 3.0));
  cv::Mat field;
  cv::resize(coarse, field, {kTextureSide, kTextureSide}, 0, 0, cv::INTER_CUBIC);
  for (int y = 0; y < field.rows; ++y) {
    auto* row = field.ptr<float>(y);
    for (int x = 0; x < field.cols; ++x)
      row[x] = static_cast<float>(std::sin((y * std::sin(angle) + x * std::cos(angle)) * 2 * CV_PI / period + row[x]));
  }
  return normalised(field);
}

/// A sum of octaves: stone, clouds, foliage. The finer ones count the more the rougher.
cv::Mat octaves(cv::RNG& luck) {
  const double roughness = luck.uniform(0.4, 1.1);
  cv::Mat field(kTextureSide, kTextureSide, CV_32FC1, cv::Scalar(0));
  double weight = 1;
  for (int side = 4; side <= kTextureSide; side *= 2) {
    cv::Mat grid(side, luck.uniform(0, 3) == 0 ? side / 2 : side, CV_32FC1);
    luck.fill(grid, cv::RNG::NORMAL, 0.0, 1.0);
    cv::Mat octave;
    cv::resize(grid, octave, field.size(), 0, 0, cv::INTER_CUBIC);
    field += weight * octave;
    weight *= roughness;
  }
  return normalised(field);
}

/// A texture goes on as its own mirror image.
int mirrored(int position) {
  const int within = position % (2 * kTextureSide);
  return within < kTextureSide ? within : 2 * kTextureSide - 1 - within;
}

/// What decides most about a scene, each 0..1.
struct Scene {
  double kind = 0;
  double contrast = 0;
  double fineness = 0;
};

/// Draws one scene.
class Painter {
 public:
  Painter(const Scene& scene, cv::RNG luck, cv::Size size, const std::vector<cv::Mat>& textures)
      : luck_(luck),
        canvas_(size.height * kFine, size.width * kFine, CV_8UC3),
        textures_(textures),
        texture_contrast_(3 + 22 * scene.contrast),
        kind_(scene.kind),
        fineness_(scene.fineness) {
    const double gray = luck_.uniform(40.0, 215.0);
    const double saturation = luck_.uniform(5.0, 80.0);
    const double contrast = 15 + 55 * scene.contrast;
    for (int i = 0; i < 24; ++i) {
      const double brightness = gray + luck_.gaussian(contrast);
      palette_.emplace_back(brightness + luck_.gaussian(saturation) / 2, brightness + luck_.gaussian(saturation) / 2,
                            brightness + luck_.gaussian(saturation) / 2);
    }
  }

  cv::Mat paint() {
    background();
    if (kind_ < 0.28) {  // a thing before something out of focus
      leaves(luck_.uniform(60, 300), 30);
      blur(luck_.uniform(6.0, 30.0));
      leaves(static_cast<int>(10 + 390 * fineness_), luck_.uniform(6.0, 40.0));
    } else if (kind_ < 0.58) {
      leaves(static_cast<int>(100 * std::pow(60, fineness_)), 30 - 27 * fineness_);
    } else if (kind_ < 0.68) {  // grass, gravel, cloth
      texture({{0, 0}, canvas_.size()}, 8 + 32 * fineness_);
      leaves(luck_.uniform(0, 40), 40);
    } else if (kind_ < 0.78) {
      leaves(80, 40);
      blur(10);
      hair(static_cast<int>(300 * std::pow(16, fineness_)));
    } else if (kind_ < 0.85) {
      leaves(luck_.uniform(0, 40), 40);
      text(static_cast<int>(15 + 105 * fineness_));
    } else if (kind_ < 0.93) {
      windows(static_cast<int>(3 + 12 * fineness_));
      leaves(luck_.uniform(0, 80), 12);
    }  // else a sky, a wall
    lines(luck_.uniform(0, 16));
    cv::Mat scene;
    cv::resize(canvas_, scene, {canvas_.cols / kFine, canvas_.rows / kFine}, 0, 0, cv::INTER_AREA);
    return scene;
  }

 private:
  cv::Scalar colour() {
    cv::Scalar colour = palette_[static_cast<std::size_t>(luck_.uniform(0, static_cast<int>(palette_.size())))];
    for (int i = 0; i < 3; ++i) colour[i] = std::clamp(colour[i] + luck_.gaussian(6), 0.0, 255.0);
    return colour;
  }

  cv::Point anywhere() { return {luck_.uniform(0, canvas_.cols), luck_.uniform(0, canvas_.rows)}; }

  void blur(double sigma) {
    // At a quarter of the size, as nothing finer is left.
    cv::Mat small;
    cv::resize(canvas_, small, {}, 0.25, 0.25, cv::INTER_AREA);
    cv::GaussianBlur(small, small, {}, sigma / 4);
    cv::resize(small, canvas_, canvas_.size(), 0, 0, cv::INTER_CUBIC);
  }

  void background() {
    cv::Mat corners(3, 3, CV_32FC3);
    for (int i = 0; i < 9; ++i) {
      const cv::Scalar at = colour();
      corners.at<cv::Vec3f>(i / 3, i % 3) =
          cv::Vec3f(static_cast<float>(at[0]), static_cast<float>(at[1]), static_cast<float>(at[2]));
    }
    cv::Mat wide;
    cv::resize(corners, wide, canvas_.size(), 0, 0, cv::INTER_CUBIC);
    wide.convertTo(canvas_, CV_8U);
    if (chance(luck_) < 0.6) texture({{0, 0}, canvas_.size()}, luck_.uniform(1.0, 15.0));
  }

  void texture(const cv::Rect& area, double contrast) { fill(area, cv::Mat(), cv::Scalar(), contrast, 0, true); }

  /// Textures the area of `mask` (empty: all of it) with a mean of `base`, or of what is there.
  void fill(const cv::Rect& area, const cv::Mat& mask, const cv::Scalar& base, double contrast, double slope, bool keeps) {
    const cv::Mat& texture = textures_[static_cast<std::size_t>(luck_.uniform(0, static_cast<int>(textures_.size())))];
    const int top = luck_.uniform(0, kTextureSide);
    const int left = luck_.uniform(0, kTextureSide);
    const double tint[3] = {luck_.uniform(0.7, 1.0), luck_.uniform(0.7, 1.0), luck_.uniform(0.7, 1.0)};
    for (int y = 0; y < area.height; ++y) {
      const auto* grain = texture.ptr<float>(mirrored(top + y));
      const std::uint8_t* inside = mask.empty() ? nullptr : mask.ptr(y);
      auto* row = canvas_.ptr<cv::Vec3b>(area.y + y) + area.x;
      for (int x = 0; x < area.width; ++x) {
        if (inside != nullptr && inside[x] == 0) continue;
        const double value = contrast * static_cast<double>(grain[mirrored(left + x)]) + slope * (2.0 * x / area.width - 1);
        for (int c = 0; c < 3; ++c) row[x][c] = cv::saturate_cast<std::uint8_t>((keeps ? row[x][c] : base[c]) + tint[c] * value);
      }
    }
  }

  void leaves(int count, double smallest) {
    const double largest = 0.3 * std::min(canvas_.cols, canvas_.rows);
    const bool is_calm = chance(luck_) < 0.3;
    for (int i = 0; i < count; ++i) {
      const double low = std::pow(largest, -2);
      const double radius = std::pow(low + chance(luck_) * (std::pow(smallest, -2) - low), -0.5);  // density r^-3
      const std::vector<cv::Point> outline = outline_of(radius);
      const cv::Rect area = cv::boundingRect(outline) & cv::Rect({0, 0}, canvas_.size());
      if (area.empty()) continue;
      cv::Mat mask(area.size(), CV_8UC1, cv::Scalar(0));
      cv::fillPoly(mask, std::vector<std::vector<cv::Point>>{outline}, cv::Scalar(255), cv::LINE_8, 0, -area.tl());
      const double contrast = is_calm && chance(luck_) < 0.7 ? 0 : exponential(luck_, texture_contrast_);
      fill(area, mask, colour(), contrast, chance(luck_) < 0.4 ? luck_.gaussian(25) : 0, false);
    }
  }

  std::vector<cv::Point> outline_of(double radius) {
    const cv::Point centre = anywhere();
    const bool is_round = chance(luck_) < 0.5;
    const int corners = is_round ? 24 : luck_.uniform(3, 8);
    const double flat = luck_.uniform(0.25, 1.0);
    const double turn = luck_.uniform(0.0, 2 * CV_PI);
    std::vector<cv::Point> outline;
    for (int i = 0; i < corners; ++i) {
      const double angle = 2 * CV_PI * (i + (is_round ? 0.0 : luck_.uniform(0.0, 0.8))) / corners;
      const double length = radius * (is_round ? 1.0 : luck_.uniform(0.6, 1.2));
      const double x = length * std::cos(angle);
      const double y = length * std::sin(angle) * flat;
      outline.emplace_back(centre.x + static_cast<int>(x * std::cos(turn) - y * std::sin(turn)),
                           centre.y + static_cast<int>(x * std::sin(turn) + y * std::cos(turn)));
    }
    return outline;
  }

  void hair(int count) {
    const double direction = luck_.uniform(0.0, 2 * CV_PI);
    const double spread = luck_.uniform(0.1, 0.5);
    const double contrast = luck_.uniform(8.0, 40.0);
    const cv::Scalar base = colour();
    const cv::Point root = anywhere();
    const int reach = canvas_.cols / 3;
    for (int i = 0; i < count; ++i) {
      double angle = direction + luck_.gaussian(spread);
      const double step = luck_.uniform(10.0, 50.0);
      const double bend = luck_.gaussian(0.1);
      double x = root.x + luck_.gaussian(reach);
      double y = root.y + luck_.gaussian(reach);
      std::vector<cv::Point> points;
      for (int j = 0; j < 8; ++j, angle += bend) {
        points.emplace_back(static_cast<int>(x), static_cast<int>(y));
        x += step * std::cos(angle);
        y += step * std::sin(angle);
      }
      const double brightness = luck_.gaussian(contrast);
      cv::polylines(canvas_, points, false, base + cv::Scalar(brightness, brightness, brightness), luck_.uniform(1, 5));
    }
  }

  void text(int count) {
    const cv::Scalar ink = chance(luck_) < 0.6 ? cv::Scalar::all(chance(luck_) < 0.5 ? 20 : 235) : colour();
    for (int i = 0; i < count; ++i) {
      std::string words;
      for (int letter = luck_.uniform(2, 30); letter > 0; --letter) words.push_back(static_cast<char>(luck_.uniform(33, 123)));
      cv::putText(canvas_, words, anywhere() - cv::Point(60, 0), luck_.uniform(0, 8), luck_.uniform(0.6, 4.0), ink,
                  luck_.uniform(1, 6));
    }
  }

  void windows(int count) {
    for (int i = 0; i < count; ++i) {
      const cv::Point corner = anywhere() - cv::Point(100, 100);
      const cv::Size size(luck_.uniform(100, 800), luck_.uniform(100, 800));
      cv::rectangle(canvas_, cv::Rect(corner, size), colour(), cv::FILLED);
      const cv::Scalar pane = colour() + cv::Scalar::all(luck_.uniform(0, 80));
      const int across = luck_.uniform(1, 7);
      const int down = luck_.uniform(1, 7);
      const int bar = luck_.uniform(3, 16);
      for (int j = 0; j < across * down; ++j) {
        const cv::Rect area(corner.x + j % across * size.width / across + bar, corner.y + j / across * size.height / down + bar,
                            size.width / across - 2 * bar, size.height / down - 2 * bar);
        if (area.width > 0 && area.height > 0) cv::rectangle(canvas_, area, pane, cv::FILLED);
      }
    }
  }

  void lines(int count) {
    for (int i = 0; i < count; ++i) cv::line(canvas_, anywhere(), anywhere(), colour(), luck_.uniform(1, 8));
  }

  cv::RNG luck_;
  cv::Mat canvas_;
  const std::vector<cv::Mat>& textures_;
  std::vector<cv::Scalar> palette_;
  const double texture_contrast_;
  const double kind_;
  const double fineness_;
};

/// Through JPEG and back; a failure cannot happen with pictures of our own.
cv::Mat through_jpeg(const cv::Mat& pixels, int quality) {
  image::Picture picture;
  picture.colour = pixels;
  image::EncodeOptions options;
  options.jpeg_quality = quality;
  const auto file = image::encode(picture, image::FileFormat::kJpeg, options);
  if (!file) return pixels;
  auto decoded = image::decode(*file, {});
  return decoded ? decoded->colour : pixels;
}

}  // namespace

GeneratedPictures::GeneratedPictures(std::uint64_t seed, cv::Size size) : seed_(seed), size_(size) {
  cv::RNG luck = luck_of(-1, 0);
  for (int i = 0; i < kTextures; ++i) textures_.push_back(i % 4 == 0 ? waves(luck) : octaves(luck));
}

cv::RNG GeneratedPictures::luck_of(int index, std::uint64_t purpose) const {
  // Seeds that differ little give first numbers that differ little: a few are thrown away.
  cv::RNG luck(seed_ * 0x9E3779B97F4A7C15U + static_cast<std::uint64_t>(index + 2) * 0xBF58476D1CE4E5B9U + purpose);
  for (int i = 0; i < 16; ++i) (void)luck.next();
  return luck;
}

double GeneratedPictures::spread(int index, int quality) const {
  // Powers of the root of x^6 = x + 1 fill five dimensions most evenly (the R-sequence).
  constexpr double kStep = 1.0 / 1.1347241384015194;
  cv::RNG luck = luck_of(-2 - quality, 4);
  const double place = chance(luck) + index * std::pow(kStep, quality + 1);
  return place - std::floor(place);
}

cv::Mat GeneratedPictures::draw_scene(int index) const {
  return Painter({spread(index, 0), spread(index, 1), spread(index, 2)}, luck_of(index, 1), size_, textures_).paint();
}

GeneratedPicture GeneratedPictures::make(int index) const {
  cv::RNG luck = luck_of(index, 2);
  Degradation degradation;
  degradation.blur = 2.5 * std::pow(std::max(0.0, spread(index, 3) * 1.5 - 0.5), 2);
  degradation.noise_sigma = 25 * spread(index, 4);
  if (chance(luck) < 0.5) degradation.shot_gain = luck.uniform(0.0, 1.0);
  if (chance(luck) < 1.0 / 3) degradation.jpeg_quality = luck.uniform(80, 98);
  return take(draw_scene(index), degradation, luck);
}

GeneratedPicture GeneratedPictures::make_handed_on(int index) const {
  cv::RNG luck = luck_of(index, 3);
  Degradation degradation;
  if (chance(luck) < 0.3) degradation.blur = luck.uniform(0.3, 1.2);
  if (chance(luck) < 2.0 / 3) degradation.noise_sigma = 20 * std::pow(chance(luck), 1.5);
  if (chance(luck) < 0.3) degradation.shot_gain = luck.uniform(0.0, 0.6);
  if (chance(luck) < 2.0 / 3) degradation.jpeg_quality = luck.uniform(10, 96);
  return take(draw_scene(index), degradation, luck);
}

GeneratedPicture GeneratedPictures::take(const cv::Mat& scene, const Degradation& degradation, cv::RNG& luck) {
  GeneratedPicture picture{scene, {}, degradation};
  if (degradation.blur > 0.05) cv::GaussianBlur(scene, picture.clean, {}, degradation.blur);
  cv::Mat noise(scene.size(), CV_32FC3);
  luck.fill(noise, cv::RNG::NORMAL, 0.0, 1.0);
  cv::Mat light;
  picture.clean.convertTo(light, CV_32F);
  cv::Mat variance = light * degradation.shot_gain + cv::Scalar::all(degradation.noise_sigma * degradation.noise_sigma);
  cv::sqrt(variance, variance);
  light += noise.mul(variance);
  light.convertTo(picture.taken, CV_8U);
  if (degradation.jpeg_quality > 0) picture.taken = through_jpeg(picture.taken, degradation.jpeg_quality);
  return picture;
}

}  // namespace retouchd::bench
