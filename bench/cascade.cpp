// Does the cascade's score choose the right pictures, and as many as it promises?
//
//   bench/cascade --json --seed 1
//
// Draws pictures whose truth is known, blurs them and adds noise and JPEG; measures what the preview would lose from the noisy
// picture alone (image/lost_detail.h); calibrates on every second picture for a rate of 0.10 (stages/calibration.h) and judges
// the others. The true loss of a picture is the PSNR of its clean version made as small as the preview and enlarged, against
// itself.
//
// rate: share of the judged pictures with a score below 0.9. auc: how well the score ranks those that truly lose more than 30 dB
// before the others, 1 being perfect and 0.5 luck; auc_laplacian: the same with the variance of the Laplacian, the common measure
// of sharpness, in its place.
#include <fmt/format.h>
#include <malloc.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cmath>
#include <ctime>
#include <limits>
#include <nlohmann/json.hpp>
#include <opencv2/core.hpp>
#include <stdexcept>
#include <thread>
#include <vector>

#include "bench/support/generated_pictures.h"
#include "bench/support/ranking.h"
#include "bench/support/skip_features.h"
#include "image/lost_detail.h"
#include "stages/calibration.h"

namespace retouchd::bench {
namespace {

const cv::Size kSize{1224, 816};
const cv::Size kPreview{465, 310};  // as one megapixel of seven
const cv::Size kSevenMegapixels{3296, 2192};
const cv::Size kOneMegapixel{1226, 815};
constexpr double kRate = 0.10;
constexpr double kThreshold = 0.9;
constexpr double kNeedsFull = 30;  // dB

struct Sample {
  image::LostDetail measured;
  double true_db = 0;
};

std::vector<Sample> measure(std::uint64_t seed, int pictures) {
  const GeneratedPictures generated(seed, kSize);
  std::vector<Sample> samples(static_cast<std::size_t>(pictures));
  std::atomic<std::size_t> next = 0;
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < std::max(1U, std::thread::hardware_concurrency()); ++i) {
    threads.emplace_back([&] {
      for (std::size_t index = next++; index < samples.size(); index = next++) {
        const GeneratedPicture picture = generated.make(static_cast<int>(index));
        samples[index] = {image::measure_lost_detail(picture.taken, kPreview), true_loss_db(picture.clean, kPreview)};
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return samples;
}

double cpu_milliseconds() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return 1e3 * static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_nsec);
}

/// Processor time of the quickest of several looks at a picture of seven megapixels.
double milliseconds_per_7mp(std::uint64_t seed) {
  const cv::Mat picture = GeneratedPictures(seed, kSevenMegapixels).make(0).taken;
  double least = std::numeric_limits<double>::max();
  for (int i = 0; i < 9; ++i) {
    const double start = cpu_milliseconds();
    (void)image::measure_lost_detail(picture, kOneMegapixel);
    least = std::min(least, cpu_milliseconds() - start);
  }
  return least;
}

/// JSON has no NaN.
nlohmann::json number_or_null(double value) { return std::isfinite(value) ? nlohmann::json(value) : nlohmann::json(); }

nlohmann::json judge(const std::vector<Sample>& samples) {
  std::vector<double> known;
  std::vector<Sample> held_out;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    if (i % 2 == 0) {
      known.push_back(samples[i].measured.value());
    } else {
      held_out.push_back(samples[i]);
    }
  }
  const auto calibration = stages::Calibration::fit(known, kRate);
  if (!calibration) throw std::runtime_error(calibration.error().message);

  std::vector<double> urgency;  // the higher, the sooner a picture would be escalated
  std::vector<double> sharpness;
  std::vector<double> truth;
  double escalated = 0;
  double rightly = 0;
  double error = 0;
  for (const Sample& sample : held_out) {
    const double value = sample.measured.value();
    const bool is_escalated = calibration->score(value) < kThreshold;
    escalated += is_escalated ? 1 : 0;
    rightly += is_escalated && sample.true_db < kNeedsFull ? 1 : 0;
    error += std::abs(value - sample.true_db);
    urgency.push_back(-value);
    sharpness.push_back(sample.measured.laplacian);
    truth.push_back(sample.true_db);
  }
  const double count = static_cast<double>(held_out.size());
  nlohmann::json by_threshold = nlohmann::json::array();
  for (const double db : {28.0, 30.0, 32.0, 35.0}) {
    std::vector<bool> needs_full;
    for (const double loss : truth) needs_full.push_back(loss < db);
    by_threshold.push_back({{"true_loss_below_db", db},
                            {"share", static_cast<double>(std::count(needs_full.begin(), needs_full.end(), true)) / count},
                            {"auc", number_or_null(area_under_curve(urgency, needs_full))},
                            {"auc_laplacian", number_or_null(area_under_curve(sharpness, needs_full))}});
  }
  const auto& chosen = by_threshold.at(1);
  return {{"rate", escalated / count},
          {"auc", chosen.at("auc")},
          {"auc_laplacian", chosen.at("auc_laplacian")},
          {"needs_full_below_db", kNeedsFull},
          {"by_true_loss", by_threshold},
          {"rightly_escalated", escalated > 0 ? nlohmann::json(rightly / escalated) : nlohmann::json()},
          {"mean_error_db", error / count},
          {"threshold_db", calibration->threshold_db()},
          {"held_out", held_out.size()},
          {"knots", calibration->knots()}};
}

void print(const nlohmann::json& report) {
  fmt::print("{} pictures, seed {}: calibrated on half of them for a rate of {:.2f}\n", report.value("pictures", 0),
             report.value("seed", 0), kRate);
  fmt::print("  escalated of the other half  {:.3f}, {:.0f} % of them rightly\n", report.value("rate", 0.0),
             report.at("rightly_escalated").is_null() ? 0.0 : 100 * report.value("rightly_escalated", 0.0));
  fmt::print("  predicted loss is off by     {:.1f} dB on average\n", report.value("mean_error_db", 0.0));
  fmt::print("  time for 7 megapixels        {:.0f} ms of one core\n\n", report.value("milliseconds_per_7mp", 0.0));
  fmt::print("  true loss     share   AUC of the score   AUC of the Laplacian\n");
  for (const auto& line : report.at("by_true_loss")) {
    if (line.at("auc").is_null()) continue;
    fmt::print("  below {:.0f} dB   {:.3f}   {:.3f}              {:.3f}\n", line.value("true_loss_below_db", 0.0),
               line.value("share", 0.0), line.value("auc", 0.0), line.value("auc_laplacian", 0.0));
  }
}

}  // namespace

int cascade(int argc, char** argv) {
  CLI::App app{"Whether the cascade's score chooses the right pictures, and as many as it promises"};
  std::uint64_t seed = 1;
  int pictures = 1000;
  bool json = false;
  std::string features;
  app.add_option("--seed", seed, "Of everything that is drawn")->capture_default_str();
  app.add_option("--pictures", pictures, "Half of them to calibrate with, half to judge")
      ->check(CLI::Range(4, 1'000'000))
      ->capture_default_str();
  app.add_flag("--json", json, "One JSON object");
  app.add_option("--features", features, "Instead: write what training/fit_skip.py learns from, with the built-in network")
      ->type_name("FILE.csv");
  CLI11_PARSE(app, argc, argv);
  cv::setNumThreads(1);                    // the pictures are what runs at the same time
  ::mallopt(M_MMAP_THRESHOLD, 256 << 20);  // their memory is used again, not asked for anew
  ::mallopt(M_TRIM_THRESHOLD, 512 << 20);
  if (!features.empty()) {
    write_skip_features(features, seed, pictures);
    return 0;
  }
  nlohmann::json report = judge(measure(seed, pictures));
  report["pictures"] = pictures;
  report["seed"] = seed;
  report["milliseconds_per_7mp"] = milliseconds_per_7mp(seed);
  if (json) {
    fmt::print("{}\n", report.dump());
  } else {
    print(report);
  }
  return 0;
}

}  // namespace retouchd::bench

int main(int argc, char** argv) {
  try {
    return retouchd::bench::cascade(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
