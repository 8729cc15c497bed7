// How much of a device's speed the daemon delivers: tiles/s end to end over those of a bare loop that runs the same network over
// the same tiles in the same batches on the same device, alternating in one run.
//
//   bench/saturation --json                                             the built-in network on the CPU
//   bench/saturation --set device=simulated --set simulation="rate=500" --no-codecs
//
// On a CPU decoding and encoding take their cores from the same processor; their share (CPU time of all threads but the
// device's) is printed, and the ratio is against the bare loop on the cores that are left. --no-codecs leaves decode, preview,
// encode and the job store out, to see what the scheduler, the workers and the merge can do at the speed of a large GPU.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>
#include <thread>

#include "base/file.h"
#include "bench/support/daemon_core.h"
#include "bench/support/tile_loop.h"
#include "image/codec.h"

namespace retouchd::bench {
namespace {

namespace fs = std::filesystem;
using Seconds = std::chrono::duration<double>;

const std::vector<cv::Size> kSizes{{3296, 2192}, {1600, 1200}, {2192, 3296}, {1080, 1920},
                                   {640, 480},   {3296, 2192}, {2400, 1600}};

struct Round {
  double bare_seconds = 0;
  double daemon_seconds = 0;
  std::map<std::string, double> cpu_seconds;  ///< of the daemon's threads by name, while it ran

  [[nodiscard]] double ratio() const { return bare_seconds / daemon_seconds; }
};

/// Of all threads but those of the device.
double cpu_of_other_stages(const Round& round) {
  double sum = 0;
  for (const auto& [thread, seconds] : round.cpu_seconds) sum += thread == "infer" ? 0 : seconds;
  return sum;
}

std::vector<fs::path> write_pictures(const fs::path& folder, int count, double scale) {
  std::vector<fs::path> files;
  for (int i = 0; i < count; ++i) {
    const cv::Size size = kSizes[static_cast<std::size_t>(i) % kSizes.size()];
    files.push_back(folder / (std::to_string(i) + ".jpg"));
    write_picture(files.back(), {static_cast<int>(size.width * scale), static_cast<int>(size.height * scale)}, i);
  }
  return files;
}

std::vector<cv::Mat> decode_all(const std::vector<fs::path>& files) {
  std::vector<cv::Mat> pictures;
  for (const fs::path& file : files) {
    const auto bytes = read_file(file, gibibytes(1));
    if (!bytes) give_up(bytes.error());
    auto picture = image::decode(*bytes, {});
    if (!picture) give_up(picture.error());
    pictures.push_back(picture->colour);
  }
  return pictures;
}

double run_daemon(DaemonCore& core, const std::vector<fs::path>& files, const fs::path& output, int round) {
  const auto start = std::chrono::steady_clock::now();
  std::vector<queue::JobId> jobs;
  for (const fs::path& file : files)
    jobs.push_back(core.submit(file, output / (std::to_string(round) + "-" + file.filename().string()), "bench"));
  for (const queue::JobId job : jobs) core.wait_for(job, "done");
  return Seconds(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

int saturation(int argc, char** argv) {
  CLI::App app{"Tiles per second of the daemon over those of a bare loop on the same device"};
  std::vector<std::string> overrides;
  int pictures = 14;
  int rounds = 3;
  double scale = 1.0;
  bool json = false;
  bool without_codecs = false;
  app.add_option("--set", overrides, "Any key of the configuration")->type_name("KEY=VALUE");
  app.add_option("--pictures", pictures, "Pictures of mixed sizes in each round");
  app.add_option("--scale", scale, "Of the pictures' sides");
  app.add_option("--rounds", rounds, "Of bare loop and daemon, one after the other");
  app.add_flag("--no-codecs", without_codecs, "Pictures come from memory and go nowhere");
  app.add_flag("--json", json, "One JSON object");
  CLI11_PARSE(app, argc, argv);

  const TemporaryFolder folder;
  std::vector<std::string> settings{"memory=4GiB", "preview.enabled=false", "resume.longer_than=24h"};
  settings.insert(settings.end(), overrides.begin(), overrides.end());
  const config::Config config = configuration(folder.path(), settings);
  const auto files = write_pictures(folder.path(), pictures, scale);
  const auto decoded = decode_all(files);
  DaemonCore core(config);
  const auto network = core.engine().networks->find(config.network);
  if (!network) give_up(network.error());
  TileLoop loop(*core.engine().devices, *network, config.tile.size, decoded);

  (void)loop.run_bare();
  std::vector<Round> all;
  for (int i = 0; i < rounds; ++i) {
    Round round;
    round.bare_seconds = loop.run_bare();
    const auto before = cpu_seconds_by_thread();
    round.daemon_seconds = without_codecs ? loop.run_stages(core.meter()) : run_daemon(core, files, folder.path(), i);
    round.cpu_seconds = cpu_seconds_by_thread();
    for (const auto& [thread, seconds] : before) round.cpu_seconds[thread] -= seconds;
    all.push_back(round);
  }
  // The round in the middle, by what the daemon took against the bare loop beside it.
  std::sort(all.begin(), all.end(), [](const Round& a, const Round& b) { return a.ratio() < b.ratio(); });
  const Round median = all[all.size() / 2];
  const bool is_cpu = core.engine().devices->members().front()->device->name() == "cpu";
  const double cores = static_cast<double>(std::thread::hardware_concurrency());
  const double share = is_cpu ? cpu_of_other_stages(median) / (cores * median.daemon_seconds) : 0;
  const auto tiles = static_cast<double>(loop.tiles());
  std::vector<double> ratios;
  for (const Round& round : all) ratios.push_back(round.ratio());

  // The daemon stands still while the bare loop runs, and says so: that is not its starvation.
  Meter::Sums sums = core.meter().sums();
  sums.starved_seconds.erase("no_work");
  nlohmann::json report{{"ratio", median.ratio() / (1 - share)},
                        {"ratio_without_share", median.ratio()},
                        {"ratios_without_share", ratios},
                        {"core_share_of_other_stages", share},
                        {"bare_tiles_per_s", tiles / median.bare_seconds},
                        {"daemon_tiles_per_s", tiles / median.daemon_seconds},
                        {"tiles", loop.tiles()},
                        {"pictures", pictures},
                        {"device", core.engine().devices->description()},
                        {"network", config.network},
                        {"codecs", !without_codecs},
                        {"cores", cores},
                        {"cpu_seconds_by_thread", median.cpu_seconds},
                        {"busy_ratio", sums.busy_ratio()},
                        {"all_rounds_of_the_daemon", sums.to_json()}};
  print_report(report, json);
  return 0;
}

}  // namespace retouchd::bench

int main(int argc, char** argv) {
  retouchd::bench::begin(argv);
  return retouchd::bench::saturation(argc, argv);
}
