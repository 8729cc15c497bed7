#include "bench/support/skip_features.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/file.h"
#include "bench/support/generated_pictures.h"
#include "image/gain_features.h"
#include "image/psnr.h"
#include "inference/device.h"
#include "inference/registry.h"

namespace retouchd::bench {
namespace {

constexpr const char* kNetwork = "student-tiny";
constexpr double kPerfect = 60;  // dB; beyond, differences are rounding
const cv::Size kSize{1224, 816};

[[noreturn]] void give_up(const Error& error) {
  fmt::print(stderr, "{}\n  {}\n", error.message, error.remedy());
  std::exit(1);
}

/// The built-in network on one thread for each caller.
class Restorer {
 public:
  Restorer() {
    const auto found = inference::Registry({.folders = {std::filesystem::path(RETOUCHD_SOURCE_DIR) / "models"}}).find(kNetwork);
    if (!found) give_up(found.error());
    network_ = *found;
    auto devices = inference::open_devices({.devices = "cpu"});
    if (!devices) give_up(devices.error());
    device_ = std::move(devices->front());
    if (const auto loaded = device_->load(network_); !loaded) give_up(loaded.error());
  }

  cv::Mat restore(const cv::Mat& picture) const {
    const std::array<inference::Window, 1> windows{inference::Window{picture, {}, CV_8U}};
    const auto up = [this](int side) { return (side + network_.multiple - 1) / network_.multiple * network_.multiple; };
    auto restored = device_->restore(network_, {up(picture.cols), up(picture.rows)}, windows);
    if (!restored) give_up(restored.error());
    return restored->front().pixels;
  }

  [[nodiscard]] int threads() const { return device_->concurrency(); }

 private:
  inference::NetworkInfo network_;
  std::unique_ptr<inference::Device> device_;
};

double psnr(const cv::Mat& a, const cv::Mat& b) { return std::min(kPerfect, image::psnr(a, b)); }

std::string line_of(const Restorer& restorer, const GeneratedPicture& picture) {
  const cv::Mat mosaic = image::crops_of(picture.taken);
  const auto features = image::measure_gain_features(picture.taken, mosaic, restorer.restore(mosaic));
  const double before = psnr(picture.taken, picture.clean);
  const double gain = psnr(restorer.restore(picture.taken), picture.clean) - before;
  return fmt::format("{:.4f},{:.5f},{:.3f},{:.5f},{:.4f},{:.4f},{:.5f},{:.4f},{:.3f},{:.3f},{:.3f},{:.3f},{}\n",
                     features.noise_sigma, features.blockiness, features.detail, features.clipped, features.residual_rms,
                     features.residual_calm, features.residual_grain, gain, before, picture.degradation.blur,
                     picture.degradation.noise_sigma, picture.degradation.shot_gain, picture.degradation.jpeg_quality);
}

}  // namespace

void write_skip_features(const std::filesystem::path& file, std::uint64_t seed, int pictures) {
  const Restorer restorer;
  const GeneratedPictures generated(seed, kSize);
  std::vector<std::string> lines(static_cast<std::size_t>(pictures));
  std::atomic<std::size_t> next = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < restorer.threads(); ++i) {
    threads.emplace_back([&] {
      for (std::size_t index = next++; index < lines.size(); index = next++)
        lines[index] = line_of(restorer, generated.make_handed_on(static_cast<int>(index)));
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::string text =
      "noise_sigma,blockiness,detail,clipped,residual_rms,residual_calm,residual_grain,gain_db,psnr_before,blur,noise,shot_gain,"
      "jpeg_quality\n";
  for (const std::string& line : lines) text += line;
  const std::vector<std::uint8_t> bytes(text.begin(), text.end());
  if (const auto written = write_file_synced(file, bytes); !written) give_up(written.error());
}

}  // namespace retouchd::bench
