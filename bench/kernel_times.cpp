// Times each fused kernel on a CUDA device at the shapes that Restormer (dim 48) has them in, with CUDA events, and says what it
// reaches: multiplications and bytes a second. Bytes are those that must move: inputs once, outputs once.
#include <cuda_runtime.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "inference/kernel_module.h"

namespace retouchd {
namespace {

using kernels::KernelSet;
using kernels::Map;

struct Request {
  int device = 0;
  int side = 512;
  int batch = 8;
  int repeat = 20;
  bool json = false;
};

void check(cudaError_t error) {
  if (error != cudaSuccess) throw std::runtime_error(std::string("CUDA: ") + cudaGetErrorString(error));
}

/// Device memory filled with small random numbers: zeros would flatter.
class Memory {
 public:
  explicit Memory(std::int64_t bytes) {
    check(cudaMalloc(&memory_, static_cast<std::size_t>(bytes)));
    // Each half of a word is an fp16 number between 1/32 and 1/16.
    std::vector<std::uint32_t> words(static_cast<std::size_t>(std::min<std::int64_t>(bytes / 4, 1 << 20)));
    std::uint32_t state = 1;
    for (std::uint32_t& word : words) {
      state = state * 1664525U + 1013904223U;
      word = 0x28002800U | (state >> 6U & 0x03ff03ffU);
    }
    for (std::int64_t at = 0; at < bytes; at += static_cast<std::int64_t>(words.size()) * 4) {
      const auto count = std::min<std::int64_t>(static_cast<std::int64_t>(words.size()) * 4, bytes - at);
      check(cudaMemcpy(static_cast<std::byte*>(memory_) + at, words.data(), static_cast<std::size_t>(count),
                       cudaMemcpyHostToDevice));
    }
  }
  ~Memory() { (void)cudaFree(memory_); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  [[nodiscard]] void* get() const { return memory_; }
  [[nodiscard]] float* floats() const { return static_cast<float*>(memory_); }

 private:
  void* memory_ = nullptr;
};

/// Median milliseconds of one launch.
template <typename Launch>
double time_of(const Request& request, const Launch& launch) {
  cudaEvent_t begin = nullptr;
  cudaEvent_t end = nullptr;
  check(cudaEventCreate(&begin));
  check(cudaEventCreate(&end));
  const auto launch_checked = [&launch] {
    if (const kernels::Outcome outcome = launch(); outcome != nullptr) throw std::runtime_error(outcome);
  };
  for (int i = 0; i < 3; ++i) launch_checked();
  std::vector<float> times(static_cast<std::size_t>(request.repeat));
  for (float& time : times) {
    check(cudaEventRecord(begin));
    launch_checked();
    check(cudaEventRecord(end));
    check(cudaEventSynchronize(end));
    check(cudaEventElapsedTime(&time, begin, end));
  }
  check(cudaEventDestroy(begin));
  check(cudaEventDestroy(end));
  std::nth_element(times.begin(), times.begin() + request.repeat / 2, times.end());
  return static_cast<double>(times[static_cast<std::size_t>(request.repeat / 2)]);
}

/// One level of the network, with all its kernels.
class Level {
 public:
  Level(const KernelSet& kernels, const Request& request, int shrink, int channels, int heads, int hidden)
      : kernels_(kernels),
        request_(request),
        map_{request.batch, request.side >> shrink, request.side >> shrink},
        channels_(channels),
        heads_(heads),
        hidden_(hidden),
        pixels_(static_cast<std::int64_t>(map_.pictures) * map_.height * map_.width),
        x_(2 * pixels_ * channels),
        y_(2 * pixels_ * channels),
        wide_(2 * pixels_ * 2 * hidden),
        narrow_(2 * pixels_ * hidden),
        weight_(2 * static_cast<std::int64_t>(2 * hidden) * channels),
        mixing_(2 * static_cast<std::int64_t>(map_.pictures) * channels * channels),
        taps_(std::int64_t{2} * 9 * std::max(2 * hidden, 3 * channels)),
        slots_(kernels::slots_for(map_, kernels.multiprocessors(), 128)),
        gram_(std::int64_t{4} * map_.pictures * slots_ * channels * channels / heads),
        squares_(std::int64_t{4} * map_.pictures * slots_ * 2 * channels),
        scales_(std::int64_t{4} * 2 * hidden) {}

