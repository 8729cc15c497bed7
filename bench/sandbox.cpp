// What the sandbox costs: reading and writing pictures in workers against the same in this process, taking turns.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <functional>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <opencv2/core.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "sandbox/codec_pool.h"

namespace {

using retouchd::Result;
using retouchd::UniqueFd;
namespace image = retouchd::image;
namespace sandbox = retouchd::sandbox;
using Json = nlohmann::ordered_json;

template <class T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  return *std::move(result);
}

/// Light, edges and noise as a photograph has them.
cv::Mat scene(int width, int height, int depth) {
  cv::Mat picture(height, width, CV_32FC3);
  cv::RNG random(7);
  for (int y = 0; y < height; ++y) {
    auto* row = picture.ptr<cv::Vec3f>(y);
    for (int x = 0; x < width; ++x) {
      const double wave = std::sin(x / 41.0) * std::cos(y / 67.0) + ((x / 200 + y / 150) % 2 == 0 ? 0.3 : -0.3);
      for (int c = 0; c < 3; ++c) row[x][c] = static_cast<float>(0.5 + 0.2 * wave + 0.05 * c + random.gaussian(0.02));
    }
  }
  cv::Mat whole;
  picture.convertTo(whole, depth, depth == CV_16U ? 65'535 : 255);
  return whole;
}

double seconds_of(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<long>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

/// Every sample is looked at, as the tiles do.
double sum_of(const image::Picture& picture) { return cv::sum(picture.colour)[0]; }

Json compare(const std::string& what, int rounds, const std::function<void(image::FileCodec&)>& work, image::FileCodec& here,
             image::FileCodec& there) {
  std::vector<double> local;
  std::vector<double> pooled;
  std::vector<double> ratios;
  for (int round = 0; round < rounds + 1; ++round) {
    const double a = seconds_of([&] { work(here); });
    const double b = seconds_of([&] { work(there); });
    if (round == 0) continue;  // warm
    local.push_back(a);
    pooled.push_back(b);
    ratios.push_back(b / a);
  }
  return {{"what", what},
          {"local_ms", 1e3 * median(local)},
          {"sandbox_ms", 1e3 * median(pooled)},
          {"ratio", median(pooled) / median(local)},
          {"ratio_of_pairs", median(ratios)}};
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("What reading and writing pictures in sandboxed workers costs");
  int width = 3240;
  int height = 2160;
  int rounds = 15;
  bool as_json = false;
  std::string folder = "/tmp";
  app.add_option("--width", width);
  app.add_option("--height", height);
  app.add_option("--rounds", rounds);
  app.add_option("--folder", folder, "where encoded pictures are written");
  app.add_flag("--json", as_json);
  CLI11_PARSE(app, argc, argv);

  try {
    const auto pool = must(sandbox::CodecPool::open({}));
    image::LocalCodec local;
    Json rows = Json::array();
    for (const auto& [name, format, depth] :
         {std::tuple{"JPEG", image::FileFormat::kJpeg, CV_8U}, std::tuple{"16-bit PNG", image::FileFormat::kPng, CV_16U}}) {
      image::Picture picture;
      picture.colour = scene(width, height, depth);
      const auto bytes = must(local.encode(picture, format, {}));
      const auto file = must(retouchd::input_of(bytes));
      double sum = 0;
      rows.push_back(compare(
          fmt::format("decode {}", name), rounds, [&](image::FileCodec& codec) { sum += sum_of(must(codec.decode(file, {}))); },
          local, *pool));
      std::string path = folder + "/retouchd-bench.XXXXXX";
      const UniqueFd output(::mkostemp(path.data(), O_CLOEXEC));
      ::unlink(path.c_str());
      rows.push_back(compare(
          fmt::format("encode {}", name), rounds,
          [&, wanted = format](image::FileCodec& codec) {
            if (::ftruncate(output.get(), 0) != 0) throw std::runtime_error("cannot empty the output");
            must(codec.encode(picture, wanted, {}, output.get()));
          },
          local, *pool));
    }
    const Json report{{"megapixels", width * height / 1e6}, {"rounds", rounds}, {"rows", rows}};
    if (as_json) {
      std::cout << report.dump(1) << '\n';
      return 0;
    }
    std::cout << fmt::format("{:.1f} MP, medians of {} rounds\n{:<20}{:>12}{:>12}{:>8}\n", width * height / 1e6, rounds, "",
                             "here, ms", "sandbox, ms", "ratio");
    for (const Json& row : rows) {
      std::cout << fmt::format("{:<20}{:>12.1f}{:>12.1f}{:>8.3f}\n", row["what"].get<std::string>(),
                               row["local_ms"].get<double>(), row["sandbox_ms"].get<double>(), row["ratio"].get<double>());
    }
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
