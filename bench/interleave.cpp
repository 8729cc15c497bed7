// What sharing batches between pictures gains: 64 small pictures of mixed sizes, all at once against one at a time, on a
// simulated device whose batch of 16 takes four times as long as a single tile.
//
//   bench/interleave --json
//
// Each picture alone still fills its batches with its own tiles. Both ways run the whole pipeline, with decode and encode; the
// device is the bottleneck in both. How full batches are while work waits is judged in a third run over eight times as many.
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "bench/support/daemon_core.h"

namespace retouchd::bench {
namespace {

namespace fs = std::filesystem;
using Seconds = std::chrono::duration<double>;

const std::vector<cv::Size> kSizes{{640, 480},  {480, 640}, {320, 240}, {800, 600},
                                   {1024, 768}, {500, 375}, {600, 800}, {1200, 800}};

struct Outcome {
  double seconds = 0;
  Meter::Sums sums;
};

Outcome run(const fs::path& state, const std::vector<std::string>& settings, const std::vector<fs::path>& files, bool together) {
  DaemonCore core(configuration(state, settings));
  const auto start = std::chrono::steady_clock::now();
  std::vector<queue::JobId> jobs;
  for (const fs::path& file : files) {
    jobs.push_back(core.submit(file, state / "out" / file.filename(), "bench"));
    if (!together) core.wait_for(jobs.back(), "done");
  }
  // Fill is judged while pictures wait; the last ones cannot fill their batches with what is not there.
  while (together && core.queued() > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  core.meter().set_backlog(false);
  for (const queue::JobId job : jobs) core.wait_for(job, "done");
  return {Seconds(std::chrono::steady_clock::now() - start).count(), core.meter().sums()};
}

}  // namespace

int interleave(int argc, char** argv) {
  CLI::App app{"Gain of sharing batches between pictures"};
  std::string simulation = "rate=120 batch_cost=4 copy=1ms";
  int pictures = 64;
  bool json = false;
  app.add_option("--simulation", simulation, "Of the device");
  app.add_option("--pictures", pictures, "Small pictures of mixed sizes");
  app.add_flag("--json", json, "One JSON object");
  CLI11_PARSE(app, argc, argv);

  const TemporaryFolder folder;
  std::vector<fs::path> files;
  for (int i = 0; i < pictures; ++i) {
    files.push_back(folder.path() / (std::to_string(i) + ".jpg"));
    write_picture(files.back(), kSizes[static_cast<std::size_t>(i) % kSizes.size()], i);
  }
  const std::vector<std::string> settings{"memory=4GiB", "preview.enabled=false", "device=simulated", "simulation=" + simulation};
  const Outcome alone = run(folder.path() / "alone", settings, files, false);
  const Outcome together = run(folder.path() / "together", settings, files, true);
  std::vector<fs::path> many;
  for (int i = 0; i < 8; ++i) {
    for (const fs::path& file : files) {
      many.push_back(folder.path() / (std::to_string(i) + "-" + file.filename().string()));
      fs::create_hard_link(file, many.back());
    }
  }
  const Outcome backlog = run(folder.path() / "backlog", settings, many, true);
  const nlohmann::json report{{"ratio", alone.seconds / together.seconds},
                              {"ratio_of_device_seconds", alone.sums.busy_seconds / together.sums.busy_seconds},
                              {"fill_with_backlog", backlog.sums.backlog_fill()},
                              {"busy_ratio_with_backlog", backlog.sums.busy_ratio()},
                              {"pictures", pictures},
                              {"simulation", simulation},
                              {"seconds_together", together.seconds},
                              {"seconds_one_at_a_time", alone.seconds},
                              {"together", together.sums.to_json()},
                              {"backlog", backlog.sums.to_json()},
                              {"one_at_a_time", alone.sums.to_json()}};
  print_report(report, json);
  return 0;
}

}  // namespace retouchd::bench

int main(int argc, char** argv) {
  retouchd::bench::begin(argv);
  return retouchd::bench::interleave(argc, argv);
}
