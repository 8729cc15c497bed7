// What the host does for each tile that a GPU restores: packing windows into the batch that is uploaded, and taking pictures out
// of what comes back. In floats (all converting is the host's) against whole numbers (the GPU's); nothing is computed between.
#include <ATen/Functions.h>
#include <ATen/Parallel.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <ctime>
#include <functional>
#include <iomanip>
#include <iostream>
#include <nlohmann/json.hpp>
#include <opencv2/core.hpp>
#include <string>
#include <vector>

#include "inference/batch_tensors.h"
#include "inference/tensor_cache.h"
#include "inference/tensor_pictures.h"

namespace retouchd {
namespace {

using nlohmann::json;

struct Options {
  int side = 512;
  int batch = 8;
  int rounds = 41;
};

/// Processor time of this thread: others use the machine, too.
double processor_ms() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return 1e3 * static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_nsec);
}

/// Medians for one tile, the steps taking turns.
template <std::size_t N>
std::array<double, N> medians(const Options& options, const std::array<std::function<void()>, N>& steps) {
  std::array<std::vector<double>, N> times;
  for (int round = -2; round < options.rounds; ++round) {  // the first two warm up
    for (std::size_t i = 0; i < N; ++i) {
      const double start = processor_ms();
      steps[i]();
      if (round >= 0) times[i].push_back((processor_ms() - start) / options.batch);
    }
  }
  std::array<double, N> result{};
  for (std::size_t i = 0; i < N; ++i) {
    std::sort(times[i].begin(), times[i].end());
    result[i] = times[i][times[i].size() / 2];
  }
  return result;
}

json measure(const Options& options, int picture_type, int result_depth) {
  const inference::NetworkInfo info;
  const cv::Size size(options.side, options.side);
  cv::Mat tile(size, picture_type);
  cv::RNG(1).fill(tile, cv::RNG::UNIFORM, 0, tile.depth() == CV_8U ? 256 : 65536);
  const std::vector<inference::Window> windows(static_cast<std::size_t>(options.batch), {tile, {}, result_depth});
  const inference::BatchLayout layout = inference::lay_out(info, windows);
  const at::Tensor output = inference::to_tensor(info, size, windows).expand({-1, -1, -1, info.channels}).contiguous();
  const std::vector<at::Tensor> narrowed = inference::narrow(output, layout);
  std::vector<inference::Restored> restored(windows.size());
  const auto [float_up, float_down, whole_up, whole_down] =
      medians<4>(options, {[&] { (void)inference::to_tensor(info, size, windows); },
                           [&] { inference::to_pictures(info, output, windows, restored); },
                           [&] { (void)inference::to_tensor(info, size, windows, layout.depth); },
                           [&] { inference::to_pictures(layout, narrowed, restored); }});
  return {{"float_up_ms", float_up},
          {"float_down_ms", float_down},
          {"whole_up_ms", whole_up},
          {"whole_down_ms", whole_down},
          {"ratio", (float_up + float_down) / (whole_up + whole_down)}};
}

void run(const Options& options, bool as_json) {
  at::set_num_threads(1);
  cv::setNumThreads(1);
  inference::TensorCache::install();  // memory that is used again, as pinned memory is
  const auto name = [](int depth) { return depth == CV_8U ? "8 bit" : depth == CV_16U ? "16 bit" : "floats"; };
  json rows = json::array();
  for (const int channels : {3, 1}) {
    for (const int depth : {CV_8U, CV_16U}) {
      for (const int result : {depth, CV_32F}) {
        json row = measure(options, CV_MAKETYPE(depth, channels), result);
        row.update({{"picture", std::string(name(depth)) + (channels == 1 ? " gray" : "")}, {"result", name(result)}});
        rows.push_back(row);
      }
    }
  }
  if (as_json) {
    std::cout << json{{"side", options.side}, {"batch", options.batch}, {"rows", rows}}.dump(2) << "\n";
    return;
  }
  std::cout << "processor ms for a tile of " << options.side << "x" << options.side << ", batches of " << options.batch << "\n";
  std::cout << std::setw(12) << "picture" << std::setw(9) << "result" << std::setw(11) << "floats up" << std::setw(7) << "down"
            << std::setw(11) << "whole up" << std::setw(7) << "down" << std::setw(8) << "ratio\n";
  std::cout << std::fixed << std::setprecision(2);
  for (const json& row : rows) {
    std::cout << std::setw(12) << row["picture"].get<std::string>() << std::setw(9) << row["result"].get<std::string>()
              << std::setw(11) << row["float_up_ms"].get<double>() << std::setw(7) << row["float_down_ms"].get<double>()
              << std::setw(11) << row["whole_up_ms"].get<double>() << std::setw(7) << row["whole_down_ms"].get<double>()
              << std::setw(7) << row["ratio"].get<double>() << "\n";
  }
}

}  // namespace
}  // namespace retouchd

int main(int argc, char** argv) {
  retouchd::Options options;
  bool as_json = false;
  CLI::App app("What the host does for each tile of a GPU: in floats against whole numbers", "host_tiles");
  app.add_option("--side", options.side, "of a tile")->check(CLI::Range(8, 4096));
  app.add_option("--batch", options.batch, "tiles in one call")->check(CLI::Range(1, 256));
  app.add_option("--rounds", options.rounds, "of which the median counts")->check(CLI::Range(1, 10000));
  app.add_flag("--json", as_json, "one object");
  CLI11_PARSE(app, argc, argv);
  retouchd::run(options, as_json);
  return 0;
}
