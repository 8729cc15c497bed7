// What one network does on one device through the interface that the daemon uses, in one process: tiles a second by shape and
// batch, computing alone and with copies, memory, and how far results are from the plain fp32 path. bench/gpu drives it.
//
//   network_forward --models models --network student-tiny --device cpu --case 256x256x4 --picture 3296x2192x4 --check
//
// One line of JSON for each case, at once. Computing is what lies between the device's own marks around it
// (RestoreOptions::computing), which it sets when it has waited for the results; copying lies outside.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <barrier>
#include <chrono>
#include <fstream>
#include <functional>
#include <iostream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <opencv2/core.hpp>
#include <optional>
#include <set>
#include <span>
#include <sstream>
#include <thread>

#include "inference/device.h"
#include "inference/registry.h"
#include "stages/tile_plan.h"

namespace retouchd::bench {
namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;
using inference::Device;
using inference::DeviceOptions;
using inference::NetworkInfo;
using inference::RestoreOptions;
using inference::Window;

constexpr int kLeastCalls = 3;
constexpr int kMostCalls = 200;
constexpr int kWarmUps = 3;  // a graph is not captured at the first call of its shape
/// Larger pictures are not run by the plain path.
constexpr int kLargestChecked = 1 << 20;

struct Request {
  std::vector<std::string> models;
  std::string network;
  std::string device = "cpu";
  std::string precision = "auto";
  std::string backend = "optimized";
  std::string compiled;
  bool graphs = false;
  int threads = 0;
  std::vector<std::string> cases;
  std::vector<std::string> pictures;
  std::string input;
  std::string input_size;
  std::string output;
  double seconds = 0.6;
  double limit = 1e9;
  double steady = 0;
  int tile = 512;
  bool check = false;
};

struct Shape {
  cv::Size size;
  int batch = 1;
};

[[noreturn]] void give_up(const std::string& message) {
  std::cerr << "network_forward: " << message << "\n";
  std::exit(1);
}

[[noreturn]] void give_up(const Error& error) { give_up(error.message + "; " + std::string(error.remedy())); }

/// "512x512x8", "3296x2192": width, height, batch.
Shape parse(const std::string& text) {
  Shape shape;
  char first = 'x';
  char second = 'x';
  std::istringstream in(text);
  if (!(in >> shape.size.width >> first >> shape.size.height) || first != 'x' || shape.size.width < 1 || shape.size.height < 1)
    give_up("`" + text + "` is not WIDTHxHEIGHT[xBATCH]");
  if (in >> second >> shape.batch; second != 'x' || shape.batch < 1) give_up("`" + text + "` is not WIDTHxHEIGHT[xBATCH]");
  return shape;
}

DeviceOptions device_options(const Request& request) {
  DeviceOptions options;
  options.devices = request.device;
  options.threads = request.threads;
  options.cuda_graphs = request.graphs;
  options.compiled = request.compiled;
  if (request.precision != "auto") {
    options.precision = inference::precision_named(request.precision);
    if (!options.precision) give_up("no precision is named " + request.precision);
  }
  const auto backend = inference::backend_named(request.backend);
  if (!backend) give_up("no backend is named " + request.backend);
  options.backend = *backend;
  return options;
}

/// 8-bit RGB, row by row; noise where no file is named.
cv::Mat read_input(const Request& request) {
  if (request.input.empty()) {
    cv::Mat noise(1024, 1024, CV_8UC3);
    cv::RNG(1).fill(noise, cv::RNG::UNIFORM, 0, 256);
    return noise;
  }
  cv::Mat picture(parse(request.input_size).size, CV_8UC3);
  std::ifstream file(request.input, std::ios::binary);
  if (!file.read(picture.ptr<char>(), static_cast<std::streamsize>(picture.total() * picture.elemSize())))
    give_up(request.input + " is smaller than " + request.input_size);
  return picture;
}

/// What comes out of the network goes nowhere; what it takes is mirrored as often as it must be.
class Runner {
 public:
  Runner(Device& device, const NetworkInfo& network, cv::Mat picture, const Request& request)
      : device_(device), network_(network), picture_(std::move(picture)), request_(request), start_(Clock::now()) {}

