// How long a preview takes while a backlog runs: 500 pictures of 7 megapixels are queued, and now and then somebody else submits
// one more (open loop: it does not wait for answers). From acceptance to the preview's event, in times of a batch.
//
//   bench/preview_latency --json
//   bench/preview_latency --json --set device=cpu --set tile.batch=4
//
// Also: how long a picture of 0.1 megapixels of the same client takes, and how many of the backlog end before it does.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>
#include <thread>

#include "bench/support/daemon_core.h"

namespace retouchd::bench {
namespace {

namespace fs = std::filesystem;

double quantile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const auto index = static_cast<std::size_t>(share * static_cast<double>(values.size() - 1) + 0.5);
  return values[index];
}

}  // namespace

int preview_latency(int argc, char** argv) {
  CLI::App app{"Time to a preview while a backlog runs"};
  std::vector<std::string> overrides;
  int backlog = 500;
  int probes = 30;
  double every = 2.0;
  bool json = false;
  app.add_option("--set", overrides, "Any key of the configuration")->type_name("KEY=VALUE");
  app.add_option("--backlog", backlog, "Pictures of 7 megapixels");
  app.add_option("--probes", probes, "Pictures whose previews are timed");
  app.add_option("--every", every, "Seconds between them");
  app.add_flag("--json", json, "One JSON object");
  CLI11_PARSE(app, argc, argv);

  const TemporaryFolder folder;
  std::vector<std::string> settings{"memory=6GiB", "device=simulated", "simulation=rate=80 batch_cost=4 copy=1ms"};
  settings.insert(settings.end(), overrides.begin(), overrides.end());
  const fs::path large = folder.path() / "large.jpg";
  const fs::path small = folder.path() / "small.jpg";
  write_picture(large, {3296, 2192}, 1);
  write_picture(small, {370, 270}, 2);

  DaemonCore core(configuration(folder.path() / "state", settings));
  const auto output = [&folder](const std::string& name) { return folder.path() / "out" / (name + ".jpg"); };
  std::vector<queue::JobId> pictures;
  for (int i = 0; i < backlog; ++i) pictures.push_back(core.submit(large, output("b" + std::to_string(i)), "folder", true));
  core.wait_for(pictures.front(), "started");
  const queue::JobId tiny = core.submit(small, output("tiny"), "folder");
  const double tiny_seconds = core.wait_for(tiny, "done");
  const auto done = core.done();
  const auto before_tiny = std::find(done.begin(), done.end(), tiny) - done.begin();

  const Meter::Sums before = core.meter().sums();
  std::vector<queue::JobId> jobs;
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < probes; ++i) {
    std::this_thread::sleep_until(start + std::chrono::duration<double>(every * i));
    jobs.push_back(core.submit(large, output("p" + std::to_string(i)), "visitor", true));
  }
  std::vector<double> seconds;
  for (const queue::JobId job : jobs) seconds.push_back(core.wait_for(job, "preview"));
  const Meter::Sums after = core.meter().sums();
  // Of computing alone; a device with several lanes computes as many batches at once.
  const double batch = (after.busy_seconds - before.busy_seconds) *
                       core.engine().devices->members().front()->device->compute_lanes() /
                       static_cast<double>(after.batches - before.batches);

  const nlohmann::json report{{"ratio", quantile(seconds, 0.95) / batch},
                              {"p95_s", quantile(seconds, 0.95)},
                              {"p50_s", quantile(seconds, 0.5)},
                              {"max_s", quantile(seconds, 1.0)},
                              {"batch_s", batch},
                              {"probes", probes},
                              {"still_queued", core.queued()},
                              {"small_picture_s", tiny_seconds},
                              {"backlog_done_before_small_picture", before_tiny},
                              {"device", core.engine().devices->description()},
                              {"settings", settings},
                              {"whole_run", after.to_json()}};
  print_report(report, json);
  return 0;
}

}  // namespace retouchd::bench

int main(int argc, char** argv) {
  retouchd::bench::begin(argv);
  return retouchd::bench::preview_latency(argc, argv);
}
