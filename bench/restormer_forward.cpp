// Restores one picture with a Restormer and prints how long it took and how much memory came on top, as JSON. CPU seconds are
// of all threads together; on a busy machine they tell more than wall seconds.
//
// The picture is a raw file of fp32 numbers, [batch, side, side, channels]; so is the result. Memory is the highest resident
// size during the pass (VmHWM, reset before it through /proc/self/clear_refs) minus the resident size before it. A small pass
// goes first, so that what libraries load or compile once does not count.
#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <ctime>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "inference/restormer/restormer.h"

namespace retouchd::inference {
namespace {

struct Request {
  std::string weights;
  std::string input;
  std::string output;
  std::string precision = "fp32";
  bool plain = false;
  int local_window = 0;
  std::int64_t height = 256;
  std::int64_t width = 256;
  std::int64_t batch = 1;
  std::int64_t strip_pixels = 0;
  int threads = 1;
  int concurrent = 0;
  int repeat = 1;
};

/// In bytes, e.g. of "VmRSS:".
std::int64_t memory(const std::string& key) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(key)) return std::stoll(line.substr(key.size())) * 1024;
  }
  return 0;
}

void forget_highest_memory() { std::ofstream("/proc/self/clear_refs") << "5"; }

at::Tensor picture(const Request& request, std::int64_t channels) {
  if (request.input.empty()) return at::rand({request.batch, request.height, request.width, channels});
  at::Tensor pixels = at::empty({request.batch, request.height, request.width, channels});
  std::ifstream file(request.input, std::ios::binary);
  if (!file.read(static_cast<char*>(pixels.data_ptr()), static_cast<std::streamsize>(pixels.nbytes())))
    throw std::runtime_error(request.input + " is too small");
  return pixels;
}

int run(const Request& request) {
  at::set_num_threads(request.threads);
  const c10::InferenceMode inference;
  const auto weights = read_weights(request.weights);
  if (!weights) throw std::runtime_error(weights.error().message);
  const auto config = restormer_config(weights->header);
  if (!config) throw std::runtime_error(config.error().message);
  const auto precision = precision_named(request.precision);
  if (!precision) throw std::runtime_error("unknown precision " + request.precision);
  ForwardOptions options{at::kCPU, *precision, !request.plain};
  if (request.strip_pixels > 0) options.strip_pixels = request.strip_pixels;
  WeightReader reader(*weights, at::kCPU);
  const auto network = make_restormer(reader, *config, options,
                                      request.local_window > 0 ? std::optional<int>(request.local_window) : std::nullopt);
  reader.expect_all_taken();

  const at::Tensor input = picture(request, config->in_channels);
  (void)network->forward(at::rand({1, config->multiple(), config->multiple(), config->in_channels}));

  const std::int64_t before = memory("VmRSS:");
  forget_highest_memory();
  nlohmann::json seconds = nlohmann::json::array();
  nlohmann::json cpu_seconds = nlohmann::json::array();
  at::Tensor output;
  for (int i = 0; i < request.repeat; ++i) {
    const auto start = std::chrono::steady_clock::now();
    const std::clock_t cpu_start = std::clock();
    if (request.concurrent > 0) {
      at::parallel_for(0, request.concurrent, 1, [&](std::int64_t begin, std::int64_t end) {
        const c10::InferenceMode inside;
        for (std::int64_t tile = begin; tile < end; ++tile) (void)network->forward(input);
      });
    } else {
      output = network->forward(input);
    }
    cpu_seconds.push_back(static_cast<double>(std::clock() - cpu_start) / CLOCKS_PER_SEC);
    seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  const std::int64_t highest = memory("VmHWM:");
  if (!request.output.empty()) {
    output = output.contiguous();
    std::ofstream(request.output, std::ios::binary)
        .write(static_cast<const char*>(output.data_ptr()), static_cast<std::streamsize>(output.nbytes()));
  }
  const nlohmann::json report{
      {"network", describe(*config)}, {"seconds", seconds}, {"cpu_seconds", cpu_seconds}, {"bytes", highest - before}};
  std::cout << report.dump() << "\n";
  return 0;
}

}  // namespace
}  // namespace retouchd::inference

int main(int argc, char** argv) {
  retouchd::inference::Request request;
  CLI::App app("One forward pass of a Restormer: seconds and memory as JSON.");
  app.add_option("--weights", request.weights)->required();
  app.add_option("--input", request.input, "raw fp32 file; default: noise");
  app.add_option("--output", request.output, "raw fp32 file");
  app.add_option("--precision", request.precision);
  app.add_flag("--plain", request.plain, "operation by operation instead of lean");
  app.add_option("--local-window", request.local_window);
  app.add_option("--height", request.height);
  app.add_option("--width", request.width);
  app.add_option("--batch", request.batch);
  app.add_option("--strip-pixels", request.strip_pixels);
  app.add_option("--threads", request.threads);
  app.add_option("--concurrent", request.concurrent, "this many passes at once, one a thread");
  app.add_option("--repeat", request.repeat);
  CLI11_PARSE(app, argc, argv);
  try {
    return retouchd::inference::run(request);
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
