#include "inference/package_check.h"

#include <ATen/DeviceAccelerator.h>
#include <ATen/Functions.h>
#include <ATen/Parallel.h>

#include <chrono>
#include <cstdio>

#include "inference/comparison.h"
#include "inference/cuda_settings.h"
#include "inference/tensor_cache.h"

namespace retouchd::inference {
namespace {

/// Seconds that the rounds of one trial may take.
constexpr double kTrialBudget = 2;

/// The calling thread computes alone for its life: as tiles do on a CPU whose lanes are full.
class OneThread {
 public:
  explicit OneThread(const at::Device& device) : before_(device.is_cpu() ? at::get_num_threads() : 1) { set(1); }
  ~OneThread() { set(before_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  void set(int threads) const {
    if (before_ != 1) at::set_num_threads(threads);
  }
  const int before_;
};

double seconds_of(const TorchNetwork& network, const at::Tensor& input) {
  const auto synchronize = [&input] {
    if (!input.is_cpu()) at::accelerator::synchronizeDevice(input.device().index());
  };
  synchronize();
  const auto start = std::chrono::steady_clock::now();
  const at::Tensor output = network.forward(input);
  synchronize();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Bytes of tensors at the worst moment of a call.
double peak_of(const TorchNetwork& network, const at::Tensor& input) {
  if (input.is_cpu()) {
    KeptBlocks& cpu = TensorCache::instance().blocks();
    const std::size_t before = cpu.begin_peak();
    (void)network.forward(input);
    return static_cast<double>(cpu.peak() - before);
  }
  const auto device = input.device().index();
  at::accelerator::synchronizeDevice(device);
  at::accelerator::resetPeakStats(device);
  const auto before = at::accelerator::getDeviceStats(device).allocated_bytes.at(0).current;
  (void)network.forward(input);
  at::accelerator::synchronizeDevice(device);
  return static_cast<double>(at::accelerator::getDeviceStats(device).allocated_bytes.at(0).peak - before);
}

}  // namespace

Result<Check> compare_with_plain(const NetworkInfo& network, const TorchNetwork& computed, ForwardOptions options, cv::Size size,
                                 int batch) {
  const at::Tensor input = generated_input(network, size).to(options.device);
  const Precision precision = options.precision;
  allow_tf32(precision);
  const at::Tensor output = computed.forward(input.repeat({batch, 1, 1, 1})).to(at::kCPU);
  options.optimize = false;
  options.precision = Precision::kFp32;
  const auto plain = load_torch_network(network, options);
  if (!plain) return plain.error();
  allow_tf32(Precision::kFp32);
  const at::Tensor reference = (*plain)->forward(input).to(at::kCPU);
  return judge("plain fp32", difference_of(output, reference.expand_as(output), network), precision);
}

Error refusal_of(const Check& check) {
  if (!check.difference.is_finite) return make_error(ErrorCode::kDeviceFailed, "its result holds numbers that are none");
  const double measured = check.measured.starts_with("largest") ? check.difference.largest : check.difference.mean;
  char figures[96];
  std::snprintf(figures, sizeof(figures), "%.3g, allowed are %.3g", measured, check.tolerance);
  return make_error(ErrorCode::kDeviceFailed, "its " + check.measured + " from " + check.against + " is " + figures);
}

Trial try_out(const NetworkInfo& network, const ForwardOptions& options, const TorchNetwork& optimized,
              const TorchNetwork& computed, cv::Size size, int batch) {
  const at::Tensor input = generated_input(network, size).repeat({batch, 1, 1, 1}).to(options.device);
  const OneThread one(options.device);
  allow_tf32(options.precision);
  return measure_by_turns([&] { return seconds_of(optimized, input); }, [&] { return seconds_of(computed, input); },
                          kTrialBudget);
}

double memory_ratio(const NetworkInfo& network, const ForwardOptions& options, const TorchNetwork& optimized,
                    const TorchNetwork& computed, cv::Size size) {
  const at::Tensor input = generated_input(network, size).to(options.device);
  const OneThread one(options.device);
  allow_tf32(options.precision);
  const double usual = peak_of(optimized, input);
  return usual > 0 ? peak_of(computed, input) / usual : 1;
}

}  // namespace retouchd::inference
