// Processor time of single steps of our codecs, one request a line on standard input, one answer a line: bench/codecs asks,
// taking turns with other libraries.
//
//   {"do": "prepare", "folder": "/tmp/x", "width": 3296, "height": 2192}   draws a picture and writes scene8.png, scene16.png,
//   ...
//   {"do": "decode", "file": "/tmp/x/a.jpg"}                               {"seconds": 0.1, "width": 3296, "height": 2192}
//   {"do": "encode", "file": "/tmp/x/scene8.png", "format": "jpeg", "options": {"jpeg_quality": 95}, "to": "/tmp/x/a.jpg"}
//   {"do": "shrink" | "to_srgb" | "from_srgb" | "merge" | "merge_feathered", "file": "/tmp/x/scene8.png"}
#include <lcms2.h>
#include <time.h>

#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <opencv2/core.hpp>
#include <stdexcept>
#include <string>

#include "base/file.h"
#include "bench/support/camera_files.h"
#include "bench/support/generated_pictures.h"
#include "image/codec.h"
#include "image/colour.h"
#include "image/metadata.h"
#include "image/resize.h"
#include "stages/canvas.h"
#include "stages/tile_plan.h"

namespace retouchd::bench {
namespace {

using image::FileFormat;
using image::Picture;
using nlohmann::json;

double cpu_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

template <class T>
T value_of(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  return *std::move(result);
}

double measure(const std::function<void()>& work) {
  const double start = cpu_seconds();
  work();
  return cpu_seconds() - start;
}

std::vector<std::uint8_t> bytes_of(const std::string& file) { return value_of(read_file(file, gibibytes(2))); }

void write(const std::string& file, const std::vector<std::uint8_t>& bytes) {
  std::ofstream stream(file, std::ios::binary);
  stream.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

/// Decoded once, however often it is asked for.
const Picture& picture_of(const std::string& file) {
  static std::map<std::string, Picture> decoded;
  const auto found = decoded.find(file);
  if (found != decoded.end()) return found->second;
  return decoded.emplace(file, value_of(image::decode(bytes_of(file), {}))).first->second;
}

/// A gamut larger than sRGB's, so that there is something to convert.
std::vector<std::uint8_t> wide_profile() {
  const cmsCIExyY white{0.3127, 0.3290, 1.0};
  const cmsCIExyYTRIPLE primaries{{0.64, 0.33, 1.0}, {0.21, 0.71, 1.0}, {0.15, 0.06, 1.0}};
  const std::unique_ptr<cmsToneCurve, decltype(&cmsFreeToneCurve)> curve(cmsBuildGamma(nullptr, 2.2), cmsFreeToneCurve);
  cmsToneCurve* curves[] = {curve.get(), curve.get(), curve.get()};
  const cmsHPROFILE profile = cmsCreateRGBProfile(&white, &primaries, curves);
  cmsUInt32Number size = 0;
  cmsSaveProfileToMem(profile, nullptr, &size);
  std::vector<std::uint8_t> bytes(size);
  cmsSaveProfileToMem(profile, bytes.data(), &size);
  cmsCloseProfile(profile);
  return bytes;
}

json prepare(const json& request) {
  const std::string folder = request.at("folder");
  const cv::Size size(request.at("width"), request.at("height"));
  Picture eight;
  eight.colour = GeneratedPictures(1, size).make(1).taken;
  Picture sixteen;
  // Noise below the eighth bit, as a sensor has it.
  cv::Mat fine(size, CV_16UC3);
  cv::RNG luck(1);
  luck.fill(fine, cv::RNG::UNIFORM, 0, 257);
  eight.colour.convertTo(sixteen.colour, CV_16U, 256);
  sixteen.colour += fine;
  image::EncodeOptions fast;
  fast.png_level = 1;
  write(folder + "/scene8.png", value_of(image::encode(eight, FileFormat::kPng, fast)));
  write(folder + "/scene16.png", value_of(image::encode(sixteen, FileFormat::kPng, fast)));
  image::Metadata metadata;
  metadata.icc = wide_profile();
  write(folder + "/wide.icc", metadata.icc);
  eight.metadata = std::make_shared<const image::Metadata>(metadata);
  write(folder + "/wide8.png", value_of(image::encode(eight, FileFormat::kPng, fast)));
  write(folder + "/camera.heic", write_heic(eight.colour));
  write(folder + "/camera.dng", write_dng(sixteen.colour));
  return json::object();
}

json decode(const json& request) {
  const auto bytes = bytes_of(request.at("file"));
  Picture picture;
  const double seconds = measure([&] { picture = value_of(image::decode(bytes, {})); });
  return {{"seconds", seconds}, {"width", picture.width()}, {"height", picture.height()}};
}

image::EncodeOptions options_of(const json& wanted) {
  image::EncodeOptions options;
  const std::map<std::string, int*> numbers{{"jpeg_quality", &options.jpeg_quality}, {"png_level", &options.png_level},
                                            {"webp_quality", &options.webp_quality}, {"avif_quality", &options.avif_quality},
                                            {"avif_speed", &options.avif_speed},     {"jxl_quality", &options.jxl_quality},
                                            {"jxl_effort", &options.jxl_effort}};
  using Compression = image::EncodeOptions::TiffCompression;
  const std::map<std::string, Compression> compressions{
      {"none", Compression::kNone}, {"lzw", Compression::kLzw}, {"deflate", Compression::kDeflate}};
  for (const auto& [key, value] : wanted.items()) {
    if (key == "tiff_compression") {
      options.tiff_compression = compressions.at(value);
    } else {
      *numbers.at(key) = value;
    }
  }
  return options;
}

json encode(const json& request) {
  const Picture& picture = picture_of(request.at("file"));
  const image::EncodeOptions options = options_of(request.value("options", json::object()));
  const std::map<std::string, FileFormat> formats{
      {"jpeg", FileFormat::kJpeg}, {"png", FileFormat::kPng}, {"tiff", FileFormat::kTiff}, {"webp", FileFormat::kWebp},
      {"avif", FileFormat::kAvif}, {"jxl", FileFormat::kJxl}, {"pnm", FileFormat::kPnm}};
  std::vector<std::uint8_t> file;
  const double seconds = measure([&] { file = value_of(image::encode(picture, formats.at(request.at("format")), options)); });
  if (request.contains("to")) write(request.at("to"), file);
  return {{"seconds", seconds}, {"bytes", file.size()}};
}

json shrink(const json& request) {
  const Picture& picture = picture_of(request.at("file"));
  return {{"seconds", measure([&] { (void)image::shrink_to(picture.colour, 1.0); })}};
}

json to_srgb(const json& request) {
  Picture picture = picture_of(request.at("file"));
  image::HeapPlanes memory;
  const double seconds = measure([&] { image::to_extended_srgb(picture, memory); });
  if (picture.space != image::WorkingSpace::kExtendedSrgb) throw std::runtime_error("nothing was converted");
  return {{"seconds", seconds}};
}

json from_srgb(const json& request) {
  Picture picture = picture_of(request.at("file"));
  image::HeapPlanes memory;
  image::to_extended_srgb(picture, memory);
  return {{"seconds", measure([&] { (void)value_of(image::to_file_space(picture)); })}};
}

json merge(const json& request, bool is_feathered) {
  const cv::Mat picture = picture_of(request.at("file")).colour;
  inference::NetworkInfo network;
  network.multiple = 8;
  if (!is_feathered) network.receptive_field = 40;
  const stages::TilePlan plan = stages::plan_best_tiles(picture.size(), network, 512);
  std::vector<cv::Mat> tiles;
  for (int i = 0; i < plan.count(); ++i) {
    cv::Mat tile;
    if (plan.is_feathered) {
      picture(plan.at(i).window).convertTo(tile, CV_32F, picture.depth() == CV_16U ? 1.0 / 65'535 : 1.0 / 255);
    } else {
      tile = picture(plan.at(i).window).clone();
    }
    tiles.push_back(tile);
  }
  const double seconds = measure([&] {
    stages::Canvas canvas(plan, picture.type(), 1);
    for (int i = 0; i < plan.count(); ++i) canvas.place(i, tiles[static_cast<std::size_t>(i)]);
    (void)canvas.take();
  });
  return {{"seconds", seconds}, {"tiles", plan.count()}};
}

json answer(const json& request) {
  const std::map<std::string, std::function<json()>> steps{
      {"prepare", [&] { return prepare(request); }},    {"decode", [&] { return decode(request); }},
      {"encode", [&] { return encode(request); }},      {"shrink", [&] { return shrink(request); }},
      {"to_srgb", [&] { return to_srgb(request); }},    {"from_srgb", [&] { return from_srgb(request); }},
      {"merge", [&] { return merge(request, false); }}, {"merge_feathered", [&] { return merge(request, true); }},
  };
  try {
    return steps.at(request.at("do"))();
  } catch (const std::exception& thrown) {
    return {{"error", thrown.what()}};
  }
}

}  // namespace
}  // namespace retouchd::bench

int main() {
  cv::setNumThreads(1);
  for (std::string line; std::getline(std::cin, line);)
    std::cout << retouchd::bench::answer(nlohmann::json::parse(line)).dump() << std::endl;
}