  void run_case(const std::string& text) {
    const Shape shape = parse(text);
    nlohmann::json report{{"case", text}, {"tiles", shape.batch}};
    const cv::Mat canvas = enlarged({shape.size.width + 8 * shape.batch, shape.size.height});
    std::vector<Window> windows;
    for (int i = 0; i < shape.batch; ++i) windows.push_back({canvas(cv::Rect({8 * i, 0}, shape.size)), {}, CV_8U});
    finish(report, [&] { measure_batches(shape, windows, report); });
  }

  /// All tiles of a picture, as the daemon plans them.
  void run_picture(const std::string& text) {
    const Shape shape = parse(text);
    nlohmann::json report{{"picture", text}};
    const cv::Mat canvas = enlarged(shape.size);
    const stages::TilePlan plan = stages::plan_best_tiles(shape.size, network_, request_.tile);
    std::vector<Window> windows;
    for (int i = 0; i < plan.count(); ++i) windows.push_back({canvas(plan.at(i).window), {}, plan.is_feathered ? CV_32F : CV_8U});
    report["tiles"] = plan.count();
    report["tile"] = std::to_string(plan.tile.width) + "x" + std::to_string(plan.tile.height);
    report["work_ratio"] = plan.work_ratio();
    finish(report, [&] { measure_frames(plan.tile, windows, shape.batch, report); });
  }

  /// For who measures power meanwhile.
  void run_steadily(const std::string& text) {
    const Shape shape = parse(text);
    const cv::Mat canvas = enlarged(shape.size);
    const std::vector<Window> windows(static_cast<std::size_t>(shape.batch), Window{canvas, {}, CV_8U});
    const auto restores = [&] { return device_.restore(network_, shape.size, windows).ok(); };
    if (!restores()) return;
    std::once_flag announced;
    std::atomic<int> batches = 0;
    const double seconds = in_threads([&] { (void)restores(); },
                                      [&](Clock::time_point begin) {
                                        std::call_once(announced, [&] { print({{"steady", "begins"}, {"case", text}}); });
                                        while (seconds_since(begin) < request_.steady && restores()) ++batches;
                                      });
    print({{"steady", "ended"}, {"case", text}, {"tiles", batches * shape.batch}, {"seconds", seconds}});
  }

  [[nodiscard]] bool has_failed() const noexcept { return has_failed_; }

 private:
  static double seconds_since(Clock::time_point begin) { return Seconds(Clock::now() - begin).count(); }

  static void print(const nlohmann::json& report) { std::cout << report.dump() << std::endl; }

  [[nodiscard]] cv::Mat enlarged(cv::Size size) const {
    cv::Mat canvas(size, CV_8UC3);
    for (int y = 0; y < size.height; ++y) {
      const int from_y = cv::borderInterpolate(y, picture_.rows, cv::BORDER_REFLECT);
      for (int x = 0; x < size.width; ++x)
        canvas.at<cv::Vec3b>(y, x) = picture_.at<cv::Vec3b>(from_y, cv::borderInterpolate(x, picture_.cols, cv::BORDER_REFLECT));
    }
    return canvas;
  }

  /// A CUDA error stays for the rest of the process.
  void fail(nlohmann::json& report, const Error& error) {
    report["error"] = error.message;
    report["out_of_memory"] = error.code == ErrorCode::kOutOfDeviceMemory;
    has_failed_ = has_failed_ || error.code != ErrorCode::kOutOfDeviceMemory;
  }

  void finish(nlohmann::json& report, const std::function<void()>& measure) {
    if (has_failed_) {
      report["error"] = "the device failed before";
    } else if (seconds_since(start_) > request_.limit) {
      report["error"] = "no time was left";
    } else {
      measure();
    }
    print(report);
    device_.give_back_memory();
  }

  /// Calls `work` in as many threads as the daemon has for the device, and returns the seconds that it took. Each has warmed up
  /// before: libraries choose their algorithms once for each shape and thread, and the daemon's threads stay.
  double in_threads(const std::function<void()>& warm_up, const std::function<void(Clock::time_point begin)>& work) {
    const int rounds = device_.compute_lanes() == 1 ? kWarmUps : 1;
    Clock::time_point begin;
    std::barrier together(device_.concurrency(), [&begin]() noexcept { begin = Clock::now(); });
    {
      std::vector<std::jthread> threads;
      for (int i = 0; i < device_.concurrency(); ++i) {
        threads.emplace_back([&] {
          for (int round = 0; round < rounds; ++round) warm_up();
          together.arrive_and_wait();
          work(begin);
        });
      }
    }
    return seconds_since(begin);
  }