  void measure(nlohmann::json& to) const {
    const double pixels = static_cast<double>(pixels_);
    const double c = channels_;
    const double h = hidden_;
    const kernels::GramSums sums{slots_, gram_.floats(), squares_.floats()};

    kernels::PointwiseCall pointwise;
    pointwise.map = map_;
    pointwise.in_channels = channels_;
    pointwise.out_channels = 3 * channels_;
    pointwise.norm = kernels::Norm::kCentred;
    pointwise.in = x_.get();
    pointwise.weight = weight_.get();
    pointwise.out = wide_.get();
    add(to, "pointwise qkv", pixels * 3 * c * c, pixels * 8 * c, [&] { return kernels_.pointwise(pointwise, nullptr); });
    pointwise.out_channels = 2 * hidden_;
    add(to, "pointwise expand", pixels * 2 * h * c, pixels * (2 * c + 4 * h),
        [&] { return kernels_.pointwise(pointwise, nullptr); });
    pointwise = {};
    pointwise.map = map_;
    pointwise.in_channels = hidden_;
    pointwise.out_channels = channels_;
    pointwise.in = narrow_.get();
    pointwise.weight = weight_.get();
    pointwise.residual = y_.get();
    pointwise.out = y_.get();
    add(to, "pointwise contract", pixels * h * c, pixels * (2 * h + 4 * c),
        [&] { return kernels_.pointwise(pointwise, nullptr); });
    pointwise.in_channels = channels_;
    pointwise.in = x_.get();
    pointwise.weight = mixing_.get();
    pointwise.weight_per_picture = true;
    add(to, "pointwise mix", pixels * c * c, pixels * 6 * c, [&] { return kernels_.pointwise(pointwise, nullptr); });

    kernels::PointwiseBytesCall bytes;
    bytes.map = map_;
    bytes.in_channels = channels_;
    bytes.out_channels = 2 * hidden_;
    bytes.norm = kernels::Norm::kCentred;
    bytes.in = x_.get();
    bytes.weight = static_cast<const std::int8_t*>(weight_.get());
    bytes.scale = scales_.floats();
    bytes.out = wide_.get();
    add(to, "pointwise bytes expand", pixels * 2 * h * c, pixels * (2 * c + 4 * h),
        [&] { return kernels_.pointwise_bytes(bytes, nullptr); });

    kernels::DepthwiseGateCall gate;
    gate.map = map_;
    gate.hidden = hidden_;
    gate.in = wide_.get();
    gate.weight = taps_.get();
    gate.out = narrow_.get();
    add(to, "depthwise gate", pixels * 18 * h, pixels * 6 * h, [&] { return kernels_.depthwise_gate(gate, nullptr); });

    kernels::DepthwiseGramCall gram;
    gram.map = map_;
    gram.channels = channels_;
    gram.heads = heads_;
    gram.qkv = wide_.get();
    gram.weight = taps_.get();
    gram.v = y_.get();
    gram.sums = sums;
    add(to, "depthwise gram", pixels * (27 * c + c * c / heads_), pixels * 8 * c,
        [&] { return kernels_.depthwise_gram(gram, nullptr); });

    kernels::MixingCall mixing;
    mixing.pictures = map_.pictures;
    mixing.channels = channels_;
    mixing.heads = heads_;
    mixing.sums = sums;
    mixing.temperature = scales_.floats();
    mixing.project = weight_.floats();
    mixing.mixing = mixing_.get();
    const double parts = static_cast<double>(map_.pictures) * slots_;
    add(to, "mixing", map_.pictures * c * c * c / heads_, 4 * parts * (c * c / heads_ + 2 * c) + map_.pictures * 2 * c * c,
        [&] { return kernels_.mixing(mixing, nullptr); });

    if (kernels_.fits(kernels::OnChip::kQkvGram, channels_)) {
      kernels::QkvGramCall qkv;
      qkv.map = map_;
      qkv.channels = channels_;
      qkv.heads = heads_;
      qkv.in = x_.get();
      qkv.weight = weight_.get();
      qkv.depthwise = taps_.get();
      qkv.v = y_.get();
      qkv.sums = sums;
      add(to, "qkv gram", pixels * (3 * c * c + 27 * c + c * c / heads_), pixels * 4 * c,
          [&] { return kernels_.qkv_gram(qkv, nullptr); });
    }
    if (kernels_.fits(kernels::OnChip::kFeedForward, channels_)) {
      kernels::FeedForwardCall feed_forward;
      feed_forward.map = map_;
      feed_forward.channels = channels_;
      feed_forward.hidden = hidden_;
      feed_forward.in = x_.get();
      feed_forward.expand = weight_.get();
      feed_forward.depthwise = taps_.get();
      feed_forward.contract = weight_.get();
      feed_forward.out = y_.get();
      add(to, "feed forward", pixels * (3 * h * c + 18 * h), pixels * 4 * c,
          [&] { return kernels_.feed_forward(feed_forward, nullptr); });
    }
  }

