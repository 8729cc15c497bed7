// What one more tile costs in the scheduler and one more job in the store, with few and with very many of them waiting.
#include <fmt/format.h>
#include <time.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <semaphore>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "queue/sqlite_job_store.h"
#include "queue/tile_scheduler.h"

namespace retouchd {
namespace {

using nlohmann::json;
using Steady = std::chrono::steady_clock;

constexpr std::int64_t kFewest = 10;

double seconds_since(Steady::time_point start) { return std::chrono::duration<double>(Steady::now() - start).count(); }

/// Of all threads of this process.
double cpu_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

std::int64_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::int64_t pages = 0;
  std::int64_t resident = 0;
  statm >> pages >> resident;
  return resident * ::sysconf(_SC_PAGESIZE);
}

class NeverAbandoned final : public queue::TileOwner {
 public:
  [[nodiscard]] bool is_abandoned() const noexcept override { return false; }
};

/// Nanoseconds for one push and its share of a pull, on one thread, in batches of 16 while `waiting` tiles wait.
double scheduler_cost(std::size_t waiting) {
  constexpr std::size_t kBatch = 16;
  constexpr std::size_t kTilesOfAPicture = 10;
  constexpr int kRounds = 20'000;
  queue::TileScheduler scheduler(waiting + 2 * kBatch);
  const auto owner = std::make_shared<NeverAbandoned>();
  const cv::Mat window(8, 8, CV_8UC3);
  const int sides[] = {512, 320, 256};
  std::size_t pushed = 0;
  const auto push = [&] {
    const std::size_t picture = pushed / kTilesOfAPicture;
    queue::Tile tile;
    tile.bin = {"network", sides[picture % 3], 512};
    tile.picture = picture;
    tile.priority = static_cast<int>(picture % 2);
    tile.client = "client " + std::to_string(picture % 8);
    tile.index = static_cast<int>(pushed % kTilesOfAPicture);
    tile.window = window;
    tile.owner = owner;
    ++pushed;
    if (!scheduler.push(std::move(tile))) throw std::logic_error("the scheduler is closed");
  };
  const queue::PullRequest request{[](const queue::Bin&) { return kBatch; }, std::chrono::milliseconds(0), [] { return true; }};
  while (pushed < waiting) push();
  std::size_t tiles = 0;
  const auto start = Steady::now();
  for (int round = 0; round < kRounds; ++round) {
    while (scheduler.depth() < waiting + kBatch) push();
    const auto batch = scheduler.pull(request, std::chrono::milliseconds(0));
    if (batch) tiles += batch->tiles.size();
  }
  return seconds_since(start) / static_cast<double>(tiles) * 1e9;
}

/// A folder of our own, on the disk that --folder names.
class Folder {
 public:
  explicit Folder(const std::filesystem::path& parent) : path_(parent / fmt::format("retouchd-scale-{}", ::getpid())) {
    std::filesystem::create_directories(path_);
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

 private:
  const std::filesystem::path path_;
};

queue::JobRequest job_request(std::int64_t number, std::mt19937_64& random) {
  queue::JobRequest request;
  request.key = fmt::format("key-{:016x}-{}", random(), number);
  request.origin = fmt::format("watch:folder{}", random() % 8);
  request.name = fmt::format("2026/holiday/DSC{:07}.jpg", number);
  request.source = "/srv/photos/incoming/" + request.name;
  request.output = "/srv/photos/restored/" + request.name;
  request.identity = {1, random() % 100'000'000, 50'000 + random() % 8'000'000, 1'700'000'000'000'000'000};
  request.network = "student-small";
  request.priority = static_cast<int>(random() % 3);
  return request;
}

/// A store that grows step by step.
class Store {
 public:
  explicit Store(std::filesystem::path file) : file_(std::move(file)) {
    queue::SqliteJobStoreOptions options;
    options.file = file_;
    options.boot_id = "bench";
    auto opened = queue::open_sqlite_job_store(options, system_clock());
    if (!opened) throw std::runtime_error(opened.error().message);
    store_ = std::move(*opened);
    resident_ = resident_bytes();
  }

  /// Microseconds per accepted job, many sharing one commit.
  double grow_to(std::int64_t jobs) {
    constexpr int kUnanswered = 1024;
    std::counting_semaphore<kUnanswered> room(kUnanswered);
    const std::int64_t first = accepted_;
    const auto start = Steady::now();
    for (; accepted_ < jobs; ++accepted_) {
      room.acquire();
      store_->accept(job_request(accepted_, random_), [&room](const Result<queue::JobStore::Accepted>& answer) {
        if (!answer) std::cerr << answer.error().message << '\n';
        room.release();
      });
    }
    for (int i = 0; i < kUnanswered; ++i) room.acquire();
    return seconds_since(start) / static_cast<double>(jobs - first) * 1e6;
  }

  struct Cost {
    double us = 0;      ///< elapsed, with the disk's sync
    double cpu_us = 0;  ///< of all processors
  };
  /// One claim with its own commit; the job goes back afterwards.
  Cost claim(const queue::ClaimRequest& request) {
    const auto start = Steady::now();
    const double cpu_start = cpu_seconds();
    const auto jobs = store_->claim(request);
    const Cost cost{seconds_since(start) * 1e6, (cpu_seconds() - cpu_start) * 1e6};
    if (!jobs) throw std::runtime_error(jobs.error().message);
    for (const queue::Job& job : *jobs) {
      if (auto back = store_->hand_back({job.id, job.epoch}); !back) throw std::runtime_error(back.error().message);
    }
    return cost;
  }

  [[nodiscard]] std::int64_t resident_growth() const { return resident_bytes() - resident_; }

  std::int64_t disk_bytes() const {
    std::int64_t bytes = 0;
    for (const char* suffix : {"", "-wal"}) {
      std::error_code ignored;
      const auto size = std::filesystem::file_size(file_.string() + suffix, ignored);
      if (!ignored) bytes += static_cast<std::int64_t>(size);
    }
    return bytes;
  }

 private:
  const std::filesystem::path file_;
  std::unique_ptr<queue::JobStore> store_;
  std::mt19937_64 random_{1};
  std::int64_t accepted_ = 0;
  std::int64_t resident_ = 0;
};

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// Medians of claims from `store`, and over those of claims from `small` made in turn with them, so that other work on the
/// machine weighs on both.
json claim_cost(Store& store, Store& small, const queue::ClaimRequest& request) {
  constexpr int kClaims = 200;
  std::vector<double> us, cpu_us, small_us, small_cpu_us;
  for (int i = 0; i < kClaims; ++i) {
    const auto large_cost = store.claim(request);
    const auto small_cost = small.claim(request);
    us.push_back(large_cost.us);
    cpu_us.push_back(large_cost.cpu_us);
    small_us.push_back(small_cost.us);
    small_cpu_us.push_back(small_cost.cpu_us);
  }
  return {{"us", median(us)},
          {"cpu_us", median(cpu_us)},
          {"ratio", median(us) / median(small_us)},
          {"cpu_ratio", median(cpu_us) / median(small_cpu_us)}};
}

json measure(Store& store, Store& small, std::int64_t jobs) {
  json part{{"jobs", jobs}};
  part["accept_us"] = store.grow_to(jobs);
  part["disk_bytes_per_job"] = store.disk_bytes() / jobs;
  part["rss_bytes_per_job"] = store.resident_growth() / jobs;
  part["claim"] = claim_cost(store, small, {});
  part["claim_small"] = claim_cost(store, small, {.largest_file = queue::kSmallFile.value});
  part["claim_other_origin"] = claim_cost(store, small, {.not_from = {"watch:folder0", "watch:folder1"}});
  return part;
}

json run(std::int64_t most_jobs, const std::filesystem::path& folder) {
  json report;
  for (const std::size_t waiting : {16U, 1'000U, 10'000U, 100'000U}) {
    report["scheduler"].push_back({{"waiting_tiles", waiting}, {"ns_per_tile", scheduler_cost(waiting)}});
  }
  const Folder own(folder);
  Store small(own.path() / "small.sqlite");
  small.grow_to(kFewest);
  Store store(own.path() / "jobs.sqlite");
  for (const std::int64_t jobs : {kFewest, std::int64_t{1'000}, std::int64_t{100'000}, std::int64_t{1'000'000}}) {
    if (jobs <= most_jobs) report["store"].push_back(measure(store, small, jobs));
  }
  const json& tiles = report["scheduler"];
  report["scheduler_ratio"] = tiles.back()["ns_per_tile"].get<double>() / tiles.front()["ns_per_tile"].get<double>();
  report["ratio"] = report["store"].back()["claim"]["ratio"];
  report["cpu_ratio"] = report["store"].back()["claim"]["cpu_ratio"];
  return report;
}

void print(const json& report) {
  fmt::print("scheduler, one thread, batches of 16:\n{:>12} {:>12}\n", "waiting", "ns per tile");
  for (const auto& part : report["scheduler"]) {
    fmt::print("{:>12} {:>12.0f}\n", part["waiting_tiles"].get<std::int64_t>(), part["ns_per_tile"].get<double>());
  }
  fmt::print("\nstore; microseconds, of a claim: elapsed with the disk's sync (processor time); x: over those of {} jobs\n",
             kFewest);
  fmt::print("{:>8} {:>7} {:>10} {:>10} {:>26} {:>26} {:>26}\n", "jobs", "accept", "disk B/job", "RSS B/job", "claim",
             "claim small", "claim other origin");
  for (const auto& part : report["store"]) {
    const auto claim = [&](const char* kind) {
      const auto of = [&](const char* field) { return part[kind][field].get<double>(); };
      return fmt::format("{:.0f} ({:.0f}) x{:.2f} ({:.2f})", of("us"), of("cpu_us"), of("ratio"), of("cpu_ratio"));
    };
    fmt::print("{:>8} {:>7.0f} {:>10} {:>10} {:>26} {:>26} {:>26}\n", part["jobs"].get<std::int64_t>(),
               part["accept_us"].get<double>(), part["disk_bytes_per_job"].get<std::int64_t>(),
               part["rss_bytes_per_job"].get<std::int64_t>(), claim("claim"), claim("claim_small"), claim("claim_other_origin"));
  }
  fmt::print("\nmost over fewest: claim {:.2f} (processor time {:.2f}), tile {:.2f}\n", report["ratio"].get<double>(),
             report["cpu_ratio"].get<double>(), report["scheduler_ratio"].get<double>());
}

}  // namespace
}  // namespace retouchd

int main(int argc, char** argv) {
  CLI::App app("Cost of a tile in the scheduler and of a job in the store, by how many wait");
  std::int64_t jobs = 1'000'000;
  std::string folder = std::filesystem::temp_directory_path().string();
  bool as_json = false;
  app.add_option("--jobs", jobs, "Grow the store to at most so many")->check(CLI::Range(10, 1'000'000));
  app.add_option("--folder", folder, "Where the store is made: on the disk to be measured")->check(CLI::ExistingDirectory);
  app.add_flag("--json", as_json, "One JSON object");
  CLI11_PARSE(app, argc, argv);
  try {
    const auto report = retouchd::run(jobs, folder);
    if (as_json) {
      std::cout << report.dump(2) << '\n';
    } else {
      retouchd::print(report);
    }
  } catch (const std::exception& error) {
    std::cerr << "scale: " << error.what() << '\n';
    return 1;
  }
  return 0;
}