  void measure_batches(const Shape& shape, const std::vector<Window>& windows, nlohmann::json& report) {
    std::vector<double> computing;
    std::vector<double> whole;
    RestoreOptions options;
    Clock::time_point began;
    double computed = 0;
    options.computing = [&](bool begins) {
      if (begins) {
        began = Clock::now();
      } else {
        computed += seconds_since(began);
      }
    };
    const auto start = Clock::now();
    for (int call = -kWarmUps; call < kMostCalls; ++call) {
      const bool enough = call >= kLeastCalls && seconds_since(start) > request_.seconds;
      if (enough) break;
      computed = 0;
      const auto begin = Clock::now();
      const auto restored = device_.restore(network_, shape.size, windows, options);
      if (!restored) return fail(report, restored.error());
      if (call < 0) continue;
      whole.push_back(seconds_since(begin));
      computing.push_back(computed);
    }
    const auto tiles = static_cast<double>(shape.batch);
    report["compute_seconds"] = median(computing);
    report["fastest_seconds"] = *std::min_element(computing.begin(), computing.end());
    report["restore_seconds"] = median(whole);
    report["calls"] = computing.size();
    report["tiles_per_s"] = tiles / median(computing);
    report["restored_per_s"] = tiles / median(whole);
    if (device_.compute_lanes() == 1) measure_overlapped(shape, windows, report);
    if (const auto footprint = device_.measure(network_, shape.size, shape.batch)) report["peak_bytes"] = footprint->peak.value;
    if (request_.check && checked_.insert({shape.size.width, shape.size.height}).second) compare(shape.size, windows, report);
  }

  /// With as many calls at once as the daemon makes: one computes while another one copies.
  void measure_overlapped(const Shape& shape, const std::vector<Window>& windows, nlohmann::json& report) {
    const int calls = std::max(2 * device_.concurrency(), static_cast<int>(report.at("calls")) / 2);
    std::atomic<int> next = 0;
    std::atomic<bool> failed = false;
    const auto restore = [&] {
      if (!device_.restore(network_, shape.size, windows)) failed = true;
    };
    const double seconds = in_threads(restore, [&](Clock::time_point) {
      while (next++ < calls && !failed) restore();
    });
    if (!failed) report["overlapped_per_s"] = calls * shape.batch / seconds;
  }

  /// One frame after the other without a pause between them, at least one.
  void measure_frames(cv::Size tile, std::span<const Window> windows, int batch, nlohmann::json& report) {
    const auto step = static_cast<std::size_t>(batch);
    const std::size_t calls = (windows.size() + step - 1) / step;  // for a frame; the last one may be smaller
    std::mutex mutex;
    std::optional<Error> failure;  // under the mutex
    std::atomic<bool> is_over = false;
    const auto restore = [&](std::size_t call) {
      const auto part = windows.subspan(call * step, std::min(step, windows.size() - call * step));
      const auto restored = device_.restore(network_, tile, part);
      if (restored) return;
      is_over = true;
      const std::lock_guard lock(mutex);
      failure = restored.error();
    };
    const auto warm_up = [&] {
      restore(0);
      if (calls > 1) restore(calls - 1);
    };
    std::atomic<std::size_t> next = 0;
    std::atomic<std::size_t> done = 0;
    const double seconds = in_threads(warm_up, [&](Clock::time_point begin) {
      while (!is_over) {
        const std::size_t call = next++;
        if (call >= calls && call % calls == 0 && seconds_since(begin) > request_.seconds) {
          is_over = true;
          return;
        }
        restore(call % calls);
        ++done;
      }
    });
    if (failure) return fail(report, *failure);
    report["frames_per_s"] = static_cast<double>(done) / static_cast<double>(calls) / seconds;
  }