 private:
  template <typename Launch>
  void add(nlohmann::json& to, const std::string& kernel, double products, double bytes, const Launch& launch) const {
    const double milliseconds = time_of(request_, launch);
    to.push_back({{"kernel", kernel},
                  {"channels", channels_},
                  {"side", map_.height},
                  {"batch", map_.pictures},
                  {"milliseconds", milliseconds},
                  {"tflops", 2 * products / milliseconds / 1e9},
                  {"gb_per_second", bytes / milliseconds / 1e6}});
  }

  const KernelSet& kernels_;
  const Request& request_;
  Map map_;
  int channels_;
  int heads_;
  int hidden_;
  std::int64_t pixels_;
  Memory x_, y_, wide_, narrow_, weight_, mixing_, taps_;
  int slots_;
  Memory gram_, squares_, scales_;
};

int run(const Request& request) {
  const auto kernels = inference::cuda_kernels();
  if (!kernels) throw std::runtime_error(kernels.error().message);
  if (const kernels::Outcome used = (*kernels)->use_device(request.device); used != nullptr) throw std::runtime_error(used);
  check(cudaSetDevice(request.device));
  nlohmann::json results = nlohmann::json::array();
  Level(**kernels, request, 0, 48, 1, 128).measure(results);
  Level(**kernels, request, 0, 96, 1, 256).measure(results);
  Level(**kernels, request, 1, 96, 2, 256).measure(results);
  Level(**kernels, request, 2, 192, 4, 512).measure(results);
  Level(**kernels, request, 3, 384, 8, 1024).measure(results);
  if (request.json) {
    std::cout << results << "\n";
    return EXIT_SUCCESS;
  }
  for (const auto& one : results)
    std::cout << one.at("kernel").get<std::string>() << ", " << one.at("channels") << " channels, side " << one.at("side") << ": "
              << one.at("milliseconds") << " ms, " << one.at("tflops") << " TFLOP/s, " << one.at("gb_per_second") << " GB/s\n";
  return EXIT_SUCCESS;
}

}  // namespace
}  // namespace retouchd

int main(int argc, char** argv) {
  retouchd::Request request;
  CLI::App app{"Times each fused kernel on a CUDA device at Restormer's shapes"};
  app.add_option("--device", request.device, "number of the device");
  app.add_option("--side", request.side, "of a tile in pixels, a multiple of 8")->check(CLI::Range(64, 4096));
  app.add_option("--batch", request.batch, "tiles at once")->check(CLI::Range(1, 64));
  app.add_option("--repeat", request.repeat, "launches of which the median counts")->check(CLI::Range(1, 1000));
  app.add_flag("--json", request.json, "a JSON array");
  CLI11_PARSE(app, argc, argv);
  try {
    return retouchd::run(request);
  } catch (const std::exception& error) {
    std::cerr << "kernel_times: " << error.what() << "\n";
    return EXIT_FAILURE;
  }
}