  void compare(cv::Size size, const std::vector<Window>& windows, nlohmann::json& report) {
    if (size.area() > kLargestChecked) return;
    const std::vector<Window> one{{windows.front().colour, {}, CV_32F}};
    const auto restored = device_.restore(network_, size, one);
    RestoreOptions options;
    options.plain = true;
    const auto plain = device_.restore(network_, size, one, options);
    if (!restored || !plain) return fail(report, restored ? plain.error() : restored.error());
    cv::Mat difference;
    cv::absdiff(restored->front().pixels, plain->front().pixels, difference);
    const cv::Mat numbers = difference.reshape(1);
    double largest = 0;
    cv::minMaxLoc(numbers, nullptr, &largest);
    report["mean_difference"] = cv::mean(numbers)[0];
    report["largest_difference"] = largest;
    report["finite"] = restored->front().values.is_finite;
    if (!request_.output.empty() && !has_written_) write(restored->front().pixels);
  }

  void write(const cv::Mat& pixels) {
    const cv::Mat whole = pixels.clone();
    std::ofstream(request_.output, std::ios::binary)
        .write(whole.ptr<char>(), static_cast<std::streamsize>(whole.total() * whole.elemSize()));
    has_written_ = true;
  }

  static double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
  }

  Device& device_;
  const NetworkInfo& network_;
  const cv::Mat picture_;
  const Request& request_;
  const Clock::time_point start_;
  std::set<std::pair<int, int>> checked_;
  bool has_failed_ = false;
  bool has_written_ = false;
};

int run(const Request& request) {
  inference::Registry::Options folders;
  for (const std::string& folder : request.models) folders.folders.emplace_back(folder);
  const inference::Registry registry(folders);
  const auto network = registry.find(request.network);
  if (!network) give_up(network.error());

  const auto devices = inference::open_devices(device_options(request));
  if (!devices) give_up(devices.error());
  Device& device = *devices->front();
  const auto start = Clock::now();
  if (const auto loaded = device.load(*network); !loaded) give_up(loaded.error());
  const auto choice = device.precision_for(*network);
  const auto backend = device.backend_for(*network);
  const nlohmann::json first{{"device", device.description()},
                             {"network", network->name},
                             {"variant", network->variant},
                             {"parameters", network->parameters},
                             {"precision", name_of(choice.precision)},
                             {"reason", choice.reason},
                             {"warning", choice.warning},
                             {"backend", backend.name},
                             {"backend_reason", backend.reason},
                             {"backend_warnings", backend.warnings},
                             {"load_seconds", Seconds(Clock::now() - start).count()}};
  std::cout << first.dump() << std::endl;

  Runner runner(device, *network, read_input(request), request);
  for (const std::string& text : request.cases) runner.run_case(text);
  for (const std::string& text : request.pictures) runner.run_picture(text);
  if (request.steady > 0 && !request.cases.empty() && !runner.has_failed()) runner.run_steadily(request.cases.front());
  return 0;
}

}  // namespace
}  // namespace retouchd::bench

int main(int argc, char** argv) {
  retouchd::bench::Request request;
  CLI::App app("A network on a device: tiles per second, memory and differences, as lines of JSON.");
  app.add_option("--models", request.models, "folders with weight files")->required();
  app.add_option("--network", request.network)->required();
  app.add_option("--device", request.device, "cpu, cuda:0");
  app.add_option("--precision", request.precision, "auto, fp32, tf32, fp16, bf16, mixed, int8");
  app.add_option("--backend", request.backend, "auto, optimized, compiled, fused");
  app.add_option("--compiled", request.compiled, "folder of packages by `retouch compile`");
  app.add_flag("--graphs", request.graphs, "CUDA graphs");
  app.add_option("--threads", request.threads, "of a CPU");
  app.add_option("--case", request.cases, "batches of one shape: WIDTHxHEIGHT[xBATCH]");
  app.add_option("--picture", request.pictures, "the tiles of one picture: WIDTHxHEIGHT[xBATCH]");
  app.add_option("--tile", request.tile, "largest side of those");
  app.add_option("--input", request.input, "raw 8-bit RGB; default: noise");
  app.add_option("--input-size", request.input_size, "WIDTHxHEIGHT");
  app.add_option("--output", request.output, "raw fp32: what became of the first tile that was checked");
  app.add_option("--seconds", request.seconds, "for one case");
  app.add_option("--limit", request.limit, "seconds after which no further case begins");
  app.add_option("--steady", request.steady, "seconds for which the first case runs once more without a pause");
  app.add_flag("--check", request.check, "compare with the plain fp32 path");
  CLI11_PARSE(app, argc, argv);
  return retouchd::bench::run(request);
}
